"""Test cases that a rule still lacks, taken from the bounds of its conditions: a proposal, for its owner to read.

Each shows the rule at the very edge: facts on which it only just fires, and for every condition the nearest facts on
which it does not. They hold a rule to what it says today; whether it says what it should, they cannot know.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from policy.rules.cases import Expect
from policy.rules.conditions import as_written
from policy.rules.declaration import Rule
from policy.rules.domains import Domain, domains_of
from policy.rules.fields import Field

_STEPS = {"ratio": 0.01, "years": 0.1, "months": 0.5}
_OTHER = "other"
Facts = dict[str, str]
_HEADER = ("rule", "version", "expect", "facts", "note")


def propose(rule: Rule) -> Iterator[tuple[Expect, Facts]]:
    """Cases at the bounds of a rule.

    Examples
    --------
    >>> from policy.rules import RuleBook
    >>> minor = next(rule for rule in RuleBook.load().rules if rule.id == "ELI-001")
    >>> for expect, facts in propose(minor):
    ...     print(expect, facts)
    fires {'age_years': '17.9'}
    silent {'age_years': '18'}
    """
    domains = domains_of(rule)
    inside = {field: _inside(field, domain) for field, domain in domains.items()}
    firing = [
        {field.name: values[min(at, len(values) - 1)] for field, values in inside.items() if values}
        for at in range(max(map(len, inside.values()), default=1) or 1)
    ]
    for facts in firing:
        yield "fires", facts
    for field, domain in domains.items():
        for value in _outside(field, domain):
            facts = {**firing[0]} | ({} if value is None else {field.name: value})
            if value is None:
                facts.pop(field.name)
            yield "silent", facts


def write_cases(path: Path, rules: Iterable[Rule]) -> int:
    """Write proposed cases as a CSV; returns how many."""
    rows = [
        (rule.id, rule.version, expect, "; ".join(f"{name} = {value}" for name, value in facts.items()), "")
        for rule in rules
        for expect, facts in propose(rule)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([_HEADER, *rows])
    return len(rows)


def _inside(field: Field, domain: Domain) -> list[str]:
    """Values on which the condition is met: the ends, or one; none for missing."""
    if domain.missing:
        return []
    if domain.texts is not None:
        return sorted(domain.texts)[:1] if not domain.negated else [_OTHER]
    if field.kind == "flag":
        return ["true" if domain.low else "false"]
    ends = [_value(end) for end in dict.fromkeys(_ends(field, domain))]
    return ends or ["1"]


def _outside(field: Field, domain: Domain) -> list[str | None]:
    """The nearest values on which it is not met; None for missing."""
    if domain.missing:
        known = _value(field.low) if math.isfinite(field.low) else "1"
        return [{"text": _OTHER, "flag": "true", "number": known}[field.kind]]
    if domain.texts is not None:
        rest = set(field.values) - domain.texts if not domain.negated else domain.texts
        return [min(rest)] if rest else [None] if domain.negated or field.values else [_OTHER]
    if field.kind == "flag":
        return ["false" if domain.low else "true"]
    beyond: list[str | None] = []
    for end, inner, sign in ((domain.low, field.low, -1), (domain.high, field.high, 1)):
        if math.isfinite(end) and end != inner:
            bound = as_written(end)
            beyond.append(_value(bound if bound != end else end + sign * _step(field, domain)))
    return beyond or [None]


def _ends(field: Field, domain: Domain) -> Iterator[float]:
    """The lowest and highest values that one would write."""
    for end, inner, sign in ((domain.low, field.low, 1), (domain.high, field.high, -1)):
        if math.isfinite(end) and (end != inner or domain.low == domain.high):
            bound = as_written(end)
            yield bound if bound == end else bound + sign * _step(field, domain)


def _step(field: Field, domain: Domain) -> float:
    step = 1.0 if field.whole else _STEPS.get(field.unit, 1.0)
    width = domain.high - domain.low
    return step if width == 0 or step < width else width / 2


def _value(value: float) -> str:
    return f"{round(value, 6):g}" if abs(value) < 1e5 else f"{value:.0f}"
