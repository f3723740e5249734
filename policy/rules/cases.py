"""Test cases of rules: facts, and whether the rule fires on them. Whoever edits a rule edits its cases beside it.

======================  ===================================================================
`rule`, `version`       which rule; its version 1 where none is given
`expect`                `fires` or `silent`
`facts`                 `product = renovation; age_years = 17`; what is not named is missing
`note`                  optional
======================  ===================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from policy.rules.conditions import half_width
from policy.rules.declaration import Rule
from policy.rules.fields import Field, unknown_field, vocabulary
from policy.rules.ruleset import RuleSet
from policy.rules.tables import Fault, read_rows

_COLUMNS = ("rule", "version", "expect", "facts")
_FACT = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.+)")
Expect = Literal["fires", "silent"]
Fact = float | bool | str


@dataclass(frozen=True)
class Case:
    """Facts in the units of tables, and whether the rule fires on them."""

    rule: str
    version: int
    expect: Expect
    facts: dict[str, Fact]
    file: str
    row: int


def read_cases(path: Path, faults: list[Fault]) -> list[Case]:
    """Read the cases of a file; what is wrong goes to `faults`."""
    cases = []
    for number, cells in read_rows(path, _COLUMNS, re.compile("note"), faults):
        facts: dict[str, Fact] = {}
        found: list[tuple[str, str]] = []
        for told in filter(None, map(str.strip, half_width(cells["facts"]).split(";"))):
            try:
                name, value = _fact(told)
                facts[name] = value
            except ValueError as fault:
                found.append(("facts", str(fault)))
        if cells["expect"] not in ("fires", "silent"):
            found.append(("expect", "write fires or silent"))
        if not re.fullmatch(r"([1-9]\d{0,5})?", cells["version"]):
            found.append(("version", f"{cells['version']!r} is no version; write 1, 2, ..."))
        if found:
            faults.extend(Fault(path.name, number, column, problem) for column, problem in found)
            continue
        expect: Expect = "fires" if cells["expect"] == "fires" else "silent"
        cases.append(Case(cells["rule"], int(cells["version"] or 1), expect, facts, path.name, number))
    return cases


def _fact(told: str) -> tuple[str, Fact]:
    found = _FACT.fullmatch(told)
    if found is None:
        raise ValueError(f"{told!r} is no fact; write one such as age_years = 17")
    name, text = found.group(1), found.group(2).strip()
    field = vocabulary().get(name)
    if field is None:
        raise ValueError(unknown_field(name))
    if field.kind == "text":
        if field.values and text not in field.values:
            raise ValueError(f"{name} is never {text}; it is one of {', '.join(field.values)}")
        return name, text
    if field.kind == "flag":
        if text not in ("true", "false"):
            raise ValueError(f"{name} is a flag: write true or false")
        return name, text == "true"
    try:
        return name, float(text.removesuffix("%").replace("_", "")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{name} is a number ({field.unit}), {text!r} is none") from None


def failures(rules: Iterable[Rule], cases: Iterable[Case]) -> list[Case]:
    """Cases whose rule does otherwise than they expect; rules of any version and time are tried.

    Examples
    --------
    >>> from policy.rules import RuleBook
    >>> book = RuleBook.load()
    >>> failures(book.rules, book.cases)
    []
    """
    rules, cases = list(rules), list(cases)
    if not cases:
        return []
    at = {(rule.id, rule.version): position for position, rule in enumerate(rules)}
    known = vocabulary()
    told = [{name: _at_rest(known[name], value) for name, value in case.facts.items()} for case in cases]
    fired = RuleSet(rules).fire(pd.DataFrame(told, dtype=object))
    return [
        case
        for row, case in zip(fired, cases, strict=True)
        if row[at[case.rule, case.version]] != (case.expect == "fires")
    ]


def _at_rest(field: Field, value: Fact) -> Fact:
    return value * field.scale if isinstance(value, float) else value


def untested(rules: Iterable[Rule], cases: Iterable[Case]) -> list[tuple[Rule, tuple[Expect, ...]]]:
    """Rules that lack a case that fires, or one that does not, and which."""
    there: dict[tuple[str, int], set[Expect]] = {}
    for case in cases:
        there.setdefault((case.rule, case.version), set()).add(case.expect)
    both: tuple[Expect, ...] = ("fires", "silent")
    lacking = [
        (rule, tuple(one for one in both if one not in there.get((rule.id, rule.version), set()))) for rule in rules
    ]
    return [(rule, lacks) for rule, lacks in lacking if lacks]
