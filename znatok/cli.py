"""The commands: found by name, imported only when called, every failure shown as one clean line."""

import difflib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import cyclopts
from cyclopts import Token
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from znatok import __version__, messages
from znatok.errors import UsageError, ZnatokError, advice_on, reason_of
from znatok.messages import text

COMMANDS = ("check", "train", "exam", "chat", "doctor")
ORIGINAL_CHAT = "chat-original"
"""What `python chat.py` runs; no command to type."""

DASHED = re.compile(r"[–—][a-z][\w-]*(=.*)?")
"""A flag that a word processor or a messenger has typeset."""

INTERRUPTED = 130
READER_LEFT = 141
"""What a shell shows for a program that writes to a pipe which no one reads any more."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and gives its exit code: 0 done, 1 a problem explained, 2 wrong usage, 129, 130, 143 signals."""
    _settle_streams()
    arguments = [_spelled(argument) for argument in arguments]
    messages.set_language(_language_asked(arguments))
    if arguments and not arguments[0].startswith("-") and arguments[0] not in (*COMMANDS, ORIGINAL_CHAT):
        return _fail(text("cli.unknown_command", name=arguments[0], near=_nearest(arguments[0], COMMANDS)), 2)
    try:
        outcome = _app()(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        return _fail(text("cli.interrupted"), getattr(error, "exit_code", INTERRUPTED))
    except BrokenPipeError:
        _let_go_of_stdout()
        return READER_LEFT
    except Exception as error:
        if "--debug" in arguments:
            _fail(traceback.format_exc().rstrip(), ZnatokError.exit_code)
        return _fail(*_explained(error))
    return outcome if isinstance(outcome, int) else 0


def _settle_streams() -> None:
    """Redirected output is UTF-8 unless PYTHONIOENCODING names another encoding; a letter that the encoding does not
    have is shown as its code, and nothing fails."""
    named = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=None if named or stream.isatty() else "utf-8", errors="backslashreplace")


def _app() -> cyclopts.App:
    app = cyclopts.App(
        name="znatok",
        help=text("cli.about"),
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,  # each signal has an exit code of its own
        group_commands=cyclopts.Group.create_default_commands(text("cli.commands")),
        group_parameters=cyclopts.Group.create_default_parameters(text("cli.flags")),
        group_arguments=cyclopts.Group.create_default_arguments(text("cli.arguments")),
    )
    app["--help"].help, app["--version"].help = text("cli.help"), text("cli.version")
    for name in COMMANDS:
        app.command(f"znatok.commands.{name}:{name}", name=name, help=text(f"cli.{name}"))
    original = {"name": ORIGINAL_CHAT, "help": text("chat.original"), "usage": "Usage: python chat.py [OPTIONS]"}
    app.command("znatok.commands.chat:chat_original", show=False, **original)
    return app


def _spelled(argument: str) -> str:
    """Flags are taken with `_` and with `-` alike."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _language_asked(arguments: Sequence[str]) -> str | None:
    for place, argument in enumerate(arguments):
        value = argument.partition("=")[2] or next(iter(arguments[place + 1 : place + 2]), "")
        if argument.partition("=")[0] == "--lang" and value in messages.LANGUAGES:
            return value
    return None


def _explained(error: Exception) -> tuple[str, int]:
    """What went wrong, in one message, and the exit code."""
    match error:
        case ZnatokError():
            return str(error), error.exit_code
        case CycloptsError():
            return _usage(error), UsageError.exit_code
        case OSError():
            return _refused(error), ZnatokError.exit_code
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch has its own, for GPUs
        return text("cli.no_memory"), ZnatokError.exit_code
    said = " ".join(str(error).split())
    return text("cli.internal", error=type(error).__name__ + (f": {said}" if said else "")), ZnatokError.exit_code


def _refused(error: OSError) -> str:
    """What the system refused: the file, the reason, what to do."""
    place = error.filename2 or error.filename
    if place is None:
        _let_go_of_stdout()  # most likely it is what cannot be written
        return text("cli.refused", reason=reason_of(error), hint=advice_on(error))
    file = os.fsdecode(place) if isinstance(place, bytes) else place
    return text("cli.refused_file", file=file, reason=reason_of(error), hint=advice_on(error))


def _let_go_of_stdout() -> None:
    """What is still to be written there goes nowhere: else Python would fail on it once more when it ends."""
    with suppress(OSError, ValueError):
        number = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _usage(error: CycloptsError) -> str:
    """What was wrong with the command line, with the nearest right word."""
    command = (error.command_chain or ("",))[0]
    asked = "python chat.py" if command == ORIGINAL_CHAT else f"znatok {command}".strip()
    match error:
        case UnknownOptionError():
            flags = [name for argument in error.argument_collection for name in argument.names]
            return _unknown_flag(error.token.keyword or error.token.value, flags, asked)
        case UnknownCommandError(unused_tokens=[word, *_]) if word.startswith("-"):
            return _unknown_flag(word, ["--version"], asked)
        case UnknownCommandError(unused_tokens=[word, *_]):
            return text("cli.unknown_command", name=word, near=_nearest(word, COMMANDS))
        case UnusedCliTokensError(unused_tokens=list(words)):
            for word in filter(DASHED.fullmatch, error.root_input_tokens or words):
                return text("cli.dash", word=word, flag="--" + word[1:])
            return text("cli.extra", words=" ".join(words), command=asked)
        case RepeatArgumentError():
            return text("cli.repeated", flag=error.token.keyword)
        case MissingArgumentError(argument=Argument() as argument):
            if error.keyword or any(token.keyword for token in argument.tokens):
                return text("cli.no_value", flag=error.keyword or argument.name)
            return text("cli.no_argument", name=argument.name.lstrip("-").upper(), command=asked)
        case CoercionError(argument=Argument() as argument, token=Token() as token):
            from znatok.settings import impossible

            return impossible(token.keyword or argument.name, token.value, error.target_type or argument.hint)
    return _impossible_setting(error) or text("cli.usage", reason=" ".join(str(error).split()), command=asked)


def _unknown_flag(flag: str, flags: Sequence[str], asked: str) -> str:
    near = _nearest(flag, [name for name in (*flags, "--help") if name.startswith("--")])
    return text("cli.unknown_flag", flag=flag, near=near, command=asked)


def _impossible_setting(error: CycloptsError) -> str | None:
    """What pydantic found wrong with the settings' values, in our words."""
    if "pydantic" not in sys.modules:  # `--help` must not wait for it
        return None
    from pydantic import ValidationError

    from znatok.settings import faults

    if not isinstance(error.__cause__, ValidationError):
        return None
    return "\n".join(faults(error.__cause__, names=lambda name: "--" + name.replace("_", "-")))


def _nearest(word: str, words: Sequence[str]) -> str:
    return difflib.get_close_matches(word, words, n=1, cutoff=0.0)[0]


def _fail(message: str, code: int) -> int:
    from znatok.use.terminal import printable

    with suppress(OSError):  # the exit code says it, too
        print(printable(message), file=sys.stderr, flush=True)  # noqa: T201
    return code
