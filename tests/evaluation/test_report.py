from __future__ import annotations

import re
import time
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation import metrics
from evaluation.report import clauses, explanation, plots
from evaluation.report.build import SECTIONS, build_report
from evaluation.report.inputs import NOT_MEASURED, Explained, ReportInput, Split
from reporting.page import Text, Unknown


@pytest.fixture(scope="module")
def html(report_input) -> str:
    return build_report(report_input())


def section(html: str, name: str) -> str:
    """Text of one section, without markup."""
    part = re.search(rf'<section id="{name}">(.*?)</section>', html, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", part.group(1), flags=re.DOTALL))


def test_same_input_same_bytes(html, report_input):
    assert build_report(report_input()) == html


def test_nothing_comes_from_outside(html):
    assert "://" not in html
    assert not re.search(r'(src|href)="(?!#|data:)', html)
    assert "default-src 'none'" in html


def test_every_section_is_there_in_both_languages(html):
    for one in SECTIONS:
        assert f'href="#{one.id}"' in html
        assert f'<h2><span lang="zh">{one.title.zh}</span><span lang="en">{one.title.en}</span></h2>' in html


def test_every_plot_has_drawn(html):
    drawn = re.findall(r'<svg [^>]*data-plot="([^"]+)".*?</svg>', html, re.DOTALL)
    ranked = ["bureau_overdue_count_24m", "application_income_monthly", "repayment_dpd_max_180d"]
    pairs = [f"interaction-bureau_overdue_count_24m-{name}" for name in (ranked[2], ranked[1])]
    expected = ["month-rows", "month-bad-rate", "roc", "ks", "reliability", "log-odds", "beeswarm"]
    assert drawn == [*expected, *(f"dependence-{name}" for name in ranked), *pairs]
    for svg in re.findall(r"<svg .*?</svg>", html, re.DOTALL):
        assert svg.count("<path") + svg.count("<image") > 3
    assert html.count("data:image/png;base64,") == 6  # clouds of points are pixels


def test_ids_do_not_collide(html):
    found = re.findall(r'\sid="([^"]+)"', html)
    assert len(found) == len(set(found))


def test_figures_are_those_of_the_metrics(html, report_input):
    test = report_input().test
    found = metrics.evaluate(test.y, test.pd)
    text = section(html, "discrimination")
    for name in ("auc", "gini", "ks", "brier", "log_loss"):
        assert f"{found[name].value:.4f}" in text
        assert f"[{found[name].low:.4f}, {found[name].high:.4f}]" in text
    gain = metrics.auc_difference(test.y, test.pd, test.parts["net"])
    assert f"{gain.value:.4f}" in section(html, "method")
    assert "0.0200 [0.0100, 0.0300]" in section(html, "method")  # of the scorecard


def test_facts_a_reviewer_asks_for(html, report_input):
    assert "folds = 3, torch = 7" in section(html, "identity")
    assert "1,234" in section(html, "sample")
    assert "Performance window not over" in section(html, "sample")
    assert "its weight is zero" in section(html, "method")
    assert "&lt;experiment&gt;" in section(html, "method")
    assert "The records are simulated." in section(html, "limitations")
    assert "0c" * 32 in section(html, "hashes")
    assert "Retail risk" in section(html, "identity")
    assert "Not for collection" in section(html, "identity")
    assert "2024-03 delivery" in section(html, "data")
    assert "one of the declared categories" in section(html, "data")
    rows = re.search(r'<section id="catalogue">(.*?)</section>', html, re.DOTALL).group(1).split("<tr>")[2:]
    assert [re.search("<code>(.*?)</code>", row).group(1) for row in rows] == [
        "bureau_overdue_count_24m",
        "application_income_monthly",
        "repayment_dpd_max_180d",
    ]
    assert "raises risk" in rows[0]
    assert "lowers risk" in rows[1]
    missing = report_input().explained.rows["repayment_dpd_max_180d"].isna().mean()
    assert f"{100 * missing:.1f}%" in rows[2]


def test_no_identifier_of_an_applicant(html):
    assert "secret" not in html


def test_additivity_is_measured(html, report_input):
    assert "holds" in section(html, "additivity")
    bent = np.asarray(report_input().explained.log_odds).copy()
    bent[7] += 0.25
    page = build_report(report_input(explained__log_odds=bent))
    assert "2.50e-01" in section(page, "additivity")
    assert "violated" in section(page, "additivity")
    assert "Attributions miss the log-odds by up to 2.50e-01" in section(page, "findings")


def test_waterfall_ends_at_the_log_odds(report_input):
    report = report_input()
    one = explanation.applicant(report, 3, strongest=2)
    assert len(one.steps) == 3
    assert one.steps[-1].text == Text("其余2项", "2 others")
    assert one.steps[-1].total == pytest.approx(report.explained.log_odds[3])
    assert one.residual == pytest.approx(0, abs=1e-12)
    assert one.pd == pytest.approx(1 / (1 + np.exp(-report.explained.log_odds[3])))
    assert all(step.left >= -1e-9 and step.left + step.width <= 100 + 1e-9 for step in one.steps)


def test_importance_by_hand(report_input):
    given = SimpleNamespace(
        base=0.0,
        features=np.array([[1.0, -2.0, 0.5], [-1.0, 4.0, 0.5]]),
        sequences=np.array([[0.0], [0.0]]),
        sources=("payments",),
    )
    explained = pd.DataFrame(np.zeros((2, 3)), columns=[feature.name for feature in report_input().features.declared])
    report = report_input(explained__rows=explained, explained__attributions=given, explained__log_odds=[-0.5, 3.5])
    ranked = explanation.importances(report)
    assert [(item.name, item.mean_abs) for item in ranked] == [
        ("application_income_monthly", 3.0),
        ("bureau_overdue_count_24m", 1.0),
        ("repayment_dpd_max_180d", 0.5),
        ("sequence:payments", 0.0),
    ]
    assert ranked[0].share == pytest.approx(3 / 4.5)
    assert explanation.group_importances(report)[0].name == "application"


def test_a_sample_of_one_class_is_stated_not_hidden(report_input):
    split = Split("test", np.zeros(50, dtype=int), np.linspace(0.01, 0.2, 50), {"net": np.arange(50.0)})
    html = build_report(report_input(sample__splits=(split,)))
    assert "every row is of one class" in section(html, "discrimination")
    assert "The sample has a single class" in section(html, "discrimination")
    assert "AUC of the test cannot be computed" in section(html, "findings")
    assert "only 0 defaults" in section(html, "findings")
    assert "no separate training sample" in section(html, "findings")


def test_nothing_explained_is_stated(report_input):
    empty = SimpleNamespace(base=-2.0, features=np.zeros((0, 3)), sequences=np.zeros((0, 1)), sources=("payments",))
    explained = replace(
        report_input().explained, rows=report_input().explained.rows.iloc[:0], attributions=empty, log_odds=[]
    )
    html = build_report(report_input(explained=replace(explained, interactions=NOT_MEASURED)))
    assert "No row was explained" in section(html, "additivity")


def test_input_that_does_not_fit_is_named(report_input):
    fewer = report_input().features.declared[:2]
    with pytest.raises(ValueError, match=r"features and the columns.*log_odds has shape \(2,\), not \(60,\)"):
        build_report(report_input(features__declared=fewer, explained__log_odds=[0.0, 1.0]))
    uneven = Split("test", [0, 1], [0.1])
    with pytest.raises(ValueError, match="split test: lengths"):
        build_report(report_input(sample__splits=(uneven,)))


def test_markup_in_facts_is_escaped(report_input):
    html = build_report(report_input(identity__model="<script>alert(1)</script>", sample__target="a < b & c"))
    assert "<script>alert" not in html
    assert "a &lt; b &amp; c" in html


def test_three_hundred_features_stay_small_and_fast(report_input):
    rng = np.random.default_rng(0)
    n, width = 5000, 300
    names = [f"feature_{k}" for k in range(width)]
    features = tuple(
        SimpleNamespace(name=name, en=name, zh=name, unit="count", risk=0, group="bureau") for name in names
    )
    explained = pd.DataFrame(rng.normal(size=(n, width)), columns=names)
    values, sequences = rng.normal(size=(n, width)) / 50, np.zeros((n, 1))
    given = SimpleNamespace(base=-2.0, features=values, sequences=sequences, sources=("payments",))
    start = time.process_time()
    html = build_report(
        report_input(
            features__declared=features,
            explained=Explained(explained, given, -2 + values.sum(axis=1)),
        )
    )
    assert time.process_time() - start < 20
    assert len(html.encode()) < 8_000_000


@pytest.mark.parametrize("values", [np.full(20, np.nan), np.full(20, 3.0), np.arange(20.0)])
def test_dependence_of_odd_features_draws(values):
    assert "<svg" in plots.dependence("x", values, np.linspace(-1, 1, 20))
    assert "<svg" in plots.beeswarm(["x"], values[:, None], np.zeros((20, 1)))


UNMEASURED = [field.name for field in fields(ReportInput) if field.default is NOT_MEASURED]


def test_what_is_not_known_is_said_in_its_place_and_among_the_findings(report_input):
    reasons = {name: Unknown(Text(f"未知之因：{name}。", f"The reason for {name}.")) for name in UNMEASURED}
    html = build_report(report_input(**reasons))
    found = section(html, "findings")
    for reason in reasons.values():
        said = [one.id for one in SECTIONS if reason.reason.en in section(html, one.id)]
        assert "findings" in said, reason
        assert len(said) > 1, reason
        assert reason.reason.zh in found


def test_every_figure_carries_the_hash_of_its_data(html):
    figures = re.findall(r"<figure.*?</figure>", html, re.DOTALL)
    assert len(figures) > 10
    assert all(f'title="{"da" * 32}"' in figure for figure in figures)
    told = {"findings", "clauses", "limitations", "hashes", "identity"}  # they show no figure, or the hashes themselves
    for one in SECTIONS:
        part = re.search(rf'<section id="{one.id}">(.*?)</section>', html, re.DOTALL).group(1)
        assert one.id in told or ("da" * 32 in part and "b1" * 32 in part), one.id


def test_findings_against_the_model_come_first(report_input):
    worse = replace(report_input().implementation, pd_difference=0.5)
    text = section(build_report(report_input(implementation=worse)), "findings")
    first = text.index("Online and batch disagree")
    assert first < text.index("net: not in the hybrid") < text.index("Not measured this time")


def test_clauses_name_sections_that_are_there(html):
    known = {one.id for one in SECTIONS}
    assert all(set(clause.sections) <= known for clause in clauses.CLAUSES)
    assert all(set(clause.asked) <= set(clauses.LAWS) for clause in clauses.CLAUSES)
    assert {law for clause in clauses.CLAUSES for law in clause.asked} == set(clauses.LAWS)
    text = section(html, "clauses")
    for words in ("SR 26-2", "JR/T 0221", "Personal Information Protection Law, Article 24", "互联网贷款"):
        assert words in text


def test_who_signs_finds_a_place(html):
    text = section(html, "findings")
    for role in ("Developer", "Independent validation", "Model-risk review", "Approver"):
        assert role in text
    assert not re.search(r"(?i)signed by|签字人：", text)  # nobody is named who has not signed
