"""Rules in force together: one application with its trace, or a frame of many."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from policy.rules.compiled import Bools, Compiled
from policy.rules.declaration import SEVERITIES, Rule, Severity
from policy.rules.fields import Field

_ROWS = 1024  # of a frame at once: what is judged of them fits into a processor's cache

Value = float | bool | str | None


class Met(NamedTuple):
    """Which value met which condition, in the unit of the field; money in CNY."""

    field: str
    test: str
    value: Value


@dataclass(frozen=True)
class Fired:
    """A rule that fired, and by what."""

    rule: Rule
    met: tuple[Met, ...]


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one application.

    Parameters
    ----------
    fired : tuple of Fired
        The worst first, then by id.
    undecided : tuple of str
        Ids of the rules that could not be judged: a field is missing, and no other condition speaks against.
    values : mapping of str to value
        What was read, by field; None where it is missing.
    trace : tuple of tuples of bool or None
        Of every rule, in the order of the rule set, whether each condition was met; None where its field is missing.
    rules : str
        Identity of the rules that were in force.
    """

    fired: tuple[Fired, ...]
    undecided: tuple[str, ...]
    values: Mapping[str, Value]
    trace: tuple[tuple[bool | None, ...], ...]
    rules: str

    @property
    def severity(self) -> Severity | None:
        """The worst of what fired; None where nothing did."""
        return self.fired[0].rule.severity if self.fired else None

    def record(self) -> dict[str, Any]:
        """What a decision log keeps: plain values of what fired, and what could not be judged."""
        fired = [
            {
                "id": one.rule.id,
                "version": one.rule.version,
                "severity": one.rule.severity,
                "en": one.rule.en,
                "zh": one.rule.zh,
                "met": [met._asdict() for met in one.met],
            }
            for one in self.fired
        ]
        return {"severity": self.severity, "fired": fired, "undecided": list(self.undecided), "rules": self.rules}


class RuleSet:
    """Rules that are in force together, compiled once.

    Parameters
    ----------
    rules : sequence of Rule
        Each id once.

    Examples
    --------
    >>> from datetime import date
    >>> from policy.rules import RuleBook
    >>> rules = RuleBook.load().on(date(2026, 1, 1))
    >>> applicants = pd.DataFrame({"product": ["business", "emergency_cash"], "age_years": [41.0, 17.5]})
    >>> fired = rules.fire(applicants)
    >>> fired.shape == (2, len(rules.rules)), rules.worst(fired)[1]
    (True, np.int8(3))
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        ranks = [1 + SEVERITIES.index(rule.severity) for rule in self.rules]
        self.ranks: npt.NDArray[np.int8] = np.array(ranks, np.int8)
        """Severity of each rule: 1 flag, 2 refer, 3 decline."""
        self._compiled = Compiled([condition for rule in self.rules for condition in rule.conditions])
        ends = np.cumsum([len(rule.conditions) for rule in self.rules], dtype=np.int64)
        self._starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
        self._parts = [slice(start, end) for start, end in zip(self._starts.tolist(), ends.tolist(), strict=True)]
        self._flags = frozenset(field.name for field in self.fields if field.kind == "flag")
        self._by_id = sorted(range(len(ranks)), key=lambda at: self.rules[at].id)
        self._worst_first = sorted(range(len(ranks)), key=lambda at: (-ranks[at], self.rules[at].id))

    @property
    def fields(self) -> tuple[Field, ...]:
        """What the rules read."""
        return self._compiled.fields

    @cached_property
    def identity(self) -> str:
        """SHA-256 of what the rules declare."""
        return hash_of(self.rules)

    def decide(self, facts: Mapping[str, Any]) -> Verdict:
        """Judge one application by every rule.

        Parameters
        ----------
        facts : mapping of str to value
            By names of fields, as contracts and feature sets have them (whole fen in columns, CNY in features). What is
            not there, None or NaN is missing; names that no rule reads are passed over.

        Raises
        ------
        ContractError
            Where a field holds what is no value of its kind.
        """
        numbers, codes = self._compiled.one(facts)
        met = self._compiled.met(numbers, codes)
        untold = self._compiled.missing(numbers, codes) & ~met
        fires = np.logical_and.reduceat(met, self._starts)[:, 0].tolist()
        may_fire = np.logical_and.reduceat(met | untold, self._starts)[:, 0].tolist()
        values = self._values(facts, numbers[:, 0].tolist())
        outcomes = np.where(untold[:, 0], None, met[:, 0]).tolist()  # type: ignore[call-overload]
        return Verdict(
            fired=tuple(self._fired(self.rules[at], values) for at in self._worst_first if fires[at]),
            undecided=tuple(self.rules[at].id for at in self._by_id if may_fire[at] and not fires[at]),
            values=values,
            trace=tuple(tuple(outcomes[part]) for part in self._parts),
            rules=self.identity,
        )

    def _values(self, facts: Mapping[str, Any], numbers: list[float]) -> dict[str, Value]:
        """What was read, as people read it: missing is None, a flag is true or false."""
        values: dict[str, Value] = {
            name: None if value != value else bool(value) if name in self._flags else value
            for name, value in zip(self._compiled.number_rows, numbers, strict=True)
        }
        for name in self._compiled.text_rows:
            text = facts.get(name)
            values[name] = None if text is None or text != text or text == "" else str(text)
        return values

    @staticmethod
    def _fired(rule: Rule, values: Mapping[str, Value]) -> Fired:
        return Fired(rule, tuple(Met(one.field.name, one.test, values[one.field.name]) for one in rule.conditions))

    def fire(self, frame: pd.DataFrame) -> Bools:
        """Judge many applications: whether each rule fires, array (rows of the frame, rules).

        Columns are what `decide` takes; one that is not there is missing in every row.
        """
        fired = np.empty((len(frame), len(self.rules)), np.bool_)
        for start in range(0, len(frame), _ROWS):
            rows = slice(start, start + _ROWS)
            met = self._compiled.met(*self._compiled.many(frame.iloc[rows]))
            fired[rows] = np.logical_and.reduceat(met, self._starts).T
        return fired

    def worst(self, fired: Bools) -> npt.NDArray[np.int8]:
        """Worst severity in each row of `fire`: 0 nothing, 1 flag, 2 refer, 3 decline."""
        worst: npt.NDArray[np.int8] = np.where(fired, self.ranks, np.int8(0)).max(axis=1, initial=0)
        return worst


def hash_of(rules: Iterable[Rule]) -> str:
    """SHA-256 of what rules declare; their order, comments and layout do not matter."""
    declared = sorted((rule.spec() for rule in rules), key=lambda one: (one["id"], one["version"]))
    return hashlib.sha256(json.dumps(declared, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
