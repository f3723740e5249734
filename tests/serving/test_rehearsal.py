"""A bundle rehearses what it will serve: it says what batch says, and a planted difference is seen."""

from __future__ import annotations

import gc

import numpy as np
import pandas as pd
import pytest
import torch

from features.batch import compute
from features.sequences import EventSequences, from_folder
from serving.rehearsal import rehearse
from tests.serving.conftest import Champion
from training.bundle import Bundle


@pytest.fixture(scope="module")
def bundle(champion: Champion) -> Bundle:
    return Bundle.load(champion.bundle)


@pytest.fixture(scope="module")
def batch(champion: Champion, bundle: Bundle) -> tuple[pd.DataFrame, EventSequences, np.ndarray]:
    """Features, events and log-odds of forty applicants."""
    features = compute(champion.folder, bundle.feature_set, threads=1)
    at = np.arange(0, 400, 10)
    events = from_folder(champion.folder, 16).take(at)
    return features.iloc[at], events, bundle.model.decision_function(features.iloc[at], events)


def test_what_is_served_is_what_batch_says(champion: Champion, bundle: Bundle, batch) -> None:
    threads, frozen = torch.get_num_threads(), gc.get_freeze_count()
    found = rehearse(bundle, champion.folder, *batch)
    assert set(found) == {"parity_mismatches", "reason_agreement", "latency_p99_ms"}
    assert (found["parity_mismatches"].value, found["parity_mismatches"].n) == (0.0, 40)
    assert (found["reason_agreement"].value, found["reason_agreement"].n) == (1.0, 40)
    assert found["reason_agreement"].low < 1.0
    latency = found["latency_p99_ms"]
    assert 0 < latency.low <= latency.value
    assert (torch.get_num_threads(), gc.get_freeze_count()) == (threads, frozen)


def test_another_feature_or_score_is_a_mismatch(champion: Champion, bundle: Bundle, batch) -> None:
    features, events, log_odds = batch
    planted, moved = features.copy(), log_odds.copy()
    planted.iloc[[0, 3], 1] += 0.5
    planted.iloc[3, 2] = np.nan if np.isfinite(planted.iloc[3, 2]) else 1.0
    moved[[3, 5]] += 1e-4
    found = rehearse(bundle, champion.folder, planted, events, moved)["parity_mismatches"]
    assert found.value == 3.0
    assert found.note == f"features that differ: {features.columns[1]}, {features.columns[2]}"
    assert found.note_zh.startswith("不一致的特征")


def test_reasons_that_are_not_measured_anew_are_seen(champion: Champion, bundle: Bundle, batch) -> None:
    features, events, log_odds = batch
    planted = features.copy()
    planted.iloc[:10] = planted.iloc[10:20].to_numpy()  # as if ten had been answered on the records of others
    found = rehearse(bundle, champion.folder, planted, events, log_odds)["reason_agreement"]
    assert 0.75 <= found.value < 1.0


def test_requests_that_cannot_be_made_are_told(champion: Champion, bundle: Bundle, batch) -> None:
    features, events, log_odds = batch
    unknown = features.set_axis([f"nobody-{at}" for at in range(len(features))])
    found = rehearse(bundle, champion.folder, unknown, events, log_odds)
    assert {metric.value for metric in found.values()} == {None}
    assert "has no application of that id" in found["parity_mismatches"].note
    none = rehearse(bundle, champion.folder, features.iloc[:0], events.take([]), log_odds[:0])
    assert {metric.value for metric in none.values()} == {None}
