"""What differs between two records of a decision, by the part it belongs to: a replay must show nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What of a record speaks of which part; causes first, their effects after them.
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("data", ("identities.data", "trace.facts.application")),
    ("features", ("identities.features", "trace.facts.features")),
    ("model", ("identities.model",)),
    ("calibrator", ("identities.calibrator",)),
    ("score", ("trace.score", "score_reasons")),
    ("rules", ("identities.rules", "trace.rules")),
    ("products", ("identities.products",)),
    ("cut_offs", ("identities.cut_offs",)),
    ("price", ("identities.price", "trace.price")),
    ("limit", ("identities.limit", "trace.limit")),
    ("decision", ("outcome", "product", "amount", "term_months", "rate", "annual_nominal", "annual_effective",
                  "schedule", "reasons")),
)  # fmt: skip
PARTS = tuple(part for part, _ in _PARTS)


@dataclass(frozen=True)
class Difference:
    """A value that two records do not share.

    Parameters
    ----------
    part : str
        One of `PARTS`.
    path : str
        Where it stands, such as `trace.limit.bounds.burden`.
    before, after : object
        JSON values; None where a record has none.
    """

    part: str
    path: str
    before: Any
    after: Any


def replay_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Differences between two records of `Decision.record`, in the order of `PARTS`.

    Of a decision and its replay there are none. Of two versions or two moments they tell causes (another identity of
    data, features, model, calibrator, rules, products, cut-offs, price or limit) before effects (score, price, limit,
    decision).

    Examples
    --------
    >>> before = {"identities": {"limit": "a1"}, "trace": {"limit": {"fen": 500}}, "amount": 500}
    >>> after = {"identities": {"limit": "b2"}, "trace": {"limit": {"fen": 300}}, "amount": 300}
    >>> [(found.part, found.path) for found in replay_differences(before, after)]
    [('limit', 'identities.limit'), ('limit', 'trace.limit.fen'), ('decision', 'amount')]
    """
    return [
        Difference(part, *found)
        for part, paths in _PARTS
        for path in paths
        for found in _differing(path, _at(before, path), _at(after, path))
    ]


def _at(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _differing(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _differing(f"{path}.{name}", before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differing(f"{path}[{place}]", one, other)
    elif type(before) is not type(after) or before != after:
        yield path, before, after
