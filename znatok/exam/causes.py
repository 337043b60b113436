"""Why an answer did not pass: one cause for each, the most telling one first."""

from typing import Literal

from znatok.data.refusal import is_refusal
from znatok.exam.fidelity import in_digits
from znatok.exam.measures import (
    CHRF_TO_PASS,
    LENGTH_RATIO_TO_PASS,
    Other,
    chrf,
    normalised,
    numbers,
    overlap,
    without_numbers,
)

Cause = Literal["empty", "refused", "echoed", "ran_on", "cut", "confused", "wrong_number", "partly", "unrelated"]

LIKE_ANOTHER = 0.5
"""Likeness to another row's answer from which it is that answer; below, an answer is only less unlike it."""

PARTLY = 0.5
"""Share of the shorter text that the longer one has, too, from which something of the reference is there; texts that
only share a language have a quarter in common."""

_MIN_BEGINNING = 20  # letters; fewer may begin any answer


def cause_of(answer: str, reference: str, *, stopped: bool, is_echo: bool, other: Other | None) -> Cause:
    """Why `answer`, which did not pass, is not `reference`.

    other: the answer of another row that it is nearer to, as `References.other` finds it.

    `ran_on`: the reference is there, and more follows.  `cut`: a beginning of the reference, and then nothing.
    `wrong_number`: the reference but for its numbers.  `partly`: some of it.
    """
    given, wanted = normalised(answer), normalised(reference)
    if not given:
        return "empty"
    if stopped and is_refusal(answer):
        return "refused"
    if is_echo:
        return "echoed"
    if _begins(given, wanted):
        return "ran_on"
    if _begins(wanted, given):
        return "cut"
    if other is not None and other.likeness >= LIKE_ANOTHER:
        return "confused"
    if wanted and _is_near(without_numbers(given), without_numbers(wanted)):
        if numbers(in_digits(answer)) != numbers(in_digits(reference)):
            return "wrong_number"
        if not stopped:
            return "ran_on"
    return "partly" if overlap(given, wanted) >= PARTLY else "unrelated"


def _begins(long: str, short: str) -> bool:
    """Whether `long` begins with `short` and goes on: to the letter, or nearly so and clearly longer."""
    if not short or len(long) <= len(short):
        return False
    if long.startswith(short) and not long[len(short)].isalnum():
        return True
    is_longer = len(short) >= _MIN_BEGINNING and len(long) > LENGTH_RATIO_TO_PASS[1] * len(short)
    return is_longer and chrf(long[: len(short)], short) >= CHRF_TO_PASS


def _is_near(given: str, wanted: str) -> bool:
    shortest, longest = LENGTH_RATIO_TO_PASS
    return shortest <= len(given) / len(wanted) <= longest and chrf(given, wanted) >= CHRF_TO_PASS
