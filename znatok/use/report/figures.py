"""Figures as people write them, in the language in force: 98,4 % and 2 строки, 98.4% and 2 rows."""

from typing import Any

from znatok.messages import catalogue, language, text


def number(value: float, digits: int = 0) -> str:
    """A number with the language's decimal sign; thousands are set apart from 10,000 on."""
    written = f"{value:,.{digits}f}" if abs(value) >= 10_000 else f"{value:.{digits}f}"
    to = text("report.figures.thousands") + text("report.figures.decimal") + "−"
    return written.translate(str.maketrans(",.-", to))


def percent(share: float) -> str:
    """A share of 1. Only all and nothing are written as 100 and 0: what is nearly so is never rounded to it."""
    return text("report.figures.percent", value=_of_hundred(share))


def interval(ends: Any, whole: float = 1.0) -> str:
    """A 95 % interval; "" where there is none. whole: 1 for shares, 100 for measures that run to 100."""
    match ends:
        case [int() | float() as low, int() | float() as high]:
            key = "report.figures.interval" if whole == 1.0 else "report.figures.range"
            return text(key, low=_of_hundred(low / whole), high=_of_hundred(high / whole))
    return ""


def _of_hundred(share: float) -> str:
    return number(share * 100) if share in (0, 1) else number(min(max(share * 100, 0.1), 99.9), 1)


def counted(what: str, n: int) -> str:
    """`n` with its noun: a message of `[report.count]` holds the forms for 1, 2 and 5 (in English for 1 and 2)."""
    forms = text(f"report.count.{what}", n=number(n)).split("|")
    return forms[min(_form(n), len(forms) - 1)]


def _form(n: int) -> int:
    if language() == "en":
        return int(n != 1)
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else 2


def lasted(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return text("screen.seconds", seconds=round(seconds))
    if seconds < 5400:
        return text("screen.minutes", minutes=round(seconds / 60))
    return text("screen.hours", hours=number(seconds / 3600, 1))


def word(key: str, otherwise: str) -> str:
    """The message `key`; `otherwise` where a newer or older run has something that we have no word for."""
    return text(key) if key in catalogue(language()) else otherwise
