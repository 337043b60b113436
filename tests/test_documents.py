"""The documents say what the code does: paths exist, generated pages are fresh, commands of the README parse."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts.exceptions import CycloptsError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from znatok import __version__, cli

ROOT = Path(__file__).parent.parent
README = [path for path in (ROOT / "README.md", ROOT / "README.ru.md") if path.is_file()]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

named = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
each_readme = pytest.mark.parametrize("path", README, ids=lambda path: path.name)


def tokens(markdown: str) -> Iterator[Token]:
    for token in MarkdownIt().parse(markdown):
        yield token
        yield from token.children or ()


def code(markdown: str, *types: str) -> list[str]:
    """The contents of code: of blocks, fenced or indented, unless other `types` are asked for."""
    return [token.content for token in tokens(markdown) if token.type in (types or ("fence", "code_block"))]


def paths_in(markdown: str) -> set[str]:
    """What is written as code and looks like a path of the project; `.venv` is made by the reader."""
    written = " ".join(code(markdown, "fence", "code_block", "code_inline"))
    found = re.findall(r"[\w.-]+(?:/[\w.-]*)+|\b[\w-]+\.(?:py|md|toml|csv|txt)\b", written)
    return {path for path in found if not path.startswith(".venv/")}


def command_lines(markdown: str) -> Iterator[list[str]]:
    """Every call of `znatok`, `train.py` or `chat.py` in a code block, as the arguments that `cli.run` gets."""
    for block in code(markdown):
        for line in re.sub(r"[\\^`]\n", " ", block).splitlines():
            lexer = shlex.shlex(re.sub(r"^\s*(\$|>|PS>)\s+", "", line), posix=True, punctuation_chars="&|;<>")
            lexer.whitespace_split, lexer.escape = True, ""  # paths of Windows keep their backslashes
            try:
                words = list(lexer)
            except ValueError:  # a quote that is never closed: prose or output
                continue
            for call in re.split(r"\n[&|;]+\n", "\n".join(words)):
                if arguments := _arguments(call.split("\n")):
                    yield arguments


def _arguments(words: list[str]) -> list[str] | None:
    while words and re.match(r"\w+=|uv$|run$", words[0]):
        del words[0]
    program, rest = re.split(r"[\\/]", (words or [""])[0])[-1].removesuffix(".exe"), words[1:]
    rest = rest[: next((place for place, word in enumerate(rest) if set(word) <= set("<>")), None)]
    if program == "znatok" and not words[0].endswith("/"):
        return rest
    if not re.fullmatch(r"py|python[\d.]*", program):
        return None
    while rest and re.match(r"-(?!m$)", rest[0]):
        del rest[0]
    match rest:
        case ["-m", "znatok", *arguments]:
            return arguments
        case ["train.py", *arguments]:
            return ["train", *arguments]
        case ["chat.py", *arguments]:
            return [cli.ORIGINAL_CHAT, *arguments]
    return None


def parse(arguments: list[str]) -> None:
    """Raises CycloptsError where `cli.run` would end with a complaint about usage."""
    cli._app().parse_args(list(map(cli._spelled, arguments)), exit_on_error=False, print_error=False)


def test_the_reference_pages_are_what_the_code_says_whatever_the_language_and_the_terminal():
    odd = {"ZNATOK_LANG": "ru", "COLUMNS": "20", "FORCE_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "docs.make_reference", "--check"],
        cwd=ROOT,
        env=os.environ | odd,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_contributing_is_short():
    assert len(CONTRIBUTING.splitlines()) <= 100


def test_every_path_named_in_contributing_exists():
    assert {path for path in paths_in(CONTRIBUTING) if not (ROOT / path).exists()} == set()


def test_the_map_of_the_house_names_every_room_and_its_page_every_module():
    package = ROOT / "znatok"
    rooms = {f"znatok/{path.name}/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    assert rooms - {"znatok/messages/"} - paths_in(CONTRIBUTING) == set()
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if path.stat().st_size}
    assert modules - paths_in((ROOT / "docs/reference/modules.md").read_text(encoding="utf-8")) == set()


def test_the_changelog_has_the_version_of_the_package():
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@named
def test_every_link_to_a_file_leads_to_one(path):
    links = [str(value) for token in tokens(path.read_text(encoding="utf-8")) for value in links_of(token)]
    local = {link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)} - {""}
    assert {link for link in local if not (path.parent / link).exists()} == set()


def links_of(token: Token) -> list[str | int | float]:
    return [token.attrs[name] for name in ("href", "src") if name in token.attrs]


@pytest.mark.skipif(len(README) < 2, reason="there is one README only")
def test_both_readmes_have_the_same_code_blocks():
    english, russian = (code(path.read_text(encoding="utf-8")) for path in README)
    assert english == russian


@each_readme
def test_every_command_line_of_a_readme_parses(path):
    calls = list(command_lines(path.read_text(encoding="utf-8")))
    assert calls
    for arguments in calls:
        parse(arguments)


def test_command_lines_are_found_in_blocks_of_any_kind():
    text = """
Type `znatok nothing` or

    python3 -m venv .venv && . .venv/bin/activate && python train.py --csv_file dataset.csv
    $ ZNATOK_LANG=ru znatok chat --ask "Что такое; диод?" > answer.txt   # one answer

```bat
.venv\\Scripts\\python chat.py --use_lora
py -3.11 -m znatok train C:\\my\\table.csv --r 8
```

```text
znatok/            the package
Вы: Don't you know?
```
"""
    assert list(command_lines(text)) == [
        ["train", "--csv_file", "dataset.csv"],
        ["chat", "--ask", "Что такое; диод?"],
        [cli.ORIGINAL_CHAT, "--use_lora"],
        ["train", "C:\\my\\table.csv", "--r", "8"],
    ]


@pytest.mark.parametrize("line", ["train x.csv --learning-rat 1e-3", "trian x.csv", "chat-original --r 8", "check"])
def test_a_command_line_that_would_be_refused_does_not_parse(line):
    with pytest.raises(CycloptsError):
        parse(line.split())
