from __future__ import annotations

import pytest

from data_contracts.tables import APPLICATIONS
from evaluation.protected import protected_uses
from features.algebra import Feature, FeatureSet, Node, Reason, feature
from features.sets import feature_set

REASON = Reason("AGE", "Age", "年龄")


def test_no_set_reads_a_protected_attribute_but_by_permission():
    for name in ("application_v1", "behaviour_v1"):
        uses = protected_uses(feature_set(name))
        assert {use.column for use in uses} == {column.name for column in APPLICATIONS.columns if column.protected}
        assert all(use.absent and not use.permitted for use in uses)
    uses = {use.column: use for use in protected_uses(feature_set("bureau_summary_v1"))}
    assert uses["age_years"].permitted
    assert uses["age_years"].read_by
    assert uses["gender"].absent


def test_reading_through_another_feature_is_reading():
    age = Feature("age", Node("column", "applications", "age_years"), "Age", "年龄", "years", REASON, "application")
    twice = Feature("age_twice", feature("age") * 2, "Age twice", "年龄两倍", "years", REASON, "application")
    uses = {use.column: use for use in protected_uses(FeatureSet("aged", 1, (age, twice), ("age_years",)))}
    assert uses["age_years"].read_by == ("age", "age_twice")


@pytest.mark.parametrize(
    ("name", "en", "zh"),
    [
        (
            "application_v1",
            "age (applications.age_years): no feature reads it.",
            "年龄（applications.age_years）：没有任何特征读取。",
        ),
        (
            "bureau_summary_v1",
            "the set permits it by name, and compliance must allow it",
            "特征集声明允许；须经合规审查",
        ),
    ],
)
def test_statements_say_it_in_both_languages(name, en, zh):
    statement = next(use.statement for use in protected_uses(feature_set(name)) if use.column == "age_years")
    assert en in statement.en
    assert zh in statement.zh
