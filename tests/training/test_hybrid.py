"""The hybrid: it follows scikit-learn, says no to parts that add nothing, keeps groups whole and survives a save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from data_contracts.errors import BundleError, TrainingError
from features.sequences import EventSequences
from training.boosted import BoostedClassifier
from training.calibration import log_loss
from training.hybrid import HybridClassifier
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

TREES = BoostedClassifier(
    n_estimators=15, learning_rate=0.3, min_child_weight=1, n_seeds=1, early_stopping_rounds=0, colsample_bytree=1.0
)
NET = TabularNetClassifier(k=2, d_block=16, n_bins=4, batch_size=64, learning_rate=0.02, max_epochs=6, patience=2)
EVENTS = SequenceNetClassifier(hidden=8, batch_size=64, learning_rate=0.02, max_epochs=8)
FAST = HybridClassifier(boosted=TREES, tabular_net=NET, sequence_net=EVENTS, n_folds=2)


def cannot_apply(estimator: HybridClassifier) -> dict[str, str]:
    return {
        "check_fit2d_1feature": "its ten rows hold three of one class, too few for folds and early stopping in them",
        "check_sample_weight_equivalence_on_dense_data": "rows that stand twice also stand in other folds",
    }


@parametrize_with_checks(
    [HybridClassifier(boosted=TREES, tabular_net=NET, n_folds=2)], expected_failed_checks=cannot_apply
)
def test_follows_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def loans():
    """Risk in one feature, one interaction and the order of two events."""
    rng = np.random.default_rng(11)
    n = 900
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["utilisation", "dpd", "noise"])
    late = rng.integers(0, 2, n)
    source = np.where(late[:, None] == 1, [[2, 1]], [[1, 2]])
    events = EventSequences(source, source, np.zeros((n, 2, 3), np.float32), ("inquiry", "payment"), ("i", "p"))
    bad = rng.random(n) < expit(1.5 * X["utilisation"] + X["dpd"] + 3 * late - 3)
    return X, bad.astype(int).to_numpy(), events


@pytest.fixture(scope="module")
def fitted(loans):
    X, y, events = loans
    return clone(FAST).fit(X, y, sequences=events)


def test_blend_is_the_weighted_sum_of_its_parts(loans, fitted):
    X, _, events = loans
    parts = fitted.parts_log_odds(X, events)
    by_hand = fitted.intercept_ + sum(fitted.weights_[name] * z for name, z in parts.items())
    np.testing.assert_allclose(fitted.raw_log_odds(X, events), by_hand, atol=1e-12)
    np.testing.assert_allclose(fitted.decision_function(X, events), fitted.calibrator_(by_hand), atol=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(X, events)[:, 1], expit(fitted.calibrator_(by_hand)), atol=1e-12)


def test_blend_beats_its_parts_out_of_fold(loans, fitted):
    _, y, _ = loans
    loss = {name: log_loss(z.to_numpy(), y) for name, z in fitted.oof_log_odds_.items()}
    assert set(loss) == {"boosted", "tabular_net", "sequence_net", "blend", "calibrated"}
    assert fitted.weights_["sequence_net"] > 0.5
    assert loss["blend"] < min(loss[name] for name in ("boosted", "tabular_net", "sequence_net")) - 0.02
    assert fitted.oof_log_odds_.notna().all(axis=None)


def test_a_part_that_adds_nothing_is_dropped_with_a_reason(loans):
    X, y, events = loans
    blank = EventSequences(events.source * 0, events.kind * 0, events.values, events.sources, events.kinds)
    model = HybridClassifier(boosted=TREES, tabular_net=None, sequence_net=EVENTS, n_folds=2)
    model.fit(X, y, sequences=blank)
    assert model.weights_["sequence_net"] == 0.0
    assert "sequence_net" not in model.parts_
    assert "adds nothing" in model.dropped_["sequence_net"]


def test_a_part_that_tells_nobody_apart_is_dropped_with_that_reason(loans):
    X, y, _ = loans
    model = HybridClassifier(boosted=clone(TREES).set_params(min_child_weight=1000.0), tabular_net=NET, n_folds=2)
    model.fit(X, y)
    assert set(model.parts_) == {"tabular_net"}
    assert "tells nobody apart: it needs more rows, or other parameters" in model.dropped_["boosted"]
    assert model.weights_["boosted"] == 0.0
    assert "tells nobody apart" not in clone(FAST).fit(X, y).dropped_.get("sequence_net", "")


def test_weak_parts_are_dropped_one_after_another():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 800)
    strong = 2.0 * y - 1 + rng.normal(size=800)
    model = HybridClassifier()
    model.dropped_ = {}
    model.oof_log_odds_ = pd.DataFrame({"boosted": strong, "tabular_net": -strong, "sequence_net": -2 * strong})
    model._blend(y)
    assert set(model.dropped_) == {"tabular_net", "sequence_net"}
    assert model.weights_["tabular_net"] == model.weights_["sequence_net"] == 0.0
    assert model.weights_["boosted"] > 1.0


def test_without_sequences_there_is_no_sequence_part_and_the_run_says_so(loans):
    X, y, _ = loans
    model = clone(FAST).set_params(tabular_net=None).fit(X, y)
    assert set(model.parts_) == {"boosted"}
    assert model.dropped_ == {"sequence_net": "no sequences were given"}


def test_one_row_alone_and_in_a_batch_agree(loans, fitted):
    X, _, events = loans
    alone = [fitted.decision_function(X.iloc[[k]], events.take([k]))[0] for k in range(20)]
    np.testing.assert_allclose(alone, fitted.decision_function(X, events)[:20], atol=1e-9, rtol=0)
    np.testing.assert_array_equal(fitted.decision_function(X.to_numpy(), events), fitted.decision_function(X, events))


def test_saves_without_pickle_and_scores_the_same(loans, fitted, tmp_path: Path):
    X, _, events = loans
    fitted.save(tmp_path)
    again = HybridClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.decision_function(X, events), fitted.decision_function(X, events))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".ubj", ".safetensors"}
    assert again.weights_ == fitted.weights_
    assert str(clone(again)) == str(clone(fitted))
    first = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again.save(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()} == first
    (tmp_path / "hybrid.json").write_text('{"format": 99}')
    with pytest.raises(BundleError, match="format 99"):
        HybridClassifier.load(tmp_path)


def test_progress_rises_to_one(loans):
    X, y, events = loans
    told: list[tuple[str, float]] = []
    clone(FAST).fit(X, y, sequences=events, progress=lambda text, share: told.append((text, share)))
    shares = [share for _, share in told]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert "sequence_net: fold 2 of 2" in {text for text, _ in told}


def test_an_interrupted_fit_goes_on_to_the_same_bytes(loans, fitted, tmp_path: Path):
    X, y, events = loans

    class StoppedError(Exception):
        pass

    def stop(text: str, share: float) -> None:
        if share > 0.5:
            raise StoppedError

    with pytest.raises(StoppedError):
        clone(FAST).fit(X, y, sequences=events, progress=stop, checkpoints=tmp_path / "kept")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert 3 <= len(before) < 9
    resumed = clone(FAST).fit(X, y, sequences=events, checkpoints=tmp_path / "kept")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    assert len(after) == 9
    assert {name: after[name] for name in before} == before
    assert any(part.history_ for part in resumed.parts_.values())
    for name, model in (("once", clone(FAST).fit(X, y, sequences=events)), ("twice", resumed)):
        model.save(tmp_path / name)
    once, twice = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("once", "twice")
    )
    assert once == twice
    clone(FAST).fit(X, 1 - y, sequences=events, checkpoints=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 18


def test_groups_reach_every_split(loans):
    X, y, _ = loans
    two = HybridClassifier(boosted=BoostedClassifier(n_estimators=5, n_seeds=1), tabular_net=None, n_folds=2)
    with pytest.raises(TrainingError, match="needs at least 4 groups"):
        two.fit(X, y, groups=(np.arange(900) >= 450).astype(int))
    assert two.fit(X, y, groups=np.arange(900) // 2).oof_log_odds_.notna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boosted": None, "tabular_net": None, "sequence_net": None}, "no part is left"),
        ({"boosted": "xgboost"}, "boosted must be a BoostedClassifier"),
    ],
)
def test_parts_that_cannot_be(loans, change, message):
    X, y, _ = loans
    with pytest.raises(TrainingError, match=message):
        clone(FAST).set_params(**change).fit(X, y)


def test_rows_and_sequences_must_match(loans, fitted):
    X, y, events = loans
    with pytest.raises(TrainingError, match="900 sequences for 899 rows"):
        clone(FAST).fit(X.iloc[1:], y[1:], sequences=events)
    with pytest.raises(TrainingError, match="trained with sequences"):
        fitted.predict_proba(X)
    with pytest.raises(TrainingError, match="one class"):
        clone(FAST).fit(X, np.zeros(900))
    with pytest.raises(TrainingError, match=r"splits for its folds .* needs at least 4 rows of each class"):
        clone(FAST).fit(X.iloc[:10], np.arange(10) < 3)
    assert np.isfinite(clone(FAST).fit(X.iloc[:10], np.arange(10) < 5).log_odds(X)).all()
