from __future__ import annotations

import re

import numpy as np
import pytest

from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from evaluation import metrics
from evaluation.missing_sources import WithoutSource, compare, folder_without, without_sources
from evaluation.report.build import build_report
from evaluation.run import evaluate
from features import batch, sequences

BUREAU = {"tradelines", "tradeline_months", "inquiries"}


@pytest.fixture(scope="module")
def found(trained):
    folder, rows, bundle = trained
    at = rows.sample.test
    given = bundle.model.predict_proba(rows.features.iloc[at], rows.events.take(at))[:, 1]
    return given, {one.provider: one for one in without_sources(bundle, folder, rows, at, given)}


# refused above the bad rate of 0.5: a (good) is refused with the source and not without it, d (bad) the reverse
GIVEN = [0.6, 0.2, 0.5, 0.4, 0.9, 0.1]
LEFT = [0.3, 0.2, 0.5, 0.7, 0.6, 0.1]
BAD = [0, 0, 1, 1, 1, 0]


def test_decisions_and_means_by_hand():
    it = compare(BAD, GIVEN, LEFT)
    assert it.cutoff == 0.5
    assert it.newly_approved == pytest.approx(1 / 6)
    assert it.newly_refused == pytest.approx(1 / 6)
    assert it.decisions_changed == pytest.approx(2 / 6)
    assert it.affected == pytest.approx(3 / 6)
    assert it.mean_pd == pytest.approx(2.4 / 6)
    assert it.mean_pd_change == pytest.approx(-0.3 / 6)
    assert it.auc.value == 1.0  # without it all bad are above all good; with it 7 of 9 pairs
    assert it.auc_change.value == pytest.approx(2 / 9)


def test_a_pd_at_the_cut_off_is_approved_and_rounding_is_no_change():
    it = compare([0, 1], [0.5 + 1e-9, 0.9], [0.5, 0.9])
    assert (it.newly_approved, it.affected) == (0.5, 0.0)


def test_what_the_source_does_not_touch_changes_nothing():
    it = compare(BAD, GIVEN, GIVEN)
    assert (it.auc_change.value, it.mean_pd_change, it.affected, it.decisions_changed) == (0.0, 0.0, 0.0, 0.0)


def test_the_folder_without_tables_leaves_the_disk_alone(trained):
    folder = trained[0]
    left = folder_without(folder, BUREAU)
    assert set(left.tables) == set(folder.tables) - BUREAU
    assert left.rows("applications") == folder.rows("applications")
    assert TableFolder.open(folder.path).identity == folder.identity


def test_pds_are_those_of_a_lender_that_never_had_the_source(trained, found):
    """Computed the long way: every feature and sequence anew from the folder without the tables."""
    folder, rows, bundle = trained
    given, by_provider = found
    at = rows.sample.test
    left = folder_without(folder, BUREAU)
    matrix = batch.compute(left, bundle.feature_set)
    place = matrix.index.get_indexer(rows.features.index[at])
    events = sequences.from_folder(left, 8).take(place)
    assert not (events.source == 1 + sequences.SOURCES.index("tradeline_months")).any()
    pd_left = bundle.model.predict_proba(matrix.iloc[place], events)[:, 1]
    bureau = by_provider["bureau"]
    assert bureau.silence == compare(rows.defaulted[at], given, pd_left, seed=7)
    assert bureau.silence.auc.value == metrics.auc(rows.defaulted[at], pd_left).value
    assert bureau.silence.affected > 0.3
    newly_missing = matrix.iloc[place].isna() & ~rows.features.iloc[at].isna().to_numpy()
    assert bureau.features >= int(newly_missing.any().sum()) > 50


def test_each_source_of_the_lender_is_left_out_in_its_turn(trained, found):
    folder, _, _ = trained
    _, by_provider = found
    had = {TABLES[name].use.provider for name in folder.tables} - {"applicant"}
    assert {"bureau", "consumption", "repayment"} <= set(by_provider) <= had
    for provider, one in by_provider.items():
        assert {TABLES[name].use.provider for name in one.tables} == {provider}
        assert "outcomes" not in one.tables
    left_out = without_sources_of(trained, BUREAU)
    assert [one.provider for one in left_out] == [name for name in by_provider if name != "bureau"]


def without_sources_of(trained, tables) -> list[WithoutSource]:
    folder, rows, bundle = trained
    at = rows.sample.test[:40]
    return without_sources(bundle, folder_without(folder, tables), rows, at, np.full(40, 0.1))


def test_figures_and_report_tell_of_each_source(trained, found):
    folder, rows, bundle = trained
    _, by_provider = found
    measured = evaluate(bundle, folder, rows=rows)
    figures = measured.figures()
    for provider, one in by_provider.items():
        assert figures[f"auc_without_{provider}"] == pytest.approx(one.silence.auc.value)
        assert figures[f"auc_without_{provider}_low"] <= figures[f"auc_without_{provider}"]
        assert figures[f"mean_pd_change_without_{provider}"] == pytest.approx(one.silence.mean_pd_change)
        assert figures[f"decisions_changed_without_{provider}"] == pytest.approx(one.silence.decisions_changed)
    part = re.search(r'<section id="robustness">(.*?)</section>', measured.report, re.DOTALL).group(1)
    for provider, words in (("bureau", ("征信", "Bureau")), ("repayment", ("本机构还款", "Own repayments"))):
        it = by_provider[provider].silence
        row = next(row for row in part.split("<tr>") if all(word in row for word in words))
        assert f"{it.auc.value:.4f}" in row
        assert f"{100 * it.mean_pd_change:+.2f}%" in row
        assert f"{100 * it.decisions_changed:.1f}%" in row


def test_a_report_of_a_model_without_sources_says_so(report_input):
    part = re.search(r'<section id="robustness">(.*?)</section>', build_report(report_input()), re.DOTALL).group(1)
    assert "no source beyond the application" in part
    assert "<table>" not in part


def test_rows_keep_their_order(trained, found):
    folder, rows, bundle = trained
    given, by_provider = found
    at, order = rows.sample.test, np.random.default_rng(1).permutation(len(rows.sample.test))
    shuffled = {one.provider: one for one in without_sources(bundle, folder, rows, at[order], given[order])}
    for provider, one in by_provider.items():
        assert shuffled[provider].silence.auc.value == pytest.approx(one.silence.auc.value)
        assert shuffled[provider].silence.affected == one.silence.affected
