"""Calibrators: rising, finite, serialisable, and chosen by what they do to unseen rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from data_contracts.errors import BundleError, TrainingError
from training.calibration import (
    BetaCalibrator,
    IsotonicCalibrator,
    PlattCalibrator,
    calibrator_from_json,
    calibrator_to_json,
    choose_calibrator,
    fit_log_odds,
    log_loss,
)

KINDS = (PlattCalibrator, BetaCalibrator, IsotonicCalibrator)


@pytest.fixture
def overconfident():
    """Log-odds twice as far out as they should be."""
    rng = np.random.default_rng(0)
    true = rng.normal(-1.5, 1.0, 4000)
    return 2.0 * true, (rng.random(4000) < expit(true)).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_rise_are_finite_and_meet_the_rate(kind, overconfident):
    z, y = overconfident
    calibrator = kind.fit(z, y)
    line = calibrator(np.linspace(-800, 800, 2001))
    assert np.isfinite(line).all()
    assert (np.diff(line) > 0).all()
    assert expit(calibrator(z)).mean() == pytest.approx(y.mean(), abs=0.005)
    assert calibrator_from_json(json.loads(json.dumps(calibrator_to_json(calibrator)))) == calibrator


@pytest.mark.parametrize("kind", KINDS)
def test_scores_that_separate_the_classes_stay_finite(kind):
    z, y = np.arange(-10.0, 10.0), (np.arange(-10, 10) >= 0).astype(int)
    assert np.isfinite(kind.fit(z, y)(np.array([-1e3, 0.0, 1e3]))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_that_are_upside_down_are_not_turned_round(kind):
    z = np.linspace(-2, 2, 200)
    line = kind.fit(z, (z < 0).astype(int))(z)
    assert (np.diff(line) >= 0).all()


def test_platt_is_logistic_regression(overconfident):
    z, y = overconfident
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], y)
    found = PlattCalibrator.fit(z, y)
    assert found.slope == pytest.approx(reference.coef_[0, 0], abs=1e-4)
    assert found.intercept == pytest.approx(reference.intercept_[0], abs=1e-4)


def test_isotonic_by_hand():
    # scores 0..3: shares 0, 1, 0, 1 pool to 0, 1/2 at 1.5, 1; edges are half a loan of four: 1/8 and 7/8
    found = IsotonicCalibrator.fit(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 1, 0, 1]))
    assert found.knots == (0.0, 1.5, 3.0)
    np.testing.assert_allclose(found.values, [-np.log(7), 0.0, np.log(7)], atol=1e-12)


def test_chooses_by_unseen_log_loss(overconfident):
    z, y = overconfident
    choice = choose_calibrator(z, y)
    assert choice.calibrator.kind == min(choice.log_loss, key=choice.log_loss.get)
    assert log_loss(choice.calibrator(z), y) < log_loss(z, y)
    kink = np.where(z < -3, -3.0 + 4 * (z + 3), z)  # a bend that no slope mends
    bent = np.random.default_rng(1).random(len(z)) < expit(np.where(z > -3, 2.0, -2.0))
    assert choose_calibrator(kink, bent.astype(int)).calibrator.kind == "isotonic"


def test_blend_weights_are_never_negative():
    rng = np.random.default_rng(0)
    good = rng.normal(size=3000)
    y = (rng.random(3000) < expit(good - 1)).astype(int)
    weights, intercept = fit_log_odds(np.column_stack([good, -good + rng.normal(size=3000)]), y)
    assert weights[0] == pytest.approx(1.0, abs=0.15)
    assert weights[1] == 0.0
    assert intercept == pytest.approx(-1.0, abs=0.15)


def test_what_cannot_be_calibrated():
    with pytest.raises(TrainingError, match="finite"):
        choose_calibrator(np.array([0.0, np.inf, 1.0, 2.0]), np.array([0, 1, 0, 1]))
    with pytest.raises(TrainingError, match="at least 2 rows of each class"):
        choose_calibrator(np.zeros(4), np.array([0, 0, 0, 1]))
    with pytest.raises(BundleError, match="platt, beta, isotonic"):
        calibrator_from_json({"kind": "spline"})


def test_rows_that_stand_twice_are_counted_by_their_weight(overconfident):
    z, y = (part[:500] for part in overconfident)
    bad = int(y.sum())
    assert 20 < bad < 200
    plenty = np.concatenate([y, np.repeat([1, 0], 2000)])
    twice = np.concatenate([z, np.tile(np.linspace(-4.0, 0.0, 2000), 2)])
    for share, kinds in ((0.05, {"platt"}), (0.15, {"platt", "beta", "isotonic"})):
        weights = np.concatenate([np.ones(500), np.full(2000, share), np.full(2000, 1.0 - share)])
        for scale in (1.0, 1e-3):  # weights say how rows compare, not how many there are
            assert set(choose_calibrator(twice, plenty, sample_weight=scale * weights).log_loss) == kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_weight_is_as_if_it_were_not_there(kind, overconfident):
    z, y = overconfident
    weights = (np.arange(len(z)) % 2).astype(float)
    without = kind.fit(z[1::2], y[1::2])
    line = np.linspace(-5, 5, 21)
    np.testing.assert_allclose(kind.fit(z, y, weights)(line), without(line), atol=1e-4)
