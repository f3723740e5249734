"""From records to a bundle: the same seed gives the same bytes, and the facts say where it comes from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import DeclarationError, TrainingError
from features.batch import compute
from training import run
from training.experiment import Experiment
from training.reference_rows import MOST_ROWS
from training.rejects import refused_applications, refused_rows
from training.run import BACKGROUND_ROWS


def changed(experiment: Experiment, **values) -> Experiment:
    return Experiment.model_validate(experiment.model_dump() | values)


def test_rows_belong_together(tiny):
    rows = tiny.rows
    assert len(rows.features) == len(rows.events) == len(rows.defaulted) == len(rows.customers)
    assert list(rows.features.index) == list(rows.customers.index) == list(rows.applied_at.index)
    matrix = compute(tiny.folder, tiny.bundle.feature_set)
    np.testing.assert_array_equal(rows.features, matrix.loc[rows.features.index])
    who = tiny.folder.read("applications").set_index("application_id").loc[rows.features.index]
    assert (who["customer_id"] == rows.customers).all()
    outcomes = tiny.folder.read("outcomes")
    at = outcomes[outcomes["months_on_book"] == 3].set_index("application_id")["dpd_max"]
    np.testing.assert_array_equal(rows.defaulted, (at.loc[rows.features.index] >= 5).astype(int))


def test_every_application_is_a_row_or_left_out_for_a_reason(tiny):
    rows, sample = tiny.rows, tiny.rows.sample
    used = len(sample.train) + len(sample.test)
    assert used + sum(left.count for left in rows.left_out) == tiny.folder.rows("applications")
    assert not set(rows.customers.iloc[sample.train]) & set(rows.customers.iloc[sample.test])


def test_the_same_seed_gives_the_same_bundle(tiny, tmp_path):
    rows = run.prepare_for(tiny.experiment, tiny.folder)
    again = run.train(tiny.experiment, tiny.folder, rows).save(tmp_path / "again")
    assert again.identity == tiny.bundle.identity


def test_another_seed_gives_another_bundle(tiny, tmp_path):
    trees = changed(tiny.experiment, parts=["boosted"])
    made = [
        run.train(changed(trees, seed=seed), tiny.folder, tiny.rows).save(tmp_path / f"seed {seed}") for seed in (1, 2)
    ]
    assert made[0].identity != made[1].identity


def test_what_found_parameters_are_trained_and_told(tiny):
    trees = changed(tiny.experiment, parts=["boosted"], tuning={"trials": 2, "space": {"max_depth": {"choices": [1]}}})
    best = run.search(trees, tiny.rows)
    assert best is not None
    assert best.best_params == {"max_depth": 1}
    bundle = run.train(trees, tiny.folder, tiny.rows, best=best)
    assert bundle.model.parts_["boosted"].max_depth == 1
    assert bundle.facts["tuned"] == {"max_depth": 1}
    assert bundle.background_sequences is None


def test_records_are_used_only_for_what_they_may_decide(tiny):
    collecting = changed(tiny.experiment, decision_point="collection")
    with pytest.raises(DeclarationError, match=r"may not be used at collection:\n  inquiries \(bureau\): only at"):
        run.prepare_for(collecting, tiny.folder)


def test_without_a_budget_there_is_no_search(tiny):
    assert run.search(tiny.experiment, tiny.rows) is None


def test_a_bundle_knows_where_it_comes_from(tiny):
    facts = tiny.bundle.facts
    assert facts == json.loads(json.dumps(facts))
    assert facts["data_identity"] == tiny.folder.identity
    assert facts["data_files"] == dict(tiny.folder.hashes)
    assert facts["rows"] == {"train": len(tiny.rows.sample.train), "test": len(tiny.rows.sample.test)}
    assert facts["cutoff"] == tiny.rows.sample.cutoff.isoformat()
    assert Experiment.model_validate(facts["experiment"]) == tiny.experiment
    assert set(facts["versions"]) >= {"xgboost", "torch", "numpy"}


def test_it_is_explained_and_watched_against_training_rows_only(tiny):
    train = tiny.rows.features.iloc[tiny.rows.sample.train]
    assert tiny.bundle.reference.score.n == len(train)
    background = tiny.bundle.background_features
    assert len(background) == min(BACKGROUND_ROWS, len(train))
    known = {row.tobytes() for row in train.to_numpy()}
    assert all(row.tobytes() in known for row in background.to_numpy())


def test_it_carries_rows_that_it_has_not_learnt_from_without_their_names(tiny):
    rows, test = tiny.bundle.reference_rows, tiny.rows.sample.test
    assert len(rows.features) == min(MOST_ROWS, len(test))
    np.testing.assert_array_equal(rows.features, tiny.rows.features.iloc[test])  # fewer than are drawn at most
    scores = tiny.bundle.model.decision_function(tiny.rows.features.iloc[test], tiny.rows.events.take(test))
    np.testing.assert_allclose(rows.log_odds, scores, rtol=1e-12)
    asked = tiny.folder.read("applications").set_index("application_id").loc[tiny.rows.features.index[test]]
    assert rows.requests["product"].tolist() == asked["product"].tolist()
    assert rows.requests["amount_requested"].tolist() == (asked["amount_requested"] / 100).tolist()
    assert list(rows.requests.columns) == ["product", "channel", "amount_requested"]
    assert rows.features.index.equals(pd.RangeIndex(len(rows.features)))


def test_risk_directions_hold_unless_they_are_switched_off(tiny):
    directions = run.train(changed(tiny.experiment, parts=["boosted"]), tiny.folder, tiny.rows)
    free = run.train(changed(tiny.experiment, parts=["boosted"], monotone=False), tiny.folder, tiny.rows)
    risky = next(feature.name for feature in tiny.bundle.feature_set.features if feature.risk == 1)
    assert directions.model.parts_["boosted"].monotone[risky] == 1
    assert free.model.parts_["boosted"].monotone is None


def test_a_value_that_a_library_refuses_is_told_with_its_experiment(tiny):
    wrong = changed(tiny.experiment, parts=["tabular_net"], tabular_net=tiny.experiment.tabular_net | {"n_jobs": 0})
    with pytest.raises(TrainingError, match=r"Experiment tiny cannot be trained: .*positive integer.*\[boosted\]"):
        run.train(wrong, tiny.folder, tiny.rows)


def test_nobody_reads_raw_events_without_a_sequence_net(tiny):
    trees = run.prepare_for(changed(tiny.experiment, parts=["boosted"]), tiny.folder)
    assert len(trees.events) == len(trees.features)
    assert trees.events.source.shape[1] == 0
    assert trees.refused is None


def test_what_is_read_of_refused_applications_is_computed_once(tiny):
    rows = run.prepare_for(changed(tiny.experiment, rejects={"method": "fuzzy_parcelling"}), tiny.folder)
    refused = refused_applications(tiny.folder)
    matrix = compute(tiny.folder, tiny.bundle.feature_set)
    assert 10 < len(refused) == len(rows.refused.events)
    pd.testing.assert_frame_equal(rows.refused.features, matrix.loc[refused.index])
    kept, again = (refused_rows(tiny.experiment, tiny.folder, given) for given in (rows, tiny.rows))
    pd.testing.assert_frame_equal(kept.features, again.features)
    np.testing.assert_array_equal(kept.events.values, again.events.values)
