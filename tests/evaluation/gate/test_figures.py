"""Figures that only a gate asks for, against answers worked out by hand."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from evaluation.gate.figures import adverse_impact, age_band, gini_fall, mean_pd_ratio, p99, score_psi
from evaluation.tables import wilson
from training.reference import Distribution


def test_mean_pd_to_bad_rate() -> None:
    found = mean_pd_ratio([0] * 90 + [1] * 10, [0.2] * 100)
    low, high = wilson(10, 100)
    assert found.value == pytest.approx(2.0)
    assert (found.low, found.high, found.n) == (pytest.approx(0.2 / high), pytest.approx(0.2 / low), 100)


def test_mean_pd_without_a_default_cannot_be_held_against_anything() -> None:
    found = mean_pd_ratio([0, 0], [0.1, 0.2])
    assert (found.value, found.note, found.note_zh) == (None, "no default among the rows", "样本中没有坏客户")


def test_psi_of_the_same_score_is_its_chance() -> None:
    reference = Distribution.of("score", np.arange(1000.0))
    same = score_psi(reference, np.arange(1000.0))
    assert same.value == pytest.approx(0.0, abs=1e-12)
    assert same.note == "without any drift it would be about 0.0180"  # (1/1000 + 1/1000) (10 - 1)
    moved = score_psi(reference, np.arange(1000.0) + 500.0)
    assert moved.value > 1
    assert score_psi(reference, []).note == "no rows"


def test_psi_of_a_score_that_fills_other_bins_is_finite() -> None:
    reference = Distribution("score", (0.0,), (100, 0, 0), -1.0, 0.0)
    # 100.5, 0.5 against 0.5, 100.5 of 101
    share = np.array([100.5, 0.5]) / 101
    by_hand = float(((share[::-1] - share) * np.log(share[::-1] / share)).sum())
    assert score_psi(reference, [1.0] * 100).value == pytest.approx(by_hand)


def month_of(number: int, good: list[float], bad: list[float]) -> tuple[list[int], list[float], list[str]]:
    return [0] * len(good) + [1] * len(bad), [*good, *bad], [f"2026-{number:02d}"] * (len(good) + len(bad))


def three_months(*ginis: str) -> tuple[list[int], list[float], list[str]]:
    """Months in which the AUC is 1 (`best`) or 3/4 (`worse`)."""
    scores = {"best": ([1, 2], [3, 4]), "worse": ([1, 3], [2, 4])}
    months = [month_of(at, *scores[kind]) for at, kind in enumerate(ginis, start=1)]
    return tuple(list(chain(*parts)) for parts in zip(*months, strict=True))


def test_a_gini_that_stays_does_not_fall() -> None:
    y, score, month = three_months("worse", "worse", "worse")
    found = gini_fall(y, score, month, defaults=2, months=3)
    assert found.value == pytest.approx(0.0)
    assert found.low < 0 < found.high
    assert (found.note, found.n) == ("3 months", 12)


def test_the_line_goes_through_two_months_that_are_equally_sure() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000)
    y = (rng.random(4000) < expit(z - 1)).astype(int)
    month = np.where(np.arange(4000) < 2000, "2026-01", "2026-03")
    noisy = np.where(month == "2026-03", z + rng.normal(0, 2, 4000), z)
    found = gini_fall(y, noisy, month, defaults=10, months=2)
    from evaluation.metrics import gini

    first, last = (gini(y[month == name], noisy[month == name]) for name in ("2026-01", "2026-03"))
    assert found.value == pytest.approx(first.value - last.value)  # two points: any weights give the line through both
    error = np.hypot(*((one.high - one.low) / 2 for one in (first, last)))
    assert found.high - found.value == pytest.approx(error)
    assert found.low > 0
    assert gini_fall(y[::-1], noisy[::-1], month[::-1], defaults=10, months=2).value == pytest.approx(found.value)


def test_a_sure_month_weighs_more() -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=6000)
    y = (rng.random(6000) < expit(z)).astype(int)
    month = np.select([np.arange(6000) < 2900, np.arange(6000) < 3000], ["2026-01", "2026-02"], "2026-03")
    shuffled = np.where(month == "2026-02", rng.permutation(z), z)  # a bad month of a hundred rows in between
    assert abs(gini_fall(y, shuffled, month, defaults=10, months=3).value) < 0.05


@pytest.mark.parametrize(
    ("months", "told"),
    [
        (("worse",), "1 of 1 months have 2 defaults and good loans each, 3 are needed"),
        (("worse", "worse"), "2 of 2 months have 2 defaults and good loans each, 3 are needed"),
    ],
)
def test_one_month_tells_no_trend(months: tuple[str, ...], told: str) -> None:
    y, score, month = three_months(*months)
    found = gini_fall(y, score, month, defaults=2, months=3)
    assert (found.value, found.note) == (None, told)


def test_months_without_defaults_are_left_out_and_counted() -> None:
    y, score, month = three_months("best", "worse", "worse", "worse")
    y[:4] = [0, 0, 0, 0]
    found = gini_fall(y, score, month, defaults=2, months=3)
    assert (found.value, found.note) == (pytest.approx(0.0), "3 months, 1 with too few defaults left out")
    assert found.note_zh == "3个月，另有1个月坏客户过少未计"
    assert gini_fall([0, 0], [1.0, 2.0], ["2026-01", "2026-02"], defaults=2, months=2).value is None
    assert gini_fall([], [], [], defaults=2, months=2).value is None


def test_adverse_impact_by_hand() -> None:
    group = pd.Series(["f"] * 10 + ["m"] * 10 + ["x"] + [None] * 4)
    pds = [0.1] * 6 + [0.9] * 4 + [0.1] * 8 + [0.9] * 2 + [0.1] + [0.9] * 4  # 15 of 25 are safe
    found = adverse_impact(group, pds, approval_rate=0.6, rows=10)
    assert found.value == pytest.approx(0.6 / 0.8)
    half = 1.959964 * np.sqrt(0.4 / 6 + 0.2 / 8)
    assert (found.low, found.high) == (pytest.approx(0.75 * np.exp(-half)), pytest.approx(0.75 * np.exp(half)))
    assert found.note == "approved: f 60.0% against m 80.0%; 5 applicants in no group or a small one"


def test_adverse_impact_needs_two_groups_that_are_large_enough() -> None:
    group = pd.Series(["f"] * 3 + ["m"] * 10)
    found = adverse_impact(group, np.linspace(0, 1, 13), approval_rate=0.5, rows=5)
    assert (found.value, found.note) == (None, "1 group(s) of at least 5 applicants, two are needed")
    assert adverse_impact(pd.Series([], dtype=object), [], approval_rate=0.5, rows=2).value is None


def test_a_group_of_whom_nobody_is_approved() -> None:
    found = adverse_impact(pd.Series(["f", "f", "m", "m"]), [0.9, 0.9, 0.1, 0.1], approval_rate=0.5, rows=2)
    assert (found.value, found.low) == (0.0, None)


def test_age_bands_and_the_unknown_age() -> None:
    bands = age_band(pd.Series([18.0, 34.99, 35.0, 54.0, 55.0, np.nan]))
    assert bands.tolist()[:5] == ["under 25", "25-34", "35-44", "45-54", "55 and over"]
    assert bands.isna().tolist() == [False] * 5 + [True]
    assert age_band(pd.Series([None, None])).isna().all()


def test_the_99th_percentile_of_few_times_is_open_above() -> None:
    few = p99([3.0, 1.0, 2.0])
    assert (few.value, few.high, few.note) == (3.0, None, "the interval is open above: 3 requests are too few")
    assert p99([]).note == "no request was scored"
    rng = np.random.default_rng(2)
    many = p99(rng.exponential(size=5000))
    assert many.low < -np.log(0.01) < many.high
