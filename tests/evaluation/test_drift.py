from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom, mannwhitneyu

from data_contracts.errors import BundleError
from evaluation.drift import compare, discovery_limit, psi
from evaluation.drift.chances import chances
from evaluation.drift.kernel import tail
from training.reference import Reference

MISSING = np.linspace(0, 0.9, 10)


def applicants(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Thirty features: ten normal, ten counts, ten with more and more missing."""
    sparse = rng.normal(size=(n, 10))
    sparse[rng.random((n, 10)) < MISSING] = np.nan
    values = np.hstack([rng.normal(size=(n, 10)), rng.poisson(0.3, (n, 10)), sparse])
    return pd.DataFrame(values, columns=[f"f{k:02d}" for k in range(30)])


@pytest.fixture(scope="module")
def reference() -> Reference:
    rng = np.random.default_rng(0)
    return Reference.from_frame(applicants(rng, 10_000), rng.normal(size=10_000))


def one(then: list[float], now: list[float], **options):
    """Compare one feature whose score does not move."""
    reference = Reference.from_frame(pd.DataFrame({"x": then}), np.arange(len(then)) % 10)
    return compare(reference, pd.DataFrame({"x": now}), np.arange(len(now)) % 10, **options)


def test_psi_by_hand():
    then, now = np.array([60.5, 40.5]) / 101, np.array([30.5, 70.5]) / 101
    assert psi([60, 40], [30, 70]) == pytest.approx(((now - then) * np.log(now / then)).sum())
    assert psi([10, 0], [20, 0]) == 0.0
    assert np.isfinite(psi([10, 0], [0, 10]))


def fisher(now: int, then: int, m: int, n: int) -> float:
    """Twice the smaller tail of `now` of `m` beside `then` of `n`."""
    law = hypergeom(n + m, then + now, m)
    return min(1.0, 2 * min(law.sf(now - 1), law.cdf(now)))


def test_two_values_are_tested_exactly():
    result = one([0.0] * 600 + [1.0] * 400, [0.0] * 110 + [1.0] * 90)
    assert result.features[0].p_value == pytest.approx(fisher(90, 400, 200, 1000), rel=1e-9)
    assert result.features[0].aspect == "level"
    assert result.verdict == "stable"


def test_missing_values_are_tested_exactly():
    """Three missing of 200 where one of 2,000 was; the others are all alike, so that nothing else is tested."""
    result = one([1.0] * 1999 + [np.nan], [1.0] * 197 + [np.nan] * 3)
    assert result.features[0].p_value == pytest.approx(fisher(3, 1, 200, 2000), rel=1e-9)
    assert result.features[0].aspect == "missing"
    assert result.features[0].missing_rate == 0.015
    assert result.features[0].reference_missing_rate == 0.0005


def test_level_is_the_rank_sum_test_and_shape_the_least_likely_bin():
    then, now = [500, 300, 150, 50, 0], [110, 80, 45, 15, 0]
    found = chances([then], [now])
    values = np.arange(4)
    ranked = mannwhitneyu(np.repeat(values, now[:4]), np.repeat(values, then[:4]), use_continuity=False)
    assert found.level[0] == pytest.approx(ranked.pvalue, rel=0.05)  # normal, without correction for steps
    shape = 4 * min(fisher(k, n, 250, 1000) for k, n in zip(now, then, strict=True) if k)
    assert found.shape[0] == pytest.approx(shape, rel=1e-9)
    assert np.isnan(found.missing[0])
    assert found.overall[0] == pytest.approx(2 * min(found.level[0], shape))
    assert np.isnan(chances([then], [now], ordered=False).level[0])


def test_the_exact_chance_is_that_of_the_hypergeometric_law():
    rng = np.random.default_rng(23)
    for _ in range(300):
        kind, others = rng.integers(0, 400), rng.integers(1, 4000)
        draws = int(rng.integers(1, kind + others))
        drawn = int(rng.hypergeometric(kind, others, draws)) if rng.random() < 0.7 else max(0, draws - int(others))
        expected = fisher(drawn, int(kind) - drawn, draws, int(kind + others) - draws)
        assert tail(drawn, kind, others, draws) == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_values_are_counted_as_the_reference_counts_them():
    rng = np.random.default_rng(29)
    then = pd.DataFrame({"a": rng.normal(size=500), "b": rng.integers(0, 3, 500).astype(float), "c": 7.0, "d": np.nan})
    reference = Reference.from_frame(then, rng.normal(size=500))
    odd = [np.nan, np.inf, -np.inf, 0.0, 1.0, 7.0, np.nextafter(7.0, 8.0), *reference.features[0].edges]
    now = pd.DataFrame(dict.fromkeys("abcd", odd * 10))
    for row, described in zip(compare(reference, now, np.zeros(len(now))).features, reference.features, strict=True):
        assert row.actual == tuple(described.counts(now[row.name]))
        assert row.outside_range == described.outside(now[row.name]) / len(now)


@pytest.mark.parametrize(("n", "reference_rows"), [(100, 2000), (5000, 5000)])
@pytest.mark.parametrize(
    "shares", [[0.1] * 10, [0.97, 0.02, 0.01], [0.74, 0.22, 0.036, 0.004], [0.98, 0.02], [0.3, 0.05, 0.05, 0.6]]
)
def test_chances_hold_for_skewed_and_rare_bins(n, reference_rows, shares):
    rng = np.random.default_rng(17)
    none = np.zeros((40_000, 1), dtype=np.int64)
    drawn = [np.hstack([rng.multinomial(rows, shares, 40_000), none]) for rows in (reference_rows, n)]
    p_values = chances(*drawn).overall
    assert (p_values <= 0.01).mean() <= 0.011
    assert (p_values <= 0.001).mean() <= 0.0014


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ([0.0] * 5000, [1.0] * 500),
        ([1.0] * 5000, [np.nan] * 500),
        ([np.nan] * 5000, [1.0] * 500),
        ([0.0, 1.0] * 2500, [0.0] * 500),
    ],
)
def test_a_feature_that_broke_has_drifted(then, now):
    assert one(then, now).verdict == "drifted"


def test_no_drift_rarely_fires(reference):
    rng = np.random.default_rng(1)
    days = 300
    alarms = dict.fromkeys((150, 1000), 0)
    for n in alarms:
        for _ in range(days // 2):
            result = compare(reference, applicants(rng, n), rng.normal(size=n), floor=0.0)
            alarms[n] += result.verdict == "drifted"
    assert sum(alarms.values()) <= 0.02 * days


def test_a_quarter_of_a_standard_deviation_is_found_and_named(reference):
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(40):
        now = applicants(rng, 2000)
        now["f03"] += 0.25
        found += [row.name for row in compare(reference, now, rng.normal(size=2000)).drifted] == ["f03"]
    assert found >= 38


def test_significant_but_tiny_is_stable():
    rng = np.random.default_rng(3)
    then, now = rng.normal(size=400_000), rng.normal(0.03, 1, 400_000)
    result = one(then.tolist(), now.tolist())
    assert result.features[0].p_value < 1e-6
    assert result.features[0].psi < 0.01
    assert result.verdict == "stable"


def test_score_drift_alone_is_drift(reference):
    rng = np.random.default_rng(14)
    result = compare(reference, applicants(rng, 1000), rng.normal(0.6, 1, 1000))
    assert result.verdict == "drifted"
    assert result.score.drifted
    assert not result.drifted
    assert result.score.psi > result.score.psi_threshold


def test_few_rows_get_no_verdict(reference):
    rng = np.random.default_rng(5)
    for n in (0, 1, 99):
        result = compare(reference, applicants(rng, n) + 9, np.full(n, 9.0))
        assert result.verdict == "too_few_rows"
        assert {row.verdict for row in result.features} == {"too_few_rows"}
        json.loads(result.to_json())


def test_threshold_shrinks_with_rows(reference):
    rng = np.random.default_rng(6)
    thresholds = [
        compare(reference, applicants(rng, n), rng.normal(size=n)).features[0].psi_threshold for n in (200, 1000, 5000)
    ]
    assert thresholds[0] > 0.1 > thresholds[1] > thresholds[2] > 0.01


def test_order_of_rows_and_columns_does_not_matter(reference):
    rng = np.random.default_rng(7)
    now, scores = applicants(rng, 500), rng.normal(size=500)
    order = rng.permutation(500)
    text = compare(reference, now, scores).to_json()
    assert compare(reference, now.iloc[order, ::-1], scores[order]).to_json() == text
    facts = json.loads(text)
    assert facts["rows"] == 500
    assert facts["score_psi"] == facts["score"]["psi"]
    asked = {"name", "psi", "p_value", "drifted", "missing_rate", "reference_missing_rate"}
    assert all(asked <= set(row) for row in facts["features"])
    assert [row["name"] for row in facts["features"]] == list(reference.names)


def test_discovery_limit_by_hand():
    assert discovery_limit([0.01, 0.02, 0.03, 0.9], 0.05) == pytest.approx(0.0375)
    assert discovery_limit([0.5, 0.9], 0.05) == pytest.approx(0.025)
    assert discovery_limit([], 0.05) == 0.05


def test_other_features_are_refused(reference):
    with pytest.raises(BundleError, match=r"lack 30 features.*'f00'"):
        compare(reference, pd.DataFrame({"x": [1.0]}), [0.0])
    with pytest.raises(ValueError, match="give one a row"):
        compare(reference, applicants(np.random.default_rng(0), 5), [0.0])
