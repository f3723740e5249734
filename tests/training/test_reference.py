from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import BundleError
from training.reference import Distribution, Reference

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "edges", "bins"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (1, 2, 3, 4, 5, 6, 7, 8, 9), (1,) * 10 + (0,)),
        ([0, 0, 0, 0, 0, 0, 0, 1, 1, 5], (0, 1), (7, 2, 1, 0)),
        ([0, 1, NAN, NAN], (0,), (1, 1, 2)),
        ([NAN, NAN], (), (0, 2)),
    ],
)
def test_bins_by_hand(values, edges, bins):
    found = Distribution.of("x", values)
    assert (found.edges, found.bins) == (edges, bins)
    assert found.n == len(values)


def test_a_constant_feature_notices_any_other_value():
    found = Distribution.of("x", [3.0, 3.0])
    assert found.counts([2.9, 3.0, 3.1, NAN]).tolist() == [1, 1, 1, 1]
    assert found.bins == (0, 2, 0, 0)


def test_range_and_missing_rate():
    found = Distribution.of("x", [1.0, NAN, 5.0, 2.0])
    assert (found.low, found.high, found.missing_rate) == (1.0, 5.0, 0.25)
    assert found.outside([0.9, 1.0, 5.0, 6.0, NAN]) == 2
    assert found.fractions.sum() == pytest.approx(1)


def test_training_rows_fall_into_their_own_bins():
    values = np.random.default_rng(0).normal(size=5000)
    found = Distribution.of("x", values)
    assert len(found.edges) == 9
    assert found.counts(values).tolist() == list(found.bins)
    assert found.fractions[:-1] == pytest.approx(0.1, abs=0.001)


def test_round_trip_is_exact_and_repeatable():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=100) / 3, "b": [NAN] * 100, "c": [0.0] * 100})
    reference = Reference.from_frame(frame, rng.normal(size=100))
    text = reference.to_json()
    assert Reference.from_json(text) == reference
    assert Reference.from_frame(frame, reference_scores(frame)).to_json() != text
    assert Reference.from_json(text).to_json() == text
    assert reference.names == ("a", "b", "c")
    assert reference.score.name == "score"
    assert "NaN" not in text


def reference_scores(frame: pd.DataFrame) -> np.ndarray:
    return np.arange(len(frame), dtype=float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(version=9), "version 9"),
        (lambda facts: facts.pop("score"), "cannot be read"),
        (lambda facts: facts["score"].update(bins=[1]), "do not fit"),
        (lambda facts: facts["score"].update(edges=[2.0, 1.0], bins=[1, 1, 1, 0]), "do not fit"),
    ],
)
def test_a_damaged_reference_is_refused(change, message):
    facts = json.loads(Reference.from_frame(pd.DataFrame({"a": [1.0, 2.0]}), [0.0, 1.0]).to_json())
    change(facts)
    with pytest.raises(BundleError, match=message):
        Reference.from_json(json.dumps(facts))


def test_text_that_is_no_json_is_refused():
    with pytest.raises(BundleError, match="register the bundle again"):
        Reference.from_json("{")


def test_one_score_a_row():
    with pytest.raises(ValueError, match="give one a row"):
        Reference.from_frame(pd.DataFrame({"a": [1.0, 2.0]}), [0.0])
