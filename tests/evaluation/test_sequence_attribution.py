"""Attributions of the sequence net: Shapley values of sources, Owen values of their months."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from evaluation.sequence_attribution import MONTHS, SequenceNetAttribution, months_before
from features.sequences import EventSequences
from training.sequence_net import SequenceNetClassifier

DAYS = (10.0, 200.0)  # the months 0 and 6


def histories(n: int, n_sources: int, seed: int = 0, length: int = 10) -> EventSequences:
    """Random events, some rows without any."""
    rng = np.random.default_rng(seed)
    used = np.arange(length) >= length - rng.integers(0, length + 1, n)[:, None]
    source = np.where(used, rng.integers(1, n_sources + 1, (n, length)), 0)
    values = rng.normal(2, 1, (n, length, 3))
    values[..., 0] = np.log1p(rng.choice(DAYS, (n, length)))
    names = tuple(f"source {k}" for k in range(n_sources))
    return EventSequences(source, source, np.where(used[..., None], values, 0).astype(np.float32), names, names)


def fitted(events: EventSequences) -> SequenceNetClassifier:
    labels = np.arange(len(events)) % 2
    return SequenceNetClassifier(hidden=8, batch_size=32, max_epochs=4, learning_rate=0.02).fit(events, labels)


def only(events: EventSequences, kept: np.ndarray) -> EventSequences:
    """The histories as if only these events had ever been recorded."""
    source, kind, values = (np.zeros_like(part) for part in (events.source, events.kind, events.values))
    for row in range(len(events)):
        which = np.flatnonzero(kept[row])
        at = slice(kept.shape[1] - len(which), None)
        source[row, at], kind[row, at] = events.source[row, which], events.kind[row, which]
        values[row, at] = events.values[row, which]
    return EventSequences(source, kind, values, events.sources, events.kinds)


def gains(net: SequenceNetClassifier, events: EventSequences, order: list[np.ndarray]) -> list[np.ndarray]:
    """What each group of events adds when the groups, as masks, join in this order."""
    joined, before, found = np.zeros(events.source.shape, dtype=bool), net.log_odds(only(events, order[0] & False)), []
    for group in order:
        joined = joined | group
        after = net.log_odds(only(events, joined))
        found.append(after - before)
        before = after
    return found


@pytest.fixture(scope="module")
def three():
    events = histories(60, 3)
    return events, fitted(events)


def test_sources_get_their_shapley_values(three):
    events, net = three
    by_hand = np.zeros((60, 3))
    for order in permutations(range(3)):  # the plain definition: mean gain over all orders of joining
        for source, gain in zip(order, gains(net, events, [events.source == k + 1 for k in order]), strict=True):
            by_hand[:, source] += gain / 6
    explained = SequenceNetAttribution(net, events.take(np.arange(20)))
    found = explained.shares(events, net.log_odds(events))
    np.testing.assert_allclose(found, by_hand - by_hand[:20].mean(axis=0), atol=1e-9)
    assert explained.base == pytest.approx(net.log_odds(events)[:20].mean(), abs=1e-9)


@pytest.mark.parametrize("n_sources", [1, 8])
def test_one_source_and_many_add_up(n_sources):
    events = histories(60, n_sources)
    net = fitted(events)
    explained = SequenceNetAttribution(net, events)
    shares = explained.shares(events, net.log_odds(events))
    np.testing.assert_allclose(explained.base + shares.sum(axis=1), net.log_odds(events), atol=1e-9)
    np.testing.assert_allclose(shares.mean(axis=0), 0, atol=1e-9)
    for k in range(n_sources):  # who has no events of a source gets what the background has more of it
        absent = shares[(events.source != k + 1).all(axis=1), k]
        np.testing.assert_allclose(absent, absent[0], atol=1e-12)


def test_months_get_their_owen_values():
    events = histories(40, 2)
    net = fitted(events)
    by_hand, month = np.zeros((40, 2, MONTHS)), months_before(events)
    for sources in permutations((0, 1)):  # sources one after the other, each with its months in a row
        for months_of_first in permutations((0, 6)):
            for months_of_second in permutations((0, 6)):
                joining = [(sources[0], m) for m in months_of_first] + [(sources[1], m) for m in months_of_second]
                order = [(events.source == source + 1) & (month == m) for source, m in joining]
                for (source, m), gain in zip(joining, gains(net, events, order), strict=True):
                    by_hand[:, source, m] += gain / 8
    explained = SequenceNetAttribution(net, events.take([0]))
    found = explained.month_shares(events, net.log_odds(events), orders=400, seed=1)
    found = found - found[0] + by_hand[0]  # the background's only row
    size = np.abs(by_hand).mean()
    assert np.abs(found - by_hand).mean() < 0.1 * size
    np.testing.assert_array_equal((found - by_hand)[..., [1, 2, 12]], 0)


def test_months_of_a_source_sum_to_its_share(three):
    events, net = three
    explained, whole = SequenceNetAttribution(net, events.take(np.arange(20))), net.log_odds(events)
    found = explained.month_shares(events, whole, orders=2, seed=3)
    np.testing.assert_allclose(found.sum(axis=2), explained.shares(events, whole), atol=1e-12)
    assert (np.abs(found) > 1e-6).any(axis=(0, 1)).tolist() == [m in (0, 6) for m in range(MONTHS)]
    alone = explained.month_shares(events.take([31]), whole[[31]], orders=2, seed=3)
    np.testing.assert_allclose(alone[0], found[31], atol=1e-9)
    assert not np.allclose(found, explained.month_shares(events, whole, orders=2, seed=4), atol=1e-6)
