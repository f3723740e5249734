from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.implementation import implementation_test, served_rows


def test_the_service_answers_what_was_measured(trained):
    folder, rows, bundle = trained
    found = implementation_test(bundle, rows, served_rows(bundle, folder, rows, rows.sample.test, sample=12, seed=1))
    assert found.passed
    assert (found.rows, found.features) == (12, len(bundle.feature_set.names))
    assert found.records > 100
    assert found.feature_difference <= found.tolerance
    assert found.pd_difference <= 1e-9


def test_a_feature_that_comes_out_otherwise_is_named(trained):
    folder, rows, bundle = trained
    at = rows.sample.test[:6]
    column = rows.features.columns.get_loc("application_income_monthly")
    wrong = rows.features.copy()
    before = wrong.iloc[at[2], column]
    wrong.iloc[at[2], column] += 1000.0
    found = implementation_test(bundle, replace(rows, features=wrong), served_rows(bundle, folder, rows, at, sample=6))
    (one,) = found.deviations
    assert (one.feature, one.rows) == ("application_income_monthly", 1)
    assert (one.in_batch, one.online) == pytest.approx((before + 1000.0, before))
    assert not found.passed
    assert found.feature_difference == pytest.approx(1000.0 / before)


def test_events_in_another_order_are_counted(trained):
    folder, rows, bundle = trained
    at = rows.sample.test[:5]
    values = rows.events.values.copy()
    values[at[0]] += np.float32(1)
    moved = replace(rows, events=replace(rows.events, values=values))
    found = implementation_test(bundle, moved, served_rows(bundle, folder, rows, at, sample=5))
    assert found.events_differ == 1
    assert not found.passed
