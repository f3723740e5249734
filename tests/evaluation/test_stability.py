from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.drift import psi
from evaluation.stability import drift_over_time, drift_table, gini_stability
from training.reference import Reference


def months_of_loans(strengths, n=600, seed=3):
    """Loans of as many months, whose score ranks each month as strongly as told."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n * len(strengths))
    strength = np.repeat(strengths, n)
    return y, strength * y + rng.normal(size=len(y)), np.repeat([f"2024-{m + 1:02d}" for m in range(len(strengths))], n)


def test_figure_equals_the_competitions_own():
    """The competition's metric: Gini by week, a line through them by least squares."""
    y, score, month = months_of_loans([1.5, 1.0, 1.2, 0.6])
    ginis = [2 * roc_auc_score(y[month == name], score[month == name]) - 1 for name in np.unique(month)]
    x = np.arange(4)
    slope, intercept = np.polyfit(x, ginis, 1)
    spread = np.std(np.array(ginis) - (slope * x + intercept))
    found = gini_stability(y, score, month)
    assert found.figure.value == pytest.approx(np.mean(ginis) + 88 * min(0, slope) - 0.5 * spread, abs=1e-9)
    assert (found.slope, found.residual_std) == pytest.approx((slope, spread))
    assert [one.gini.value for one in found.periods] == pytest.approx(ginis)
    assert found.figure.low < found.figure.value < found.figure.high


def test_a_rising_gini_is_not_rewarded():
    y, score, month = months_of_loans([0.2, 0.8, 1.6])
    found = gini_stability(y, score, month)
    assert found.slope > 0.1
    assert found.figure.value == pytest.approx(found.mean - 0.5 * found.residual_std)


def test_a_falling_gini_costs_more_than_chance():
    y, score, month = months_of_loans([2.0, 1.4, 0.8, 0.2], n=2000)
    steady = gini_stability(*months_of_loans([1.1] * 4, n=2000))
    assert gini_stability(y, score, month).figure.high < steady.figure.low


def test_interval_follows_the_seed():
    loans = months_of_loans([1.0, 1.1, 0.9])
    assert gini_stability(*loans, seed=1) == gini_stability(*loans, seed=1)
    assert gini_stability(*loans, seed=1).figure != gini_stability(*loans, seed=2).figure


def test_month_of_one_class_keeps_its_place():
    y, score, month = months_of_loans([1.5, 1.5, 1.0, 0.8])
    y[month == "2024-02"] = 0
    found = gini_stability(y, score, month)
    ginis = [one.gini.value for one in found.periods if one.gini.defined]
    assert found.slope == pytest.approx(np.polyfit([0, 2, 3], ginis, 1)[0])
    assert "1 periods of one class left out" in found.figure.note
    assert "1个时期只有一个类别" in found.figure.note_zh


def test_one_month_only_says_so():
    found = gini_stability(*months_of_loans([1.0]))
    assert found.figure.value is None
    assert found.figure.note == "1 periods with both classes, 3 are needed"
    assert found.periods[0].gini.defined
    assert gini_stability([0, 0], [1, 2], ["a", "b"]).figure.note == "every row is of one class"


@pytest.fixture(scope="module")
def applicants():
    """A year of applicants; in the last quarter income is reported in another unit and one column falls silent."""
    rng = np.random.default_rng(1)
    n = 6000
    month = np.repeat([f"2024-{m:02d}" for m in range(1, 13)], n // 12)
    features = pd.DataFrame(rng.normal(size=(n, 20)), columns=[f"f{k:02d}" for k in range(20)])
    late = month >= "2024-10"
    features.loc[late, "f03"] *= 10
    features.loc[late & (rng.random(n) < 0.5), "f07"] = np.nan
    return features, rng.normal(size=n) + 0.6 * late, month


def test_drift_is_found_in_its_months_and_features(applicants):
    features, score, month = applicants
    early = month < "2024-07"
    found = drift_over_time(Reference.from_frame(features[early], score[early]), features, score, month)
    assert [one.period for one in found] == sorted(set(month))
    for one in found:
        late = one.period >= "2024-10"
        assert {row.name for row in one.result.drifted} == ({"f03", "f07"} if late else set())
        assert one.drifted_features.value == (0.1 if late else 0.0)
        assert (one.score_psi.low > 0.1) == late
        assert "without drift it would be about 0.02" in one.score_psi.note
    table = drift_table(found)
    assert len(table) == 12 * 21
    broken = table[(table["feature"] == "f07") & (table["period"] == "2024-11")].iloc[0]
    assert broken["missing_rate"] == pytest.approx(0.5, abs=0.07)
    assert broken["psi"] > broken["psi_threshold"]


def test_psi_of_the_score_is_that_of_its_bins():
    then, now = [0.0] * 50 + [1.0] * 50, [0.0] * 80 + [1.0] * 40
    reference = Reference.from_frame(pd.DataFrame({"x": then}), then)
    (found,) = drift_over_time(reference, pd.DataFrame({"x": now}), now, ["2024-05"] * 120)
    assert found.score_psi.value == pytest.approx(psi([50, 50], [80, 40]))
    assert 0 <= found.score_psi.low < found.score_psi.value < found.score_psi.high


def test_few_rows_of_a_month_have_no_share():
    then = np.arange(200.0)
    reference = Reference.from_frame(pd.DataFrame({"x": then}), then)
    (found,) = drift_over_time(reference, pd.DataFrame({"x": then[:50]}), then[:50], ["2024-05"] * 50)
    assert (found.drifted_features.value, found.drifted_features.note) == (None, "50 rows, at least 100 are needed")
    assert drift_table([]).empty
