from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from evaluation.contrasts import contrast
from evaluation.slices import Condition, cut
from evaluation.weak_slices import weak_slices


def applicants(seed, n=5000):
    """Twenty features, one of them words; the log-odds are those of the first two."""
    rng = np.random.default_rng(seed)
    features = pd.DataFrame(
        rng.normal(size=(n, 20)), columns=[f"f{k:02d}" for k in range(20)], index=np.arange(n)[::-1]
    )
    features["product"] = rng.choice(["cash", "education", "renovation"], n)
    log_odds = (-2 + features["f00"] + 0.5 * features["f01"]).to_numpy()
    return rng, features, log_odds


def probability(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def test_cells_and_slices_agree():
    """What a slice is made of by cells is what its condition says of rows."""
    values = pd.Series([0.0, 1.0, 1.0, 2.0, 5.0, np.nan, 7.0, 8.0], name="x")
    found = cut(values, bins=4)
    for made_of, condition in zip(found.made_of, found.conditions, strict=True):
        assert (made_of[found.code] == 1).tolist() == condition.holds(values.to_frame()).tolist(), str(condition)
    assert len({tuple(row) for row in found.made_of}) == len(found.made_of)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [None, None], ["a", "a"]])
def test_rows_that_are_alike_are_not_cut(values):
    assert cut(pd.Series(values, name="x"), bins=4) is None


def test_flags_and_words_are_cut():
    flag = cut(pd.Series([True, False, True], name="owns_car"), bins=4)
    assert [str(condition) for condition in flag.conditions] == ["owns_car <= 0", "owns_car > 0"]
    words = cut(pd.Series(["a", "b", None, "a"], name="channel"), bins=4)
    assert [str(condition) for condition in words.conditions] == ["channel = a", "channel = b"]
    frame = pd.DataFrame({"channel": ["a", "b", None, "a"]})
    assert Condition("channel", level="a").holds(frame).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("measure", "by_hand"),
    [
        ("calibration", lambda y, pd: y - pd),
        (
            "loss",
            lambda y, pd: -y * np.log(pd) - (1 - y) * np.log(1 - pd) + pd * np.log(pd) + (1 - pd) * np.log(1 - pd),
        ),
    ],
)
def test_effect_of_a_mean_by_hand(measure, by_hand):
    rng = np.random.default_rng(3)
    pd_ = rng.uniform(0.1, 0.6, 400)
    y = (rng.random(400) < pd_).astype(int)
    inside = np.arange(400) < 150
    effect, z = contrast(measure, y, pd_).exact(inside)
    each = by_hand(y, pd_)
    assert effect.value == pytest.approx(each[inside].mean() - each[~inside].mean())
    spread = np.sqrt(each[inside].var() / 150 + each[~inside].var() / 250)
    assert effect.value / z == pytest.approx(spread, rel=0.15)  # or the variance that the PDs expect


def test_gini_is_held_against_what_the_pds_expect():
    """Two PDs on each side: what true ones expect follows from all pairs; the counted sums give the same."""
    rng = np.random.default_rng(4)
    pd_ = rng.choice([0.2, 0.5], 300)
    y = rng.integers(0, 2, 300)
    inside = np.arange(300) < 120
    asked = contrast("gini", y, pd_)
    effect, _ = asked.exact(inside)

    def shortfall(rows):
        p = pd_[rows]
        pairs = p[:, None] * (1 - p[None]) * (1 - np.eye(len(p)))
        wins = (p[:, None] > p[None]) + 0.5 * (p[:, None] == p[None])
        return 2 * (roc_auc_score(y[rows], p) - (pairs * wins).sum() / pairs.sum())

    assert effect.value == pytest.approx(shortfall(inside) - shortfall(~inside))
    sums = asked.sums(inside.astype(int), 2)
    counted, error = asked.compare(sums[1], sums.sum(axis=0), 1)
    assert counted == pytest.approx(effect.value)
    assert effect.high - effect.value == pytest.approx(1.959964 * float(error), rel=1e-6)


@pytest.mark.parametrize("measure", ["loss", "calibration"])
def test_a_planted_slice_is_found_and_confirmed(measure):
    rng, features, log_odds = applicants(0)
    planted = ((features["f02"] > 0.6) & (features["f03"] < 0)).to_numpy()
    y = (rng.random(len(log_odds)) < probability(log_odds + 1.3 * planted)).astype(int)
    found = weak_slices(y, probability(log_odds), features, measure=measure)
    best = found.slices[0]
    assert {condition.feature for condition in best.conditions} == {"f02", "f03"}
    assert best.confirmed
    assert best.effect.low > 0
    inside = np.logical_and(*(condition.holds(features) for condition in best.conditions))
    assert (best.n, best.bad, best.share) == (inside.sum(), y[inside].sum(), pytest.approx(inside.mean()))
    assert inside[planted].mean() > 0.5
    assert found.discovered >= 1
    assert found.note == ""


def test_a_product_without_rank_order_is_found():
    rng, features, log_odds = applicants(1)
    lost = (features["product"] == "education").to_numpy()
    y = (rng.random(len(log_odds)) < probability(log_odds)).astype(int)
    shuffled = log_odds.copy()
    shuffled[lost] = rng.permutation(shuffled[lost])
    found = weak_slices(y, probability(shuffled), features, measure="gini")
    assert "product = education" in map(str, found.slices[0].conditions)
    assert found.slices[0].confirmed
    assert found.slices[0].effect.high < 0


@pytest.mark.parametrize("measure", ["loss", "calibration", "gini"])
def test_true_pds_rarely_have_weak_slices(measure):
    confirmed = 0
    for seed in range(20):
        rng, features, log_odds = applicants(seed, n=2000)
        y = (rng.random(len(log_odds)) < probability(log_odds)).astype(int)
        found = weak_slices(y, probability(log_odds), features, measure=measure, paired=8, seed=seed)
        assert found.searched > 1000
        confirmed += any(one.confirmed for one in found.slices)
    assert confirmed <= 2


def test_effects_are_not_flattered_by_the_search():
    """Where nothing is weak, the search half tells of large effects, the other half of none."""
    searched, held = [], []
    for seed in range(10):
        rng, features, log_odds = applicants(seed, n=2000)
        y = (rng.random(len(log_odds)) < probability(log_odds)).astype(int)
        worst = weak_slices(y, probability(log_odds), features, seed=seed).slices
        searched += [one.found for one in worst]
        held += [one.effect.value for one in worst if one.effect.defined]
    assert np.mean(searched) > 0.05
    assert abs(np.mean(held)) < 0.02


def test_missing_values_are_a_slice():
    rng, features, log_odds = applicants(2)
    silent = rng.random(len(log_odds)) < 0.2
    features.loc[features.index[silent], "f05"] = np.nan
    y = (rng.random(len(log_odds)) < probability(log_odds + 1.2 * silent)).astype(int)
    best = weak_slices(y, probability(log_odds), features, measure="calibration").slices[0]
    assert "f05 missing" in map(str, best.conditions)


def test_slices_hardly_overlap_and_follow_the_seed():
    rng, features, log_odds = applicants(5, n=2000)
    y = (rng.random(len(log_odds)) < probability(log_odds)).astype(int)
    found = weak_slices(y, probability(log_odds), features, seed=1)
    assert found == weak_slices(y, probability(log_odds), features, seed=1)
    assert found != weak_slices(y, probability(log_odds), features, seed=2)
    assert found.note == "no slice stands out on either half"
    assert found.note_zh
    assert not any(one.discovered or one.confirmed for one in found.slices)


def test_what_cannot_be_searched_says_so():
    few = weak_slices([0, 1] * 20, [0.5] * 40, pd.DataFrame({"x": np.arange(40.0)}))
    assert (few.slices, few.note) == ((), "no slice has 200 rows and enough of either class")
    assert weak_slices([0, 0], [0.1, 0.2], pd.DataFrame({"x": [1, 2]})).note == "every row is of one class"
    with pytest.raises(ValueError, match="2 outcomes but 1 rows"):
        weak_slices([0, 1], [0.1, 0.2], pd.DataFrame({"x": [1]}))
