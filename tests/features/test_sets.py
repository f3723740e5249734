from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from typing import Any

import pytest

from data_contracts.errors import DeclarationError
from data_contracts.tables import APPLICATIONS, EVENT_TABLES
from features import sets
from features.aggregates import aggregates
from features.algebra import SOURCES, Aggregate, Feature, FeatureSet, count
from features.bureau import inquiries
from features.online import compile_plan
from features.sets import WINDOWS, feature_set, released, require_released
from features.sources import node_unit
from tests.features.algebra_cases import AS_OF, account, days, due, payment, record

SET = feature_set("application_v1")
PLAN = compile_plan(SET)
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
    with pytest.raises(DeclarationError, match=r"There is no feature set 'v9'; there are: application_v1, behav"):
        feature_set("v9")


def test_every_group_is_there() -> None:
    groups = Counter(feature.group for feature in SET.features)
    assert len(SET.features) >= 320
    assert set(groups) == {"application", "bureau", "consumption", "repayment", "business"}
    assert min(groups.values()) >= 15


LEAST = {
    "tradelines": 40,
    "tradeline_months": 25,
    "inquiries": 25,
    "transactions": 60,
    "card_months": 30,
    "loans": 20,
    "loan_months": 5,
    "instalments": 30,
    "payments": 5,
    "invoices": 15,
}


def test_every_source_is_represented() -> None:
    assert set(LEAST) == set(SOURCES) == {source.name for source in SET.sources}
    found = Counter(name for feature in SET.features for name in {a.source.name for a in aggregates(feature.value)})
    assert {name: found[name] for name, least in LEAST.items() if found[name] < least} == {}


def test_windows_are_few_and_documented() -> None:
    used = {aggregate.days for aggregate in SET.aggregates} - {None}
    assert used == set(WINDOWS)
    told = set(re.findall(r"\d+", (sets.__doc__ or "").split("Windows")[1]))
    assert {str(window) for window in WINDOWS} <= told


def test_no_feature_comes_twice_under_two_names() -> None:
    """Neither the same declaration, nor a feature that only names another one."""
    assert [key for key, times in Counter(f.value.key for f in SET.features).items() if times > 1] == []
    assert [feature.name for feature in SET.features if feature.value.op == "feature"] == []


def test_what_costs_a_sort_a_source_in_sql_is_rare() -> None:
    sorting = ("nth_last", "streak", "longest_streak", "gap_max", "gap_std", "entropy")
    found = Counter(aggregate.source.name for aggregate in SET.aggregates if aggregate.statistic in sorting)
    assert found["transactions"] <= 4
    assert max(found.values()) <= 5


# What a modeller for this lender must find, one or more of each: the words of a name.
BEHAVIOURS = {
    "utilisation": "tradelines_card_used_share card_months_used_bucket tradelines_card_over90_count",
    "ageing": "tradeline_months_late3_count_90d instalments_unpaid_bucket card_months_late90_count_370d",
    "rolling": "tradeline_months_late_streak card_months_late_streak_max card_months_dpd_change",
    "inquiries": "inquiries_acceleration inquiries_kind_entropy_365d inquiries_gap_max_365d inquiries_sought_decayed",
    "credit-seeking": "inquiries_sought_per_opened loans_refused_share_180d inquiries_microloan_count_30d",
    "burden": "loans_service_to_income transactions_debt_to_salary card_months_and_bureau_to_income",
    "salary": "transactions_salary_gap_std_180d transactions_salary_gap_max_180d",
    "risky spending": "transactions_cash_advance_of_spending_90d transactions_night_of_spending_30d"
    " transactions_gambling_of_spending_180d",
    "volatility": "card_months_balance_variation transactions_amount_q90_90d transactions_amount_median_90d",
    "repayment": "instalments_early_share_365d payments_per_instalment instalments_partial_share",
    "strain": "instalments_due_to_income_90d instalments_unpaid_to_income",
    "first payments": "instalments_first_late_share instalments_first_unpaid_count",
    "thin files": "bureau_thin_file transactions_thin_file instalments_thin_file application_thin_file_count",
    "summaries": "application_device_customers application_bureau_utilisation application_debt_ratio",
    "business": "invoices_revenue_trend invoices_void_share_365d invoices_buyer_entropy_365d invoices_age_days",
}


@pytest.mark.parametrize("names", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_behaviour_that_a_lender_looks_at_is_there(names: str) -> None:
    assert set(names.split()) <= set(SET.names)


def value_of(name: str, application: dict[str, Any], **records: list[dict[str, Any]]) -> float:
    tables = {table.name: [] for table in EVENT_TABLES} | records
    return float(PLAN.compute(application, tables, AS_OF)[SET.names.index(name)])


def test_cards_elsewhere_are_used_together() -> None:
    """Two open cards, limits 1,000 and 3,000 CNY, debts 950 and 650; a closed one and a loan do not count."""
    cards = [
        account(kind="card", status="active", credit_limit=100_000, balance=95_000),
        account(kind="card", status="active", credit_limit=300_000, balance=65_000),
        account(kind="card", status="closed", credit_limit=900_000, balance=0),
        account(kind="cash", status="active", amount=500_000, balance=500_000),
    ]
    assert value_of("tradelines_card_used_share", {}, tradelines=cards) == pytest.approx(0.4)
    assert value_of("tradelines_card_used_bucket", {}, tradelines=cards) == 2.0
    assert value_of("tradelines_card_over90_count", {}, tradelines=cards) == 1.0


def test_what_is_due_elsewhere_and_here_weighs_on_the_income() -> None:
    """500 CNY elsewhere, 300 with us and 200 asked for, of 4,000."""
    application = {"income_monthly": 400_000, "instalment_monthly": 20_000}
    elsewhere = [account(status="active", kind="cash", instalment_monthly=50_000)]
    ours = [record("loans", status="granted", instalment_monthly=30_000)]
    assert value_of("loans_service_to_income", application, tradelines=elsewhere, loans=ours) == 0.25
    absent = PLAN.compute(application, {"loans": ours}, AS_OF)
    assert absent[SET.names.index("loans_service_to_income")] == 0.125


def test_thin_files_are_counted_and_an_absent_source_is_thin() -> None:
    assert value_of("application_thin_file_count", {}) == 3.0
    accounts = [account(status="active", kind="cash"), account(status="closed", kind="cash")]
    assert value_of("application_thin_file_count", {}, tradelines=accounts) == 2.0
    assert PLAN.compute({}, {}, AS_OF)[SET.names.index("application_thin_file_count")] == 3.0
    assert math.isnan(PLAN.compute({}, {}, AS_OF)[SET.names.index("bureau_thin_file")])


def test_what_is_unpaid_falls_into_a_bucket() -> None:
    paid, unpaid = due(days(50), 10_000, "i1"), due(days(45), 10_000, "i2")
    payments = [payment(days(50), 10_000)]
    assert value_of("instalments_unpaid_bucket", {}, instalments=[paid], payments=payments) == 0.0
    assert value_of("instalments_unpaid_bucket", {}, instalments=[paid, unpaid], payments=payments) == 2.0


def test_sales_count_without_what_is_void_and_less_what_came_back() -> None:
    sold = [
        record("invoices", days(10), direction="sale", status="valid", amount=80_000),
        record("invoices", days(100), direction="sale", status="valid", amount=-10_000),
        record("invoices", days(20), direction="sale", status="void", amount=50_000),
        record("invoices", days(20), direction="purchase", status="valid", amount=30_000),
    ]
    assert value_of("invoices_revenue_sum_365d", {}, invoices=sold) == 700.0
    assert value_of("invoices_purchase_to_revenue", {}, invoices=sold) == pytest.approx(3 / 7)
    assert value_of("invoices_void_share_365d", {}, invoices=sold) == pytest.approx(1 / 3)
    assert value_of("invoices_return_to_revenue", {}, invoices=sold) == pytest.approx(1 / 8)
    assert value_of("invoices_requested_to_revenue", {"amount_requested": 140_000}, invoices=sold) == 2.0


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


# Reasons whose words name a subject and blame nobody: they fit where much and where little of it speaks against.
NEUTRAL = (
    "R01 R02 R03 R05 R06 R07 R08 R09 R10 R13 R14 R15 R20 R21 R23 R24 R25 R29 R30"
    " R41 R42 R44 R45 R47 R49 R50 R51 R62 R63 R64 R66 R70 R71 R72 R73"
)
BLAMING = "R04 R11 R12 R22 R26 R27 R28 R40 R43 R46 R48 R60 R61 R65 R67 R68 R74"


def test_a_feature_without_a_direction_has_a_reason_that_fits_both() -> None:
    """Where little and much can both speak against an applicant, the reason must fit both."""
    neutral = set(NEUTRAL.split())
    assert {f.name: f.reason.code for f in SET.features if f.risk == 0 and f.reason.code not in neutral} == {}


def test_a_reason_that_says_which_side_speaks_against_is_not_called_neutral() -> None:
    """A new reason must be put on one of the two lists, and one that says low, high or late is not neutral."""
    reasons = {feature.reason.code: feature.reason for feature in SET.features}
    assert sorted(f"{NEUTRAL} {BLAMING}".split()) == sorted(reasons)
    one_sided = re.compile(
        r"\b(low|high|few|many|lacking|late|largely|heavily|refused|irregular|risky|night)\b(?!.*\bif ever\b)",
        re.IGNORECASE,
    )
    texts = {code: (reasons[code].en, reasons[code].zh) for code in NEUTRAL.split()}
    assert {code: en for code, (en, _) in texts.items() if one_sided.search(en)} == {}
    sides = re.compile("偏低|偏高|较低|较高|较少|较重|频繁|缺少|夜间|不规律|高风险|被拒|未足额|逾期(?!（如有）)")
    assert {code: zh for code, (_, zh) in texts.items() if sides.search(zh)} == {}


def test_words_on_lateness_say_who_counts_as_late() -> None:
    """What is not yet paid counts too, so none of it is "paid late"; 套现 would accuse whoever draws cash."""
    assert [f.name for f in SET.features if "paid late" in f.en + f.reason_en or "套现" in f.zh + f.reason_zh] == []
    late = {f.name: f for f in SET.features if re.search(r"^tradeline_months_late\d_", f.name)}
    days = {"1": ("1 to 30 days", "1至30天"), "2": ("31 to 60 days", "31至60天"), "3": ("61 to 90 days", "61至90天")}
    assert len(late) == 12
    for name, said in late.items():
        bucket = name.removeprefix("tradeline_months_late")[0]
        en, zh = days[bucket]
        assert f"bucket {bucket} ({en}) or worse" in said.en
        assert f"{bucket}档（{zh}）及以上" in said.zh


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
        for part in feature.value.walk()
        if part.op == "column" and part.args[0] == "applications"
    }
    assert len(read) > 30
    assert read.isdisjoint(protected)
