from __future__ import annotations

import numpy as np
import pytest

from evaluation import tables


def test_wilson_equals_published_values():
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    low, high = tables.wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def test_calibration_table_keeps_equal_pds_together():
    table = tables.calibration_table([0, 0, 1, 1, 0], [0.1, 0.1, 0.1, 0.6, 0.6], bins=10)
    assert table["n"].tolist() == [3, 2]
    assert table["bad"].tolist() == [1, 1]
    assert table["mean_pd"].tolist() == pytest.approx([0.1, 0.6])
    assert table["observed"].tolist() == pytest.approx([1 / 3, 1 / 2])
    assert tables.calibration_table([], []).empty


def test_cutoff_table_by_hand():
    y, pd = [0, 0, 0, 1, 1], [0.01, 0.02, 0.03, 0.04, 0.5]
    table = tables.cutoff_table(y, pd, shares=(0.8, 1.0))
    first, last = table.to_dict("records")
    assert first["pd_cutoff"] == 0.04
    assert first["approved"] == 4
    assert first["bad_rate_approved"] == 0.25
    assert first["bad_rate_refused"] == 1.0
    assert first["bad_refused_share"] == 0.5
    assert first["lift_refused"] == 2.5
    assert np.isnan(last["bad_rate_refused"])


def test_cutoff_table_has_intervals():
    (row,) = tables.cutoff_table([0, 0, 0, 1, 1], [0.01, 0.02, 0.03, 0.04, 0.5], shares=(0.8,)).to_dict("records")
    assert (row["bad_rate_approved_low"], row["bad_rate_approved_high"]) == tuple(map(float, tables.wilson(1, 4)))


def test_lift_table_by_hand():
    """Riskiest half: two of three bad among three; all: three bad among six."""
    table = tables.lift_table([1, 1, 0, 0, 1, 0], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1], bins=2)
    first, last = table.to_dict("records")
    assert (first["n"], first["bad"], first["bad_rate"]) == (3, 2, pytest.approx(2 / 3))
    assert (first["pd_low"], first["pd_high"]) == (0.7, 0.9)
    assert first["lift"] == pytest.approx((2 / 3) / (3 / 6))
    assert first["gain"] == pytest.approx(2 / 3)
    assert (first["share"], first["cumulative_lift"]) == (0.5, pytest.approx(4 / 3))
    assert (last["gain"], last["cumulative_lift"], last["gain_low"]) == (1, 1, 1)
    assert first["lift_low"] < first["lift"] < first["lift_high"]


def test_lift_interval_covers_the_truth():
    """Half of the rows have twice the bad rate of all: lift 4/3 against 2/3."""
    rng = np.random.default_rng(6)
    pd = np.repeat([0.1, 0.2], 500)
    covered = 0
    for seed in range(60):
        row = tables.lift_table(rng.random(1000) < pd, pd, bins=2, resamples=200, seed=seed).iloc[0]
        covered += row["lift_low"] <= 4 / 3 <= row["lift_high"]
    assert covered >= 52


@pytest.mark.parametrize("y", [[], [0, 0], [1, 1]])
def test_lift_needs_both_kinds_of_loans(y):
    assert tables.lift_table(y, [0.1, 0.2][: len(y)]).empty


def test_share_of_nothing_says_so():
    assert tables.share(0, 0).note_zh == "没有样本"
    assert tables.share(1, 4).value == 0.25
