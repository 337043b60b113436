"""The commands: found by name, imported only when called, every failure shown as one clean line."""

import difflib
import sys
from collections.abc import Sequence

import cyclopts
from cyclopts.exceptions import CycloptsError

from znatok import __version__, messages
from znatok.errors import ZnatokError
from znatok.messages import text

COMMANDS = ("check", "train", "exam", "chat")
ORIGINAL_CHAT = "chat-original"
"""What `python chat.py` runs; no command to type."""

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and gives its exit code: 0 done, 1 a problem explained, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Redirected output is UTF-8; a console that cannot show a letter shows its code instead of failing.
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    arguments = [_spelled(argument) for argument in arguments]
    messages.set_language(_language_asked(arguments))
    if arguments and not arguments[0].startswith("-") and arguments[0] not in (*COMMANDS, ORIGINAL_CHAT):
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1, cutoff=0.0)[0]
        return _fail(text("cli.unknown_command", name=arguments[0], near=near), 2)
    try:
        outcome = _app()(arguments, exit_on_error=False, print_error=False)
    except ZnatokError as error:
        if "--debug" in arguments:
            raise
        return _fail(str(error), error.exit_code)
    except CycloptsError as error:
        return _fail(_usage(error), 2)
    except KeyboardInterrupt:
        return _fail(text("cli.interrupted"), INTERRUPTED)
    return outcome if isinstance(outcome, int) else 0


def _app() -> cyclopts.App:
    app = cyclopts.App(name="znatok", help=text("cli.about"), version=__version__, result_action="return_value")
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


def _usage(error: CycloptsError) -> str:
    return text("cli.usage", reason=" ".join(str(error).split()))


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return code
