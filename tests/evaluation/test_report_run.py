"""The whole way from a bundle and a folder to the report's input, on a small trained lender."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from evaluation.measuring.course import course_of
from evaluation.measuring.probes import scorer
from evaluation.measuring.sample import months_of
from evaluation.measuring.subject import Subject
from evaluation.measuring.whole import report_input as measured
from evaluation.report.build import SECTIONS, build_report
from evaluation.report.inputs import ReportInput
from evaluation.run import evaluate
from evaluation.segments import by_segment
from lenders import simulated
from reporting.page import Unknown
from tests.evaluation.test_report import section


def silent(step, share):
    """Nobody watches."""


def unknown(report: ReportInput) -> set[str]:
    return {field.name for field in fields(report) if isinstance(getattr(report, field.name), Unknown)}


def test_everything_is_measured_but_what_was_not_given(whole):
    assert unknown(whole) == {"challenger"}
    assert whole.implementation.passed
    assert whole.reasons.agreement.passed
    assert {one.part for one in whole.reasons.fidelity} <= {"tabular_net", "sequence_net"}
    assert whole.course.drift
    assert {one.dimension for one in whole.segments} >= {"month", "product", "channel"}
    assert [one.size for one in whole.noise] == [0.01, 0.05, 0.1, 0.2]
    assert {one.attribute for one in whole.treatment.fairness} == {"gender", "age_band", "marital_status"}
    assert len(whole.directions) > 100


def test_the_probes_score_as_the_bundle_does(trained):
    folder, rows, bundle = trained
    subject = Subject(bundle, folder, rows, own=True)
    at = subject.tested[::3]
    told = scorer(subject)(rows.features.iloc[at])
    np.testing.assert_allclose(told, bundle.model.decision_function(rows.features.iloc[at], rows.events.take(at)))


def test_the_same_run_gives_the_same_bytes(trained, whole):
    folder, rows, bundle = trained
    again = evaluate(bundle, folder, rows=rows, created="2026-01-01", owner="Retail risk")
    assert again.report == build_report(whole)
    assert again.additivity_error < 1e-9
    assert again.rows == len(rows.sample.test)


def test_another_folder_than_it_was_trained_on(trained, tmp_path):
    _, _, bundle = trained
    folder = simulated.write(simulated.simulate(customers=150, months=12, seed=9), tmp_path / "tables")
    html = evaluate(bundle, folder).report
    assert "scorecard is fitted on the training rows, which these records do not hold" in section(html, "method")
    assert "hold no training rows to compare with" in section(html, "segments")
    assert folder.identity in section(html, "hashes")
    assert bundle.facts["data_identity"] in section(html, "hashes")


def test_made_up_dates_tell_no_course_of_time(trained, whole):
    folder, rows, bundle = trained
    subject = Subject(bundle, replace(folder, dates="relative"), rows, own=True)
    assert "month" not in subject.dimensions
    sample = replace(whole.sample, months=months_of(subject))
    segments = by_segment(subject.test.y, subject.test.pd, subject.dimensions, resamples=20)
    html = build_report(replace(whole, sample=sample, course=course_of(subject), segments=segments))
    assert "months mean nothing" in section(html, "sample")
    assert "no course of time to look at" in section(html, "stability")
    assert "By month" not in section(html, "segments")


def test_one_kind_of_outcome_is_stated_everywhere(trained):
    folder, rows, bundle = trained
    rows = replace(rows, defaulted=np.zeros_like(rows.defaulted))
    html = build_report(measured(Subject(bundle, folder, rows, own=True), silent))
    assert "every row is of one class" in section(html, "discrimination")
    assert "The AUC of the test cannot be computed" in section(html, "findings")
    assert "both defaults and good loans" in section(html, "method")
    assert "no limit, as the test has no AUC" in section(html, "monitoring")
    assert all(section(html, one.id).strip() for one in SECTIONS)


def test_one_month_alone(trained):
    folder, rows, bundle = trained
    months = rows.applied_at.iloc[rows.sample.test].dt.strftime("%Y-%m").to_numpy()
    most = max(set(months), key=list(months).count)
    rows = replace(rows, sample=replace(rows.sample, test=rows.sample.test[months == most]))
    html = build_report(measured(Subject(bundle, folder, rows, own=True), silent))
    assert "fewer than two months" in section(html, "stability")
    assert all(section(html, one.id).strip() for one in SECTIONS)
