"""What the figures of `benchmarks.model_quality` rest on: the AUC of a resample, and who is given which raw columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks._areas import Area, fold_areas, resampled_areas
from benchmarks._raw_columns import raw_columns

RNG = np.random.default_rng(5)
DEFAULTED = (RNG.random(300) < 0.3).astype(np.int64)
SCORE = np.round(RNG.normal(size=300) + DEFAULTED, 1)  # with ties
FOLD = np.arange(300) % 3


def test_area_of_weighted_rows_with_ties_is_scikit_learns() -> None:
    weights = RNG.integers(0, 4, (5, 300)).astype(float)
    wanted = [roc_auc_score(DEFAULTED, SCORE, sample_weight=each) for each in weights]
    np.testing.assert_allclose(Area(DEFAULTED, SCORE)(weights), wanted)


def test_area_by_fold() -> None:
    wanted = [roc_auc_score(DEFAULTED[k::3], SCORE[k::3]) for k in range(3)]
    np.testing.assert_allclose(fold_areas(DEFAULTED, {"one": SCORE}, FOLD)["one"], wanted)


def test_resamples_are_paired_and_lie_about_the_figure() -> None:
    who = np.arange(300).astype(str)
    drawn = resampled_areas(DEFAULTED, {"one": SCORE, "same": SCORE * 2}, FOLD, who, resamples=400)
    np.testing.assert_array_equal(drawn["one"], drawn["same"])
    assert drawn["one"].mean() == pytest.approx(fold_areas(DEFAULTED, {"one": SCORE}, FOLD)["one"].mean(), abs=0.01)


def test_rows_that_say_the_same_of_one_customer_do_not_narrow_the_interval() -> None:
    who = np.arange(300).astype(str)
    alone = resampled_areas(DEFAULTED, {"one": SCORE}, FOLD, who, resamples=400)["one"]
    again = resampled_areas(
        np.tile(DEFAULTED, 4), {"one": np.tile(SCORE, 4)}, np.tile(FOLD, 4), np.tile(who, 4), resamples=400
    )["one"]
    np.testing.assert_allclose(again.std(), alone.std(), rtol=0.15)


def test_protected_raw_columns_only_where_they_are_given(tmp_path: Path) -> None:
    pd.DataFrame({"row": [2, 1], "SeriousDlqin2yrs": [0, 1], "age": [30, 40], "DebtRatio": [0.5, 0.25]}).to_parquet(
        tmp_path / "cs-training.parquet"
    )
    rows = pd.DataFrame({"customer_id": ["1", "2"], "applied_at": pd.Timestamp("2009-01-01")}, index=["1", "2"])
    without = raw_columns("give_me_some_credit", tmp_path, rows, frozenset())
    given = raw_columns("give_me_some_credit", tmp_path, rows, frozenset({"age_years"}))
    assert without is not None
    assert given is not None
    assert without.to_dict("list") == {"DebtRatio": [0.25, 0.5]}
    assert given["age"].tolist() == [40, 30]


def test_statuses_that_were_not_over_are_not_among_the_raw_columns(tmp_path: Path) -> None:
    months = pd.DataFrame({"ID": 7, "MONTHS_BALANCE": [-3, -2, -1, 0], "STATUS": ["X", "0", "1", "C"]})
    months.to_parquet(tmp_path / "credit_record.parquet")
    november = pd.Timestamp("2019-11-29 16:00")  # its last day begins in Beijing
    rows = pd.DataFrame({"customer_id": ["7"], "applied_at": [november]}, index=pd.Index(["7@"], name="application_id"))
    found = raw_columns("card_monthly_status", tmp_path, rows, frozenset())
    assert found is not None
    assert found[["status_0", "status_1", "status_2", "months"]].iloc[0].tolist() == ["1", "0", "X", 3]
    assert "count_C" not in found
