"""What a rule may ask about: the vocabulary comes from contracts and feature sets and is typed nowhere twice.

The features of `application_v1`, the columns of the application that no feature repeats, what the decision adds
(`pd`, `score`, consents) and what is derived from these (`derived.py`). Left out are moments, identifiers and protected
attributes: gender and marital status decide nothing; age does, because the law and each product ask for it.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from data_contracts.declare import Column, Provider
from data_contracts.tables import APPLICATIONS
from features.declaration import Feature
from features.nodes import Node
from features.sets import feature_set
from policy.rules.derived import DERIVED

Kind = Literal["number", "flag", "text"]
FEATURE_SET = "application_v1"
PERMITTED = frozenset({"age_years"})  # minors may not borrow; each product names the ages that it is for
_DIVIDING = frozenset({"div", "mul", "exp", "pow"})
_IDENTIFIERS = frozenset({"application_id", "customer_id", "device_id"})


@dataclass(frozen=True)
class Field:
    """A field that conditions of rules read.

    Parameters
    ----------
    name : str
        The name under which facts carry it.
    kind : {"number", "flag", "text"}
    unit : str
        Of the numbers in tables, traces and texts; money is CNY there.
    meaning : str
        One phrase in business terms.
    low, high : float
        No value lies outside, in `unit`.
    values : tuple of str
        The closed set of a text; empty where any text may come.
    scale : float, default 1
        What a fact at rest is divided by to be in `unit`: 100 where it is whole fen.
    whole : bool, default False
        Whether there are no values between whole numbers, in `unit`.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    low: float = float("-inf")
    high: float = float("inf")
    values: tuple[str, ...] = ()
    scale: float = 1.0
    whole: bool = False


@functools.cache
def vocabulary() -> Mapping[str, Field]:
    """Every field by name.

    Examples
    --------
    >>> fields = vocabulary()
    >>> fields["product"].values[:2], fields["application_amount_requested"].unit
    (('emergency_cash', 'renovation'), 'CNY')
    >>> fields["consent_bureau"].kind, "gender" in fields
    ('flag', False)
    """
    features = [_of_feature(feature) for feature in feature_set(FEATURE_SET).features]
    repeated = {field.name for field in features}
    columns = [
        _of_column(column)
        for column in APPLICATIONS.columns
        if column.dtype != "timestamp"
        and column.name not in _IDENTIFIERS
        and f"application_{column.name}" not in repeated
        and (not column.protected or column.name in PERMITTED)
    ]
    consents = [
        Field(f"consent_{provider}", "flag", "flag", f"The customer agreed to the use of {provider} records")
        for provider in get_args(Provider)
        if provider != "applicant"
    ]
    scored = [
        Field("pd", "number", "ratio", "Probability of default", low=0, high=1),
        Field("score", "number", "points", "Score points, higher is safer"),
    ]
    derived = [Field(one.name, "number", one.unit, one.en) for one in DERIVED]
    return MappingProxyType({field.name: field for field in (*columns, *features, *scored, *consents, *derived)})


def _of_feature(feature: Feature) -> Field:
    if feature.unit == "flag":
        return Field(feature.name, "flag", feature.unit, feature.en)
    if feature.value.op == "column":
        column = APPLICATIONS.column(feature.value.args[-1])
        return replace(_of_column(column), name=feature.name, scale=1.0)  # features speak CNY
    divides = any(part.op in _DIVIDING or getattr(part, "statistic", None) == "mean" for part in _parts(feature.value))
    whole = feature.unit in ("count", "bucket") and not divides
    return Field(feature.name, "number", feature.unit, feature.en, low=0 if whole else float("-inf"), whole=whole)


def _parts(value: Node) -> Iterator[Node]:
    """Every node of a feature, with those that its aggregates look at."""
    for part in value.walk():
        yield part
        if isinstance(inner := getattr(part, "value", None), Node):
            yield from inner.walk()


def _of_column(column: Column) -> Field:
    if column.dtype == "string":
        return Field(column.name, "text", "text", column.meaning, values=column.categories)
    if column.dtype == "bool":
        return Field(column.name, "flag", "flag", column.meaning)
    in_fen = column.unit == "fen"
    scale = 100.0 if in_fen else 1.0
    low = float("-inf") if column.low is None else column.low / scale
    high = float("inf") if column.high is None else column.high / scale
    unit = "CNY" if in_fen else column.unit or "number"
    whole = column.dtype == "int64" and not in_fen
    return Field(column.name, "number", unit, column.meaning, low, high, scale=scale, whole=whole)


def unknown_field(name: str) -> str:
    """Why a name is no field, and which was perhaps meant.

    Examples
    --------
    >>> unknown_field("amount_requested")
    'there is no field amount_requested; did you mean application_amount_requested?'
    >>> unknown_field("gender")
    'gender is a protected attribute and may decide nothing'
    """
    if any(column.name == name and column.protected for column in APPLICATIONS.columns):
        return f"{name} is a protected attribute and may decide nothing"
    if f"application_{name}" in vocabulary():
        return f"there is no field {name}; did you mean application_{name}?"
    near = difflib.get_close_matches(name, vocabulary(), n=1)
    told = f"did you mean {near[0]}?" if near else "`lendwell policy rules --fields` lists those there are"
    return f"there is no field {name}; {told}"
