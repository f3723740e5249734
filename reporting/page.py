"""The page every report is written on: two languages, dark and light, printable, one file without any network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Text:
    """A text in Chinese and English; the reader chooses.

    Examples
    --------
    >>> both(Text("样本", "Sample"))
    Markup('<span lang="zh">样本</span><span lang="en">Sample</span>')
    """

    zh: str
    en: str


@dataclass(frozen=True)
class Plot:
    """A drawing and the words around it, which stay outside so that they can be in both languages.

    Parameters
    ----------
    svg : str
        From `reporting.plots`.
    title, x, y : Text
        What it shows and its axes.
    legend : sequence of (str, Text)
        Colour class (`a`, `b`, `c`, `muted`) and meaning.
    """

    svg: str
    title: Text
    x: Text
    y: Text
    legend: Sequence[tuple[str, Text]] = ()


@dataclass(frozen=True)
class Unknown:
    """What cannot be told, and why; a page says so in its place.

    Examples
    --------
    >>> Unknown(Text("没有结果", "There are no outcomes")).reason.en
    'There are no outcomes'
    """

    reason: Text


def both(text: Text | str) -> Markup:
    """Both languages as markup; a plain string is the same in both."""
    if isinstance(text, str):
        return escape(text)
    return Markup('<span lang="zh">{}</span><span lang="en">{}</span>').format(text.zh, text.en)


def number(value: float | int | None, digits: int = 4) -> str:
    """A figure for a table: whole numbers with thousands, others with `digits`; a dash where there is none.

    Examples
    --------
    >>> number(12345), number(0.12345, 3), number(float("nan"))
    ('12,345', '0.123', '–')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 0.5 * 10**-digits):
        return f"{value:.2e}"
    return f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.{digits}f}%"


def short(identity: str) -> str:
    """The first twelve characters of a hash: enough to compare by eye."""
    return identity[:12]


def fingerprint(*parts: str) -> str:
    """SHA-256 over texts, for figures to state what they were drawn from."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _asset(name: str) -> Markup:
    return Markup((files("reporting") / "templates" / name).read_text(encoding="utf-8"))  # noqa: S704 - our own


@cache
def environment(*packages: str) -> Environment:
    """Templates of the given packages, and those of this one, with the filters reports use."""
    loader = ChoiceLoader([PackageLoader(package) for package in (*packages, "reporting")])
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(both=both, number=number, percent=percent, short=short)
    made.tests["unknown"] = lambda value: isinstance(value, Unknown)
    made.globals.update(
        T=lambda zh, en: both(Text(zh, en)), svg=Markup, css=_asset("page.css"), script=_asset("page.js")
    )
    return made


def render(template: str, context: dict[str, Any], *packages: str) -> str:
    """Fill a template into a whole page; the same context gives the same bytes."""
    return environment(*packages).get_template(template).render(context)
