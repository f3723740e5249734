"""Figures that only a gate asks for, against answers worked out by hand."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from scipy.special import expit

from evaluation.gate.figures import gini_fall, mean_pd_ratio, p99
from evaluation.tables import wilson


def test_mean_pd_to_bad_rate() -> None:
    found = mean_pd_ratio([0] * 90 + [1] * 10, [0.2] * 100)
    low, high = wilson(10, 100)
    assert found.value == pytest.approx(2.0)
    assert (found.low, found.high, found.n) == (pytest.approx(0.2 / high), pytest.approx(0.2 / low), 100)


def test_mean_pd_without_a_default_cannot_be_held_against_anything() -> None:
    found = mean_pd_ratio([0, 0], [0.1, 0.2])
    assert (found.value, found.note, found.note_zh) == (None, "no default among the rows", "样本中没有坏客户")


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


def test_the_99th_percentile_of_few_times_is_open_above() -> None:
    few = p99([3.0, 1.0, 2.0])
    assert (few.value, few.high, few.note) == (3.0, None, "the interval is open above: 3 requests are too few")
    assert p99([]).note == "no request was scored"
    rng = np.random.default_rng(2)
    many = p99(rng.exponential(size=5000))
    assert many.low < -np.log(0.01) < many.high
