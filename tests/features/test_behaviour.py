"""The behaviour set: what it says of a card, worked out by hand, and the same in both engines."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.folder import write_tables
from features import batch
from features.algebra import Aggregate, Feature
from features.online import compile_plan
from features.sets import WINDOWS, feature_set
from tests.features.algebra_cases import record
from tests.random_records import AS_OF as RANDOM_AS_OF
from tests.random_records import applicant, frames

SET = feature_set("behaviour_v2")
EDUCATION = "application_education_is_"
PLAN = compile_plan(SET)
AS_OF = datetime(2024, 9, 30, 16)
FEATURES = pytest.mark.parametrize("feature", SET.features, ids=lambda feature: feature.name)


def month_end(back: int) -> datetime:
    """The last day of the month, `back` months before September 2024, at midnight in China."""
    year, month = divmod(2024 * 12 + 9 - back, 12)
    return datetime(year, month + 1, 1) - timedelta(days=1, hours=8)


def statement(back: int, **values: Any) -> dict[str, Any]:
    return record("card_months", month_end(back), card_id="k", **values)


def values_of(records: list[dict[str, Any]], as_of: datetime = AS_OF) -> dict[str, float]:
    return dict(zip(SET.names, PLAN.compute({}, {"card_months": records}, as_of).tolist(), strict=True))


# September back to March: 60 days late, late, carried, paid in full, unused, paid in full; then a year before that.
HISTORY = [
    statement(0, status="late", dpd=60, balance=90_000, paid=0, credit_limit=100_000),
    statement(1, status="late", dpd=30, balance=80_000, paid=10_000, credit_limit=100_000),
    statement(2, status="carried", dpd=0, balance=60_000, paid=5_000, credit_limit=100_000),
    statement(3, status="paid_in_full", dpd=0, balance=20_000, paid=0, credit_limit=100_000),
    statement(4, status="unused", balance=0, paid=40_000, credit_limit=100_000),
    statement(5, status="paid_in_full", dpd=0, balance=40_000, paid=30_000, credit_limit=100_000),
    statement(18, status="late", dpd=120, balance=30_000, paid=0, credit_limit=50_000),
]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("card_months_late_days_nth1", 60),
        ("card_months_late_days_nth2", 30),
        ("card_months_late_days_nth5", 0),  # without debt nothing is late, and no month is passed over
        ("card_months_late_days_max_95d", 60),
        ("card_months_late_days_max_730d", 120),
        ("card_months_late_days_sum_190d", 90),
        ("card_months_late30_share_190d", 2 / 6),
        ("card_months_late30_count", 3),
        ("card_months_late60_count", 2),
        ("card_months_late30_streak", 2),
        ("card_months_late30_days_since", 1),
        ("card_months_unused_nth5", 1),
        ("card_months_unused_nth4", 0),
        ("card_months_paid_in_full_nth4", 1),
        ("card_months_carried_nth3", 1),
        ("card_months_paid_in_full_share_190d", 2 / 6),
        ("card_months_paid_in_full_streak", 0),
        ("card_months_paid_in_full_streak_max", 1),
        ("card_months_unused_days_since", 1 + 30 + 31 + 31 + 30),
        ("card_months_number", 7),
        ("card_months_age_days", 550),
        ("card_months_status_entropy_190d", -(4 / 6 * np.log(2 / 6) + 2 / 6 * np.log(1 / 6))),
        ("card_months_limit", 1_000),
        ("card_months_bill_nth3", 600),
        ("card_months_utilisation_nth1", 0.9),
        ("card_months_utilisation_mean_95d", (0.9 + 0.8 + 0.6 + 0.2) / 4),  # three months and the day after
        ("card_months_paid_to_limit_nth2", 0.1),
        ("card_months_paid_of_bill_nth2", 100 / 600),
        ("card_months_paid_of_bill_nth4", np.nan),  # nothing was owed on the bill before
        ("card_months_spent_to_limit_nth2", (800 - 600 + 100) / 1_000),
        ("card_months_spent_sum_to_limit_190d", (900 - 400 + 850) / 1_000),
        ("card_months_payment_share_190d", 4 / 6),
        ("card_months_paid_to_bills_190d", 850 / 2_900),
    ],
)
def test_worked_out_by_hand(name: str, answer: float) -> None:
    np.testing.assert_allclose(values_of(HISTORY)[name], answer, rtol=1e-12)


def test_where_the_feed_tells_the_status_alone_amounts_are_missing() -> None:
    bare = [statement(back, status="carried", dpd=1) for back in range(8)]
    found = values_of(bare)
    assert found["card_months_carried_streak"] == 8
    assert found["card_months_late30_count"] == 0  # 1 to 29 days are not told from a payment on its day
    amounts = [f.name for f in SET.features if re.search(r"_(bill|limit|utilisation)", f.name)]
    assert all(np.isnan(found[name]) for name in amounts)


def test_a_statement_known_after_as_of_is_not_seen() -> None:
    later = [statement(-1, status="late", dpd=90, balance=99_000, paid=0, credit_limit=100_000)]
    late_news = [dict(statement(1, status="unused", dpd=None), known_at=AS_OF + timedelta(microseconds=1))]
    before, after = values_of(HISTORY), values_of([*HISTORY, *later, *late_news])
    np.testing.assert_array_equal(list(before.values()), list(after.values()))


def test_without_a_statement_nothing_is_made_up() -> None:
    empty = values_of([])
    zero = ("_sum_", "_count", "_streak", "_number", "_decayed")
    assert {name for name, value in empty.items() if value == 0} >= {n for n in empty if "streak" in n}
    assert all(np.isnan(value) for name, value in empty.items() if not any(word in name for word in (*zero, EDUCATION)))
    nothing = dict(zip(SET.names, PLAN.compute({}, {}, AS_OF), strict=True))
    assert all(np.isnan(value) for name, value in nothing.items() if EDUCATION not in name)


def test_batch_equals_online(tmp_path: Path) -> None:
    rng = np.random.default_rng(31)
    applicants = [applicant(rng, at, most=(2, 12, 40)[at % 3]) for at in range(200)]
    tables = {name: frame for name, frame in frames(applicants).items() if name in ("applications", "card_months")}
    folder = write_tables(tmp_path / "tables", tables, lender="random", dates="relative")
    together = batch.compute(folder, SET).to_numpy()
    alone = np.stack([PLAN.compute(row, records, RANDOM_AS_OF) for row, records in applicants])
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-9)
    assert (~np.isnan(alone)).any(axis=0).all()


def test_it_reads_card_statements_and_education_and_nothing_else() -> None:
    assert SET.tables == ("applications", "card_months")
    columns = {p.args for f in SET.features for p in f.value.walk() if p.op == "column"}
    assert {column for column in columns if column[0] != "card_months"} == {("applications", "education")}
    assert SET.permits == ()


def test_only_lateness_has_a_direction() -> None:
    directed = {feature.name for feature in SET.features if feature.risk}
    assert all(re.search(r"_late(30|60)?_", name) for name in directed)
    assert {feature.risk for feature in SET.features} == {0, 1}


def test_the_second_version_demands_no_direction_of_earlier_statements_and_changes_nothing_else() -> None:
    first, second = (feature_set(name).features for name in ("behaviour_v1", "behaviour_v2"))
    changed = {before.name: (before.risk, after.risk) for before, after in zip(first, second, strict=True)
               if before.spec() != after.spec()}  # fmt: skip
    assert changed == {f"card_months_late_days_nth{k}": (1, 0) for k in range(2, 7)}
    assert all(before.value is after.value for before, after in zip(first, second, strict=True))


def test_a_feature_without_a_direction_has_a_reason_that_fits_both() -> None:
    assert {f.reason.code for f in SET.features if f.risk == 0} == {"R06", "R45", "R49", "R52", "R53", "R54", "R55"}
    assert {f.reason.code for f in SET.features if f.risk == 1} == {"R46"}


def test_reasons_have_one_text_in_all_sets() -> None:
    reasons = {f.reason for name in ("application_v1", "behaviour_v2") for f in feature_set(name).features}
    assert [code for code, times in Counter(reason.code for reason in reasons).items() if times > 1] == []


def test_a_name_means_the_same_in_all_sets() -> None:
    other = {feature.name: feature.value.key for feature in feature_set("application_v1").features}
    shared = {
        feature.name for feature in SET.features if other.get(feature.name, feature.value.key) != feature.value.key
    }
    assert shared == set()


def test_no_two_features_are_alike() -> None:
    for of in (lambda f: f.en, lambda f: f.zh, lambda f: f.value.key):
        assert [told for told, times in Counter(map(of, SET.features)).items() if times > 1] == []


@FEATURES
def test_what_people_read_is_given_in_both_languages(feature: Feature) -> None:
    assert feature.en.isascii()
    assert feature.reason_en.isascii()
    assert re.search(r"[\u4e00-\u9fff]", feature.zh)
    assert re.search(r"[\u4e00-\u9fff]", feature.reason_zh)
    assert feature.unit
    assert feature.missing


@FEATURES
def test_windows_are_the_shared_ones_and_said(feature: Feature) -> None:
    if isinstance(feature.value, Aggregate) and feature.value.days is not None:
        assert feature.value.days in WINDOWS
        assert feature.name.endswith(f"_{feature.value.days}d")
        assert re.search(rf"\b{feature.value.days}\b", feature.en)
        assert f"{feature.value.days}天" in feature.zh
