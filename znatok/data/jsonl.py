"""JSON records of questions and answers: one a line, or all in a list."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from znatok.data.columns import Asked, Columns, find_columns
from znatok.data.facts import Fact, distinct, split_wordings
from znatok.errors import TableError

_SUFFIXES = (".jsonl", ".ndjson", ".json")
_BEGINNING = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*\{)")
_ROLES = {"system": "system", "developer": "system", "human": "user", "user": "user", "gpt": "assistant"}
_ROLES |= {"assistant": "assistant", "model": "assistant"}
_TALKS = ("messages", "conversations")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Records:
    """What a file of JSON records holds. `left`: fields that are not used; `systems`: rows with a system message."""

    facts: tuple[Fact, ...]
    columns: Columns
    left: tuple[str, ...]
    systems: int


@dataclass(frozen=True, slots=True)
class _Object:
    """The fields of one record, or what keeps it from being one."""

    fields: Mapping[str, Any]
    line: int | None
    fault: str | None = None
    has_system: bool = False


def is_json(path: Path, content: str) -> bool:
    """Whether the file says so by its name, or its text is JSON where another would begin with column names."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    if not _BEGINNING.match(content):
        return False
    stripped = content.strip()
    return _loaded(stripped.splitlines()[0]) is not None or _loaded(stripped) is not None


def read_records(file: str, content: str, asked: Asked) -> Records:
    """The rows of a file of JSON records, with the fields that hold questions and answers.

    Raises: TableError where it is no JSON at all, or where the fields cannot be told; UsageError for an unknown one.
    """
    objects = [_talk(one) if one.fault is None else one for one in _objects(file, content)]
    names = list(dict.fromkeys(name for one in objects for name in one.fields))
    if not names:
        raise TableError("read.no_json" if objects else "read.empty", file=file)
    cells = [[_text(one.fields.get(name)) or "" for name in names] for one in objects if one.fault is None]
    columns = find_columns(file, [names, *cells], asked, "fields")
    used = {columns.question, columns.answer, *columns.paraphrases}
    return Records(
        facts=tuple(_fact(number, one, names, columns) for number, one in enumerate(objects, start=1)),
        columns=columns,
        left=tuple(name for place, name in enumerate(names) if place not in used),
        systems=sum(one.has_system for one in objects),
    )


def _objects(file: str, content: str) -> list[_Object]:
    """Every record of the file; a line that is no JSON is one with a fault."""
    if content.lstrip().startswith("["):
        try:
            return [_object(one, None) for one in json.loads(content)]
        except json.JSONDecodeError as error:
            raise TableError("read.broken_list", file=file, line=error.lineno) from None
        except (ValueError, RecursionError):
            raise TableError("read.no_json", file=file) from None
    whole = _loaded(content)
    if isinstance(whole, dict):
        return [_object(one, None) for one in _list_in(whole)]
    lines = enumerate(re.split(r"\r\n|\r|\n", content), start=1)
    objects = [_object(_loaded(line), number) for number, line in lines if line.strip()]
    if objects and all(one.fault for one in objects):
        raise TableError("read.no_json", file=file)
    return objects


def _loaded(text: str) -> Any:
    """The JSON value that a text is; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _list_in(whole: dict[str, Any]) -> list[Any]:
    """The records of a file that is one object: the list of records in it, else the object itself."""
    lists = [value for name, value in whole.items() if name not in _TALKS and _is_list_of_objects(value)]
    found: list[Any] = lists[0] if len(lists) == 1 else [whole]
    return found


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _object(value: Any, line: int | None) -> _Object:
    if isinstance(value, dict):
        return _Object({name.strip(): one for name, one in value.items()}, line)
    return _Object({}, line, "broken_json" if line is not None else "no_object")


def _talk(one: _Object) -> _Object:
    """The record with one turn of `messages` as fields of its own, and the `input` of an instruction behind it."""
    fields = dict(one.fields)
    name = next((name for name in _TALKS if isinstance(fields.get(name), list)), None)
    if name is not None:
        messages = fields.pop(name)
    elif isinstance(fields.get("prompt"), list) and isinstance(fields.get("completion"), list):
        messages = fields.pop("prompt") + fields.pop("completion")
    else:
        return _Object(_with_input(fields), one.line)
    turns = list(_turns(messages))
    talk = [(role, said) for role, said in turns if role != "system"]
    roles = [role for role, _ in talk]
    fault = None if roles == ["user", "assistant"] else "several_turns" if len(talk) > 2 else "no_turn"
    fields |= {"user": None, "assistant": None} | {role: said for role, said in reversed(talk) if role}
    return _Object(fields, one.line, fault, has_system=len(talk) < len(turns))


def _with_input(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with what an instruction is about behind it, in one text."""
    parts = (_text(fields.get("instruction")), _text(fields.get("input")))
    if not ({"instruction", "input"} <= fields.keys()) or None in parts:
        return fields
    merged = fields | {"instruction": "\n".join(filter(None, parts))}
    return {name: value for name, value in merged.items() if name != "input"}


def _turns(messages: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Who says what; whoever is neither system, user nor assistant has no name."""
    for message in messages:
        said = message if isinstance(message, dict) else {}
        role = said.get("role", said.get("from"))
        yield _ROLES.get(role, "") if isinstance(role, str) else "", said.get("content", said.get("value"))


def _fact(number: int, one: _Object, names: Sequence[str], columns: Columns) -> Fact:
    question, answer = (_text(one.fields.get(names[place])) for place in (columns.question, columns.answer))
    values = {"line": one.line} if one.fault == "broken_json" else {}
    fault = one.fault or ("no_text" if question is None or answer is None else None)
    wordings: list[str] = []
    for place in columns.paraphrases:
        value = one.fields.get(names[place])
        texts = [_text(item) for item in value] if isinstance(value, list) else split_wordings(_text(value) or "")
        wordings += filter(None, texts)
        fault = fault or ("no_text" if None in texts else None)
    return Fact(number, question or "", answer or "", distinct(wordings, question or ""), fault, values)


def _text(value: Any) -> str | None:
    """The text of a field, nothing for null; None where it is a list or an object, or holds half a letter."""
    match value:
        case None:
            return ""
        case bool() | int() | float():
            return json.dumps(value)
        case str():
            return None if _LONE_SURROGATE.search(value) else value.strip()
        case [*parts] if parts and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
            return _text("".join(part["text"] for part in parts))
    return None
