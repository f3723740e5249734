"""The words a contract is written in: a `Table` of `Column`s. Declarations hold no execution.

Conventions that hold for every table:

* money is whole fen (1/100 CNY) in int64, so that sums are exact in every engine and order;
* timestamps are UTC, microseconds, without a zone; people and features see China Standard Time (UTC+8);
* `occurred_at` is when a record happened, `known_at` when the lender learned it;
* a row of a `versioned` table replaces the earlier row of the same key once its `known_at` has passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["string", "int64", "float64", "timestamp", "bool"]


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
    """`columns` of this table must be found in the same-named columns of `table`."""

    columns: tuple[str, ...]
    table: str


@dataclass(frozen=True)
class Table:
    """A canonical table and what must hold for its rows.

    Parameters
    ----------
    name : str
        File name of the table without its ending.
    meaning : str
        One phrase in business terms.
    columns : tuple of Column
        In the order in which they are written.
    key : tuple of str
        Columns that name a row; with `known_at` added when the table is `versioned`.
    foreign_keys : tuple of ForeignKey
        References that must be met when the other table is there.
    fresh_days : int, optional
        The newest `known_at` may lie at most so many days before the newest application.
    versioned : bool, default False
        Whether several versions of one key may follow each other by `known_at`.
    ordered : tuple of (str, str)
        Pairs of timestamp columns of which the first must not be after the second, where both are given.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    fresh_days: int | None = None
    versioned: bool = False
    ordered: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(column.name for column in self.columns)

    @property
    def row_key(self) -> tuple[str, ...]:
        """Columns that are unique over the rows."""
        return (*self.key, "known_at") if self.versioned else self.key

    def column(self, name: str) -> Column:
        """Return the column called `name`; `KeyError` where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}; it has {', '.join(self.names)}")
