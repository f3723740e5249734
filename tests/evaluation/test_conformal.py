from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.conformal import Thresholds, conformal_reliability, thresholds


def loans(rng, n, shift=0.0):
    log_odds = rng.normal(-1, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds - shift))).astype(int)
    return y, 1 / (1 + np.exp(-log_odds))


def test_thresholds_by_hand():
    """Of 19 bad loans and one more, 18 must lie within: the 18th highest PD; of 9 good ones all."""
    bad, good = np.arange(1, 20) / 20, np.arange(1, 10) / 100
    found = thresholds([1] * 19 + [0] * 9, [*bad, *good])
    assert found == Thresholds(bad_from=0.1, good_to=0.09, n_bad=19, n_good=9)
    assert thresholds([1] * 8 + [0] * 9, [*bad[:8], *good]) is None


@pytest.mark.parametrize("promised", [0.8, 0.95])
def test_the_promise_holds_for_both_outcomes(promised):
    """Also where the PDs are wrong, as long as calibration and test are alike."""
    rng = np.random.default_rng(1)
    coverage = {"all": [], "good": [], "bad": []}
    for _ in range(40):
        found = conformal_reliability(loans(rng, 800, 1.0), loans(rng, 800, 1.0), promised=promised)
        for one in found:
            coverage[one.level].append(one.coverage.value)
    for level, shares in coverage.items():
        assert promised - 0.005 < np.mean(shares) < promised + 0.02, level


def test_interval_reckons_with_the_calibration_rows():
    rng = np.random.default_rng(2)
    short = sum(conformal_reliability(loans(rng, 300), loans(rng, 5000))[1].short for _ in range(200))
    assert short <= 14  # 2.5 % on this side


def test_segments_that_changed_fall_short():
    rng = np.random.default_rng(3)
    y, pd_ = loans(rng, 4000)
    channel = np.repeat(["app", "agent"], 2000)
    y[2000:] = (rng.random(2000) < 0.6).astype(int)  # agents' customers no longer follow their PDs
    found = conformal_reliability(loans(rng, 4000), (y, pd_), pd.DataFrame({"channel": channel}))
    by_level = {one.level: one for one in found}
    assert list(by_level) == ["all", "good", "bad", "agent", "app"]
    assert by_level["agent"].short
    assert not by_level["app"].short
    assert by_level["agent"].n == 2000


def test_sets_are_counted_by_hand():
    """Bad from 0.3 on, good up to 0.5: PDs between have both; with the limits the other way round, none."""
    calibration = [1] * 9 + [0] * 9, [0.3, *[0.9] * 8, 0.5, *[0.1] * 8]
    test = [1, 0, 1, 0], [0.2, 0.4, 0.45, 0.6]
    every = conformal_reliability(calibration, test)[0]
    assert (every.coverage.value, every.uncertain.value, every.empty.value) == (0.5, 0.5, 0)
    calibration = [1] * 9 + [0] * 9, [0.5, *[0.9] * 8, 0.3, *[0.1] * 8]
    every = conformal_reliability(calibration, test)[0]
    assert (every.coverage.value, every.uncertain.value, every.empty.value) == (0, 0, 0.5)


def test_few_calibration_rows_say_so():
    found = conformal_reliability(([0] * 50 + [1] * 5, [0.1] * 55), ([0, 1], [0.1, 0.2]))
    assert [one.coverage.note for one in found] == ["too few calibration rows of an outcome"] * 3
    assert found[0].uncertain.note_zh == "校准样本中某一类别过少"
    assert not any(one.short for one in found)


def test_an_outcome_without_test_rows_says_so():
    rng = np.random.default_rng(5)
    found = conformal_reliability(loans(rng, 500), ([0, 0], [0.1, 0.2]))
    assert [(one.level, one.coverage.note) for one in found] == [("all", ""), ("good", ""), ("bad", "no rows")]
