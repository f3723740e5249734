"""The boosted part: it follows scikit-learn, keeps risk directions, splits its log-odds exactly and survives a save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from data_contracts.errors import BundleError, TrainingError
from training.boosted import BoostedClassifier, NoSplitWarning

FAST = {"n_estimators": 20, "learning_rate": 0.3, "min_child_weight": 1, "n_seeds": 1}


@parametrize_with_checks([BoostedClassifier(**FAST, early_stopping_rounds=0, subsample=1.0, colsample_bytree=1.0)])
def test_follows_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def loans():
    rng = np.random.default_rng(7)
    X = pd.DataFrame(rng.normal(size=(600, 3)), columns=["utilisation", "dpd", "noise"])
    X.loc[rng.random(600) < 0.2, "dpd"] = np.nan
    bad = rng.random(600) < 1 / (1 + np.exp(-(1.5 * X["utilisation"] + X["dpd"].fillna(0) - 1)))
    return X, bad.astype(int).to_numpy()


def test_seeds_are_averaged_in_log_odds(loans):
    X, y = loans
    both = BoostedClassifier(**{**FAST, "n_seeds": 2}, early_stopping_rounds=0).fit(X, y)
    single = [
        BoostedClassifier(**FAST, early_stopping_rounds=0, random_state=seed).fit(X, y).log_odds(X) for seed in (0, 1)
    ]
    np.testing.assert_allclose(both.log_odds(X), np.mean(single, axis=0), atol=1e-6)
    assert np.abs(single[0] - single[1]).max() > 0.01


def test_risk_directions_hold(loans):
    X, y = loans
    model = BoostedClassifier(**FAST, monotone={"noise": -1, "utilisation": 1}).fit(X, y)
    for name, way in (("noise", -1), ("utilisation", 1)):
        line = pd.DataFrame({"utilisation": 0.0, "dpd": np.nan, "noise": 0.0}, index=range(50))
        line[name] = np.linspace(-3, 3, 50)
        assert (way * np.diff(model.log_odds(line)) >= 0).all()


def test_every_wrong_direction_is_listed(loans):
    X, y = loans
    with pytest.raises(TrainingError, match=r"'age' is not a feature; 'dpd' has direction 2, not -1, 0 or 1"):
        BoostedClassifier(**FAST, monotone={"age": 1, "dpd": 2}).fit(X, y)


def test_one_row_alone_and_in_a_batch_agree(loans):
    X, y = loans
    model = BoostedClassifier(**FAST).fit(X, y)
    assert [model.log_odds(X.iloc[[k]])[0] for k in range(20)] == model.log_odds(X)[:20].tolist()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_seeds": 3, "max_depth": 1},
        {"max_depth": 7, "n_estimators": 60, "monotone": {"utilisation": 1}},
        {"max_depth": 0, "min_child_weight": 0.1},  # as deep as it will
        {"gamma": 1e6},  # no split at all: every tree is a leaf
    ],
)
@pytest.mark.filterwarnings("ignore::training.boosted.NoSplitWarning")
def test_the_walk_down_the_trees_is_xgboosts_answer_to_the_last_bit(loans, params):
    X, y = loans
    model = BoostedClassifier(**{**FAST, "early_stopping_rounds": 0, **params}).fit(X, y)
    edges = np.array(
        [t for t in model.forest_.value.astype(float) for t in (t, np.nextafter(t, -9), np.nextafter(t, 9))]
    )
    odd = np.array([np.nan, 1e300, -1e300, 3.4e38, -3.4e38, 0.0, -0.0, 1e-320])
    drawn = np.random.default_rng(1).choice(np.concatenate([edges, odd]), (500, 3))
    rows = np.vstack([X.to_numpy(), drawn])
    with np.errstate(over="ignore"):
        single = np.clip(rows, -np.finfo(np.float32).max, np.finfo(np.float32).max).astype(np.float32)
    wanted = model.booster_.inplace_predict(single, predict_type="margin").astype(float)
    np.testing.assert_array_equal(model.log_odds(rows), wanted)


def test_early_stopping_chooses_few_rounds_on_noise():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    assert BoostedClassifier(n_estimators=300, learning_rate=0.3, min_child_weight=1).fit(X, y).rounds_ < 20


def test_saves_without_pickle_and_scores_the_same(loans, tmp_path: Path):
    X, y = loans
    model = BoostedClassifier(**FAST, monotone={"utilisation": 1}).fit(X, np.where(y, "bad", "good"))
    model.save(tmp_path)
    again = BoostedClassifier.load(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".ubj"]
    np.testing.assert_array_equal(again.log_odds(X), model.log_odds(X))
    assert again.classes_.tolist() == ["bad", "good"]
    assert again.get_params() == model.get_params()
    (tmp_path / "boosted.ubj").unlink()
    with pytest.raises(BundleError, match="boosted part"):
        BoostedClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((10, 1)), np.zeros(10), "all 10 rows are of one class"),
        (np.ones((10, 1)), np.arange(10) == 3, "at least 2 rows of each class, there are 9 and 1"),
        (pd.DataFrame({"amount": [1.0, np.inf] * 5}), np.arange(10) % 2, r"infinity in amount \(5 rows"),
    ],
)
def test_data_that_cannot_carry_a_model(X, y, message):
    with pytest.raises(TrainingError, match=message):
        BoostedClassifier(**FAST).fit(X, y)


def test_ten_rows_constant_and_empty_columns_are_survived():
    X = pd.DataFrame({"signal": np.arange(10.0), "constant": 1.0, "empty": np.nan})
    model = BoostedClassifier(**FAST).fit(X, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert np.isfinite(model.log_odds(X)).all()


@pytest.mark.parametrize(
    ("params", "change", "why"),
    [
        (
            {},
            lambda X: X,
            r"min_child_weight=20 in the sum of p \* \(1 - p\), .*Lower min_child_weight, or",
        ),
        ({"min_child_weight": 1}, lambda X: X.fillna(1.0) * 0, "no feature varies. Look at how"),
        ({"min_child_weight": 1, "gamma": 1e6}, lambda X: X, "none gains what gamma, reg_alpha and reg_lambda ask for"),
    ],
)
def test_trees_without_a_split_are_told_with_the_cause(loans, params, change, why):
    X, y = (part[:120] for part in loans)
    model = BoostedClassifier(**{"n_seeds": 1, "early_stopping_rounds": 0, "n_estimators": 5, **params})
    with pytest.warns(NoSplitWarning, match=f"found no split, so that every row gets the same PD: .*{why}") as told:
        model.fit(change(X), y)
    assert told[0].filename == __file__
    assert np.ptp(model.log_odds(X)) == 0


@pytest.mark.filterwarnings("error")
def test_groups_never_stand_on_both_sides(loans):
    X, y = loans
    with pytest.raises(TrainingError, match="at least 2 groups of each class"):
        BoostedClassifier(**FAST).fit(X, y, groups=np.zeros(600))
    assert BoostedClassifier(**FAST).fit(X, y, groups=np.arange(600) // 3).rounds_ >= 1


def test_finds_the_signal_in_real_loans(real_data: Path):
    loans = pd.read_parquet(real_data / "taiwan_credit_card" / "UCI_Credit_Card.parquet").iloc[:6000]
    X, y = loans.drop(columns=["ID", "Default"]), loans["Default"].to_numpy()
    model = BoostedClassifier(n_seeds=1).fit(X.iloc[:4000], y[:4000])
    assert roc_auc_score(y[4000:], model.log_odds(X.iloc[4000:])) > 0.74
