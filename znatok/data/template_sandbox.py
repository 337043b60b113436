"""A chat template rendered on placeholders, shut in: a sandbox, and for others' templates a process with limits.

A chat template is a program in Jinja that comes with a base model. The sandbox keeps it from reaching Python; loops
without end and texts without end it does not see. So every template but the built-in model's is rendered in a process
of its own, without this one's environment, that is ended after 0.6 s or when it takes too much memory. Run as a script
this module is that process: it imports nothing of ours.
"""

import faulthandler
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

FIXED_DATE = "26 Jul 2024"
"""Llama 3's template prints today's date, which would change every prompt every day; this is its own default."""

PLACEHOLDERS = ("⁂q1⁂", "⁂a1⁂", "⁂q2⁂", "⁂a2⁂")

BUILTIN_SHA256 = "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"
"""The template of the built-in model, which needs no process of its own."""

RENDER_SECONDS = 0.6
START_SECONDS = 30.0
"""For the process to come up: on a slow disk, with a virus scanner, Python alone takes seconds."""

MEMORY_BYTES = 1 << 28
TEMPLATE_LETTERS = 1 << 20
RENDERED_LETTERS = 100_000
_POLL_SECONDS = 0.02
_TAKEN_ALONG = re.compile(r"PATH|SYSTEMROOT|HOME|USERPROFILE|(LOCAL)?APPDATA|TE?MP|TMPDIR|LD_LIBRARY_PATH|PYTHON\w*")
_EMPTY_SYSTEM = {"role": "system", "content": ""}

Rendering = tuple[str | None, str]
"""The rendered text, or None and why there is none."""


class TooMuch(Exception):
    """A template took more than it may. `what`: "time", "memory" or "length"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def renderings(chat_template: str, tokens: dict[str, str]) -> tuple[Rendering, Rendering]:
    """Two turns of placeholders as the template renders them: without a system part, and behind an empty one.

    Raises TooMuch where it takes more time or memory than a template can need.
    """
    return _renderings(chat_template, json.dumps(tokens, sort_keys=True))


@functools.cache
def _renderings(chat_template: str, tokens: str) -> tuple[Rendering, Rendering]:
    if hashlib.sha256(chat_template.encode("utf-8", "replace")).hexdigest() == BUILTIN_SHA256:
        return _both(chat_template, json.loads(tokens))
    if len(chat_template) > TEMPLATE_LETTERS:
        raise TooMuch("length")
    one, other = _by_a_process(json.dumps([chat_template, json.loads(tokens)]))
    return (one[0], one[1]), (other[0], other[1])


def _by_a_process(asked: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if _TAKEN_ALONG.fullmatch(name.upper())}
    # -P: the folder of this file holds modules that are named like the standard library's.
    command = [sys.executable, "-P", str(Path(__file__))]
    with tempfile.TemporaryFile() as paper:  # not a pipe: one that is full would hold us up with the process
        paper.write(asked.encode("ascii"))
        paper.seek(0)
        with subprocess.Popen(
            command, stdin=paper, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            try:
                answer = _watched(process)
            finally:
                process.kill()
    if not answer:  # 1: its own watchdog ended it; else the stack ran over, or the system ended it
        raise TooMuch("time" if process.returncode == 1 else "memory")
    told = json.loads(answer)
    if isinstance(told, str):
        raise TooMuch(told)
    return told


def _watched(process: subprocess.Popen[bytes]) -> bytes:
    """What the process writes until it ends; it is stopped when it takes too much memory, or does not come up."""
    import psutil

    deadline, watched = time.monotonic() + START_SECONDS, psutil.Process(process.pid)
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            with suppress(psutil.Error):  # it has just ended
                if watched.memory_info().rss > MEMORY_BYTES:
                    raise TooMuch("memory") from None
            if time.monotonic() > deadline:
                raise TooMuch("time") from None


def _both(chat_template: str, tokens: dict[str, str]) -> tuple[Rendering, Rendering]:
    one, other = (_rendering(chat_template, tokens, system) for system in ([], [_EMPTY_SYSTEM]))
    return one, other


def _rendering(chat_template: str, tokens: dict[str, str], system: list[dict[str, str]]) -> Rendering:
    """As transformers would render it."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda _: FIXED_DATE
    roles = ("user", "assistant", "user", "assistant")
    turns = [{"role": role, "content": text} for role, text in zip(roles, PLACEHOLDERS, strict=True)]
    try:
        rendered = environment.from_string(chat_template).render(
            messages=system + turns,
            tools=None,
            documents=None,
            add_generation_prompt=False,
            enable_thinking=False,
            date_string=FIXED_DATE,
            **tokens,
        )
    except MemoryError:
        raise
    except Exception as error:  # a template is a program of someone else's: it can fail in any way
        said = getattr(error, "message", None) or str(error) or type(error).__name__
        line = f"line {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
        return None, line + " ".join(said.split()).rstrip(".")
    if len(rendered) > RENDERED_LETTERS:
        raise TooMuch("length")
    return rendered, ""


class _Generation(Extension):
    """`{% generation %}` marks what the assistant says, for others' loss masks; here it is only read over."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _answer() -> None:
    """Reads a template from stdin and writes its renderings, or what it took too much of, to stdout."""
    with suppress(ImportError, OSError, ValueError):  # not on Windows; there the process that started this one looks on
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY_BYTES, 2 * MEMORY_BYTES))
    chat_template, tokens = json.load(sys.stdin)
    # Its own thread, which needs no GIL: a product of giant numbers would never give it to a thread of Python.
    faulthandler.dump_traceback_later(RENDER_SECONDS, exit=True)
    told: Any
    try:
        told = _both(chat_template, tokens)
    except TooMuch as error:
        told = error.what
    except MemoryError:
        told = "memory"
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    _answer()
