"""Which protected attributes the features read: none, unless a set permits one by name. Proven by declarations."""

from __future__ import annotations

from dataclasses import dataclass

from data_contracts.declare import Column
from data_contracts.tables import TABLES
from features.algebra import FeatureSet
from features.catalogue import catalogue_rows
from reporting.page import Text

NAMES = {
    "gender": Text("性别", "gender"),
    "age_years": Text("年龄", "age"),
    "marital_status": Text("婚姻状况", "marital status"),
}


@dataclass(frozen=True)
class ProtectedUse:
    """A protected column of the contracts and what a feature set does with it.

    Parameters
    ----------
    table, column : str
    meaning : str
        As the contract says.
    read_by : tuple of str
        Features that read it in the end, through other features too.
    permitted : bool
        Whether the set permits it by name.
    """

    table: str
    column: str
    meaning: str
    read_by: tuple[str, ...]
    permitted: bool

    @property
    def absent(self) -> bool:
        """Whether no feature reads it."""
        return not self.read_by

    @property
    def statement(self) -> Text:
        """What a report says of it."""
        name = NAMES.get(self.column, Text(self.column, self.column))
        where = f"{self.table}.{self.column}"
        if self.absent:
            return Text(f"{name.zh}（{where}）：没有任何特征读取。", f"{name.en} ({where}): no feature reads it.")
        many = len(self.read_by)
        return Text(
            f"{name.zh}（{where}）：{many}个特征读取（{'、'.join(self.read_by[:3])}），特征集声明允许；须经合规审查。",
            f"{name.en} ({where}): read by {many} features, {', '.join(self.read_by[:3])}; the set permits it by name, "
            "and compliance must allow it.",
        )


def protected_columns() -> list[tuple[str, Column]]:
    """Every protected column of the canonical tables, with its table.

    Examples
    --------
    >>> [f"{table}.{column.name}" for table, column in protected_columns()]
    ['applications.age_years', 'applications.gender', 'applications.marital_status']
    """
    return [(table.name, column) for table in TABLES.values() for column in table.columns if column.protected]


def protected_uses(feature_set: FeatureSet) -> list[ProtectedUse]:
    """What a feature set does with each protected column.

    Every column that a feature reads is followed to the contracts, through the features that it uses. What is not
    declared cannot be read: the engines compute features from nothing else.

    Examples
    --------
    >>> from features.sets import feature_set
    >>> {use.column: use.absent for use in protected_uses(feature_set("application_v1"))}
    {'age_years': True, 'gender': True, 'marital_status': True}
    """
    read = {str(row["name"]): set(row["columns"]) for row in catalogue_rows(feature_set)}
    return [
        ProtectedUse(
            table=table,
            column=column.name,
            meaning=column.meaning,
            read_by=tuple(name for name, columns in read.items() if f"{table}.{column.name}" in columns),
            permitted=column.name in feature_set.permits,
        )
        for table, column in protected_columns()
    ]
