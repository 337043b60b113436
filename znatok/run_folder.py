"""A run on disk: its files' names, how they are found and written. The only interface between training and use."""

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from znatok.errors import RunError, reason_of
from znatok.records import Row

RUNS = Path("runs")
"""Where runs go unless another folder is named, under the working folder."""


_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP)
"""What file systems say that flush no folders."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def settings(self) -> Path:
        """What was asked, as TOML."""
        return self.path / "settings.toml"

    @property
    def plan(self) -> Path:
        """What was done: device, dtype, steps, each with its reason; the base and its prompt fragments."""
        return self.path / "plan.json"

    @property
    def rows(self) -> Path:
        """Every row that was read, and what became of it and of its paraphrases; then the problems of the table."""
        return self.path / "rows.jsonl"

    @property
    def metrics(self) -> Path:
        """What was seen while training, one event a line."""
        return self.path / "metrics.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained weights in PEFT's format."""
        return self.path / "adapter"

    @property
    def checkpoints(self) -> Path:
        """States saved on the way, from which a stopped run goes on: the last few, and the best by validation loss."""
        return self.path / "checkpoints"

    @property
    def ended(self) -> Path:
        """How training ended; there when its adapter is saved and only the exam is still to come, or done."""
        return self.checkpoints / "ended.json"

    @property
    def lock(self) -> Path:
        """The process that is training in this folder now; gone when it ends."""
        return self.path / "training.lock"

    @property
    def exam(self) -> Path:
        """The scores. A run is finished when this file is there."""
        return self.path / "exam.json"

    @property
    def answers(self) -> Path:
        """Every question of the exam with its reference, the answers before and after, and the verdict."""
        return self.path / "answers.jsonl"

    @property
    def confidence(self) -> Path:
        """How sure the model may be of an answer, learned from questions that are neither trained nor examined."""
        return self.path / "confidence.json"

    @property
    def graph(self) -> Path:
        """Losses and exact share over steps."""
        return self.path / "train_graph.png"

    @property
    def report(self) -> Path:
        """All of it as one page for people: verdict, scores, graph, answers side by side. Needs nothing beside it."""
        return self.path / "report.html"

    @property
    def answers_table(self) -> Path:
        """The answers as a table for Excel."""
        return self.path / "answers.csv"

    @property
    def unknown_near(self) -> Path:
        """Questions on the subject that no row answers, one a line; only where the table had such a file beside it."""
        return self.path / "unknown_near.txt"

    @property
    def is_finished(self) -> bool:
        return self.exam.is_file()

    @property
    def is_begun(self) -> bool:
        """Whether all that is known before training is there, so that it can be gone on with."""
        return all(file.is_file() for file in (self.settings, self.plan, self.rows))


def new_run(asked: Path | None, table: Path) -> RunFolder:
    """A fresh run folder: the one asked for, else `runs/` and the table's name, with -2, -3 where that is taken.

    Raises RunError where the folder asked for already holds something.
    """
    if asked is not None:
        if RunFolder(asked).is_begun and not RunFolder(asked).is_finished:
            raise RunError("run.unfinished", folder=asked, command=resume_command(RunFolder(asked)))
        if asked.exists() and (not asked.is_dir() or any(asked.iterdir())):
            raise RunError("run.not_empty", folder=asked)
        return RunFolder(_made(asked))
    stem = re.sub(r"[^\w.-]+", "_", table.stem).strip("._") or "run"
    number = 1
    while (path := RUNS / (stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return RunFolder(_made(path))


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError("run.cannot_write", folder=path, reason=reason_of(error)) from error
    return path


def discard(run: RunFolder) -> None:
    """Removes a run that came to nothing before anything was trained."""
    shutil.rmtree(run.path, ignore_errors=True)
    if run.path.parent == RUNS:
        with suppress(OSError):  # other runs are in it
            RUNS.rmdir()


def find_run(asked: Path | None) -> RunFolder:
    """The run named by its folder or its `adapter/`; without a name, the newest finished one in `runs/`.

    Raises RunError where there is none.
    """
    if asked is None:
        finished = [RunFolder(path) for path in RUNS.iterdir() if RunFolder(path).is_finished] if RUNS.is_dir() else []
        if not finished:
            raise RunError("run.none_yet", folder=RUNS)
        return max(finished, key=lambda run: run.exam.stat().st_mtime)
    run = RunFolder(asked.parent if asked.name == "adapter" and (asked.parent / "plan.json").is_file() else asked)
    if not asked.exists():
        raise RunError("run.missing", folder=asked)
    if not run.plan.is_file():
        raise RunError("run.not_ours", folder=asked)
    return run


def resume_command(run: RunFolder) -> str:
    """What to type to go on with the run."""
    path = str(run.path)
    return "znatok train --resume --run " + (f'"{path}"' if " " in path else path)


def read_rows(run: RunFolder, use: str) -> tuple[Row, ...]:
    """The rows of the run that were put to this use: "trained", "heldout" or "left".

    A trained row has its trained and its examined paraphrases; any other has those that the table gives.
    """
    return tuple(_row(record) for record in read_lines(run.rows) if record["use"] == use)


def is_open(run: RunFolder) -> bool:
    """Whether the scope of the run is `open`, as its plan has it."""
    try:
        return bool(json.loads(run.plan.read_bytes())["scope"] == "open")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _row(record: dict[str, Any]) -> Row:
    uses: dict[str, list[str]] = {"trained": [], "examined": [], "left": []}
    for paraphrase in record.get("paraphrases", ()):
        uses[paraphrase["use"]].append(paraphrase["wording"])
    paraphrases = uses["trained" if record["use"] == "trained" else "left"]
    return Row(record["row"], record["question"], record["answer"], tuple(paraphrases), tuple(uses["examined"]))


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text`, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content`, whole or not at all: beside, then renamed."""
    with _naming(path):
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _flush_folder(path.parent)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise


def write_flushed(path: Path, content: bytes) -> None:
    """Writes a file of a folder that is not in its place yet: lasting, and nothing else."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill by `write_flushed`, which then becomes `path`; files of one that is there are replaced. All or
    nothing."""
    beside = path.with_name(f".{path.name}.unfinished")
    with _naming(path):
        shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
        beside.mkdir(parents=True)
        try:
            yield beside
            _flush_folder(beside)
            if path.is_dir():
                for file in sorted(beside.iterdir()):
                    os.replace(file, path / file.name)
                _flush_folder(path)
            else:
                os.replace(beside, path)
                _flush_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _flush_folder(path: Path) -> None:
    """Makes what was renamed there outlast a loss of power. Windows has no such call."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(handle)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A refusal of the system names `path`: by itself a failed write does not say of which file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes `records` as JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Adds one JSON line, whole or not at all."""
    line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8")
    with _naming(path), path.open("ab", buffering=0) as file:
        end = file.tell()
        if file.write(line) != len(line):
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines. Raises RunError where one is damaged."""
    with path.open("rb") as file:  # as bytes: letters that are damaged are found in their line
        for number, line in enumerate(file, start=1):
            try:
                yield dict(json.loads(line))
            except (TypeError, ValueError) as error:
                raise RunError("run.damaged", file=path, line=number) from error
