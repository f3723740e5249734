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
