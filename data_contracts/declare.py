"""The words a contract is written in: a `Table` of `Column`s. Declarations hold no execution.

Conventions that hold for every table:

* money is whole fen (1/100 CNY) in int64, so that sums are exact in every engine and order;
* timestamps are UTC, microseconds, without a zone; people and features see China Standard Time (UTC+8);
* `occurred_at` is when a record happened, `known_at` when the lender learned it;
* a record that comes again under its key with a later `known_at` is a correction: it replaces the earlier one from
  then on, and an `as_of` before it still sees what was known then. An application never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Dtype = Literal["string", "int64", "float64", "timestamp", "bool"]
Level = Literal["reject", "flag"]
"""What a broken rule does to its row: keeps it out, or lets it pass and counts it in the quality report."""
DecisionPoint = Literal["application", "behaviour", "early_warning", "transaction", "collection"]
Provider = Literal["applicant", "bureau", "consumption", "repayment", "business"]
"""Where records come from: what consent is asked for, what coverage is counted by."""


@dataclass(frozen=True)
class Column:
    """One column of a canonical table.

    Parameters
    ----------
    name : str
        Name in snake case; units that are not in `unit` are in the name (`age_years`).
    dtype : {"string", "int64", "float64", "timestamp", "bool"}
        Type at rest. Numbers become float64 in features, missing becomes NaN.
    meaning : str
        One phrase in business terms.
    unit : str, optional
        `fen`, `days`, `months`, `years`, `count`, `ratio` ...; amounts in fen are shown in CNY.
    nullable : bool, default False
        Whether a value may be missing.
    low, high : float, optional
        Inclusive range.
    categories : tuple of str, optional
        The closed set of values of a string column.
    protected : bool, default False
        A protected attribute: kept for fairness analysis, refused by the feature algebra.

    Examples
    --------
    >>> Column("age_years", "float64", "Age at application", unit="years", low=18, high=100).unit
    'years'
    """

    name: str
    dtype: Dtype
    meaning: str
    unit: str | None = None
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    protected: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """`columns` of this table must be found in the same-named columns of `table`, with the same `same` there."""

    columns: tuple[str, ...]
    table: str
    same: tuple[str, ...] = ("customer_id",)


@dataclass(frozen=True)
class Rule:
    """What must hold for each row beyond its columns: in order in time, within each other, in step with other tables.

    Parameters
    ----------
    name : str
        Short name in snake case, unique in its table.
    columns : tuple of str
        Columns of this table that the rule reads.
    holds : str
        SQL over the row `t` and what was looked up beside it, `l`; where it is null the rule holds.
    en, zh : str
        What must hold, in words that follow "must be" and "应".
    level : {"reject", "flag"}
    lookup : str, optional
        SQL of the rows to join as `l`; it may read the tables by name.
    on : str, optional
        SQL of the join with `l`, which must find at most one row.
    reads : mapping of str to tuple of str
        Columns of which tables `lookup` reads; the rule is left out where one of them is not there.

    Examples
    --------
    >>> Rule("overdue_within_balance", ("overdue_amount", "balance"), "t.overdue_amount <= t.balance",
    ...      "at most the balance", "不超过余额").level
    'reject'
    """

    name: str
    columns: tuple[str, ...]
    holds: str
    en: str
    zh: str
    level: Level = "reject"
    lookup: str | None = None
    on: str = ""
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """What the records of a table may be used for.

    Parameters
    ----------
    provider : str
        Where they come from; a consent names it.
    decision_points : tuple of str
        What they may decide.
    consent : bool
        Whether the customer must have agreed; checked where the lender keeps `consents`.
    retention_days : int, optional
        How long a record may be kept after the lender learned it.
    """

    provider: Provider
    decision_points: tuple[DecisionPoint, ...]
    consent: bool = False
    retention_days: int | None = None


@dataclass(frozen=True)
class Table:
    """A canonical table and what must hold for its rows.

    Parameters
    ----------
    name : str
        Name of the table and of its files' folder.
    meaning : str
        One phrase in business terms.
    columns : tuple of Column
        In the order in which they are written.
    key : tuple of str
        Columns that name a record; a correction comes again under its key with a later `known_at`.
    use : Use
        Where its records come from and what they may be used for.
    foreign_keys : tuple of ForeignKey
        References that must be met when the other table is there.
    rules : tuple of Rule
        What else must hold for each row.
    fresh_days : int, optional
        The newest `known_at` may lie at most so many days before the newest application.
    profiled : tuple of str
        Columns whose distribution is held against that of the last accepted batch.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    use: Use
    foreign_keys: tuple[ForeignKey, ...] = ()
    rules: tuple[Rule, ...] = ()
    fresh_days: int | None = None
    profiled: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(column.name for column in self.columns)

    @property
    def row_key(self) -> tuple[str, ...]:
        """Columns that are unique over the rows: the key, and when the lender learned it where it may be corrected."""
        return (*self.key, "known_at") if "known_at" in self.names and "known_at" not in self.key else self.key

    def column(self, name: str) -> Column:
        """Return the column called `name`; `KeyError` where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")
