from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation import metrics
from evaluation.segments import by_segment, overfit_by_segment, segment_table

Y = [0, 1, 0, 1, 0, 0]
PD = [0.1, 0.4, 0.2, 0.15, 0.3, 0.2]


def test_each_level_has_the_figures_of_its_rows():
    dimensions = pd.DataFrame(
        {"product": ["cash", "cash", "cash", "cash", None, None], "branch": [1] * 6}, index=[9] * 6
    )
    cash, missing, branch = by_segment(Y, PD, dimensions, seed=5)
    assert cash.metrics["auc"].value == 0.75
    assert {name: cash.metrics[name] for name in metrics.evaluate([0, 1], [0.1, 0.2])} == metrics.evaluate(
        Y[:4], PD[:4], seed=5
    )
    assert (cash.metrics["bad_rate"].value, cash.n, cash.bad) == (0.5, 4, 2)
    assert (missing.level, missing.n, missing.bad, missing.metrics["ks"].value) == ("missing", 2, 0, None)
    assert missing.metrics["bad_rate"].high == pytest.approx(0.6576, abs=1e-4)  # Wilson of 0 among 2
    assert (branch.dimension, branch.level, branch.n) == ("branch", "1", 6)


def test_categories_keep_their_order_and_empty_ones_are_left_out():
    bands = pd.Categorical(["young", "old", "old"], categories=["young", "middle", "old"], ordered=True)
    found = by_segment([0, 1, 0], [0.1, 0.2, 0.3], pd.DataFrame({"age": bands}))
    assert [one.level for one in found] == ["young", "old"]


def test_table_holds_values_intervals_and_reasons():
    found = by_segment(Y, PD, pd.DataFrame({"month": ["2024-01"] * 4 + ["2024-02"] * 2}))
    table = segment_table(found, ["auc", "brier"])
    assert list(table) == [
        *("dimension", "level", "n", "bad"),
        *("auc", "auc_low", "auc_high", "auc_note", "auc_note_zh"),
        *("brier", "brier_low", "brier_high", "brier_note", "brier_note_zh"),
    ]
    assert table["auc"].tolist() == pytest.approx([0.75, np.nan], nan_ok=True)
    assert table["auc_note_zh"].tolist() == ["", "样本只有一个类别"]
    assert table.loc[1, "brier"] == pytest.approx((0.09 + 0.04) / 2)


def test_rows_without_their_level_are_refused():
    with pytest.raises(ValueError, match="2 outcomes but 1 rows of dimensions"):
        by_segment([0, 1], [0.1, 0.2], pd.DataFrame({"product": ["cash"]}))


def test_overfit_where_a_level_was_learnt_by_heart():
    """On one product the model knows the answers of its training; on the other it is as good as on new rows."""
    rng = np.random.default_rng(5)

    def drawn(heart):
        y = rng.integers(0, 2, 1000)
        product = np.repeat(["cash", "education"], 500)
        score = rng.normal(size=1000) + y + heart * 3 * y * (product == "cash")
        return y, score, pd.DataFrame({"product": product})

    both, cash, education = overfit_by_segment(drawn(1), drawn(0))
    assert cash.gap.low > 0.15
    assert education.gap.low < 0 < education.gap.high
    assert both.gap.value == pytest.approx(both.train.value - both.test.value)
    # independent samples: variances of the two areas add up
    half = np.hypot(*((one.high - one.value) for one in (education.train, education.test)))
    assert education.gap.high - education.gap.value == pytest.approx(half)


def test_overfit_of_a_level_that_one_sample_lacks_says_so():
    train = ([0, 1, 1], [0.1, 0.2, 0.3], pd.DataFrame({"channel": ["app", "app", "branch"]}))
    test = ([0, 1], [0.1, 0.2], pd.DataFrame({"channel": ["app", "agent"]}))
    found = {one.level: one for one in overfit_by_segment(train, test)}
    assert list(found) == ["all", "app", "branch", "agent"]
    assert found["app"].gap.note == "every row is of one class"
    assert found["agent"].gap.note == "no rows"
    assert found["agent"].gap.note_zh == "没有样本"
