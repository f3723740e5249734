"""Which values meet the conditions of a rule, field by field: what the linter compares, what cases are taken from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from policy.rules.conditions import Condition
from policy.rules.declaration import Rule
from policy.rules.fields import Field


@dataclass(frozen=True)
class Domain:
    """Values of a field: an interval with both ends, or texts, or nothing but missing.

    Examples
    --------
    >>> from policy.rules.conditions import parse
    >>> domain_of(parse("inquiries_count_30d > 2")).low  # a count has nothing between 2 and 3
    3.0
    >>> domain_of(parse("age_years < 16")).empty  # by contract nobody is under 16
    True
    """

    low: float = -math.inf
    high: float = math.inf
    texts: frozenset[str] | None = None
    negated: bool = False
    missing: bool = False

    @property
    def empty(self) -> bool:
        """Whether no value lies in it."""
        return self.low > self.high or (self.texts is not None and not self.negated and not self.texts)

    def both(self, other: Domain) -> Domain:
        """Values that lie in both."""
        if self.missing != other.missing:
            return _NOTHING
        if self.texts is not None and other.texts is not None:
            return _of_texts(self, other)
        return replace(self, low=max(self.low, other.low), high=min(self.high, other.high))

    def within(self, other: Domain) -> bool:
        """Whether each of its values lies in the other, too."""
        return not self.empty and self.both(other) == self


_NOTHING = Domain(low=math.inf, high=-math.inf)


def _of_texts(one: Domain, other: Domain) -> Domain:
    left, right = one.texts or frozenset(), other.texts or frozenset()
    if one.negated and other.negated:
        return Domain(texts=left | right, negated=True)
    if one.negated != other.negated:
        named, barred = (right, left) if one.negated else (left, right)
        return Domain(texts=named - barred)
    return Domain(texts=left & right)


def domain_of(condition: Condition) -> Domain:
    """Values that meet a condition and that the contract allows."""
    field = condition.field
    if condition.missing:
        return Domain(missing=True)
    if condition.texts is not None:
        if not field.values:
            return Domain(texts=condition.texts, negated=condition.negated)
        return Domain(texts=frozenset(field.values) - condition.texts if condition.negated else condition.texts)
    low, high = max(condition.low, field.low), min(condition.high, field.high)
    if field.whole:
        low = float(math.ceil(low)) if math.isfinite(low) else low
        high = float(math.floor(high)) if math.isfinite(high) else high
    return Domain(low, high)


def domains_of(rule: Rule) -> dict[Field, Domain]:
    """Values of each field on which a rule fires."""
    domains: dict[Field, Domain] = {}
    for condition in rule.conditions:
        domain = domain_of(condition)
        known = domains.get(condition.field)
        domains[condition.field] = domain if known is None else known.both(domain)
    return domains


def follows(high: float, low: float, field: Field) -> bool:
    """Whether nothing lies between the end of one interval and the beginning of the next.

    Examples
    --------
    >>> from policy.rules.fields import vocabulary
    >>> follows(2.0, 3.0, vocabulary()["inquiries_count_30d"]), follows(0.2, 0.3, vocabulary()["pd"])
    (True, False)
    """
    return low <= (high + 1 if field.whole else math.nextafter(high, math.inf))
