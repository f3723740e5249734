"""The sequence net: it sees order and timing, treats empty histories well, and survives a save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from data_contracts.errors import BundleError, TrainingError
from features.sequences import EventSequences
from training.sequence_net import SequenceNetClassifier

FAST = {"hidden": 8, "batch_size": 64, "learning_rate": 0.02, "max_epochs": 12, "dropout": 0.0}


def histories(n: int, length: int = 8, seed: int = 0) -> EventSequences:
    """Histories of 0 to `length` events of two sources, padded at the front."""
    rng = np.random.default_rng(seed)
    used = np.arange(length) >= length - rng.integers(0, length + 1, n)[:, None]
    source = np.where(used, rng.integers(1, 3, (n, length)), 0)
    kind = np.where(used, source * 2 - rng.integers(0, 2, (n, length)), 0)
    days = np.sort(rng.integers(1, 400, (n, length)), axis=1)[:, ::-1]
    values = np.stack([np.log1p(days), rng.normal(5, 1, (n, length)), rng.integers(0, 3, (n, length))], axis=-1)
    values = np.where(used[..., None], values, 0).astype(np.float32)
    return EventSequences(source, kind, values, ("card", "payment"), ("c0", "c1", "p0", "p1"))


def test_sees_the_order_of_events():
    # the same two events in both histories: bad when the inquiry comes after the payment
    after = np.arange(400) % 2
    source = np.where(after[:, None] == 1, [[2, 1]], [[1, 2]])
    same_time = np.zeros((400, 2, 3), dtype=np.float32)
    events = EventSequences(source, source, same_time, ("inquiry", "payment"), ("i", "p"))
    net = SequenceNetClassifier(**FAST).fit(events, after)
    assert roc_auc_score(after, net.log_odds(events)) == 1.0


def test_sees_when_an_event_was():
    days = np.random.default_rng(0).integers(1, 700, 600)
    late = (days < 90).astype(int)
    values = np.zeros((600, 1, 3), dtype=np.float32)
    values[:, 0, 0] = np.log1p(days)
    one = np.ones((600, 1), dtype=np.int64)
    events = EventSequences(one, one, values, ("card",), ("statement",))
    assert roc_auc_score(late, SequenceNetClassifier(**FAST).fit(events, late).log_odds(events)) > 0.99


def test_empty_histories_share_a_learned_constant():
    events = histories(600)
    empty = (events.source == 0).all(axis=1)
    y = (np.random.default_rng(2).random(600) < np.where(empty, 0.9, 0.1)).astype(int)
    net = SequenceNetClassifier(**FAST).fit(events, y)
    assert len(np.unique(net.log_odds(events)[empty].round(12))) == 1
    assert net.predict_proba(events)[empty, 1].mean() > 0.6
    nothing = EventSequences(events.source * 0, events.kind * 0, events.values * 0, events.sources, events.kinds)
    assert np.isfinite(SequenceNetClassifier(**FAST).fit(nothing, y).log_odds(nothing)).all()


def test_padding_in_front_and_company_in_the_batch_change_nothing():
    events = histories(200)
    net = SequenceNetClassifier(**FAST).fit(events, np.arange(200) % 2)
    wanted = net.log_odds(events)
    alone = [net.log_odds(events.take([k]))[0] for k in range(50)]
    np.testing.assert_allclose(alone, wanted[:50], atol=1e-12, rtol=0)
    source, kind = (np.pad(part, ((0, 0), (5, 0))) for part in (events.source, events.kind))
    values = np.pad(events.values, ((0, 0), (5, 0), (0, 0)))
    longer = EventSequences(source, kind, values, events.sources, events.kinds)
    np.testing.assert_allclose(net.log_odds(longer), wanted, atol=1e-12, rtol=0)


def test_follows_scikit_learn_as_far_as_sequences_can():
    events, y = histories(100), np.arange(100) % 2
    first = SequenceNetClassifier(**FAST)
    again = clone(first).set_params(random_state=0)
    assert again.get_params() == first.get_params()
    np.testing.assert_array_equal(first.fit(events, y).log_odds(events), again.fit(events, y).log_odds(events))


def test_saves_without_pickle_and_scores_the_same(tmp_path: Path):
    events = histories(100)
    net = SequenceNetClassifier(**FAST).fit(events, np.arange(100) % 2)
    net.save(tmp_path)
    np.testing.assert_array_equal(SequenceNetClassifier.load(tmp_path).log_odds(events), net.log_odds(events))
    (tmp_path / "sequence_net.json").write_text("{")
    with pytest.raises(BundleError, match=r"sequence_net\.json"):
        SequenceNetClassifier.load(tmp_path)


def test_sequences_that_mean_something_else_are_refused():
    events = histories(60)
    net = SequenceNetClassifier(**FAST).fit(events, np.arange(60) % 2)
    other = EventSequences(events.source, events.kind, events.values, ("card", "loan"), events.kinds)
    with pytest.raises(TrainingError, match=r"the net was trained on \('card', 'payment'\)"):
        net.log_odds(other)
    broken = EventSequences(events.source, events.kind, events.values * np.nan, events.sources, events.kinds)
    with pytest.raises(TrainingError, match="not finite"):
        net.log_odds(broken)
    with pytest.raises(TrainingError, match="60 sequences for 59 labels"):
        net.fit(events, np.arange(59) % 2)
    with pytest.raises(TrainingError, match="one class"):
        net.fit(events, np.zeros(60))


def test_ten_histories_and_nothing_recorded_of_anybody():
    blank = histories(10)
    blank = EventSequences(blank.source * 0, blank.kind * 0, blank.values * 0, blank.sources, blank.kinds)
    net = SequenceNetClassifier(**FAST).fit(blank, np.arange(10) % 2)
    assert np.isfinite(net.log_odds(blank)).all()
    assert np.ptp(net.log_odds(blank)) == 0
    assert np.isfinite(net.log_odds(histories(10))).all()
