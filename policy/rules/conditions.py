"""What a condition cell says: a field and a test, from text to what engines and the linter reckon with.

==================================  =============================================================
`age_years < 18`                    numbers: `<`, `<=`, `>`, `>=`, `=`; money in CNY
`tradelines_count 3..5`             from 3 to 5, both included
`application_owns_home is true`     flags: `is true`, `is false`
`employment in student, other`      texts: `in`, `not in`, with commas between
`channel = branch`                  the same for one: `=`, `!=`
`pd is missing`, `pd is known`      any field
==================================  =============================================================

Full-width signs and `≥`, `≤` are read, too. A field that is missing meets no test but `is missing`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

from policy.rules.fields import Field, unknown_field, vocabulary

_CELL = re.compile(r"\s*([A-Za-z_]\w*)\s*(\S.*?)?\s*", re.DOTALL)
_NUMBER = r"[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
_COMPARED = re.compile(rf"(<=|>=|<|>|=)\s*({_NUMBER})(\s*%)?")
_BETWEEN = re.compile(rf"({_NUMBER})(\s*%)?\s*\.\.\s*({_NUMBER})(\s*%)?")
_LISTED = re.compile(r"(not\s+in\b|in\b|!=|=)\s*(.*)", re.DOTALL)
_TEXT = re.compile(r"[\w.-]+(?: [\w.-]+)*")


@dataclass(frozen=True)
class Condition:
    """A test of one field; numbers are in the field's unit.

    Parameters
    ----------
    field : Field
    test : str
        As people read it: `>= 3`.
    low, high : float
        Values of a number or flag that meet it, both included; `> 3` begins with the next number after 3.
    texts : frozenset of str, optional
        Texts that meet it, or with `negated` those that do not.
    missing : bool, default False
        Whether it is met by a missing value and no other.

    Examples
    --------
    >>> parse("application_term_months 3..12").high
    12.0
    >>> parse("product in education, renovation").test
    'in education, renovation'
    """

    field: Field
    test: str
    low: float = -math.inf
    high: float = math.inf
    texts: frozenset[str] | None = None
    negated: bool = False
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.field.name} {self.test}"


def as_written(bound: float) -> float:
    """The number that a bound was written with: `< 18` ends at the last number before 18.

    Examples
    --------
    >>> as_written(parse("age_years < 18").high), as_written(parse("age_years <= 18").high)
    (18.0, 18.0)
    """
    around = (bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf))
    return min(around, key=lambda one: len(repr(one)))


def half_width(cell: str) -> str:
    """A cell as a Chinese keyboard writes it, in the characters of the grammar.

    Examples
    --------
    >>> half_width("pd \uff1e 15\uff05"), half_width("tradelines_count \u2265 3")
    ('pd > 15%', 'tradelines_count >= 3')
    """
    return unicodedata.normalize("NFKC", cell).replace("\u2265", ">=").replace("\u2264", "<=")


def parse(cell: str) -> Condition:
    """Read a condition; `ValueError` says what is wrong with it.

    Examples
    --------
    >>> parse("employment >= 3")
    Traceback (most recent call last):
    ValueError: employment is a text: compare it with =, !=, in or not in
    """
    found = _CELL.fullmatch(half_width(cell))
    if found is None:
        raise ValueError(f"{_quoted(cell)} is no condition; write a field and a test, such as age_years < 18")
    name, test = found.group(1), found.group(2) or ""
    field = vocabulary().get(name)
    if field is None:
        raise ValueError(unknown_field(name))
    if not test:
        raise ValueError(f"{name} has no test; write one such as {_example(field)}")
    return _tested(field, " ".join(test.split()))


def _tested(field: Field, test: str) -> Condition:
    if test == "is missing":
        return Condition(field, test, missing=True)
    if test == "is known":
        negated = field.kind == "text"
        return Condition(field, test, texts=frozenset() if negated else None, negated=negated)
    if field.kind == "flag":
        if test not in ("is true", "is false"):
            raise ValueError(f"{field.name} is a flag: write is true, is false, is missing or is known")
        value = float(test == "is true")
        return Condition(field, test, value, value)
    return _of_text(field, test) if field.kind == "text" else _of_number(field, test)


def _of_number(field: Field, test: str) -> Condition:
    if found := _BETWEEN.fullmatch(test):
        low, high = _number(found.group(1), found.group(2)), _number(found.group(3), found.group(4))
        if low > high:
            raise ValueError(f"{field.name} {_quoted(test)} is empty: {found.group(1)} is above {found.group(3)}")
        return Condition(field, test, low, high)
    found = _COMPARED.fullmatch(test)
    if found is None:
        raise ValueError(
            f"{field.name} is a number ({field.unit}): {_quoted(test)} is no test of it; write one such as >= 3, < 3, "
            "= 3, 3..5, is missing or is known"
        )
    value = _number(found.group(2), found.group(3))
    low, high = {
        "<": (-math.inf, math.nextafter(value, -math.inf)),
        "<=": (-math.inf, value),
        ">": (math.nextafter(value, math.inf), math.inf),
        ">=": (value, math.inf),
        "=": (value, value),
    }[found.group(1)]
    return Condition(field, test, low, high)


def _number(text: str, percent: str | None) -> float:
    value = float(text.replace("_", ""))
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value / 100 if percent else value


def _of_text(field: Field, test: str) -> Condition:
    found = _LISTED.fullmatch(test)
    if found is None:
        raise ValueError(f"{field.name} is a text: compare it with =, !=, in or not in")
    texts = [text.strip() for text in found.group(2).split(",")]
    if wrong := [text for text in texts if not _TEXT.fullmatch(text)]:
        raise ValueError(f"{_quoted(wrong[0])} is no text to compare {field.name} with")
    if unknown := [text for text in texts if field.values and text not in field.values]:
        raise ValueError(f"{field.name} is never {', '.join(unknown)}; it is one of {', '.join(field.values)}")
    negated = found.group(1).startswith(("not", "!"))
    return Condition(field, test, texts=frozenset(texts), negated=negated)


def _example(field: Field) -> str:
    return {"text": "in a, b", "flag": "is true", "number": ">= 3"}[field.kind]


def _quoted(text: str) -> str:
    """What was written, cut where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
