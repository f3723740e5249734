from __future__ import annotations

import re
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation import metrics
from evaluation.report import explanation, plots
from evaluation.report.build import SECTIONS, Split, Text, build_report


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
    for name, text in SECTIONS:
        assert f'href="#{name}"' in html
        assert f'<h2><span lang="zh">{text.zh}</span><span lang="en">{text.en}</span></h2>' in html


def test_every_plot_has_drawn(html):
    drawn = re.findall(r'<svg [^>]*data-plot="([^"]+)".*?</svg>', html, re.DOTALL)
    ranked = ["bureau_overdue_count_24m", "application_income_monthly", "repayment_dpd_max_180d"]
    expected = ["roc", "ks", "reliability", "log-odds", "beeswarm", *(f"dependence-{name}" for name in ranked)]
    assert drawn == expected
    for svg in re.findall(r"<svg .*?</svg>", html, re.DOTALL):
        assert svg.count("<path") + svg.count("<image") > 3
    assert html.count("data:image/png;base64,") == 4  # clouds of points are pixels


def test_ids_do_not_collide(html):
    found = re.findall(r'\sid="([^"]+)"', html)
    assert len(found) == len(set(found))


def test_figures_are_those_of_the_metrics(html, report_input):
    test = report_input().splits[-1]
    found = metrics.evaluate(test.y, test.pd)
    text = section(html, "discrimination")
    for name in ("auc", "gini", "ks", "brier", "log_loss"):
        assert f"{found[name].value:.4f}" in text
        assert f"[{found[name].low:.4f}, {found[name].high:.4f}]" in text
    gain = metrics.auc_difference(test.y, test.pd, test.parts["net"])
    assert f"{gain.value:.4f}" in section(html, "parts")


def test_facts_a_reviewer_asks_for(html, report_input):
    assert "folds = 3, torch = 7" in section(html, "identity")
    assert "1,234" in section(html, "sample")
    assert "Performance window not over" in section(html, "sample")
    assert "its weight is zero" in section(html, "method")
    assert "&lt;experiment&gt;" in section(html, "method")
    assert "The records are simulated." in section(html, "limitations")
    assert "0c" * 32 in section(html, "hashes")
    rows = re.search(r'<section id="features">(.*?)</section>', html, re.DOTALL).group(1).split("<tr>")[2:]
    assert [re.search("<code>(.*?)</code>", row).group(1) for row in rows] == [
        "bureau_overdue_count_24m",
        "application_income_monthly",
        "repayment_dpd_max_180d",
    ]
    assert "raises risk" in rows[0]
    assert "lowers risk" in rows[1]
    missing = report_input().explained["repayment_dpd_max_180d"].isna().mean()
    assert f"{100 * missing:.1f}%" in rows[2]


def test_no_identifier_of_an_applicant(html):
    assert "secret" not in html


def test_additivity_is_measured(html, report_input):
    assert "holds" in section(html, "additivity")
    report = report_input()
    bent = np.asarray(report.log_odds).copy()
    bent[7] += 0.25
    text = section(build_report(report_input(log_odds=bent)), "additivity")
    assert "2.50e-01" in text
    assert "violated" in text


def test_waterfall_ends_at_the_log_odds(report_input):
    report = report_input()
    one = explanation.applicant(report, 3, strongest=2)
    assert len(one.steps) == 3
    assert one.steps[-1].text == Text("其余2项", "2 others")
    assert one.steps[-1].total == pytest.approx(report.log_odds[3])
    assert one.residual == pytest.approx(0, abs=1e-12)
    assert one.pd == pytest.approx(1 / (1 + np.exp(-report.log_odds[3])))
    assert all(step.left >= -1e-9 and step.left + step.width <= 100 + 1e-9 for step in one.steps)


def test_importance_by_hand(report_input):
    given = SimpleNamespace(
        base=0.0,
        features=np.array([[1.0, -2.0, 0.5], [-1.0, 4.0, 0.5]]),
        sequences=np.array([[0.0], [0.0]]),
        sources=("payments",),
    )
    explained = pd.DataFrame(np.zeros((2, 3)), columns=[feature.name for feature in report_input().features])
    report = report_input(explained=explained, attributions=given, log_odds=[-0.5, 3.5])
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
    html = build_report(report_input(splits=(split,)))
    assert "every row is of one class" in section(html, "discrimination")
    assert "The sample has a single class" in section(html, "discrimination")
    assert "only 0 defaults" in section(html, "limitations")
    assert "no separate training sample" in section(html, "limitations")


def test_nothing_explained_is_stated(report_input):
    empty = SimpleNamespace(base=-2.0, features=np.zeros((0, 3)), sequences=np.zeros((0, 1)), sources=("payments",))
    explained = report_input().explained.iloc[:0]
    html = build_report(report_input(explained=explained, attributions=empty, log_odds=[]))
    assert "No row was explained" in section(html, "additivity")


def test_input_that_does_not_fit_is_named(report_input):
    with pytest.raises(ValueError, match=r"features and the columns.*log_odds has shape \(2,\), not \(60,\)"):
        build_report(report_input(features=report_input().features[:2], log_odds=[0.0, 1.0]))
    uneven = Split("test", [0, 1], [0.1])
    with pytest.raises(ValueError, match="split test: lengths"):
        build_report(report_input(splits=(uneven,)))


def test_markup_in_facts_is_escaped(report_input):
    html = build_report(report_input(model="<script>alert(1)</script>", target="a < b & c"))
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
    start = time.perf_counter()
    html = build_report(
        report_input(features=features, explained=explained, attributions=given, log_odds=-2 + values.sum(axis=1))
    )
    assert time.perf_counter() - start < 20
    assert len(html.encode()) < 8_000_000


@pytest.mark.parametrize("values", [np.full(20, np.nan), np.full(20, 3.0), np.arange(20.0)])
def test_dependence_of_odd_features_draws(values):
    assert "<svg" in plots.dependence("x", values, np.linspace(-1, 1, 20))
    assert "<svg" in plots.beeswarm(["x"], values[:, None], np.zeros((20, 1)))
