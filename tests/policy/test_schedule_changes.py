"""Prepayment, lines, grace and penalty interest: worked by hand, and what must hold for every loan."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import DeclarationError
from policy.products import Rate
from policy.rate import value_at
from policy.schedule.arrears import arrears
from policy.schedule.instalments import schedule
from policy.schedule.line import Movement, ledger, owed
from policy.schedule.prepayment import prepay
from tests.policy.test_schedule import PRODUCTS, loans, whole_loan

CAP = PRODUCTS.cap
PLAN = schedule("equal_instalments", 1_200_000, Rate.annual("0.06"), date(2027, 1, 15), 12)


def test_a_prepayment_between_due_days_pays_the_days_since() -> None:
    # the third instalment is paid on 15 April; 10 of the 30 days to 15 May have passed
    balance = PLAN.instalments[2].balance
    found = prepay(PLAN, date(2027, 4, 25), 300_000, "lower_instalment", fee=Decimal("0.01"), cap=CAP)
    ahead, following = found.instalments[3], found.instalments[4]
    assert (ahead.principal, ahead.fee, ahead.ahead, ahead.balance) == (300_000, 3_000, True, balance - 300_000)
    assert ahead.interest == round(balance * 0.005 / 3)
    assert following.interest == round((balance - 300_000) * 0.005 * 2 / 3)
    assert (following.number, found.instalments[-1].number) == (4, 12)


def test_a_loan_settled_whole_ends_there() -> None:
    balance = PLAN.instalments[5].balance
    found = prepay(PLAN, date(2027, 7, 15), balance, "shorter_term", fee=Decimal("0.01"), cap=CAP)
    assert len(found.instalments) == 7
    assert (found.instalments[-1].amount, found.instalments[-1].interest) == (balance + round(balance * 0.01), 0)


def test_a_shorter_term_keeps_the_instalment_and_saves_more() -> None:
    shorter, lower = (
        prepay(PLAN, date(2027, 4, 15), 400_000, then, fee=Decimal(0), cap=CAP)
        for then in ("shorter_term", "lower_instalment")
    )
    assert {row.amount for row in shorter.instalments[4:-1]} == {PLAN.instalments[0].amount}
    assert shorter.instalments[-1].due_on < lower.instalments[-1].due_on == PLAN.instalments[-1].due_on
    assert shorter.interest < lower.interest < PLAN.interest


def test_the_fee_is_cut_back_to_what_the_cap_leaves() -> None:
    # 1 % of everything a day after the drawing would cost more than a thousand percent a year
    found = prepay(PLAN, date(2027, 1, 16), 1_200_000, "shorter_term", fee=Decimal("0.01"), cap=CAP)
    assert 0 < found.instalments[-1].fee < 1_000
    assert found.annual_rate.effective <= CAP


def test_paying_the_rest_a_day_after_a_part_keeps_the_cap() -> None:
    plan = schedule("equal_instalments", 20_000_000, Rate.annual("0.08"), date(2027, 5, 10), 60)
    terms = {"fee": Decimal("0.01"), "cap": CAP}
    part = prepay(plan, date(2027, 5, 11), 19_000_000, "lower_instalment", **terms)
    rest = prepay(part, date(2027, 5, 12), 1_000_000, "lower_instalment", **terms)
    assert 0 < part.fees < 10_000
    assert rest.annual_rate.effective <= CAP


def test_a_business_loan_has_no_term_to_shorten() -> None:
    plan = schedule("interest_quarterly", 10_000_000, Rate.annual("0.08"), date(2027, 1, 1), 12)
    with pytest.raises(DeclarationError, match="give lower_instalment"):
        prepay(plan, date(2027, 4, 1), 5_000_000, "shorter_term", fee=Decimal(0), cap=CAP)
    found = prepay(plan, date(2027, 4, 1), 5_000_000, "lower_instalment", fee=Decimal(0), cap=CAP)
    assert [row.interest for row in found.instalments] == [200_000, 0, 100_000, 100_000, 100_000]


@pytest.mark.parametrize(
    ("on", "fen", "told"),
    [
        (date(2027, 1, 14), 100, "does not lie between"),
        (date(2028, 1, 15), 100, "does not lie between"),
        (date(2027, 2, 1), 0, "0 fen cannot be repaid ahead of 1200000"),
        (date(2027, 2, 1), 1_200_001, "1200001 fen cannot be repaid"),
    ],
)
def test_a_prepayment_out_of_range_says_why(on: date, fen: int, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        prepay(PLAN, on, fen, "lower_instalment", fee=Decimal(0), cap=CAP)


@given(loans(), st.data())
@settings(max_examples=200, deadline=None)
def test_a_loan_repaid_ahead_once_or_twice_is_whole_and_within_the_cap(loan: tuple, data: st.DataObject) -> None:
    plan, name = loan
    product = PRODUCTS[name]
    for _ in range(data.draw(st.integers(1, 2))):
        open_ = [row for row in plan.instalments if row.balance > 0]
        last = plan.instalments[-1].due_on
        first = max((row.due_on for row in plan.instalments if row.ahead), default=plan.drawn_on)
        if not open_ or first >= last:
            break
        soon = min(first + timedelta(days=3), last - timedelta(days=1))
        on = data.draw(st.dates(first, soon) | st.dates(first, last - timedelta(days=1)))
        paid = [row for row in plan.instalments if row.due_on <= on]
        balance = paid[-1].balance if paid else plan.principal
        fen = data.draw(st.just(balance) | st.integers(1, balance))
        then = (
            "lower_instalment"
            if plan.form == "interest_quarterly"
            else data.draw(st.sampled_from(["shorter_term", "lower_instalment"]))
        )
        plan = prepay(plan, on, fen, then, fee=product.prepayment_fee, cap=CAP)
        whole_loan(plan)
        # what is paid is worth at most what was lent, at the cap's rate; to the fen, as each interest is rounded
        assert value_at(float(CAP), plan.flows, plan.drawn_on) < 1


def test_a_line_is_drawn_and_repaid_at_will() -> None:
    rate = Rate.daily("0.0003")
    moves = [
        Movement(date(2027, 2, 27), 200_000),
        Movement(date(2027, 3, 2), 100_000),  # 3 days on 2,000: 1.80
        Movement(date(2027, 3, 12), -150_000),  # 10 days on 3,000: 9.00; the rest is principal
    ]
    entries = ledger(500_000, rate, moves)
    assert [(one.interest, one.principal, one.balance) for one in entries][-1] == (1_080, 148_920, 151_080)
    assert owed(entries, rate, date(2027, 3, 22)) == 151_080 + 453  # 4.5324
    closed = ledger(500_000, rate, [*moves, Movement(date(2027, 3, 22), -151_533)])
    assert (closed[-1].balance, closed[-1].accrued) == (0, 0)


@pytest.mark.parametrize(
    ("moves", "told"),
    [
        ([(1, 600_000)], "exceed the 500000 that are free"),
        ([(1, 100_000), (11, -100_501)], "more than the 100500 that are owed"),
        ([(5, 100_000), (1, -1)], "in order of time"),
    ],
)
def test_a_line_refuses_what_cannot_be(moves: list[tuple[int, int]], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        ledger(500_000, Rate.daily("0.0005"), [Movement(date(2027, 3, day), fen) for day, fen in moves])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 300_000), st.booleans()), max_size=12), st.integers(0, 60))
def test_a_line_loses_no_fen(steps: list[tuple[int, int, bool]], more: int) -> None:
    rate, on, moves = Rate.daily("0.0005"), date(2027, 1, 1), []
    for days, fen, draws in steps:
        on += timedelta(days=days)
        entries = ledger(10**9, rate, moves)
        fen = fen if draws else -min(fen, owed(entries, rate, on))
        moves.append(Movement(on, fen))
    entries = ledger(10**9, rate, moves)
    balance = entries[-1].balance if entries else 0
    assert balance == sum(one.drawn - one.principal for one in entries)
    assert all(min(one.principal, one.interest, one.balance, one.accrued) >= 0 for one in entries)
    due = owed(entries, rate, on + timedelta(days=more))
    closed = ledger(10**9, rate, [*moves, Movement(on + timedelta(days=more), -due)])
    assert closed[-1].balance == 0
    # interest is what the days cost, but for half a fen at each rounding
    cost = sum(
        (before.balance * rate.of_day * (after.on - before.on).days for before, after in pairwise(closed)), Decimal(0)
    )
    assert abs(sum(one.interest for one in closed) - cost) <= Decimal("0.5") * len(closed)


ARREARS = {"grace_days": 3, "penalty": Decimal("1.5")}
MONTH = schedule("equal_principal", 1_200_000, Rate.annual("0.073"), date(2027, 1, 1), 12)  # 0.02 % a day


def test_within_the_grace_days_nothing_is_added() -> None:
    first = MONTH.instalments[0]
    found = arrears(MONTH, [], date(2027, 2, 4), **ARREARS)
    assert (found.dpd, found.overdue, found.penalty) == (3, first.amount, 0)
    paid = arrears(MONTH, [(date(2027, 2, 4), first.amount)], date(2027, 2, 20), **ARREARS)
    assert (paid.dpd, paid.overdue, paid.balance) == (0, 0, 1_100_000)


def test_after_them_penalty_counts_from_the_due_day() -> None:
    found = arrears(MONTH, [], date(2027, 2, 5), **ARREARS)
    assert (found.dpd, found.penalty) == (4, 120)  # 1,000 CNY x 0.03 % x 4 days
    # half is paid in grace: the other half bears penalty from the due day
    half = [(date(2027, 2, 3), MONTH.instalments[0].interest + 50_000)]
    assert arrears(MONTH, half, date(2027, 2, 5), **ARREARS).penalty == 60


def test_a_payment_settles_the_oldest_first_and_penalty_before_interest() -> None:
    on = date(2027, 3, 11)  # 38 and 10 days past due
    before = arrears(MONTH, [], on, **ARREARS)
    assert (before.dpd, before.principal, before.penalty) == (38, 200_000, 1_140 + 300)
    after = arrears(MONTH, [(on, 1_140 + MONTH.instalments[0].interest + 100_000 + 300)], on, **ARREARS)
    assert (after.dpd, after.penalty, after.paid_penalty, after.principal) == (10, 0, 1_440, 100_000)


def test_what_is_paid_before_it_is_due_waits() -> None:
    found = arrears(MONTH, [(date(2027, 1, 20), 500_000)], date(2027, 1, 31), **ARREARS)
    assert (found.credit, found.balance) == (500_000, 1_200_000)
    later = arrears(MONTH, [(date(2027, 1, 20), 500_000)], date(2027, 2, 1), **ARREARS)
    assert (later.credit, later.overdue) == (500_000 - MONTH.instalments[0].amount, 0)


@given(
    loans(),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 10**7)), max_size=6),
    st.integers(0, 2_200),
)
@settings(max_examples=150, deadline=None)
def test_every_fen_paid_is_found_again(loan: tuple, paid: list[tuple[int, int]], later: int) -> None:
    plan, name = loan
    product = PRODUCTS[name]
    payments = [(plan.drawn_on + timedelta(days=day), fen) for day, fen in paid]
    on = plan.drawn_on + timedelta(days=later)
    found = arrears(plan, payments, on, grace_days=product.grace_days, penalty=product.penalty)
    fallen = sum(row.amount for row in plan.instalments if row.due_on <= on)
    seen = sum(fen for day, fen in payments if day <= on)
    assert seen == fallen - (found.overdue - found.penalty) + found.paid_penalty + found.credit
    assert min(found.dpd, found.principal, found.interest, found.fee, found.penalty, found.balance, found.credit) >= 0
    assert (found.dpd > 0) >= (found.overdue > 0 and not any(row.due_on == on for row in plan.instalments))
