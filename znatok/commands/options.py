"""The flags that every command takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from znatok.messages import text

if TYPE_CHECKING:
    from pydantic import BaseModel


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options:
    """`--json`, `--lang`, `--debug`."""

    json: Annotated[bool, Parameter(help=text("cli.json"), negative=())] = False
    lang: Annotated[Literal["ru", "en"] | None, Parameter(help=text("cli.lang"))] = None
    debug: Annotated[bool, Parameter(help=text("cli.debug"), negative=())] = False


def describe(settings: "type[BaseModel]") -> None:
    """Gives every setting the words that `--help` shows of it."""
    for name, field in settings.model_fields.items():
        field.description = text(f"settings.{name}")
    settings.model_rebuild(force=True)
