"""What every feature is, for people: the rows of a feature set with their lineage, and a page to search them."""

from __future__ import annotations

from typing import Any

from features.aggregates import aggregates
from features.algebra import SOURCES, Feature, FeatureSet, Node
from features.checks import references

_GROUPS = {
    "application": ("申请", "Application"),
    "bureau": ("征信", "Bureau"),
    "consumption": ("消费", "Consumption"),
    "repayment": ("还款", "Repayment"),
    "business": ("经营", "Business"),
}


def catalogue_rows(feature_set: FeatureSet) -> list[dict[str, Any]]:
    """Everything that is declared of each feature, and where it comes from, as plain data for `--json`.

    Returns
    -------
    list of dict
        One a feature, in the order of the set: `name`, `group`, `en`, `zh`, `unit`, `risk` (+1, -1, 0), `missing`,
        `reason` (`code`, `en`, `zh`), `definition`, `uses` (features that it is computed from), `columns`
        (`table.column` that it reads in the end, through those features too) and `tables`.

    Examples
    --------
    >>> from features.sets import feature_set
    >>> row = {row["name"]: row for row in catalogue_rows(feature_set("application_v1"))}["inquiries_velocity"]
    >>> row["definition"], row["columns"]
    ('(inquiries_count_30d / inquiries_count_180d)', ['inquiries.occurred_at'])
    """
    by_name = {feature.name: feature for feature in feature_set.features}
    return [_row(feature, by_name) for feature in feature_set.features]


def catalogue_html(feature_set: FeatureSet) -> str:
    """The catalogue as one HTML page with a search box, without anything from the network.

    Every text of a declaration is escaped, so that a description cannot become markup.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("features"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = catalogue_rows(feature_set)
    groups = [(name, *_GROUPS[name], sum(row["group"] == name for row in rows)) for name in _GROUPS]
    return environment.get_template("catalogue.html.j2").render(feature_set=feature_set, rows=rows, groups=groups)


def _row(feature: Feature, by_name: dict[str, Feature]) -> dict[str, Any]:
    columns = sorted(_columns(feature, by_name))
    return {
        "name": feature.name,
        "group": feature.group,
        "en": feature.en,
        "zh": feature.zh,
        "unit": feature.unit,
        "risk": feature.risk,
        "missing": feature.missing,
        "reason": {"code": feature.reason.code, "en": feature.reason.en, "zh": feature.reason.zh},
        "definition": str(feature.value),
        "uses": list(dict.fromkeys(references(feature.value))),
        "columns": columns,
        "tables": sorted({column.split(".")[0] for column in columns}),
    }


def _columns(feature: Feature, by_name: dict[str, Feature]) -> set[str]:
    """Columns at rest that a feature reads, through other features and child tables too."""
    found = _columns_of(feature.value)
    for aggregate in aggregates(feature.value):
        found.add(f"{aggregate.source.table.name}.{aggregate.source.time}")
        for expression in (aggregate.value, aggregate.where):
            if expression is not None:
                found |= _columns_of(expression)
    for name in references(feature.value):
        found |= _columns(by_name[name], by_name)
    return found


def _columns_of(expression: Node) -> set[str]:
    found = set()
    for part in expression.walk():
        if part.op == "as_of":
            found.add("applications.applied_at")
        elif part.op == "column":
            owner, name = part.args
            source = SOURCES.get(owner)
            if source is None:
                found.add(f"{owner}.{name}")
            elif source.child and name in source.child.columns:
                table = source.child.table.name
                found |= {f"{table}.{source.child.columns[name][1]}", f"{table}.{source.child.on}"}
            else:
                found.add(f"{source.table.name}.{name}")
    return found
