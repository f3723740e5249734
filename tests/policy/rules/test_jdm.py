"""GoRules' engine and ours give the same answer for every rule, whatever the facts."""

from __future__ import annotations

import json
import math
from datetime import date

import numpy as np
import pandas as pd
import pytest
import zen
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.rules import RuleBook
from policy.rules.conditions import as_written
from policy.rules.jdm import to_jdm

BOOK = RuleBook.load()
IN_FORCE = BOOK.on(date(2026, 1, 1))


def _values(condition) -> list:
    """Values at and beside the bounds of a condition, and missing; texts that it names, and another."""
    if condition.field.kind == "text":
        return [None, "something else", *sorted(condition.texts or ())]
    if condition.field.kind == "flag":
        return [None, True, False]
    bounds = {as_written(one) for one in (condition.low, condition.high) if math.isfinite(one)}
    return [None, *sorted(round(one + by, 6) for one in bounds for by in (-1, -0.01, 0, 0.01, 1))]


CHOICES = sorted(
    {(one.field.name, value) for rule in IN_FORCE.rules for one in rule.conditions for value in _values(one)}, key=str
)


@pytest.fixture(scope="module")
def decision():
    return zen.ZenEngine().create_decision(json.dumps(to_jdm(IN_FORCE.rules)))


def fired_by_zen(decision, values) -> set[str]:
    answer = decision.evaluate({name: value for name, value in values.items() if value is not None})["result"]
    return {rule["id"] for table in answer.values() for rule in table}


@settings(max_examples=150, deadline=None)
@given(facts=st.lists(st.sampled_from(CHOICES), max_size=80).map(dict))
def test_both_engines_fire_the_same_rules_on_random_facts_missing_ones_among_them(decision, facts):
    verdict = IN_FORCE.decide(facts)
    assert fired_by_zen(decision, verdict.values) == {one.rule.id for one in verdict.fired}


@pytest.mark.parametrize("seed", range(3))
def test_both_engines_fire_the_same_rules_where_nearly_everything_is_known(decision, seed):
    rng = np.random.default_rng(seed)
    facts = dict(CHOICES[at] for at in rng.permutation(len(CHOICES)))
    verdict = IN_FORCE.decide(facts)
    fired = {one.rule.id for one in verdict.fired}
    assert fired_by_zen(decision, verdict.values) == fired
    assert len(fired) > 20


def test_zen_holds_every_case_of_every_rule(decision):
    """Facts of a case are in the units of tables, as the engine takes them."""
    versions = {(rule.id, rule.version) for rule in IN_FORCE.rules}
    cases = [case for case in BOOK.cases if (case.rule, case.version) in versions]
    wrong = [case for case in cases if (case.rule in fired_by_zen(decision, case.facts)) != (case.expect == "fires")]
    assert wrong == []
    assert {case.rule for case in cases} == {rule for rule, _ in versions}


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.lists(st.sampled_from(CHOICES), max_size=60).map(dict), min_size=1, max_size=5))
def test_one_by_one_is_as_all_at_once(rows):
    at_once = IN_FORCE.fire(pd.DataFrame(rows, columns=[field.name for field in IN_FORCE.fields], dtype=object))
    for facts, fired in zip(rows, at_once, strict=True):
        ids = {rule.id for rule, fires in zip(IN_FORCE.rules, fired, strict=True) if fires}
        assert {one.rule.id for one in IN_FORCE.decide(facts).fired} == ids


@settings(max_examples=30, deadline=None)
@given(facts=st.lists(st.sampled_from(CHOICES), max_size=60).map(dict))
def test_what_is_undecided_could_fire_and_what_is_silent_could_not(facts):
    verdict = IN_FORCE.decide(facts)
    fired = {one.rule.id for one in verdict.fired}
    for rule, outcomes in zip(IN_FORCE.rules, verdict.trace, strict=True):
        expected = "fires" if all(outcomes) else "silent" if False in outcomes else "undecided"
        told = "fires" if rule.id in fired else "undecided" if rule.id in verdict.undecided else "silent"
        assert told == expected


def test_the_decision_can_be_opened_in_the_editor(decision):
    decision.validate()
    content = to_jdm(IN_FORCE.rules)
    tables = [node for node in content["nodes"] if node["type"] == "decisionTableNode"]
    assert sum(len(node["content"]["rules"]) for node in tables) == len(IN_FORCE.rules)
    assert len({json.dumps(node["position"]) for node in content["nodes"]}) == len(content["nodes"])
