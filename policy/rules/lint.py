"""The linter of rules: what is declared rightly and still makes no sense.

=================  =======  ========================================================================================
`unreachable`      error    no applicant can meet all conditions
`contradictory`    error    the same conditions, in force at the same time, with another severity
`duplicate`        error    the same conditions and severity, in force at the same time
`never_tested`     error    there is no test case on which it fires, or none on which it is silent
`subsumed`         warning  wherever it fires, another rule of the same or a worse severity fires, too
`overlap`          warning  two bands of a field overlap, and neither lies within the other
`gap`              warning  between two bands of a field lie values that neither covers
`not_in_force`     warning  between two versions, or after the last, lie days without the rule
`never_fired`      note     it fired on none of the applications that were given
=================  =======  ========================================================================================
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import pandas as pd

from policy.rules.book import RuleBook
from policy.rules.cases import untested
from policy.rules.declaration import SEVERITIES, Rule
from policy.rules.domains import Domain, domains_of, follows
from policy.rules.fields import Field

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_Domains = dict[Field, Domain]
_Band = tuple[Domain, Rule]


@dataclass(frozen=True)
class Finding:
    """What the linter found.

    Parameters
    ----------
    level : {"error", "warning", "note"}
    kind : str
        See the table of the module.
    rules : tuple of str
        Ids, the rule that is to be mended first.
    place : str
        File and row of the first.
    problem : str
    """

    level: Level
    kind: str
    rules: tuple[str, ...]
    place: str
    problem: str


def lint(book: RuleBook, day: date, frame: pd.DataFrame | None = None) -> list[Finding]:
    """Look through all rules, errors first.

    Parameters
    ----------
    book : RuleBook
    day : date
        Rules that have gone out of force before it are told.
    frame : DataFrame, optional
        Applications as `RuleSet.fire` takes them, to look for rules that never fire on them.

    Examples
    --------
    >>> [finding for finding in lint(RuleBook.load(), date(2026, 1, 1)) if finding.level == "error"]
    []
    """
    domains = {rule: domains_of(rule) for rule in book.rules}
    findings = [
        *_unreachable(domains),
        *_alike(domains),
        *_untested(book),
        *_bands(domains),
        *_out_of_force(book.rules, day),
        *([] if frame is None else _never_fired(book, day, frame)),
    ]
    return sorted(findings, key=lambda one: LEVELS.index(one.level))


def _unreachable(domains: dict[Rule, _Domains]) -> Iterator[Finding]:
    for rule, of_fields in domains.items():
        for field, domain in of_fields.items():
            if domain.empty:
                tests = " and ".join(str(one) for one in rule.conditions if one.field == field)
                told = f"no value of {field.name} meets {tests}"
                yield Finding("error", "unreachable", (rule.id,), rule.place, told)


def _alike(domains: dict[Rule, _Domains]) -> Iterator[Finding]:
    """Pairs of rules of which one covers the other; rules are compared with those that read one of their fields."""
    reading: dict[Field, list[Rule]] = {}
    for rule, of_fields in domains.items():
        for field in of_fields:
            reading.setdefault(field, []).append(rule)
    for rule, of_fields in domains.items():
        if any(domain.empty for domain in of_fields.values()):
            continue
        others = dict.fromkeys(other for field in of_fields for other in reading[field] if other.id != rule.id)
        for other in others:
            if _together(rule, other) and _within(of_fields, domains[other]):
                yield from _covered(rule, other, same=_within(domains[other], of_fields))


def _covered(rule: Rule, other: Rule, *, same: bool) -> Iterator[Finding]:
    worse = SEVERITIES.index(other.severity) >= SEVERITIES.index(rule.severity)
    pair = (rule.id, other.id)
    if same:
        if rule.id > other.id:  # each pair once, told at the later one
            kind = "duplicate" if rule.severity == other.severity else "contradictory"
            told = (
                f"it has the conditions of {other.id} ({other.place}), {rule.severity} here and {other.severity} there"
            )
            yield Finding("error", kind, pair, rule.place, told)
    elif worse:
        told = f"wherever it fires ({rule.severity}), {other.id} does, too ({other.severity}, {other.place})"
        yield Finding("warning", "subsumed", pair, rule.place, told)


def _within(inner: _Domains, outer: _Domains) -> bool:
    return all(field in inner and inner[field].within(domain) for field, domain in outer.items())


def _together(one: Rule, other: Rule) -> bool:
    """Whether there is a day on which both are in force."""
    begins = max(one.effective_from, other.effective_from)
    return one.in_force(begins) and other.in_force(begins)


def _untested(book: RuleBook) -> Iterator[Finding]:
    for rule, lacks in untested(book.rules, book.cases):
        told = f"version {rule.version} has no test case on which it {' and none on which it '.join(map(_does, lacks))}"
        yield Finding("error", "never_tested", (rule.id,), rule.place, told)


def _does(expect: str) -> str:
    return "fires" if expect == "fires" else "is silent"


def _bands(domains: dict[Rule, _Domains]) -> Iterator[Finding]:
    """Families of rules that differ in the interval of one field alone, on each day on which rules change."""
    found: dict[Finding, None] = {}
    for day in sorted({rule.effective_from for rule in domains}):
        families: dict[tuple[Field, str, frozenset[tuple[Field, Domain]]], list[_Band]] = {}
        for rule, of_fields in domains.items():
            for field, domain in of_fields.items():
                if rule.in_force(day) and field.kind == "number" and not domain.missing and not domain.empty:
                    rest = frozenset(item for item in of_fields.items() if item[0] != field)
                    families.setdefault((field, rule.table, rest), []).append((domain, rule))
        for (field, _, _), bands in families.items():
            in_order = sorted(bands, key=lambda band: (band[0].low, band[0].high))
            found |= dict.fromkeys(_of_family(field, in_order))
    yield from found


def _of_family(field: Field, bands: Sequence[_Band]) -> Iterator[Finding]:
    for (domain, rule), (later, other) in itertools.combinations(bands, 2):
        nested = domain.within(later) or later.within(domain)
        if later.low <= domain.high and not nested:
            told = f"{_pair(rule, other, field)} overlap"
            yield Finding("warning", "overlap", (other.id, rule.id), other.place, told)
    reached, last = bands[0]
    gaps = []
    for domain, rule in bands[1:]:
        if not follows(reached.high, domain.low, field):
            gaps.append((last, rule))
        if domain.high >= reached.high:
            reached, last = domain, rule
    from_bottom, to_top = follows(field.low, bands[0][0].low, field), follows(reached.high, field.high, field)
    if len(gaps) == 1 and from_bottom and to_top:
        return  # too low and too high: what lies between is what one wants
    for rule, other in gaps:
        told = f"between {_pair(rule, other, field)} lie values that neither covers"
        yield Finding("warning", "gap", (other.id, rule.id), other.place, told)


def _pair(one: Rule, other: Rule, field: Field) -> str:
    return " and ".join(
        " and ".join(str(condition) for condition in rule.conditions if condition.field == field) + f" ({rule.id})"
        for rule in (one, other)
    )


def _out_of_force(rules: Sequence[Rule], day: date) -> Iterator[Finding]:
    versions: dict[str, list[Rule]] = {}
    for rule in sorted(rules, key=lambda rule: rule.effective_from):
        versions.setdefault(rule.id, []).append(rule)
    for same in versions.values():
        for rule, following in itertools.zip_longest(same, same[1:]):
            if rule.effective_to is None:
                continue
            if following is None and rule.effective_to < day:
                told = f"version {rule.version} went out of force on {rule.effective_to} and none followed"
            elif following is not None and following.effective_from > rule.effective_to + timedelta(days=1):
                told = f"neither version {rule.version} nor {following.version} is in force after {rule.effective_to}"
                told += f" and before {following.effective_from}"
            else:
                continue
            yield Finding("warning", "not_in_force", (rule.id,), rule.place, told)


def _never_fired(book: RuleBook, day: date, frame: pd.DataFrame) -> Iterator[Finding]:
    in_force = book.on(day)
    firings = in_force.fire(frame).sum(axis=0)
    for rule, count in zip(in_force.rules, firings, strict=True):
        if not count:
            told = f"it fired on none of {len(frame):,} applications"
            yield Finding("note", "never_fired", (rule.id,), rule.place, told)
