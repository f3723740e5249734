"""Every rule that tables are held against, with how it fared: also those that hold, and those that could not be asked.

This is what a reviewer asks first of a quality report: silence about a rule must not pass for a rule that holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from data_contracts.declare import Table
from data_contracts.findings import Finding
from data_contracts.profile import LARGEST_PSI, VOLUME
from data_contracts.suites import generated_rules, key_suite, row_suite
from data_contracts.tables import TABLES

Place = tuple[str, str, str]
"""Table, column (several joined by a comma, none for the whole table) and rule: what names a rule in findings."""


@dataclass(frozen=True)
class Check:
    """One rule of one table.

    Parameters
    ----------
    table, column, rule, en, zh, level
        As in `Finding`.
    lacks : tuple of str
        What it would need and the folder has not, so that it could not be asked; empty where it was.
    findings : tuple of Finding
        Where it does not hold; empty where it holds.
    """

    table: str
    column: str
    rule: str
    en: str
    zh: str
    level: Literal["batch", "reject", "flag"]
    lacks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def place(self) -> Place:
        """What names the rule in findings and in a batch's facts."""
        return self.table, self.column, self.rule

    @property
    def result(self) -> Literal["holds", "broken", "not asked"]:
        """How it fared."""
        return "broken" if self.findings else "not asked" if self.lacks else "holds"

    @property
    def rows(self) -> int:
        """Rows that break it."""
        return max((finding.rows for finding in self.findings), default=0)


def checklist(
    tables: Collection[str], findings: Iterable[Finding] = (), *, earlier_batch: bool = False, received: bool = False
) -> list[Check]:
    """List every rule of the given tables with how it fared.

    Parameters
    ----------
    tables : collection of str
        Tables that are there.
    findings : iterable of Finding
        What a check of them found.
    earlier_batch : bool, default False
        Whether there is an accepted batch to hold volume and distribution against.
    received : bool, default False
        Whether it is known when the records came.

    Returns
    -------
    list of Check
        By table, first the rules on the whole, then those on rows. A finding that no declared rule names (a table that
        is none) is listed with its own words.

    Examples
    --------
    >>> [(check.rule, check.result) for check in checklist(["outcomes"])][-3:-1]
    [('dpd_within_months', 'holds'), ('worst_does_not_heal', 'holds')]
    >>> {check.lacks for check in checklist(["outcomes"]) if check.rule == "application_id_in_applications"}
    {('applications',)}
    """
    found: dict[Place, list[Finding]] = {}
    for finding in findings:
        column = "" if finding.rule in ("columns", "type") else finding.column
        found.setdefault((finding.table, column, finding.rule), []).append(finding)
    made: list[Check] = []
    for name, table in TABLES.items():
        if name in tables or any(place[0] == name for place in found):
            made += [*_of_the_whole(table, tables, earlier_batch), *_of_rows(table, tables, received)]
    listed = [replace(check, findings=tuple(found.pop(check.place, []))) for check in made]
    return listed + [_own(several) for several in found.values()]


def _of_the_whole(table: Table, tables: Collection[str], earlier_batch: bool) -> list[Check]:
    before = () if earlier_batch else ("an earlier batch",)
    made = [
        Check(table.name, "", "columns", "with the columns of the contract and no other", "列与契约一致", "batch"),
        Check(table.name, "", "type", "of the types of the contract", "类型与契约一致", "batch"),
    ]
    if table.fresh_days is not None:
        days = table.fresh_days
        en, zh = f"fresh, the newest within {days} days of the newest application", f"最新记录距最新申请不超过{days}天"
        made.append(Check(table.name, "known_at", "fresh", en, zh, "batch", _lacking(["applications"], tables)))
    level: Literal["batch", "flag"] = "batch" if table.use.consent else "flag"
    en = f"as many rows a day as in the last batch, {VOLUME:g} to {1 / VOLUME:.3g} times"
    zh = f"日均行数为上一批次的{VOLUME:g}至{1 / VOLUME:.3g}倍"
    made.append(Check(table.name, "", "volume", en, zh, level, before))
    en = f"distributed as in the last batch, PSI beyond chance at most {LARGEST_PSI:g}"
    zh = f"分布与上一批次一致，扣除偶然后PSI不超过{LARGEST_PSI:g}"
    made += [Check(table.name, column, "distribution", en, zh, level, before) for column in table.profiled]
    return made


def _of_rows(table: Table, tables: Collection[str], received: bool) -> list[Check]:
    rules = (*generated_rules(table, consents=True, received=True), *table.rules)
    lacks = {rule.name: _lacking(rule.reads, tables) for rule in rules}
    if not received:
        lacks["not_from_the_future"] = ("the moment of receipt",)
    made = []
    for expectation in (*row_suite(table, rules).expectations, *key_suite(table).expectations):
        meta = dict(expectation.meta or {})
        said = (meta["column"], meta["rule"], meta["en"], meta["zh"], meta["level"])
        made.append(Check(table.name, *said, lacks=lacks.get(meta["rule"], ())))
    return made


def _lacking(needed: Iterable[str], tables: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in needed if name not in tables)


def _own(findings: list[Finding]) -> Check:
    first = findings[0]
    return Check(first.table, first.column, first.rule, first.en, first.zh, first.level, (), tuple(findings))
