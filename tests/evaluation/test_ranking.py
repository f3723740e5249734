from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from evaluation import metrics
from evaluation.ranking import h_measure, pr_auc

# the example in the README of PyPI's hmeasure 0.1.6, a translation of the R package of Hand and Anagnostopoulos
PUBLISHED_Y = [1, 1, 0, 1, 1, 0, 1, 1, 1, 0]
PUBLISHED_SCORE = [
    0.84901876, 0.10282827, 0.43752488, 0.46004468, 0.90878931,
    0.79177719, 0.5297229, 0.13803906, 0.73166264, 0.22959056,
]  # fmt: skip


@pytest.mark.parametrize(
    ("severity", "published"),
    [
        (None, 0.18310946512079307),  # Hand and Anagnostopoulos 2014
        ((2, 1 + 3 / 7), 0.18889596344769588),  # severity ratio of the bad to the good rate
        ((2, 1 + 1 / 0.7), 0.13502616807120948),
        ((2, 1 + 1 / 0.1), 0.001212529211507385),
    ],
)
def test_h_measure_equals_the_published_example(severity, published):
    assert h_measure(PUBLISHED_Y, PUBLISHED_SCORE, severity=severity).value == pytest.approx(published, abs=1e-12)


def test_h_measure_by_hand():
    """With all costs alike it is the share of p (1 - p) that the score takes away: 1 - (3/16) / (1/4)."""
    y, score = [0, 0, 0, 1, 0, 1, 1, 1], [0.1] * 4 + [0.9] * 4
    assert h_measure(y, score, severity=(1, 1)).value == pytest.approx(0.25, abs=1e-12)
    assert h_measure(y, [-value for value in score]).value == 0.0  # the wrong way round is worth nothing


def test_pr_auc_equals_sklearn_with_and_without_ties():
    rng = np.random.default_rng(4)
    y, score = rng.integers(0, 2, 500), rng.normal(size=500)
    for values in (score, score.round(0)):
        assert pr_auc(y, values).value == pytest.approx(average_precision_score(y, values), abs=1e-12)


def test_pr_auc_by_hand():
    """Riskiest first: bad, good, bad; the bad loans see bad rates of 1 and 2/3."""
    found = pr_auc([1, 0, 1], [0.9, 0.8, 0.7])
    assert found.value == pytest.approx((1 + 2 / 3) / 2)
    assert found.note == "a score that ranks nothing would show 0.6667"


@pytest.mark.parametrize("figure", [pr_auc, h_measure])
def test_intervals_cover_the_figure_of_the_population(figure):
    rng = np.random.default_rng(11)

    def drawn(n):
        log_odds = rng.normal(-1.5, 1.2, n)
        return (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int), log_odds

    truth = figure(*drawn(400_000), resamples=2).value
    covered = 0
    for seed in range(60):
        found = figure(*drawn(800), resamples=100, seed=seed)
        assert found.low < found.value < found.high
        covered += found.low <= truth <= found.high
    assert covered >= 51


@pytest.mark.parametrize("figure", [pr_auc, h_measure])
@pytest.mark.parametrize(("y", "reason"), [([], "no rows"), ([0, 0], "every row is of one class")])
def test_one_class_has_neither(figure, y, reason):
    found = figure(y, [0.3] * len(y))
    assert (found.value, found.note) == (None, reason)
    assert found.note_zh


def test_both_are_among_the_figures_of_a_pd():
    y, pd = [0, 0, 1, 1, 0], [0.1, 0.2, 0.3, 0.6, 0.4]
    found = metrics.evaluate(y, pd, seed=3)
    assert found["pr_auc"] == pr_auc(y, pd, seed=3)
    assert found["h_measure"] == h_measure(y, pd, seed=3)
