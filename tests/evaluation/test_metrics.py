from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from evaluation import metrics


@pytest.fixture(scope="module")
def sample():
    """4,000 applicants whose PD is true."""
    rng = np.random.default_rng(7)
    log_odds = rng.normal(-2, 1, 4000)
    pd = 1 / (1 + np.exp(-log_odds))
    return (rng.random(4000) < pd).astype(int), pd


def test_figures_equal_sklearn(sample):
    y, pd = sample
    found = metrics.evaluate(y, pd)
    false, true, _ = sk.roc_curve(y, pd)
    assert found["auc"].value == pytest.approx(sk.roc_auc_score(y, pd), abs=1e-12)
    assert found["gini"].value == pytest.approx(2 * sk.roc_auc_score(y, pd) - 1, abs=1e-12)
    assert found["ks"].value == pytest.approx(np.max(true - false), abs=1e-12)
    assert found["brier"].value == pytest.approx(sk.brier_score_loss(y, pd), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(sk.log_loss(y, pd), abs=1e-12)
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(pd / (1 - pd))[:, None], y)
    assert found["calibration_slope"].value == pytest.approx(line.coef_[0, 0], abs=1e-5)
    assert found["calibration_intercept"].value == pytest.approx(line.intercept_[0], abs=1e-5)


def test_auc_counts_ties_half():
    assert metrics.auc([0, 1, 0, 1], [0.2, 0.2, 0.1, 0.3]).value == (1 + 1 + 0.5 + 1) / 4


def test_delong_equals_its_definition():
    """Variance of the placements over each class, written out pair by pair."""
    y, score = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.35, 0.8])
    wins = (score[y == 1][:, None] > score[y == 0][None]).astype(float)
    spread = np.sqrt(wins.mean(axis=1).var(ddof=1) / 2 + wins.mean(axis=0).var(ddof=1) / 3)
    found = metrics.auc(y, score)
    assert found.value == pytest.approx(5 / 6)
    assert found.low == pytest.approx(5 / 6 - 1.959964 * spread, abs=1e-6)
    assert found.high == 1.0  # cut at the largest possible


def test_auc_interval_covers_the_truth():
    """Two normals a standard deviation apart: AUC is Phi(1 / sqrt 2) = 0.76025."""
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [300, 100])
    covered = 0
    for _ in range(200):
        found = metrics.auc(y, rng.normal(size=400) + y)
        covered += found.low <= 0.76025 <= found.high
    assert covered >= 182


def test_worked_example():
    y, pd = [0, 0, 0, 1], [0.1, 0.1, 0.3, 0.5]
    found = metrics.evaluate(y, pd)
    assert found["ks"].value == 1.0
    assert found["brier"].value == pytest.approx((0.01 + 0.01 + 0.09 + 0.25) / 4)
    assert metrics.ece(y, pd, bins=2).value == pytest.approx((0.2 + abs(0.8 - 1)) / 4)
    assert found["calibration_slope"].note == "the PD separates the classes"


@pytest.mark.parametrize("stretch", [0.5, 1.0, 2.0])
def test_slope_finds_the_stretch_of_log_odds(sample, stretch):
    y, pd = sample
    stretched = 1 / (1 + np.exp(-stretch * np.log(pd / (1 - pd)) - 0.4))
    slope, intercept = metrics.calibration_line(y, stretched)
    true_slope, true_intercept = metrics.calibration_line(y, pd)
    assert slope.value == pytest.approx(true_slope.value / stretch, rel=1e-6)
    assert intercept.value == pytest.approx(true_intercept.value - 0.4 * slope.value, abs=1e-6)


def test_true_pd_is_found_calibrated(sample):
    y, pd = sample
    found = metrics.evaluate(y, pd)
    assert found["calibration_slope"].low < 1 < found["calibration_slope"].high
    assert found["calibration_intercept"].low < 0 < found["calibration_intercept"].high
    assert found["ece"].value < 0.03
    assert "perfectly calibrated" in found["ece"].note


def test_intervals_hold_the_value_and_follow_the_seed(sample):
    y, pd = sample
    first = metrics.evaluate(y, pd, seed=1)
    for name, metric in first.items():
        assert metric.low < metric.value < metric.high, name
    assert metrics.evaluate(y, pd, seed=1) == first
    assert metrics.evaluate(y, pd, seed=2)["ks"] != first["ks"]


@pytest.mark.parametrize(("y", "reason"), [([], "no rows"), ([0, 0], "every row is of one class"), ([1], "every row")])
def test_undefined_figures_say_why(y, reason):
    found = metrics.evaluate(y, [0.3] * len(y))
    for name in ("auc", "gini", "ks", "calibration_slope", "calibration_intercept"):
        assert not found[name].defined
        assert reason in found[name].note
        assert found[name].note_zh
    assert metrics.auc_difference(y, [0.3] * len(y), [0.3] * len(y)).value is None


def test_equal_pds_have_no_slope():
    slope, _ = metrics.calibration_line([0, 1, 0], [0.2, 0.2, 0.2])
    assert slope.note == "every PD is equal"
    assert metrics.auc([0, 1, 0], [0.2, 0.2, 0.2]).value == 0.5


def test_certain_pds_stay_finite():
    found = metrics.log_loss([0, 1, 1], [0.0, 1.0, 0.0])
    assert found.value == pytest.approx(-np.log(1e-15) / 3, rel=1e-6)
    assert "1e-15" in found.note


@pytest.mark.parametrize(
    ("y", "pd", "message"),
    [
        ([0, 1], [0.1], "shape"),
        ([0, 2], [0.1, 0.2], "only 0"),
        ([0, 1], [0.1, np.nan], "missing or infinite"),
        ([0, 1], [0.1, 1.2], r"\[0, 1\]"),
    ],
)
def test_bad_input_is_named(y, pd, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(y, pd)


def test_difference_is_paired(sample):
    """Two scores that agree almost everywhere differ little, though each alone is uncertain."""
    y, pd = sample
    score = np.log(pd / (1 - pd))
    near = score + np.random.default_rng(1).normal(0, 0.05, len(score))
    found = metrics.auc_difference(y, score, near)
    alone = metrics.auc(y, score)
    assert found.value == pytest.approx(sk.roc_auc_score(y, score) - sk.roc_auc_score(y, near), abs=1e-12)
    assert found.high - found.low < 0.2 * (alone.high - alone.low)
    worse = metrics.auc_difference(y, score, np.random.default_rng(2).normal(size=len(y)))
    assert worse.low > 0.15
    same = metrics.auc_difference(y, score, score)
    assert (same.value, same.low, same.high) == (0, 0, 0)
