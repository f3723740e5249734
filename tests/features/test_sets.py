from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest

from data_contracts.errors import DeclarationError
from data_contracts.tables import APPLICATIONS
from features.algebra import SOURCES, Aggregate, Feature, FeatureSet, count
from features.bureau import inquiries
from features.checks import node_unit
from features.sets import feature_set, released, require_released

SET = feature_set("application_v1")
FEATURES = pytest.mark.parametrize("feature", SET.features, ids=lambda feature: feature.name)
PREFIXES = tuple(sorted({"application", "bureau", *SOURCES}))


@pytest.mark.parametrize("name", released())
def test_a_released_set_says_what_it_said_when_it_was_released(name: str) -> None:
    require_released(feature_set(name), released())  # raises with the way out, before the plain comparison
    assert feature_set(name).identity == released()[name]


def test_released_identities_are_full_hashes() -> None:
    assert released()
    assert all(re.fullmatch(r"[0-9a-f]{64}", identity) for identity in released().values())


@pytest.mark.parametrize(
    "change",
    [
        {"en": "Other words"},
        {"zh": "别的"},
        {"unit": "days"},
        {"risk": -1},
        {"missing": "otherwise"},
        {"name": "renamed"},
        {"value": count(inquiries, days=8)},
        {"value": count(inquiries, where=inquiries.reason == "self", days=7)},
    ],
    ids=lambda change: "-".join(change),
)
def test_any_change_of_a_released_set_is_refused_with_the_way_out(change: dict[str, object]) -> None:
    before = Feature("asked", count(inquiries, days=7), "Asked", "查询", "count", SET.features[0].reason, "bureau")
    one = FeatureSet("one_v1", 1, (before,))
    other = FeatureSet("one_v1", 1, (dataclasses.replace(before, **change),))
    require_released(one, {"one_v1": one.identity})
    with pytest.raises(DeclarationError) as raised:
        require_released(other, {"one_v1": one.identity})
    message = str(raised.value)
    assert f"one_v1 was released as {one.identity}" in message
    assert f"now hash to {other.identity}" in message
    assert "declare what is new as the next version in features/sets.py" in message
    assert f'put "one_v1": "{other.identity}" into features/released.json' in message


def test_order_and_version_are_part_of_the_identity() -> None:
    first, second = SET.features[:2]
    sets = [
        FeatureSet("s", 1, (first, second)),
        FeatureSet("s", 1, (second, first)),
        FeatureSet("s", 2, (first, second)),
    ]
    assert len({one.identity for one in sets}) == 3


def test_the_same_declarations_have_the_same_identity() -> None:
    assert FeatureSet(SET.name, SET.version, SET.features).identity == SET.identity


def test_a_set_that_is_not_released_may_change() -> None:
    changed = FeatureSet("draft", 1, SET.features)
    assert changed.identity != SET.identity
    require_released(changed, released())


def test_an_unknown_set_is_refused_with_those_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"There is no feature set 'v9'; there are: application_v1\."):
        feature_set("v9")


def test_every_group_is_there() -> None:
    groups = Counter(feature.group for feature in SET.features)
    assert len(SET.features) >= 60
    assert set(groups) == {"application", "bureau", "consumption", "repayment"}
    assert min(groups.values()) >= 10


@FEATURES
def test_what_people_read_is_given_in_both_languages(feature: Feature) -> None:
    assert feature.en.isascii()
    assert feature.reason_en.isascii()
    for text in (feature.zh, feature.reason_zh):
        assert re.search(r"[\u4e00-\u9fff]", text), text
    assert feature.unit
    assert feature.missing
    assert re.fullmatch(r"R\d\d", feature.reason.code)


def test_no_two_features_are_described_alike() -> None:
    for language in ("en", "zh"):
        texts = Counter(getattr(feature, language) for feature in SET.features)
        assert [text for text, times in texts.items() if times > 1] == []


def test_a_reason_code_has_one_text() -> None:
    reasons = {feature.reason for feature in SET.features}
    assert len({reason.code for reason in reasons}) == len(reasons)


@FEATURES
def test_names_say_source_and_window(feature: Feature) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", feature.name)
    assert feature.name.startswith(tuple(f"{prefix}_" for prefix in PREFIXES))
    if isinstance(feature.value, Aggregate):
        assert feature.name.startswith(f"{feature.value.source.name}_")
        assert feature.group == feature.value.source.group
        window = re.search(r"_(\d+)d$", feature.name)
        assert (int(window[1]) if window else None) == feature.value.days
        assert feature.value.last is None or f"last{feature.value.last}" in feature.name


@FEATURES
def test_descriptions_say_the_window(feature: Feature) -> None:
    if isinstance(feature.value, Aggregate) and feature.value.days is not None:
        assert re.search(rf"\b{feature.value.days}\b", feature.en), feature.en
        assert f"{feature.value.days}天" in feature.zh


@FEATURES
def test_amounts_are_said_to_be_cny(feature: Feature) -> None:
    value = feature.value
    if isinstance(value, Aggregate) and value.value is not None and value.statistic != "distinct":
        assert (node_unit(value.value) == "fen") == feature.unit.startswith("CNY")


def test_no_feature_reads_a_protected_column() -> None:
    protected = {column.name for column in APPLICATIONS.columns if column.protected}
    assert protected >= {"age_years", "gender", "marital_status"}
    read = {
        part.args[1]
        for feature in SET.features
        if not isinstance(feature.value, Aggregate)
        for part in feature.value.walk()
        if part.op == "column"
    }
    assert read.isdisjoint(protected)
