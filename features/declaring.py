"""Declarations of one group: the group is said once, and what a missing value means follows from the value."""

from __future__ import annotations

from typing import Literal, Protocol

from features.aggregates import ZERO_WHEN_EMPTY
from features.algebra import Aggregate, Feature, Group, Node, Reason, bucket

NEVER = "never missing"
_OF_FEW = ("std", "slope", "gap_max", "gap_std", "nth_last")


class Declare(Protocol):
    """What `declaring` returns."""

    def __call__(
        self,
        name: str,
        value: Node,
        en: str,
        zh: str,
        unit: str,
        reason: Reason,
        risk: Literal[-1, 0, 1] = 0,
        missing: str | None = None,
    ) -> Feature:
        """Declare a feature; without `missing` its meaning follows from the value."""


def declaring(group: Group) -> Declare:
    """Return the function that declares features of a group.

    Examples
    --------
    >>> from features.bureau import SEEKING, inquiries
    >>> from features.algebra import count
    >>> declaring("bureau")("inquiries_count", count(inquiries), "Inquiries", "查询", "count", SEEKING).missing
    'the source is absent'
    """

    def declare(
        name: str,
        value: Node,
        en: str,
        zh: str,
        unit: str,
        reason: Reason,
        risk: Literal[-1, 0, 1] = 0,
        missing: str | None = None,
    ) -> Feature:
        return Feature(name, value, en, zh, unit, reason, group, risk, missing or _meaning(value))

    return declare


def sum_of_known(left: Node, right: Node) -> Node:
    """The sum of two values of which one may be missing; missing where both are."""
    return (left + right).coalesce(left).coalesce(right)


def below(value: Node, edge: float) -> Node:
    """1 where the value is below the edge, else 0; missing stays missing, which a comparison would not tell from 0."""
    return 1.0 - bucket(value, edge)


def _meaning(value: Node) -> str:
    if not isinstance(value, Aggregate):
        return "a part of it is missing, or it would divide by zero"
    if value.statistic in ZERO_WHEN_EMPTY:
        return "the source is absent"
    few = "too few such records" if value.statistic in _OF_FEW else "no such record"
    return f"{few}, or the source is absent"
