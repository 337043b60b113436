"""The flags that every command takes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from znatok.messages import text


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Options:
    """`--json`, `--lang`, `--debug`."""

    json: Annotated[bool, Parameter(help=text("cli.json"), negative=())] = False
    lang: Annotated[Literal["ru", "en"] | None, Parameter(help=text("cli.lang"))] = None
    debug: Annotated[bool, Parameter(help=text("cli.debug"), negative=())] = False
