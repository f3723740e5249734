from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.monotonicity import monotonicity


def applicants(n=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"income": rng.uniform(0, 10, n), "inquiries": rng.poisson(2, n), "age": rng.uniform(20, 60, n), "flat": 1.0}
    ).astype(float)


def score(features):
    """Falls with income, save for a bump of 0.5 between 5 and 6; rises with inquiries; age as it likes."""
    bump = 0.5 * ((features["income"] > 5) & (features["income"] < 6))
    return -0.1 * features["income"] + bump + 0.2 * features["inquiries"] + np.sin(features["age"])


DIRECTIONS = {"income": -1, "inquiries": 1, "age": 0, "flat": 1}


def test_violations_are_found_where_they_are():
    income, inquiries, flat = monotonicity(score, applicants(), DIRECTIONS, grid=20)
    assert (income.feature, income.risk) == ("income", -1)
    assert income.applicants.value == 1.0  # whoever it is, the grid passes the bump
    assert income.violations == 50  # once each
    assert 0.4 < income.worst < 0.5
    assert income.reach == pytest.approx(1, abs=0.05)
    assert (inquiries.violations, inquiries.worst, inquiries.applicants.value) == (0, 0, 0)
    assert inquiries.applicants.high == pytest.approx(0.0713, abs=1e-3)  # Wilson of none among 50
    assert (flat.steps, flat.applicants.note) == (0, "fewer than two values")


def test_the_other_direction_is_violated_everywhere():
    (found,) = monotonicity(score, applicants(), {"inquiries": -1})
    assert found.violations == found.steps > 0


def test_tolerance_is_in_log_odds():
    (strict,) = monotonicity(score, applicants(), {"income": -1}, grid=20, tolerance=0.4)
    (loose,) = monotonicity(score, applicants(), {"income": -1}, grid=20, tolerance=0.5)
    assert (strict.violations, loose.violations) == (50, 0)
    assert loose.worst == strict.worst


def test_rows_keep_their_labels_and_values():
    """A score that looks up the events of an application finds them by the label, for many features in one call."""
    features = applicants(30).set_axis([f"A{k}" for k in range(30)])
    events = pd.Series(np.arange(30.0), features.index)
    asked = []

    def with_events(frame):
        asked.append(len(frame))
        assert set(frame["age"]) <= set(features["age"])
        return frame["income"] * events.loc[frame.index].to_numpy()

    found = monotonicity(with_events, features, DIRECTIONS, applicants=10, grid=5, seed=3)
    assert asked == [
        10 * 5 + 10 * len(np.unique(np.quantile(features["inquiries"], np.linspace(0, 1, 5), method="lower")))
    ]
    assert found[0].applicants.n == 10
    assert found[0].violations == found[0].steps  # more income, more risk


def test_missing_values_are_filled_and_never_tried():
    features = applicants(40)
    features.loc[::2, "income"] = np.nan
    (found,) = monotonicity(lambda frame: frame["income"], features, {"income": 1})
    assert (found.violations, found.applicants.n) == (0, 40)
    assert found.reach > 0  # no NaN was scored


def test_unknown_features_are_named():
    with pytest.raises(ValueError, match="no feature 'salary' among the 4"):
        monotonicity(score, applicants(), {"salary": 1})
