"""Two bundles on the same applications: figures worked out by hand, the rows that count, the page and the command."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from data_contracts.errors import LendwellError, SourceError
from data_contracts.folder import TableFolder
from evaluation import metrics
from evaluation.comparison import Comparison, compare, read_truth
from evaluation.paired import expected_auc, measure, swap_set
from evaluation.report.comparison import build_comparison
from lenders import simulated
from reporting.page import Text
from tests.command_line import refused as refused_by_command
from tests.command_line import run as command
from training import run
from training.bundle import Bundle
from training.experiment import Experiment
from workspace import Home

TREES = {
    "name": "trees",
    "feature_set": "application_v1",
    "parts": ["boosted"],
    "folds": 2,
    "sequence_length": 8,
    "target": {"kind": "dpd", "dpd": 30, "months_on_book": 6},
    "split": {"method": "out_of_time", "test_share": 0.4},
    "boosted": {"n_estimators": 15, "max_depth": 2, "min_child_weight": 1.0, "n_seeds": 1, "early_stopping_rounds": 0},
}


@dataclass(frozen=True)
class Two:
    """A folder, its truth, a bundle of granted applications and one that learnt from refused ones too, both saved."""

    folder: TableFolder
    truth: pd.DataFrame
    plain: Bundle
    with_rejects: Bundle
    home: Path


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    place = tmp_path_factory.mktemp("two")
    lender = simulated.simulate(customers=700, months=24, seed=5)
    folder = simulated.write(lender, place / "tables")
    made = []
    for name, rejects in (("plain", {}), ("with_rejects", {"method": "fuzzy_parcelling"})):
        experiment = Experiment.model_validate(TREES | {"name": name, "rejects": rejects})
        bundle = run.train(experiment, folder, run.prepare_for(experiment, folder))
        made.append(bundle.save(place / name))
    return Two(folder, lender.truth, *made, home=place)


@pytest.fixture(scope="module")
def found(two: Two) -> Comparison:
    return compare(two.plain, two.with_rejects, two.folder)


@pytest.fixture(scope="module")
def judged(two: Two) -> Comparison:
    """The same with the truth."""
    return compare(two.plain, two.with_rejects, two.folder, truth=two.truth)


def test_only_the_test_rows_count_where_they_were_trained(two: Two, found: Comparison) -> None:
    experiment = Experiment(**two.plain.facts["experiment"])
    rows = run.prepare_for(experiment, two.folder)
    (granted,) = found.populations
    assert (found.unseen, granted.rows) == (False, len(rows.sample.test))
    assert found.agreement is None
    tested = rows.features.iloc[rows.sample.test]
    pd_ = expit(two.plain.model.decision_function(tested))
    assert granted.champion["auc"] == metrics.auc(rows.defaulted[rows.sample.test], pd_)
    assert granted.champion["brier"] == metrics.brier(rows.defaulted[rows.sample.test], pd_)
    assert found.refused > 5


def test_by_the_truth_refused_applicants_are_compared_too(judged: Comparison) -> None:
    granted, refused, everybody = judged.populations
    assert [one.name for one in judged.populations] == ["granted", "refused", "all"]
    assert everybody.rows == granted.rows + refused.rows == granted.rows + judged.refused
    assert everybody.bad == granted.bad + refused.bad
    assert refused.bad / refused.rows > granted.bad / granted.rows
    assert judged.agreement == 1.0
    assert not judged.other_outcome
    assert everybody.swaps.approval_rate == pytest.approx(granted.rows / everybody.rows)
    assert everybody.true_auc is not None
    assert everybody.true_auc.value > everybody.champion["auc"].value
    assert set(everybody.expected) == {"champion", "challenger", "difference"}


def test_a_model_is_equal_to_itself(two: Two) -> None:
    (found,) = compare(two.plain, two.plain, two.folder).populations
    assert found.verdict == "equal"
    assert all(metric.value == metric.low == metric.high == 0 for metric in found.difference.values())
    assert (found.swaps.out, found.swaps.into) == (0, 0)
    assert found.correlation == pytest.approx(1.0)


def test_to_change_the_two_changes_the_sign(two: Two, found: Comparison) -> None:
    (there,) = found.populations
    (back,) = compare(two.with_rejects, two.plain, two.folder).populations
    for figure, metric in there.difference.items():
        assert back.difference[figure].value == pytest.approx(-metric.value)
    assert (back.swaps.out, back.swaps.into) == (there.swaps.into, there.swaps.out)


def test_on_another_folder_every_row_counts(two: Two, tmp_path: Path) -> None:
    other = simulated.simulate(customers=400, months=24, seed=8)
    folder = simulated.write(other, tmp_path / "other")
    found = compare(two.plain, two.with_rejects, folder, truth=other.truth)
    assert found.unseen
    outcomes = folder.read("outcomes")
    assert found.populations[0].rows == (outcomes["months_on_book"] == 6).sum()


def test_a_truth_of_another_outcome_is_noticed(two: Two) -> None:
    wrong = two.truth.assign(defaults=~two.truth["defaults"])
    found = compare(two.plain, two.with_rejects, two.folder, truth=wrong)
    assert found.agreement == 0.0
    assert found.other_outcome


def test_models_that_predict_different_things_are_not_compared(two: Two) -> None:
    experiment = two.plain.facts["experiment"]
    facts = {**two.plain.facts, "experiment": {**experiment, "target": {**experiment["target"], "dpd": 60}}}
    with pytest.raises(LendwellError, match="predict different things"):
        compare(replace(two.plain, facts=facts), two.with_rejects, two.folder)


def test_models_of_different_test_rows_are_not_compared(two: Two) -> None:
    experiment = two.plain.facts["experiment"]
    facts = {**two.plain.facts, "experiment": {**experiment, "split": {**experiment["split"], "test_share": 0.3}}}
    with pytest.raises(LendwellError, match=r"different rows .* train both with the same \[target\], \[split\]"):
        compare(replace(two.plain, facts=facts), two.with_rejects, two.folder)
    elsewhere = replace(two.plain, facts={**facts, "data_identity": "another folder"})
    assert not compare(elsewhere, two.with_rejects, two.folder).unseen


def test_a_truth_must_tell_of_these_applications(two: Two, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not tell what became of"):
        compare(two.plain, two.with_rejects, two.folder, truth=two.truth.iloc[:10])
    with pytest.raises(SourceError, match="cannot be read as a truth"):
        read_truth(tmp_path / "none.parquet")
    for column, value, told in (
        ("defaults", 2, "defaults must be 0 or 1, in 1 rows it is not, first: 2"),
        ("defaults", None, "defaults must be 0 or 1, in 1 rows it is not"),
        ("true_pd", 1.5, "true_pd must be from 0 to 1, in 1 rows it is not, first: 1.5"),
        ("application_id", two.truth["application_id"].iloc[1], "application_id must be told of once, in 1 rows"),
    ):
        wrong = two.truth.astype({"defaults": object})
        wrong.loc[wrong.index[0], column] = value
        with pytest.raises(SourceError, match=rf"The truth cannot be used: {told}.*Mend it where it comes from"):
            compare(two.plain, two.with_rejects, two.folder, truth=wrong)
    two.truth.drop(columns="defaults").to_parquet(tmp_path / "half.parquet")
    with pytest.raises(SourceError, match="lacks the column defaults"):
        read_truth(tmp_path / "half.parquet")


def test_a_paired_interval_is_narrower_than_two_apart() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(-2, 1, 3000)
    y = (rng.random(3000) < expit(z)).astype(int)
    found = measure("granted", y, np.stack([z + rng.normal(0, 0.4, 3000), z]), 0.8)
    for figure in ("auc", "brier", "log_loss"):
        paired = found.difference[figure].high - found.difference[figure].low
        apart = found.champion[figure].high - found.champion[figure].low
        assert paired < 0.6 * apart
    assert found.verdict == "better"
    assert found.difference["log_loss"].high < 0


def test_an_interval_of_the_ece_difference_covers_it() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(-2, 1, 4000)
    y = (rng.random(4000) < expit(z)).astype(int)
    found = measure("granted", y, np.stack([z + 0.7, z]), 0.8).difference["ece"]
    assert found.low < found.value < found.high < 0


def test_one_class_or_one_score_tells_what_cannot_be_told() -> None:
    found = measure("granted", [0, 0, 0], [[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]], 0.5)
    assert (found.verdict, found.correlation, found.rank_correlation) == ("unknown", None, None)
    assert found.difference["auc"].note == "every row is of one class"
    assert found.swaps.both + found.swaps.out == 3


def test_the_swap_set_by_hand() -> None:
    y = [0, 1, 0, 1, 0]
    swaps = swap_set(y, [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.5, 0.2, 0.4, 0.3], approval_rate=0.6)
    assert (swaps.both, swaps.out, swaps.into, swaps.neither) == (2, 1, 1, 1)
    assert (swaps.bad_rate_out, swaps.bad_rate_in) == (1.0, 0.0)
    assert swaps.bad_rate_champion == pytest.approx(1 / 3)
    assert swaps.bad_rate_challenger == 0.0


def test_the_expected_auc_is_the_mean_over_what_could_happen() -> None:
    rng = np.random.default_rng(3)
    score, true_pd = rng.integers(0, 3, 60).astype(float), rng.uniform(0.05, 0.9, 60)
    drawn = [metrics.auc((rng.random(60) < true_pd).astype(int), score).value for _ in range(3000)]
    assert expected_auc(score, true_pd) == pytest.approx(np.mean(drawn), abs=0.004)


def test_the_page_is_whole_and_in_two_languages(judged: Comparison) -> None:
    facts = [(Text("冠军模型", "Champion"), "plain/1")]
    page = build_comparison(judged, champion="plain/1", challenger="<b>/2", facts=facts, created="2026-01-01")
    assert page == build_comparison(judged, champion="plain/1", challenger="<b>/2", facts=facts, created="2026-01-01")
    assert "<b>/2" not in page
    assert "换入换出客群" in page
    assert "Swap set" in page
    assert not re.search(r"https?://|src=|@import", page)
    assert page.count("<svg ") == 3
    shown = judged.widest.difference["auc"].value
    assert f"{shown:,.4f}" in page


def test_the_command_compares_registered_models(two: Two, tmp_path: Path) -> None:
    registry = Home(tmp_path / "home").registry()
    for name in ("plain", "with_rejects"):
        tags = {"bundle_identity": Bundle.load(two.home / name).identity}
        run_id = registry.log_run(name, params={}, metrics={}, tags=tags, bundle=two.home / name)
        registry.register(name, run_id)
    truth, out = two.folder.path / "truth" / "truth.parquet", tmp_path / "compare.html"
    words = ("--data", two.folder.path, "--home", tmp_path / "home", "--out", out)
    shown = command("--json", "compare", "plain", "with_rejects", *words, "--truth", truth)
    assert shown.code == 0, shown
    assert set(shown.facts["populations"]) == {"granted", "refused", "all"}
    assert shown.facts["champion"] == "plain/1"
    assert out.read_text().count("<svg ") == 3
    assert "cannot be read as a truth" in refused_by_command(
        "compare", "plain", "with_rejects", *words, "--truth", out, code=2
    )
