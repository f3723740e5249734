"""Evidence measured on a real bundle: the rows that count, the champion on the same ones, what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from data_contracts.errors import TrainingError
from data_contracts.folder import write_tables
from evaluation import metrics
from evaluation.comparison import compare
from evaluation.drift import psi
from evaluation.fairness import fairness
from evaluation.gate.declaration import Measuring, read_gate
from evaluation.gate.measure import Judgeable, judgeable, measure, unmeasured
from evaluation.gate.verdict import Evidence, Identity, judge
from features.replay import differ
from lenders import simulated
from tests.evaluation.gate.conftest import Two
from training import run
from training.experiment import Experiment

HOW = Measuring(group_rows=20, month_defaults=2, explained_rows=30)


@pytest.fixture(scope="module")
def found(two: Two) -> Judgeable:
    return judgeable(two.challenger, two.folder)


@pytest.fixture(scope="module")
def alone(two: Two, found: Judgeable) -> Evidence:
    return measure(two.challenger, found, two.folder, HOW)


@pytest.fixture(scope="module")
def compared(two: Two, found: Judgeable) -> Evidence:
    return measure(two.challenger, found, two.folder, HOW, champion=two.champion)


def test_on_its_own_folder_only_the_test_rows_count(two: Two, found: Judgeable, alone: Evidence) -> None:
    experiment = Experiment(**two.challenger.facts["experiment"])
    everything = run.prepare_for(experiment, two.folder)
    tested = everything.features.iloc[everything.sample.test]
    assert sorted(tested.index) == sorted(found.rows.features.index)
    assert not differ(tested.to_numpy(), found.rows.features.loc[tested.index].to_numpy()).any()
    facts = alone.facts
    assert (facts["rows"], facts["unseen_folder"]) == (len(tested), False)
    assert facts["data_identity"] == two.folder.identity
    assert facts["defaults"] == found.rows.defaulted.sum() > 0
    assert facts["first"] <= facts["last"]


def test_a_first_model_is_measured_by_itself(two: Two, found: Judgeable, alone: Evidence) -> None:
    pd = expit(found.log_odds)
    assert alone.figures["auc"] == metrics.auc(found.rows.defaulted, pd)
    assert alone.figures["calibration_slope"] == metrics.calibration_line(found.rows.defaulted, pd)[0]
    assert alone.figures["calibration_error"] == metrics.ece(found.rows.defaulted, pd, seed=7)
    assert alone.figures["mean_pd_ratio"].value == pytest.approx(pd.mean() / found.rows.defaulted.mean())
    assert alone.figures["score_psi"].value == psi(
        two.challenger.reference.score.bins, two.challenger.reference.score.counts(found.log_odds)
    )
    assert alone.figures["score_psi"].low is not None
    assert alone.figures["additivity"].value < 1e-9
    assert alone.figures["additivity"].n == 30
    assert "A first model" in alone.absent["auc_difference"].en
    assert "auc_difference" not in alone.figures
    assert "compared" not in alone.facts


def test_a_challenger_is_compared_on_the_same_applications(two: Two, found: Judgeable, compared: Evidence) -> None:
    pair = compare(two.champion, two.challenger, two.folder, approval_rate=0.8, seed=7).populations[0]
    assert compared.figures["auc_difference"] == pair.difference["auc"]
    assert compared.figures["auc_difference"].low < compared.figures["auc_difference"].high
    assert compared.facts["compared"]["rows"] == len(found.log_odds)
    swaps = compared.facts["compared"]["swap_set"]
    assert (swaps["out"], swaps["into"]) == (pair.swaps.out, pair.swaps.into)
    assert "auc" not in compared.figures
    assert "compared with the champion" in compared.absent["auc"].en
    assert compared.facts["auc"]["value"] == pair.challenger["auc"].value


def test_the_same_seed_measures_the_same(two: Two, found: Judgeable, alone: Evidence) -> None:
    assert measure(two.challenger, found, two.folder, HOW) == alone
    assert found.sample(10, 1).tolist() == found.sample(10, 1).tolist() != found.sample(10, 2).tolist()
    assert len(found.sample(10**6, 1)) == len(found.log_odds)


def test_on_another_folder_every_row_counts(two: Two, tmp_path: Path) -> None:
    folder = simulated.write(simulated.simulate(customers=300, months=24, seed=8), tmp_path / "other")
    found = judgeable(two.challenger, folder)
    outcomes = folder.read("outcomes")
    assert len(found.log_odds) == (outcomes["months_on_book"] == 6).sum() > 0
    assert measure(two.challenger, found, folder, HOW).facts["unseen_folder"] is True


def test_models_that_cannot_be_compared_have_no_difference(two: Two, found: Judgeable) -> None:
    experiment = two.champion.facts["experiment"]
    facts = {**two.champion.facts, "experiment": {**experiment, "target": {**experiment["target"], "dpd": 60}}}
    evidence = measure(two.challenger, found, two.folder, HOW, champion=replace(two.champion, facts=facts))
    metric = evidence.figures["auc_difference"]
    assert metric.value is None
    assert "predict different things" in metric.note
    assert metric.note_zh.startswith("两个模型无法比较")
    assert evidence.facts["compared"] is None


def test_adverse_impact_where_the_attribute_is_known(
    two: Two, found: Judgeable, alone: Evidence, tmp_path: Path
) -> None:
    assert 0 < alone.figures["adverse_impact_gender"].value <= 1
    assert 0 < alone.figures["adverse_impact_age"].value <= 1
    applications = two.folder.read("applications").assign(gender=None)
    folder = write_tables(tmp_path / "unknown", {"applications": applications}, lender="simulated", dates="calendar")
    evidence = measure(two.challenger, found, folder, HOW)
    assert "adverse_impact_gender" not in evidence.figures
    assert evidence.absent["adverse_impact_gender"].en == "No application of the lender tells this attribute."
    assert evidence.figures["adverse_impact_age"] == alone.figures["adverse_impact_age"]


def test_adverse_impact_is_that_of_fairness_at_the_gates_approval_rate(two: Two, found: Judgeable, alone) -> None:
    pd = expit(found.log_odds)
    told = two.folder.read("applications").set_index("application_id").loc[found.rows.features.index, ["gender"]]
    cutoff = np.quantile(pd, 0.8, method="inverted_cdf")
    (gender,) = fairness(found.rows.defaulted, pd, told, cutoff=cutoff, least_rows=20, seed=7)
    figure = alone.figures["adverse_impact_gender"]
    assert (figure.value, figure.low) == (gender.adverse_impact_ratio.value, gender.adverse_impact_ratio.low)
    assert "approved: " in figure.note
    assert "通过率：" in figure.note_zh


def test_groups_that_are_too_small_cannot_be_computed(two: Two, found: Judgeable) -> None:
    figures = measure(two.challenger, found, two.folder, HOW.model_copy(update={"group_rows": 10**6})).figures
    figure = figures["adverse_impact_gender"]
    assert figure.value is None
    assert figure.note.startswith("fewer than two groups are large enough; ")
    assert figure.note.endswith(f"{len(found.log_odds)} applicants in no group or a small one")


def test_made_up_dates_have_no_months(two: Two, found: Judgeable) -> None:
    evidence = measure(two.challenger, found, replace(two.folder, dates="relative"), HOW)
    assert "gini_fall" not in evidence.figures
    assert "made up" in evidence.absent["gini_fall"].en


def test_rows_of_one_class_are_told(two: Two, found: Judgeable) -> None:
    good = np.flatnonzero(found.rows.defaulted == 0)
    part = {name: getattr(found.rows, name).iloc[good] for name in ("features", "customers", "applied_at")}
    rows = replace(found.rows, **part, events=found.rows.events.take(good), defaulted=found.rows.defaulted[good])
    evidence = measure(two.challenger, Judgeable(rows, found.log_odds[good]), two.folder, HOW)
    undefined = {name for name, metric in evidence.figures.items() if metric.value is None}
    assert undefined == {"auc", "calibration_slope", "mean_pd_ratio", "gini_fall"}
    assert evidence.figures["auc"].note == "every row is of one class"


def test_rows_that_nothing_can_be_measured_on_pass_no_gate(two: Two, tmp_path: Path) -> None:
    tables = {name: two.folder.read(name) for name in two.folder.tables}
    tables["outcomes"] = tables["outcomes"].assign(dpd_max=0)
    folder = write_tables(tmp_path / "good", tables, lender="simulated", dates="calendar")
    with pytest.raises(TrainingError, match=r"The target has 1 class\(es\)") as caught:
        judgeable(two.challenger, folder)
    evidence = unmeasured(folder, caught.value)
    who = Identity("trees/2", "b2" * 32)
    verdict = judge(read_gate("default"), evidence, candidate=who, champion=None, judged_at=datetime(2026, 7, 1))
    assert {one.result for one in verdict.criteria} == {"not_computable"}
    assert "The target has 1 class(es)" in verdict.criteria[0].reason.en
    assert verdict.facts["data_identity"] == folder.identity
