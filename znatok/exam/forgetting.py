"""How much the tuned model forgot: base and tuned model on everyday text and questions, which no table teaches."""

import tomllib
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice
from math import log
from statistics import fmean
from typing import Any

from znatok.data.batch import make_batch
from znatok.data.render import Renderer
from znatok.exam.measures import References, normalised
from znatok.exam.statistics import clopper_pearson
from znatok.messages import text
from znatok.model.network import Network
from znatok.records import Rendered

LANGUAGES = ("ru", "en")

REPLY_TOKENS = 48
"""Where a reply to a general question is cut; what is cut counts as an answer of the table when it begins one."""

FEW_PROMPTS = 6
"""Questions in each language for the exam inside `train`: one of each kind."""

NOTICED_BITS = 0.05
MUCH_BITS = 0.25
MUCH_ANSWERS = 0.25
NOTICED_KL = 0.5
"""When `in_words` speaks of a change, and when of a great one: so many more bits for the text, such a share of the
questions. Half a nat a token leaves the base's own words six tenths of their probability. Chosen, not measured."""

_SCORED_TOGETHER = 6
_TOKENS_BETWEEN = 8


@dataclass(frozen=True, slots=True)
class General:
    """Everyday text and questions in one language."""

    paragraphs: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForgettingProgress:
    """Paragraphs and replies gone through so far, by either model, of those to be."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BitsPerByte:
    """Bits that each byte of a text costs the base and the tuned model; the better it is foreseen, the fewer."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What base and tuned model say to a general question, and whether that is an answer of the table.

    `kl`: KL(base ‖ tuned) along the base's reply, in nats a token.
    """

    language: str
    prompt: str
    before: str
    after: str
    kl: float
    trained_before: bool
    trained_after: bool


@dataclass(frozen=True, slots=True)
class Forgetting:
    """All that was measured, by language."""

    bits_per_byte: dict[str, BitsPerByte]
    replies: tuple[Reply, ...]

    def describe(self) -> dict[str, Any]:
        """As `exam.json` has it under `forgetting`. Where no question was asked, shares and `kl` are null."""
        described: dict[str, Any] = {"bits_per_byte": {}, "kl": {}, "trained_answers": {}, "n": {}}
        for language, bits in self.bits_per_byte.items():
            replies = [reply for reply in self.replies if reply.language == language]
            described["bits_per_byte"][language] = {"before": bits.before, "after": bits.after}
            described["kl"][language] = fmean(reply.kl for reply in replies) if replies else None
            described["trained_answers"] |= _shares(language, replies)
            described["n"][language] = len(replies)
        return described


def _shares(language: str, replies: Sequence[Reply]) -> dict[str, Any]:
    before, after = sum(reply.trained_before for reply in replies), sum(reply.trained_after for reply in replies)
    return {
        language: after / len(replies) if replies else None,
        f"{language}_ci": list(clopper_pearson(after, len(replies))) if replies else None,
        f"{language}_before": before / len(replies) if replies else None,
    }


@cache
def general(language: str) -> General:
    """The general text and questions in "ru" or "en"."""
    file = files("znatok.exam").joinpath("general", f"{language}.toml")
    lists = tomllib.loads(file.read_text(encoding="utf-8"))
    return General(tuple(lists["paragraphs"]), tuple(lists["prompts"]))


def measure_forgetting(
    network: Network,
    renderer: Renderer,
    answers: Sequence[str],
    *,
    questions: Sequence[str] = (),
    prompts: int | None = None,
) -> Iterator[ForgettingProgress | Forgetting]:
    """Compares base and tuned model on what the table does not teach; yields progress, and the result last.

    answers: all answers of the table.  questions: its questions; a general question that the table asks, too, is left
    out.  prompts: general questions in each language. None asks all, for `znatok exam`; FEW_PROMPTS, for `train`, is
    half the work; 0 scores the text alone, a sixth of it.
    Call after `network.use()`, with an adapter on. As in `examine`, it is switched inside a batch only.
    """
    assert network.has_adapter
    asked = _asked(questions, prompts)
    done, total = 0, sum(2 * len(general(language).paragraphs) for language in LANGUAGES) + 3 * len(asked)
    bits = {}
    for language in LANGUAGES:
        paragraphs = general(language).paragraphs
        with network.base_alone():
            before = bits_per_byte(network, renderer, paragraphs)
        bits[language] = BitsPerByte(before, bits_per_byte(network, renderer, paragraphs))
        done += 2 * len(paragraphs)
        yield ForgettingProgress(done, total)
    replies: tuple[Reply, ...] = ()
    if asked:
        replies = yield from _compared(network, renderer, asked, answers, done, total)
    yield Forgetting(bits, replies)


def bits_per_byte(network: Network, renderer: Renderer, paragraphs: Sequence[str]) -> float:
    """The sum of -log2 p over all tokens of `paragraphs`, by the bytes of their UTF-8.

    Each paragraph is plain text by itself, without question and answer marks, so that all fit any context.
    """
    batch = make_batch([as_plain_text(renderer, paragraph) for paragraph in paragraphs])
    nats = -float(network.log_probs(batch).double().sum())
    return nats / log(2) / sum(len(paragraph.encode()) for paragraph in paragraphs)


def as_plain_text(renderer: Renderer, paragraph: str) -> Rendered:
    """All of the paragraph as targets, after the control token that any conversation opens with, or a line break.

    Many models foresee nothing well when the token that began every text they read is absent.
    """
    opening = renderer.describe()["ids"]["opening"][:1]
    start = opening if renderer.control_ids.issuperset(opening) and opening else renderer.content_ids("\n")
    return Rendered((*start, *renderer.content_ids(paragraph)), len(start))


def in_words(forgetting: dict[str, Any]) -> str:
    """What `Forgetting.describe()` says, in one line for someone who knows nothing of machine learning."""
    shares, counts = forgetting["trained_answers"], forgetting["n"]
    asked = [language for language in counts if counts[language]]
    after = round(sum(shares[language] * counts[language] for language in asked))
    before = round(sum(shares[f"{language}_before"] * counts[language] for language in asked))
    rise = {language: bits["after"] / bits["before"] - 1 for language, bits in forgetting["bits_per_byte"].items()}
    worst = max(rise, key=rise.__getitem__)
    signs = []
    if rise[worst] >= NOTICED_BITS:
        signs.append(text(f"forgetting.harder.{worst}", percent=round(100 * rise[worst])))
    if after > before:
        signs.append(text("forgetting.answers", count=after, asked=sum(counts.values())))
    if signs:
        is_much = rise[worst] >= MUCH_BITS or after - before >= MUCH_ANSWERS * max(1, sum(counts.values()))
        return text("forgetting.much_worse" if is_much else "forgetting.worse", signs="; ".join(signs))
    if any(forgetting["kl"][language] >= NOTICED_KL for language in asked):
        return text("forgetting.otherwise")
    return text("forgetting.hardly")


def _asked(questions: Sequence[str], prompts: int | None) -> list[tuple[str, str]]:
    """The general questions to ask, each with its language."""
    own = set(map(normalised, questions))
    return [
        (language, prompt)
        for language in LANGUAGES
        for prompt in general(language).prompts[:prompts]
        if normalised(prompt) not in own
    ]


def _compared(
    network: Network,
    renderer: Renderer,
    asked: Sequence[tuple[str, str]],
    answers: Sequence[str],
    done: int,
    total: int,
) -> Generator[ForgettingProgress, None, tuple[Reply, ...]]:
    prompts = [renderer.prompt(prompt) for _, prompt in asked]
    said: dict[str, list[list[int]]] = {}
    for policy in ("before", "after"):
        growing = network.growing(prompts, [REPLY_TOKENS] * len(prompts), renderer.stop_id)
        while pieces := _some(network, policy, growing):
            said[policy] = pieces[-1]
            written = len(asked) * max(map(len, said[policy])) // (1 + REPLY_TOKENS)
            yield ForgettingProgress(done + written, total)
        done += len(asked)
    rows = [Rendered((*prompt, *ids), len(prompt)) for prompt, ids in zip(prompts, said["before"], strict=True)]
    order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids), reverse=True)
    kl: dict[int, float] = {}
    for start in range(0, len(order), _SCORED_TOGETHER):
        batch = order[start : start + _SCORED_TOGETHER]
        kl |= zip(batch, network.divergence(make_batch([rows[number] for number in batch])).tolist(), strict=True)
        yield ForgettingProgress(done + len(kl), total)
    table = References(answers)
    return tuple(
        Reply(
            language,
            prompt,
            before=renderer.decode(before),
            after=renderer.decode(after),
            kl=kl[number],
            trained_before=_is_trained(table, renderer, before),
            trained_after=_is_trained(table, renderer, after),
        )
        for number, ((language, prompt), before, after) in enumerate(zip(asked, *said.values(), strict=True))
    )


def _some(network: Network, policy: str, growing: Iterator[list[list[int]]]) -> list[list[list[int]]]:
    """The replies after each of the next few tokens; empty when all have ended."""
    with network.base_alone() if policy == "before" else nullcontext():
        return list(islice(growing, _TOKENS_BETWEEN))


def _is_trained(table: References, renderer: Renderer, ids: Sequence[int]) -> bool:
    return table.said(renderer.decode(ids), is_cut=renderer.stop_id not in ids) is not None
