"""The report: a run as one page that opens from disk in any browser, and its answers as a table."""

import base64
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from znatok import __version__
from znatok.messages import language, settle_language, text
from znatok.run_folder import RunFolder, write_bytes, write_text
from znatok.use.report import protocol, scores
from znatok.use.report.answers import grouped
from znatok.use.report.answers_table import answers_table
from znatok.use.report.figures import counted, number
from znatok.use.report.records import RunRecords, legible, read_records
from znatok.use.report.verdict import lines, verdict

_PNG = b"\x89PNG\r\n\x1a\n"


def write_report(run: RunFolder) -> None:
    """Writes `report.html`, then `answers.csv`, from what is in the run folder; parts that are not there are left out.

    Raises RunError where a file of the run is damaged; OSError naming the file that cannot be read or written.
    """
    records = read_records(run)
    settle_language(" ".join(f"{one['question']} {one.get('answer')}" for one in records.rows if one.get("question")))
    write_text(run.report, page(run, records))
    if records.answers:  # second, because a table that is open in Excel cannot be replaced on Windows
        write_bytes(run.answers_table, answers_table(records.answers))


def page(run: RunFolder, records: RunRecords) -> str:
    """The report as HTML that needs nothing from outside of itself."""
    return _template().render(
        style=Markup(_part("page.css")),  # ours, and must not be escaped
        t=lambda key, **values: typeset(text(key, **values)),
        counted=counted,
        number=number,
        language=language(),
        version=__version__,
        **_contents(run, records),
    )


@cache
def _template() -> Template:
    house = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    house.filters["typeset"] = typeset
    return house.from_string(_part("page.html"))


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _contents(run: RunFolder, records: RunRecords) -> dict[str, Any]:
    """What the page says, part by part; an empty part has no heading."""
    today = date.today()
    missed, others = grouped(records.answers)
    rows_said, problems, more_problems = protocol.checkup(records)
    versions_said, versions = protocol.versions(records)
    return {
        "name": records.name,
        "made": text("report.date", day=f"{today.day:02}", month=f"{today.month:02}", year=today.year),
        "verdict": verdict(records),
        "facts": tuple(protocol.facts(records)),
        "lines": lines(records.exam.get("sets"), records.answers),
        "sets": scores.set_scores(records.exam),
        "what_n_shows": scores.what_n_shows(records.exam),
        "graph": _graph(run),
        "courses": protocol.course(records),
        "missed": missed,
        "others": others,
        "has_answers": bool(records.answers),
        "rows_said": rows_said,
        "problems": problems,
        "more_problems": more_problems,
        "choices": tuple(protocol.choices(records)),
        "settings": records.settings.strip(),
        "versions_said": versions_said,
        "versions": versions,
        "hashes": tuple(protocol.hashes(run, records)),
        "forgetting": protocol.forgetting(records.exam),
    }


def _graph(run: RunFolder) -> str:
    """The training graph as a data URI; "" where there is none."""
    content = run.graph.read_bytes() if run.graph.is_file() else b""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii") if content.startswith(_PNG) else ""


def typeset(said: str) -> str:
    """Our own words with a dash kept on the line of the word before it; what stands in cells is left as it is."""
    return said.replace(" — ", "\u00a0— ")


def _printable(value: Any) -> Any:
    """Text without the characters that HTML forbids; what the template itself brings stays as it is."""
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
