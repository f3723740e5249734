"""Refused applications in training: who counts as refused, how they weigh, that no customer stands on both sides."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import DeclarationError, TrainingError
from data_contracts.folder import TableFolder
from features.sequences import EventSequences
from training import rejects, run
from training.calibration import choose_calibrator
from training.experiment import Experiment, Rejects, read_experiment
from training.rejects import Learnt, Refused
from training.splits import Sample


def with_rejects(experiment: Experiment, **values) -> Experiment:
    declared = {"method": "fuzzy_parcelling", **values}
    return Experiment.model_validate(experiment.model_dump() | {"parts": ["boosted"], "rejects": declared})


@pytest.fixture(scope="module")
def refused(tiny) -> Refused:
    found = rejects.refused_rows(tiny.experiment, tiny.folder, tiny.rows)
    assert found is not None
    return found


def test_refused_is_whose_request_was_refused_by_the_truth_too(tiny) -> None:
    truth = pd.read_parquet(tiny.folder.path / "truth" / "truth.parquet").set_index("application_id")["granted"]
    found = rejects.refused_applications(tiny.folder)
    assert len(found) > 50
    assert set(found.index) == set(truth.index[~truth])


class Loans:
    """A folder of three tables, as far as decisions are read from them."""

    tables = ("applications", "loans", "outcomes")

    def __init__(self, states: list[tuple[str, str | None, str, int]], outcomes: list[str]) -> None:
        day = pd.Timestamp("2024-01-01")
        self.kept = {
            "applications": pd.DataFrame(
                {"application_id": list("abcd"), "customer_id": list("wxyz"), "applied_at": [day] * 4}
            ),
            "loans": pd.DataFrame(
                [(loan, of, status, day + pd.Timedelta(days=at)) for loan, of, status, at in states],
                columns=["loan_id", "application_id", "status", "known_at"],
            ),
            "outcomes": pd.DataFrame({"application_id": outcomes}),
        }

    def read(self, name: str, columns: list[str]) -> pd.DataFrame:
        return self.kept[name][columns]


def test_the_newest_state_counts_and_an_outcome_is_stronger() -> None:
    states = [
        ("1", "a", "refused", 2),
        ("1", "a", "granted", 1),
        ("2", "b", "refused", 1),
        ("2", "b", "granted", 3),
        ("3", "c", "refused", 1),
        ("4", None, "refused", 1),
    ]
    assert list(rejects.refused_applications(Loans(states, ["c"])).index) == ["a"]  # type: ignore[arg-type]


def test_undrawn_and_undecided_applications_are_not_taken_for_refused() -> None:
    states = [("1", "a", "granted", 1), ("2", "b", "cancelled", 1), ("3", "c", "unused", 1)]
    assert not len(rejects.refused_applications(Loans(states, [])))  # type: ignore[arg-type]


def test_no_customer_stands_on_both_sides(tiny, refused) -> None:
    rows, sample = tiny.rows, tiny.rows.sample
    tested = {*rows.customers.iloc[sample.test], *refused.customers.iloc[refused.test]}
    learnt = {*rows.customers.iloc[sample.train], *refused.customers.iloc[refused.train]}
    assert len(refused.train) > 20
    assert len(refused.test) > 5
    assert not tested & learnt
    assert refused.applied_at.iloc[refused.train].max() <= rows.applied_at.iloc[sample.train].max()
    assert refused.applied_at.iloc[refused.test].min() >= sample.cutoff


def test_whoever_comes_back_in_the_test_is_left_out_and_counted() -> None:
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-03-01", "2024-03-09"])
    rows = SimpleNamespace(
        customers=pd.Series(["w", "x", "y", "z"]),
        applied_at=pd.Series(days),
        sample=Sample(np.array([0, 1]), np.array([2, 3]), (), days[2]),
    )
    customers = pd.Series(["w", "y", "new", "w", "late", "between", "other"])
    dates = pd.to_datetime(
        ["2024-01-01", "2024-01-01", "2024-01-02", "2024-03-02", "2024-03-10", "2024-02-01", "2024-03-05"]
    )
    train, test, left_out = rejects.divide_refused(
        customers,
        pd.Series(dates),
        rows,
        test_share=0.5,
        seed=0,  # type: ignore[arg-type]
    )
    assert (train.tolist(), test.tolist(), [left.count for left in left_out]) == ([0, 2], [6], [1])


def test_a_random_split_keeps_each_customer_on_one_side() -> None:
    rows = SimpleNamespace(
        customers=pd.Series(["w", "x", "y", "z"]),
        applied_at=pd.Series(pd.to_datetime(["2024-01-01"] * 4)),
        sample=Sample(np.array([0, 1]), np.array([2, 3]), (), None),
    )
    customers = pd.Series(["w", "y", *(f"n{k // 2}" for k in range(40))])
    dates = pd.Series(pd.to_datetime(["2024-01-01"] * 42))
    train, test, left_out = rejects.divide_refused(customers, dates, rows, test_share=0.25, seed=3)  # type: ignore[arg-type]
    assert (len(train), len(test), left_out) == (31, 11, ())
    assert 0 in train
    assert 1 in test
    assert not set(customers[train]) & set(customers[test])


def parcelled(**settings) -> Learnt:
    granted = Learnt(
        pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]}, index=list("abcd")),
        EventSequences.empty(4, 2),
        np.array([0, 1, 0, 0]),
        np.array(["p", "q", "r", "s"]),
        None,
        4,
        4,
        {},
    )
    others = Refused(
        pd.DataFrame({"x": [7.0, 8.0, 9.0]}, index=list("efg")),
        EventSequences.empty(3, 2),
        pd.Series(["t", "u", "p"]),
        pd.Series(pd.to_datetime(["2024-01-01"] * 3)),
        np.array([0, 2]),
        np.array([1]),
        (),
    )
    chosen = Rejects(method="fuzzy_parcelling", **settings)
    return rejects.parcelled(granted, others, np.log([1.0, 0.25]), chosen)


def test_each_refused_application_enters_as_part_bad_and_part_good() -> None:
    learnt = parcelled(odds_factor=1.0)
    assert list(learnt.features.index) == list("abcdegeg")
    assert learnt.defaulted.tolist() == [0, 1, 0, 0, 1, 1, 0, 0]
    assert learnt.customers.tolist() == [*"pqrs", "t", "p", "t", "p"]
    assert learnt.weights is not None
    np.testing.assert_allclose(learnt.weights, [1, 1, 1, 1, 0.5, 0.2, 0.5, 0.8])
    assert len(learnt.events) == 8
    assert (learnt.granted, learnt.applications) == (4, 6)
    assert learnt.facts["inferred_bad_rate"] == pytest.approx(0.35)


def test_the_factor_multiplies_the_odds_and_the_weight_is_that_of_all_together() -> None:
    learnt = parcelled(odds_factor=4.0, weight=0.25)
    assert learnt.weights is not None
    assert learnt.weights[4:].sum() == pytest.approx(1.0)
    bad, good = learnt.weights[4:6], learnt.weights[6:]
    np.testing.assert_allclose(bad / good, [4.0, 1.0])


def test_a_bundle_learns_from_them_and_tells_how_many(tiny, refused, tmp_path: Path) -> None:
    experiment = with_rejects(tiny.experiment, odds_factor=3.0)
    bundle = run.train(experiment, tiny.folder, tiny.rows)
    told = bundle.facts["rejects"]
    assert told == json.loads(json.dumps(told))
    assert (told["refused"], told["odds_factor"]) == (len(refused.train), 3.0)
    assert told["inferred_bad_rate"] > told["granted_bad_rate"]
    assert bundle.reference.score.n == len(tiny.rows.sample.train) + len(refused.train)
    again = run.train(experiment, tiny.folder, tiny.rows)
    assert again.save(tmp_path / "again").identity == bundle.save(tmp_path / "bundle").identity


def test_without_rejects_nothing_of_them_is_told(tiny) -> None:
    assert "rejects" not in tiny.bundle.facts


def test_the_calibrator_is_that_of_the_granted_ones_or_of_all(tiny) -> None:
    of_all = run.train(with_rejects(tiny.experiment, calibrated_on="all", odds_factor=6.0), tiny.folder, tiny.rows)
    granted = run.train(with_rejects(tiny.experiment, odds_factor=6.0), tiny.folder, tiny.rows)
    oof = granted.model.oof_log_odds_["blend"].to_numpy()
    np.testing.assert_array_equal(oof, of_all.model.oof_log_odds_["blend"].to_numpy())
    train = tiny.rows.sample.train
    n, y, customers = len(train), tiny.rows.defaulted[train], tiny.rows.customers.to_numpy()[train]
    assert granted.model.calibrator_ == choose_calibrator(oof[:n], y, groups=customers, seed=7).calibrator
    assert granted.model.calibrator_ != of_all.model.calibrator_
    means = [
        float(np.mean(1 / (1 + np.exp(-model.model.oof_log_odds_["calibrated"][:n])))) for model in (granted, of_all)
    ]
    assert means[0] == pytest.approx(float(y.mean()), abs=1e-3)
    assert means[1] > means[0]


def test_nets_learn_from_them_too(tiny) -> None:
    experiment = Experiment.model_validate(tiny.experiment.model_dump() | {"rejects": {"method": "fuzzy_parcelling"}})
    bundle = run.train(experiment, tiny.folder, tiny.rows)
    assert set(bundle.model.weights_) == {"boosted", "tabular_net", "sequence_net"}
    assert bundle.facts["rejects"]["refused"] > 20


def test_where_nothing_tells_of_refusals_the_message_says_what_is_missing(tiny) -> None:
    class WithoutLoans(TableFolder):
        @property
        def tables(self) -> tuple[str, ...]:
            return tuple(name for name in super().tables if name != "loans")

    of = tiny.folder
    silent = WithoutLoans(of.path, of.lender, of.dates, of.batches, of.corrected)
    with pytest.raises(
        TrainingError, match=r"tells of none in the training period\. .* Map the decisions onto `loans`"
    ):
        run.train(with_rejects(tiny.experiment), silent, tiny.rows)


def test_a_misspelt_or_impossible_setting_is_named(tmp_path: Path) -> None:
    declared = read_experiment("simulated_with_rejects")
    assert declared.rejects.method == "fuzzy_parcelling"
    wrong = tmp_path / "wrong.toml"
    text = declared.text.replace("odds_factor = 2.0", "odds_factr = 2.0").replace('on = "granted"', 'on = "accepted"')
    wrong.write_text(text)
    with pytest.raises(DeclarationError) as told:
        read_experiment(str(wrong))
    assert "did you mean odds_factor?" in str(told.value)
    assert "rejects.calibrated_on" in str(told.value)


def test_the_experiment_with_rejects_is_the_simulated_one_but_for_them() -> None:
    ours, plain = (read_experiment(name).model_dump() for name in ("simulated_with_rejects", "simulated"))
    differing = {key for key in plain if ours[key] != plain[key]}
    assert differing == {"name", "rejects"}
