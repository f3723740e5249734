from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from evaluation.robustness import noise_robustness


def applicants(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "income_monthly": rng.normal(0, 3, n),
            "inquiry_count_30d": rng.poisson(2, n).astype(float),
            "owns_home": rng.integers(0, 2, n).astype(float),
            "silent": np.full(n, np.nan),
        },
        index=[f"A{k}" for k in range(n)],
    )
    features.loc[rng.random(n) < 0.2, "income_monthly"] = np.nan
    y = (rng.random(n) < expit(score(features))).astype(int)
    return features, y


def score(features):
    return -1 - features["income_monthly"].fillna(0) / 3 + 0.2 * features["inquiry_count_30d"] - features["owns_home"]


def test_noise_grows_and_costs_rank_order():
    features, y = applicants()
    found = noise_robustness(score, features, y, sizes=(0.01, 0.1, 1.0))
    change = [one.pd_change.value for one in found]
    assert change == sorted(change)
    assert change[0] < 0.003
    assert [one.size for one in found] == [0.01, 0.1, 1.0]
    assert found[-1].auc_change.high < 0
    assert found[0].auc_change.value == pytest.approx(0, abs=0.005)
    assert all(one.auc_change.low <= one.auc_change.value <= one.auc_change.high for one in found)
    moved = [one.decisions_changed.value for one in found]
    assert moved == sorted(moved)
    assert found[-1].pd_change_95 > found[-1].pd_change.value


def test_noise_has_its_size_and_keeps_kinds_and_ranges():
    features, y = applicants(20_000)
    asked = []

    def listening(frame):
        asked.append(frame)
        return score(frame)

    noise_robustness(listening, features, y, sizes=(0.1,))
    given, noisy = asked
    assert noisy.index.equals(features.index)
    assert (noisy.isna() == features.isna()).to_numpy().all()
    moved = (noisy - given)["income_monthly"]
    assert moved.std() == pytest.approx(0.1 * 3, rel=0.05)  # a tenth of the spread
    counts = noisy["inquiry_count_30d"] - given["inquiry_count_30d"]
    assert set(counts.unique()) == {-1.0, 0.0, 1.0}
    inside = given["inquiry_count_30d"].between(1, 5)  # beyond it the range cuts
    assert counts[inside].mean() == pytest.approx(0, abs=0.01)
    assert set(noisy["owns_home"].unique()) == {0.0, 1.0}
    for name in ("income_monthly", "inquiry_count_30d"):
        assert given[name].min() <= noisy[name].min()
        assert noisy[name].max() <= given[name].max()


def test_change_is_counted_by_hand():
    """PDs of 1/2 and 3/4 become 3/4 and 1/4: they change by 1/4 and 1/2, and both pass the cut-off of 0.6."""
    answers = iter([[0, np.log(3)], [np.log(3), -np.log(3)]])
    features = pd.DataFrame({"x": [0.0, 1.0]})
    (found,) = noise_robustness(lambda _: next(answers), features, [0, 1], sizes=[0.1], cutoff=0.6)
    assert found.pd_change.value == pytest.approx(3 / 8)
    assert found.pd_change_95 == pytest.approx(1 / 4 + 0.95 / 4)
    assert found.decisions_changed.value == 1
    assert (found.auc.value, found.auc_change.value) == (0, -1)


def test_steps_follow_the_seed_not_each_other():
    features, y = applicants(500)
    alone = noise_robustness(score, features, y, sizes=[0.2], seed=4)
    among = noise_robustness(score, features, y, sizes=[0.1, 0.2], seed=4)
    assert alone[0] == among[1]
    assert noise_robustness(score, features, y, sizes=[0.2], seed=5) != alone


def test_one_class_has_changes_but_no_rank_order():
    features, _ = applicants(100)
    (found,) = noise_robustness(score, features, np.zeros(100, int), sizes=[0.5])
    assert found.auc.note == found.auc_change.note == "every row is of one class"
    assert found.pd_change.value > 0
    (empty,) = noise_robustness(score, features.iloc[:0], [], sizes=[0.5])
    assert (empty.pd_change.note, empty.pd_change_95) == ("no rows", None)
