"""All rules of a folder of tables, in all their versions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

from data_contracts.errors import DeclarationError
from policy.rules.cases import Case, read_cases
from policy.rules.declaration import Rule
from policy.rules.ruleset import RuleSet, hash_of
from policy.rules.tables import COLUMNS, Fault, read_table

log = logging.getLogger(__name__)

_OWN = Path(__file__).parent / "tables"
_SUFFIXES = (".csv", ".xlsx")


class RuleBook:
    """Rules in all their versions, with their test cases; it never changes.

    Whoever serves decisions keeps the book that runs until another was loaded whole: `load` raises before there is one.

    Parameters
    ----------
    rules : sequence of Rule
    cases : sequence of Case

    Examples
    --------
    >>> book = RuleBook.load()
    >>> len(book.rules) >= 200, len(book.on(date(2026, 1, 1)).rules) >= 200
    (True, True)
    """

    def __init__(self, rules: Sequence[Rule], cases: Sequence[Case] = ()) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.cases: tuple[Case, ...] = tuple(cases)
        self._compiled: dict[tuple[int, ...], RuleSet] = {}

    @classmethod
    def load(cls, folder: Path | None = None) -> RuleBook:
        """Read every table of a folder, and its test cases in `cases/`; without a folder, Lendwell's own.

        A folder without test cases is loaded, with a warning: `lendwell policy test --propose` writes the first ones.

        Raises
        ------
        DeclarationError
            Every fault of every file, with file, row and column.
        """
        folder = _OWN if folder is None else folder
        tables = sheets(folder)
        if not tables:
            raise DeclarationError(f"There are no tables of rules in {folder}; it must hold .csv or .xlsx files.")
        faults: list[Fault] = []
        rules = [rule for path in tables for rule in read_table(path, faults)]
        every_row = not any(map(_loses_rows, faults))
        faults += _between_versions(rules)
        tried = sheets(folder / "cases")
        cases = [case for path in tried for case in read_cases(path, faults)]
        if every_row:
            faults += _without_rule(cases, rules)
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults)
            raise DeclarationError(f"The rules in {folder} are declared wrongly; nothing was loaded:\n{listed}")
        if not tried:
            log.warning(
                "The rules in %s have no test cases: there is no .csv or .xlsx file in its folder cases.", folder
            )
        return cls(rules, cases)

    def on(self, day: date) -> RuleSet:
        """Rules in force on a day, in China; `DeclarationError` where there are none."""
        at = tuple(at for at, rule in enumerate(self.rules) if rule.in_force(day))
        if not at:
            raise DeclarationError(f"No rule is in force on {day}.")
        if at not in self._compiled:
            self._compiled[at] = RuleSet([self.rules[one] for one in at])
        return self._compiled[at]

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what all versions declare; order, notes and layout do not matter."""
        return hash_of(self.rules)


def sheets(folder: Path) -> list[Path]:
    """Tables in a folder in order of their names; what an open spreadsheet leaves beside them (`~$`) is none."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith(("~", "."))
    )


def _loses_rows(fault: Fault) -> bool:
    """Whether rows of a table were not read: which rules there are is not known then."""
    return fault.row is None or fault.column is None or (fault.row == 1 and fault.column in COLUMNS)


def _between_versions(rules: Sequence[Rule]) -> list[Fault]:
    """Two rules of an id with the same version, or in force on the same day."""
    faults = []
    earlier: dict[str, list[Rule]] = {}
    for rule in rules:
        if not rule.version:
            continue
        file, row = _place(rule)
        for other in earlier.setdefault(rule.id, []):
            if other.version == rule.version:
                told = f"{rule.id} has a version {rule.version} already ({other.place})"
                faults.append(Fault(file, row, "id", told))
            elif rule.in_force(max(rule.effective_from, other.effective_from)) and other.in_force(
                max(rule.effective_from, other.effective_from)
            ):
                told = f"{rule.id} version {other.version} is in force at the same time ({other.place}): {_days(other)}"
                faults.append(Fault(file, row, "effective_from", told))
        earlier[rule.id].append(rule)
    return faults


def _without_rule(cases: Sequence[Case], rules: Sequence[Rule]) -> list[Fault]:
    """Cases of no rule; of an id with a version that cannot be read, any may be meant."""
    known = {(rule.id, rule.version) for rule in rules}
    return [
        Fault(case.file, case.row, "rule", f"there is no {case.rule} version {case.version}")
        for case in cases
        if not known & {(case.rule, case.version), (case.rule, 0)}
    ]


def _place(rule: Rule) -> tuple[str, int]:
    file, row = rule.place.rsplit(", row ", 1)
    return file, int(row)


def _days(rule: Rule) -> str:
    return f"{rule.effective_from} to {rule.effective_to or 'ever'}"
