"""The rules as a GoRules decision (JDM): to be read and tried in its editor, and run by its engine beside ours.

A decision graph with a decision table for each of our tables, every one of which collects the rules that fire. The
engine reads what `Verdict.values` holds: money in CNY, derived fields worked out, missing as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from policy.rules.conditions import Condition, as_written
from policy.rules.declaration import Rule

_OUTPUTS = ("id", "version", "severity", "en", "zh")


def to_jdm(rules: Iterable[Rule]) -> dict[str, Any]:
    """Rules as the content of a decision.

    Examples
    --------
    >>> import zen
    >>> from datetime import date
    >>> from policy.rules import RuleBook
    >>> decision = zen.ZenEngine().create_decision(json.dumps(to_jdm(RuleBook.load().on(date(2026, 1, 1)).rules)))
    >>> answer = decision.evaluate({"product": "emergency_cash", "age_years": 17})
    >>> answer["result"]["eligibility"][0]["id"]
    'ELI-001'
    """
    tables: dict[str, list[Rule]] = {}
    for rule in rules:
        tables.setdefault(rule.table, []).append(rule)
    middle = 60 * (len(tables) - 1)
    nodes = [
        {"id": "facts", "type": "inputNode", "name": "facts", "position": {"x": 0, "y": middle}},
        *(_table(name, found, 120 * at) for at, (name, found) in enumerate(tables.items())),
        {"id": "fired", "type": "outputNode", "name": "fired", "position": {"x": 800, "y": middle}},
    ]
    edges = [
        {"id": f"{start}-{end}", "type": "edge", "sourceId": start, "targetId": end}
        for name in tables
        for start, end in (("facts", name), (name, "fired"))
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}


def _table(name: str, rules: Sequence[Rule], y: int) -> dict[str, Any]:
    fields = list(dict.fromkeys(condition.field.name for rule in rules for condition in rule.conditions))
    content = {
        "hitPolicy": "collect",
        "inputs": [{"id": f"if {field}", "name": field, "field": field} for field in fields],
        "outputs": [{"id": f"then {output}", "name": output, "field": output} for output in _OUTPUTS],
        "rules": [_row(rule, fields) for rule in rules],
        "outputPath": name,
    }
    return {"id": name, "type": "decisionTableNode", "name": name, "position": {"x": 400, "y": y}, "content": content}


def _row(rule: Rule, fields: Sequence[str]) -> dict[str, str]:
    asked: dict[str, list[Condition]] = {field: [] for field in fields}
    for condition in rule.conditions:
        asked[condition.field.name].append(condition)
    told = {"id": rule.id, "version": rule.version, "severity": rule.severity, "en": rule.en, "zh": rule.zh}
    return {
        "_id": f"{rule.id}/{rule.version}",
        **{f"if {field}": " and ".join(map(_test, conditions)) for field, conditions in asked.items()},
        **{f"then {output}": json.dumps(value, ensure_ascii=False) for output, value in told.items()},
    }


def _test(condition: Condition) -> str:
    """A condition in the words of the engine, `$` being the value of the field."""
    if condition.missing:
        return "$ == null"
    known = "$ != null"
    if condition.texts is not None:
        texts = json.dumps(sorted(condition.texts), ensure_ascii=False)
        if not condition.negated:
            return f"$ in {texts}"
        return f"{known} and not ($ in {texts})" if condition.texts else known
    if condition.field.kind == "flag" and condition.low == condition.high:
        return f"$ == {'true' if condition.low else 'false'}"
    ends = [
        _compared(bound, side) for bound, side in ((condition.low, ">"), (condition.high, "<")) if math.isfinite(bound)
    ]
    return " and ".join([known, *ends])


def _compared(bound: float, side: str) -> str:
    written = as_written(bound)
    return f"$ {side}{'=' if written == bound else ''} {written!r}"
