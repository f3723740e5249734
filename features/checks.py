"""What must hold for the declarations of a feature set, checked all at once and before anything runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from data_contracts.errors import DeclarationError
from features.aggregates import OF_ANYTHING, OF_CONDITIONS, OF_RECORDS, STATISTICS, Aggregate
from features.declaration import Feature
from features.nodes import COMPARISONS, Node
from features.sources import NUMERIC, declared, node_type

_CALCULATING = ("add", "sub", "mul", "div", "abs", "log1p", "decay", "bucket")
_ORDERED = ("lt", "le", "gt", "ge", "least", "greatest")


def require_sound(features: tuple[Feature, ...], permits: tuple[str, ...] = ()) -> None:
    """Raise `DeclarationError` naming every fault of the declarations, or return; `permits` as in `FeatureSet`."""
    faults = list(_faults(features, permits))
    if faults:
        raise DeclarationError("The feature set is declared wrongly:\n" + "\n".join(f"- {fault}" for fault in faults))


def in_order(features: Iterable[Feature]) -> list[Feature]:
    """Features in an order in which each comes after those it uses."""
    by_name = {feature.name: feature for feature in features}
    graph = {name: [ref for ref in references(f.value) if ref in by_name] for name, f in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def by_depth(features: Iterable[Feature]) -> list[list[Feature]]:
    """Features that use no other, then those that use these, and so on."""
    depths: dict[str, int] = {}
    levels: list[list[Feature]] = []
    for feature in in_order(features):
        depth = depths[feature.name] = max((depths[name] + 1 for name in references(feature.value)), default=0)
        levels += [[]] if depth == len(levels) else []
        levels[depth].append(feature)
    return levels


def references(value: Node) -> list[str]:
    """Names of the features that a value uses directly."""
    return [part.args[0] for part in value.walk() if part.op == "feature"]


def with_references(features: Iterable[Feature], names: Iterable[str]) -> tuple[Feature, ...]:
    """Features of these names, and those that they use, in the order given."""
    by_name = {feature.name: feature for feature in features}
    needed = list(names)
    for name in needed:
        needed += [other for other in references(by_name[name].value) if other not in needed]
    return tuple(feature for feature in by_name.values() if feature.name in needed)


def _faults(features: tuple[Feature, ...], permits: tuple[str, ...]) -> Iterator[str]:
    if not features:
        yield "it has no features"
    for name, times in Counter(feature.name for feature in features).items():
        if times > 1:
            yield f"{name}: {times} features have this name"
    names = {feature.name for feature in features}
    for feature in features:
        faults = [*_feature_faults(feature, names), *_protection_faults(feature, permits)]
        yield from (f"{feature.name}: {fault}" for fault in dict.fromkeys(faults))
    read = {name for feature in features for name in _protected(feature)}
    yield from (
        f"it permits {name!r}, a protected column that it does not read" for name in permits if name not in read
    )
    try:
        in_order(features)
    except CycleError as cycle:
        yield f"these features need each other: {' -> '.join(cycle.args[1])}"


def _feature_faults(feature: Feature, names: set[str]) -> Iterator[str]:
    if feature.name == "application_id":
        yield "application_id names the rows of the matrix, not a feature"
    if not all((feature.en, feature.zh, feature.unit)):
        yield "description (en, zh) and unit must be given"
    if not all((feature.reason.code, feature.reason.en, feature.reason.zh)):
        yield "the reason needs a code and its text in English and Chinese"
    if feature.risk not in (-1, 0, 1):
        yield f"risk is {feature.risk!r}, not +1, -1 or 0"
    for reference in references(feature.value):
        if reference not in names:
            yield f"uses the unknown feature {reference!r}"
    yield from _node_faults(feature.value, "applications")
    kind = node_type(feature.value)
    if kind not in (*NUMERIC, None):
        yield f"a feature is a number, {feature.value} is {kind}"


def _protection_faults(feature: Feature, permits: tuple[str, ...]) -> Iterator[str]:
    for name in _protected(feature):
        if name not in permits:
            yield f"column applications.{name} is a protected attribute and must not become a feature"


def _protected(feature: Feature) -> list[str]:
    """Protected columns that a feature reads."""
    columns = (declared(part) for part in feature.value.walk())
    return [column.name for column in columns if column is not None and column.protected]


def _aggregate_faults(aggregate: Aggregate) -> Iterator[str]:
    source, statistic = aggregate.source.name, aggregate.statistic
    if statistic not in STATISTICS:
        yield f"unknown statistic {statistic!r}; known are {', '.join(STATISTICS)}"
    for word, window in (("days", aggregate.days), ("last", aggregate.last)):
        if window is not None and not _whole(window):
            yield f"a window of {word}={window!r} holds nothing; give a whole number from 1"
    if aggregate.where is not None:
        if not aggregate.where.is_logical:
            yield f"the filter {aggregate.where} is no condition"
        yield from _node_faults(aggregate.where, source)
    yield from _parameter_faults(aggregate)
    if (aggregate.value is None) != (statistic in OF_RECORDS):
        wants = "the records of a source" if statistic in OF_RECORDS else "a value of each record"
        yield f"{statistic} takes {wants}"
    if aggregate.value is not None:
        yield from _node_faults(aggregate.value, source)
        kind = node_type(aggregate.value)
        if statistic in OF_CONDITIONS and not aggregate.value.is_logical:
            yield f"{statistic} needs a condition, {aggregate.value} is none"
        elif kind not in (*NUMERIC, None) and statistic not in OF_ANYTHING:
            yield f"{statistic} needs numbers, {aggregate.value} is {kind}"


def _parameter_faults(aggregate: Aggregate) -> Iterator[str]:
    given = aggregate.parameter
    if aggregate.statistic == "nth_last" and not _whole(given):
        yield f"nth_latest counts from 1 in whole numbers, not {given!r}"
    elif aggregate.statistic == "quantile" and not (isinstance(given, int | float) and 0 <= given <= 1):
        yield f"a quantile lies at a share between 0 and 1, not at {given!r}"


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _node_faults(expression: Node, source: str) -> Iterator[str]:
    for part in expression.walk():
        if part.op == "column":
            yield from _column_faults(part, source)
        elif part.op == "constant":
            yield from _constant_faults(part.args[0])
        elif part.op == "feature":
            if source != "applications":
                yield f"an aggregate cannot use the feature {part.args[0]!r}"
        elif isinstance(part, Aggregate):
            yield from _aggregate_faults(part) if source == "applications" else ["an aggregate cannot hold another one"]
        else:
            yield from _operation_faults(part)


def _constant_faults(constant: object) -> Iterator[str]:
    if isinstance(constant, str | bool) or (isinstance(constant, int) and abs(constant) < 2**63):
        return
    if not (isinstance(constant, float) and math.isfinite(constant)):
        yield f"{constant!r} is no constant; give a word, a flag or a number of 64 bits, or say `missing`"


def _operation_faults(part: Node) -> Iterator[str]:
    arguments = [arg for arg in part.args if isinstance(arg, Node)]
    kinds = [_family(node_type(arg)) for arg in arguments]
    if part.op in ("and", "or", "not") and not all(arg.is_logical for arg in arguments):
        yield f"{part} joins what is no condition"
    elif part.op == "when":
        if not arguments[0].is_logical:
            yield f"{part} chooses by what is no condition"
        if _differ(kinds[1:]):
            yield f"{part} chooses between {kinds[1]} and {kinds[2]}"
    elif part.op in (*COMPARISONS, "coalesce", "least", "greatest"):
        if _differ(kinds):
            yield f"{part} compares {kinds[0]} with {kinds[1]}"
        elif part.op in _ORDERED and "string" in kinds:
            yield f"{part} compares strings, which have no order here; use ==, != or isin"
    elif part.op in _CALCULATING and {"string", "timestamp"} & set(kinds):
        yield f"{part} calculates with {' and '.join(map(str, kinds))}"
    elif part.op in ("days_between", "local_hour") and set(kinds) - {"timestamp", None}:
        yield f"{part} needs timestamps"
    if part.op == "decay" and not arguments[1].args[0] > 0:
        yield f"a half-life of {arguments[1]} days is none; give a number above 0"
    if part.op == "bucket" and (not part.args[1] or list(part.args[1]) != sorted(set(part.args[1]))):
        yield f"{part} needs edges in ascending order"
    yield from _choice_faults(part, kinds)


def _choice_faults(part: Node, kinds: list[str | None]) -> Iterator[str]:
    """Constants that a column can never equal: of another type, or outside its closed set of categories."""
    if part.op == "isin":
        choices = part.args[1]
        if not choices:
            yield f"{part} names no value"
        for choice in choices:
            kind = "string" if isinstance(choice, str) else "number"
            if kinds[0] and kind != kinds[0]:
                yield f"{part} compares {kinds[0]} with {kind}"
    elif part.op in ("eq", "ne") and part.args[1].op == "constant":
        choices = (part.args[1].args[0],)
    else:
        return
    column = declared(part.args[0])
    if column and column.categories:
        for choice in choices:
            if isinstance(choice, str) and choice not in column.categories:
                yield f"{choice!r} is no category of {column.name}; there are {', '.join(column.categories)}"


def _column_faults(part: Node, source: str) -> Iterator[str]:
    owner, name = part.args
    if owner != source:
        yield f"column {owner}.{name} does not belong to {source}"
        return
    found = declared(part)
    if found is None:
        yield f"unknown column {owner}.{name}"


def _family(kind: str | None) -> str | None:
    return "number" if kind in NUMERIC else kind


def _differ(kinds: list[str | None]) -> bool:
    return len({kind for kind in kinds if kind}) > 1
