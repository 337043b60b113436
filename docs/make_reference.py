"""The pages of `docs/reference/`, made from the code, in English.

    python -m docs.make_reference [--check]

With `--check` nothing is written: stale pages are named on stderr, and the exit code is 1.
"""

import argparse
import ast
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import App
from cyclopts.argument import Argument

from znatok import cli, messages
from znatok.errors import UsageError, ZnatokError
from znatok.messages import text
from znatok.model.source import BASE_MODELS
from znatok.run_folder import RUNS, RunFolder, write_text
from znatok.settings import PRESETS, Settings, _takes, choices_of, make_settings

ROOMS = ("", "messages", "data", "model", "answering", "exam", "training", "use", "commands")
FOLDER = Path(__file__).parent / "reference"
COMMAND_LINES = {name: f"znatok {name}" for name in cli.COMMANDS} | {cli.ORIGINAL_CHAT: "python chat.py"}
NOT_SET = "—"
VALUES = {str: "text", Path: "path", int: "whole number"}
"""Of the flags that are no settings."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the pages, or with `--check` names the stale ones."""
    parser = argparse.ArgumentParser(description="Makes the pages of docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a page is stale")
    only_check = parser.parse_args(arguments).check
    stale = {name: page for name, page in pages().items() if _written(FOLDER / name) != page}
    if only_check and stale:
        sys.exit(f"Stale in {FOLDER}: {', '.join(stale)}. Run: python -m docs.make_reference")
    FOLDER.mkdir(exist_ok=True)
    for name, page in stale.items():
        write_text(FOLDER / name, page)


def pages() -> dict[str, str]:
    """Every page by the name of its file. Raises AssertionError where the commands were imported before."""
    # They take their words when they are imported, in the language of that moment.
    assert not any(name.startswith("znatok.commands.") for name in sys.modules)
    messages.set_language("en")
    made = {"commands.md": _commands(), "settings.md": _settings(), "run-folder.md": _run_folder()}
    made |= {"modules.md": _modules()}
    note = "<!-- Made by `python -m docs.make_reference`. Do not edit: change the code and run it again. -->\n\n"
    return {name: note + page for name, page in made.items()}


def _modules() -> str:
    """Every module with the first line of its docstring, room by room in the order of the journey."""
    package = Path(cli.__file__).parent
    lines = ["# Modules", "", "Each room may import from those above it.", ""]
    for room in ROOMS:
        lines += [f"## `znatok/{room}`", "", "| module | what it is |", "|---|---|"]
        files = sorted((package / room).rglob("*.py") if room else package.glob("*.py"))
        for file in files:
            if saying := ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))):
                lines.append(f"| `{file.relative_to(package).as_posix()}` | {saying.splitlines()[0]} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _commands() -> str:
    app = cli._app()
    lines = ["# Commands", "", text("cli.about"), ""]
    lines += [f"- [`{line}`](#{_anchor(line)}): {text(_about(name))}" for name, line in COMMAND_LINES.items()]
    lines += ["", "`python train.py` is `znatok train`. In the name of a flag `-` and `_` are the same.", ""]
    lines += ["| exit code | meaning |", "|---|---|", "| 0 | done |"]
    lines += [f"| {ZnatokError.exit_code} | a problem, explained in one message |"]
    lines += [f"| {UsageError.exit_code} | wrong usage, with the nearest right word |"]
    lines += [f"| 129, {cli.INTERRUPTED}, 143 | stopped by a closed terminal, Ctrl+C, a request to end |"]
    lines += [f"| {cli.READER_LEFT} | nothing reads the output any more, as behind `znatok … \\| head` |", ""]
    # Every command has them; one is asked.
    common = [argument for argument in _arguments(app, cli.COMMANDS[0]) if _is_common(argument)]
    lines += ["## Flags of every command", "", *_flag_table(common)]
    lines += [f"| `{app.help_flags[0]}` | | | Show the flags of a command. |", ""]
    for name, line in COMMAND_LINES.items():
        arguments = _arguments(app, name)
        own = [argument for argument in arguments if not _is_common(argument) and not _is_setting(argument)]
        lines += [f"## `{line}`", "", text(_about(name)), "", f"    {_usage(line, own)}", "", *_flag_table(own), ""]
        if settings := [name for argument in arguments if _is_setting(argument) for name in _flags(argument)]:
            lines += ["Every [setting](settings.md) is a flag, too:", "", " · ".join(_ticked(settings)), ""]
        if name == "chat":
            lines += ["In the conversation:", "", "```", text("chat.help").strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _settings() -> str:
    presets = {preset: make_settings({"preset": preset}) for preset in PRESETS}
    lines = [
        "# Settings",
        "",
        "What can be asked of a training run. A setting is a flag (`--learning-rate 1e-3`), a key of a TOML file",
        "(`learning_rate = 1e-3`, with `--config FILE`) and a name in Python",
        "(`make_settings({'learning_rate': 1e-3})`). A flag wins over the file, and both win over the preset. A flag",
        "that takes several names is repeated: `--target-modules q_proj --target-modules v_proj`.",
        "",
        f"`{NOT_SET}` means not set: the plan decides where something must be decided, and says why. A value in bold",
        f"differs from that of `{next(iter(presets))}`.",
        "",
        f"| setting | value | {' | '.join(f'`{preset}`' for preset in presets)} | meaning |",
        f"|---|---|{'---|' * len(presets)}---|",
    ]
    for name, field in Settings.model_fields.items():
        defaults = [_shown(getattr(settings, name)) for settings in presets.values()]
        cells = [defaults[0], *(one if one == defaults[0] else f"**{one}**" for one in defaults[1:])]
        choices = choices_of(field.annotation)
        takes = _takes(field.annotation, choices, field.metadata)
        lines.append(_line(f"`{name}`", takes, *cells, text(f"settings.{name}")))
    lines += ["", "## Base models by short name", ""]
    lines += ["| `model` | hub id | to fetch | licence | tokens per Russian word |", "|---|---|---|---|---|"]
    for name, base in BASE_MODELS.items():
        licence = base.licence + (" (to be accepted on the hub)" if base.is_gated else "")
        size = text("doctor.gigabytes", gigabytes=base.gigabytes)
        lines.append(_line(f"`{name}`", f"`{base.hub_id}`", size, licence, _shown(base.tokens_per_russian_word)))
    lines += ["", text("doctor.tokens_note"), "A hub id (`owner/name`), a folder or a GGUF file will do too."]
    return "\n".join(lines) + "\n"


def _run_folder() -> str:
    lines = [
        "# The files of a run",
        "",
        f"A run is a folder: the one that `--run` names, else `{RUNS}/` and the name of the table, with `-2`, `-3` …",
        "where that is taken. All that comes after training reads this folder and nothing else.",
        "",
        "| file | what it holds |",
        "|---|---|",
    ]
    for name, member in vars(RunFolder).items():
        if isinstance(member, property) and get_type_hints(member.fget)["return"] is Path:
            path: Path = getattr(RunFolder(Path()), name)
            shown = path.as_posix() if path.suffix else f"{path.as_posix()}/"
            lines.append(_line(f"`{shown}`", " ".join((inspect.getdoc(member) or "").split())))
    return "\n".join(lines) + "\n"


def _arguments(app: App, command: str) -> list[Argument]:
    return [argument for argument in app[command].assemble_argument_collection() if argument.show]


def _is_setting(argument: Argument) -> bool:
    return argument.field_info.name in Settings.model_fields and bool(argument.keys)


def _is_common(argument: Argument) -> bool:
    return bool(argument.keys) and not _is_setting(argument)


def _flag_table(arguments: Sequence[Argument]) -> list[str]:
    lines = ["| flag | value | default | meaning |", "|---|---|---|---|"] if arguments else []
    for argument in arguments:
        is_switch = argument.hint is bool
        has_default = not is_switch and argument.field_info.default is not None
        default = "required" if argument.required else _shown(argument.field_info.default) if has_default else ""
        value = "" if is_switch else _value(argument.hint)
        lines.append(_line(", ".join(_ticked(_flags(argument))), value, default, argument.parameter.help or ""))
    return lines


def _flags(argument: Argument) -> list[str]:
    """All names that an argument goes by, the one of its place first: DATA. Lists lose cyclopts' `--empty-…`."""
    flags = [name for name in argument.names if name.islower() and not name.startswith("--empty-")]
    return flags if argument.index is None else [argument.name.lstrip("-").upper(), *flags]


def _usage(line: str, arguments: Iterable[Argument]) -> str:
    places = [(_flags(argument)[0], argument.required) for argument in arguments if argument.index is not None]
    return " ".join([line, *(name if required else f"[{name}]" for name, required in places), "[FLAGS]"])


def _about(command: str) -> str:
    return "chat.original" if command == cli.ORIGINAL_CHAT else f"cli.{command}"


def _anchor(heading: str) -> str:
    """The name that GitHub gives to a heading."""
    return "".join(letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _value(annotation: Any) -> str:
    """What stands behind a flag: the kind of value, or the words that can be chosen."""
    members = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    kind = next(one for one in members if one is not NoneType)
    return ", ".join(_ticked(get_args(kind))) if get_origin(kind) is Literal else VALUES[kind]


def _shown(value: Any) -> str:
    match value:
        case None:
            return NOT_SET
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(value)
    return str(value)


def _ticked(words: Iterable[str]) -> list[str]:
    return [f"`{word}`" for word in words]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _written(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    main()
