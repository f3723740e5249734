from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.drift import compare
from serving.monitoring.report import build_drift_report
from training.reference import Reference


def applicants(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(n, 30)), columns=[f"f{k:02d}" for k in range(30)])


@pytest.fixture(scope="module")
def reference() -> Reference:
    rng = np.random.default_rng(0)
    return Reference.from_frame(applicants(rng, 10_000), rng.normal(size=10_000))


def test_report_names_what_drifted(reference):
    rng = np.random.default_rng(8)
    now = applicants(rng, 1000)
    now["f11"] += 1
    result = compare(reference, now, rng.normal(size=1000))
    page = build_drift_report(result, facts=[("bundle", "<b>9f</b>")])
    assert build_drift_report(result, facts=[("bundle", "<b>9f</b>")]) == page
    assert "://" not in page
    assert "&lt;b&gt;9f" in page
    rows = page[page.index('id="all-features"') :].split("<tr>")[2:]
    assert 'data-value="f11"' in rows[0]
    assert 'data-value="drifted"' in rows[0]
    assert len(rows) == 30
    assert 'data-plot="score"' in page
    for text in ("已漂移", "drifted", "全部特征", "All features"):
        assert text in page


@pytest.mark.parametrize("n", [0, 20])
def test_report_of_few_rows_says_so(reference, n):
    rng = np.random.default_rng(9)
    page = build_drift_report(compare(reference, applicants(rng, n), rng.normal(size=n)), facts=[])
    assert "too few requests to judge" in page
