from __future__ import annotations

import numpy as np
import pytest

from data_contracts.errors import DeclarationError
from evaluation.profit import Assumptions, profit

TERMS = Assumptions(margin=0.1, lgd=0.5)


def loans(n=4000, seed=2):
    """Loans of 1,000 to 9,000 CNY whose PD is true."""
    rng = np.random.default_rng(seed)
    pd = 1 / (1 + np.exp(-rng.normal(-2, 1.2, n)))
    return (rng.random(n) < pd).astype(int), pd, rng.uniform(1000, 9000, n)


def test_curve_by_hand():
    """Safest first a loan of 1,000 earns 100, one of 2,000 loses 1,000, one of 500 earns 50; over three."""
    found = profit([0, 1, 0], [0.1, 0.3, 0.9], [1000, 2000, 500], TERMS)
    assert found.curve["realised"].tolist() == pytest.approx([100 / 3, -900 / 3, -850 / 3])
    by_pd = np.cumsum([1000 * (0.09 - 0.05), 2000 * (0.07 - 0.15), 500 * (0.01 - 0.45)]) / 3
    assert found.curve["expected"].tolist() == pytest.approx(by_pd)
    assert found.curve["approved"].tolist() == [1, 2, 3]
    assert found.all_approved.value == pytest.approx(-850 / 3)
    assert TERMS.break_even_pd == pytest.approx(1 / 6)
    assert found.at_break_even.value == pytest.approx(100 / 3)
    assert found.gain.value == pytest.approx(950 / 3)
    assert (found.best.value, found.best_cutoff.value) == pytest.approx((100 / 3, 0.1))


def test_true_pds_earn_what_they_expect():
    found = profit(*loans(), TERMS)
    inside = (found.curve["realised_low"] <= found.curve["expected"]) & (
        found.curve["expected"] <= found.curve["realised_high"]
    )
    assert inside.mean() > 0.8
    assert found.gain.low > 0
    assert found.best_cutoff.low <= TERMS.break_even_pd <= found.best_cutoff.high
    assert found.best.value >= found.at_break_even.value - 5  # near the top a curve is flat


def test_curve_has_the_interval_of_a_mean():
    y, pd, amount = loans(300)
    found = profit(y, pd, amount, TERMS)
    assert found.curve["realised_low"].iloc[-1] == pytest.approx(found.all_approved.low)
    assert found.curve["realised_high"].iloc[-1] == pytest.approx(found.all_approved.high)


def test_lending_that_never_pays_is_best_refused():
    found = profit([1] * 50, np.linspace(0.1, 0.9, 50), [1000.0] * 50, TERMS)
    assert (found.best.value, found.best_cutoff.value, found.best_cutoff.high) == (0, 0, 0)


def test_choice_is_known_to_flatter():
    """A score that tells nothing: what its best cut-off earns beyond the truth is luck, and the note says how much."""
    y, _, amount = loans(500)
    found = profit(y, np.random.default_rng(0).random(500), amount, TERMS, seed=1)
    told = float(found.best.note.split()[1])
    assert 5 < told < 200
    assert found.best == profit(y, np.random.default_rng(0).random(500), amount, TERMS, seed=1).best


def test_no_rows_have_no_profit():
    found = profit([], [], [], TERMS)
    assert found.curve.empty
    assert {one.note for one in (found.all_approved, found.at_break_even, found.gain, found.best)} == {"no rows"}


@pytest.mark.parametrize("amount", [[1000, np.nan], [1000, 0], [1000]])
def test_amounts_are_checked(amount):
    with pytest.raises(ValueError, match="amount must be above 0 on each of 2 rows"):
        profit([0, 1], [0.1, 0.2], amount, TERMS)


@pytest.mark.parametrize(("terms", "name"), [((0, 0.5), "margin is 0"), ((0.1, 0), "lgd is 0"), ((0.1, 1.2), "lgd")])
def test_assumptions_are_checked(terms, name):
    with pytest.raises(DeclarationError, match=name):
        Assumptions(*terms)
