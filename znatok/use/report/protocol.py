"""The protocol of a run: what was taught to which model, how it learned, and what is folded away below."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from znatok import __version__
from znatok.messages import text
from znatok.run_folder import RunFolder
from znatok.use.report.answers import Piece, differences
from znatok.use.report.figures import counted, lasted, number, percent, word
from znatok.use.report.records import Record, RunRecords, found

PROBLEMS_SHOWN = 200
LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "safetensors")


@dataclass(frozen=True, slots=True)
class Named:
    """A name, its value, and perhaps the reason for it."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """One question, what the model answered to it in the course of training, and the table's answer."""

    question: str
    answers: tuple[tuple[str, tuple[Piece, ...]], ...]
    reference: str


def facts(records: RunRecords) -> Iterator[Named]:
    """What was taught, to which model, how long."""
    source, summary = records.plan.get("source"), records.exam.get("summary")
    if table := records.plan.get("table"):
        yield Named(text("report.fact.table"), str(table))
    if asked := _asked(records):
        yield Named(text("report.fact.asked"), asked)
    model = found(summary, "model") or found(source, "public_id") or found(source, "name")
    if model:
        yield Named(text("report.fact.model"), str(model))
    if preset := found(summary, "preset"):
        yield Named(text("report.fact.preset"), str(preset))
    if ended := _ended(records):
        yield Named(text("report.fact.training"), ended)


def _asked(records: RunRecords) -> str:
    uses = [record.get("use") for record in records.rows if "question" in record]
    taught = uses.count("trained")
    if taught == len(uses):
        return counted("rows_taught", taught) if taught else ""
    return text("report.fact.asked_part", rows=counted("rows_taught", taught), all=number(len(uses)))


def _ended(records: RunRecords) -> str:
    """How long training was, and why it ended, from its last event or the exam's summary."""
    last = next((one for one in reversed(records.metrics) if one.get("event") == "trainingended"), None)
    summary = found(records.exam, "summary")
    steps, reason = (found(last, key) or found(summary, key) for key in ("steps", "stopped_because"))
    seconds = found(last, "seconds") or found(summary, "train_seconds")
    parts = [
        counted("steps", steps) if steps else "",
        lasted(seconds) if seconds else "",
        word(f"report.stopped.{reason}", str(reason)) if reason else "",
    ]
    return ", ".join(part for part in parts if part)


def course(records: RunRecords) -> tuple[Course, ...]:
    """The questions that were asked again and again while it learned, with the answers in time."""
    asked: dict[str, dict[int, tuple[str, bool]]] = {}
    for one in records.metrics:
        if one.get("event") == "sampled":
            # A run that was resumed asks again at the same step: the later answer counts.
            answers = asked.setdefault(str(one.get("question")), {})
            answers[one.get("step") or 0] = (str(one.get("answer") or ""), bool(one.get("is_cut")))
    references = {str(record.get("question")): str(record.get("answer")) for record in records.rows}
    return tuple(
        Course(question, tuple(_said(answers, references.get(question, ""))), references.get(question, ""))
        for question, answers in asked.items()
        if len(answers) > 1
    )


def _said(answers: dict[int, tuple[str, bool]], reference: str) -> Iterator[tuple[str, tuple[Piece, ...]]]:
    for step, (answer, is_cut) in sorted(answers.items()):
        when = text("report.course.step", step=number(step)) if step else text("report.course.before")
        answer = answer.strip().rstrip("\ufffd") if is_cut else answer.strip()  # a letter cut in the middle
        pieces, _ = differences(answer, reference, like_enough=0.0)
        if not answer:
            pieces = (Piece("", text("screen.silence")),)
        yield when, (*pieces, Piece("", "\u00a0…")) if is_cut and answer else pieces


def checkup(records: RunRecords) -> tuple[str, tuple[Record, ...], int]:
    """What became of the rows, the problems that were found, and how many more there are than are shown."""
    uses = [record.get("use") for record in records.rows if "question" in record]
    problems = [record for record in records.rows if record.get("message")]
    if not uses:
        return "", (), 0
    said = text(
        "report.checkup.rows",
        read=number(len(uses)),
        trained=number(uses.count("trained")),
        heldout=number(uses.count("heldout")),
        left=number(len(uses) - uses.count("trained") - uses.count("heldout")),
    )
    return said, tuple(problems[:PROBLEMS_SHOWN]), max(0, len(problems) - PROBLEMS_SHOWN)


def choices(records: RunRecords) -> Iterator[Named]:
    """The plan, each choice with its reason."""
    for choice in records.plan.get("choices") or ():
        yield Named(str(found(choice, "name")), str(found(choice, "value")), str(found(choice, "reason") or ""))


def versions(records: RunRecords) -> tuple[str, tuple[Named, ...]]:
    """The versions that the run names; where it names none those of today, and which of the two it is."""
    kept = records.plan.get("versions")
    if isinstance(kept, dict) and kept:
        return text("report.versions.of_run"), tuple(Named(str(name), str(value)) for name, value in kept.items())
    installed = [Named("znatok", __version__), Named("Python", platform.python_version())]
    for name in LIBRARIES:
        try:
            installed.append(Named(name, version(name)))
        except PackageNotFoundError:
            continue
    return text("report.versions.of_today"), tuple(installed)


def hashes(run: RunFolder, records: RunRecords) -> Iterator[Named]:
    """SHA-256 of the adapter's file, and of the rows that were read."""
    weights = run.adapter / "adapter_model.safetensors"
    if weights.is_file():
        with weights.open("rb") as file:
            yield Named("adapter/adapter_model.safetensors", hashlib.file_digest(file, "sha256").hexdigest())
    rows = [[record.get("question"), record.get("answer")] for record in records.rows if "question" in record]
    if rows:
        digest = hashlib.sha256(json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode("ascii"))
        yield Named(text("report.hashes.rows"), digest.hexdigest())


def forgetting(exam: Record) -> str:
    """What the model lost of its general ability: one plain line, then the figures; "" where it was not measured."""
    lost = exam.get("forgetting")
    figures = {
        "text": _by_language(lambda language: _change(found(lost, "bits_per_byte", language))),
        "kl": _by_language(lambda language: _figure(found(lost, "kl", language))),
        "trained_answers": _by_language(lambda language: _share(found(lost, "trained_answers", language))),
    }
    said = [text(f"report.forgetting.{name}", said=", ".join(parts)) for name, parts in figures.items() if parts]
    return " ".join([_in_words(lost), *said]).strip()


def _in_words(lost: Any) -> str:
    if not lost:
        return ""
    from znatok.exam.forgetting import in_words  # late: it needs torch

    try:
        return in_words(lost)
    except (KeyError, TypeError, ValueError):  # a part of it is not there
        return ""


def _by_language(figure: Callable[[str], str]) -> list[str]:
    found_figures = {language: figure(language) for language in ("ru", "en")}
    return [f"{text(f'report.forgetting.{language}')} {value}" for language, value in found_figures.items() if value]


def _change(bits: Any) -> str:
    before, after = found(bits, "before"), found(bits, "after")
    return "" if before is None or after is None else f"{number(before, 2)} → {number(after, 2)}"


def _figure(value: float | None) -> str:
    return "" if value is None else number(value, 2)


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)
