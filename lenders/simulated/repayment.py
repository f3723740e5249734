"""Own loans: what was decided, what fell due, what was paid, and how each loan went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lenders.simulated.decisions import BUSINESS, PRODUCTS, Decisions
from lenders.simulated.people import People
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    Floats,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
    months_later,
    sigmoid,
    whole,
)

MONTHS_ON_BOOK = (3, 6, 9, 12)
_NEVER = 2**62  # half of what int64 holds, so that days can be added to it
_LATEST_CASUAL = 27  # days late by negligence: never a default


@dataclass(frozen=True)
class Schedule:
    """Instalments of all loans, in order of loan and number; arrays of shape (instalments,).

    Parameters
    ----------
    loan : ndarray of int64
        Row in the drawn loans.
    number, month, due_at, amount : ndarray of int64
        Place in the schedule, month on book, moment, fen.
    paid_at : ndarray of int64
        When the last of it is paid, `_NEVER` or more where it is not.
    """

    loan: Ints
    number: Ints
    month: Ints
    due_at: Ints
    amount: Ints
    paid_at: Ints


def instalment_monthly(product: Ints, amount: Floats, term: Ints, annual_rate: Floats) -> Floats:
    """Instalment a month in CNY: an annuity, for business loans the interest alone.

    Examples
    --------
    >>> product, amount, term = np.array([0, 3]), np.array([3_000.0, 120_000.0]), np.array([3, 12])
    >>> instalment_monthly(product, amount, term, np.array([0.12, 0.08])).round(2).tolist()
    [1020.07, 800.0]
    """
    monthly = annual_rate / 12
    annuity: Floats = amount * monthly / (1 - (1 + monthly) ** -term)
    return np.where(product == BUSINESS, amount * monthly, annuity)


def repayment_tables(
    decisions: Decisions, people: People, timeline: Timeline, names: tuple[pa.Array, pa.Array], seed: int
) -> dict[str, pa.Table]:
    """Build `loans`, `instalments`, `payments` and `outcomes`.

    Parameters
    ----------
    names : tuple of pa.Array
        Identifiers of the customers, and of the applications (null for those before the tables' months).
    """
    rng = generator(seed, "repayment")
    n = len(decisions)
    decided_at = decisions.applied_at + (rng.gamma(1.5, 4.0, n) * HOUR).astype(np.int64) + 60_000_000
    drawn_at = decided_at + (rng.exponential(12.0, n) * HOUR).astype(np.int64)
    drawn = np.flatnonzero(decisions.granted & (drawn_at < timeline.end))
    schedule = _schedule(decisions, drawn, drawn_at, people, timeline, rng)
    closed_at = np.full(n, _NEVER)
    closed_at[drawn] = np.maximum.reduceat(schedule.paid_at, np.searchsorted(schedule.loan, np.arange(len(drawn))))
    customers, applications = names
    customer = customers.take(pa.array(decisions.customer))
    loan_id = identifiers("L", np.arange(n))
    return {
        "loans": _loans(decisions, decided_at, closed_at, customer, loan_id, applications, timeline),
        **_dues_and_payments(schedule, drawn, drawn_at, customer, loan_id, timeline, rng),
        "outcomes": _outcomes(schedule, decisions, drawn, drawn_at, customer, applications, timeline),
    }


def _schedule(
    decisions: Decisions, drawn: Ints, drawn_at: Ints, people: People, timeline: Timeline, rng: np.random.Generator
) -> Schedule:
    quarterly = decisions.product[drawn] == BUSINESS
    stride = np.where(quarterly, 3, 1)
    counts = decisions.term[drawn] // stride
    loan = np.repeat(np.arange(len(drawn)), counts)
    number = 1 + np.arange(len(loan)) - np.repeat(np.cumsum(counts) - counts, counts)
    month = number * stride[loan]
    of = drawn[loan]
    due_at = months_later(drawn_at[of], month)
    principal = decisions.amount[of]
    monthly = instalment_monthly(decisions.product[of], principal, decisions.term[of], decisions.annual_rate[of])
    amount = np.where(quarterly[loan], 3 * monthly + principal * (month == decisions.term[of]), monthly)
    paid_at = _paid_at(decisions, of, loan, month, due_at, drawn_at[of], people, timeline, rng)
    return Schedule(loan, number, month, due_at, whole(100 * amount), paid_at)


def _paid_at(
    decisions: Decisions, of: Ints, loan: Ints, month: Ints, due_at: Ints, drawn_at: Ints,
    people: People, timeline: Timeline, rng: np.random.Generator,
) -> Ints:  # fmt: skip
    """Instalments early, on the day or late by negligence; then long arrears, cured or not; then early repayment."""
    who = decisions.customer[of]
    strain = people.strain[who, timeline.month_of(due_at)]
    paid_at = due_at + _casual_delay(people.willingness[who], people.ability[who], strain, rng)
    loans = int(loan.max(initial=-1)) + 1
    missed = decisions.missed[of]

    begins = np.full(loans, _NEVER)
    first = (missed > 0) & (month == missed)
    begins[loan[first]] = due_at[first]
    cured_at = begins + rng.integers(31, 85, loans) * DAY - 9 * HOUR
    caught = (missed > 0) & (due_at >= begins[loan])
    paid_at = np.where(caught & decisions.cured[of], np.maximum(paid_at, cured_at[loan]), paid_at)
    paid_at = np.where(caught & ~decisions.cured[of], _NEVER, paid_at)

    prepays, share = rng.random(loans) < 0.22, rng.random(loans)
    ahead = prepays[loan] & (missed == 0) & (month > share[loan] * decisions.term[of])
    settled_at = np.full(loans, _NEVER)
    np.minimum.at(settled_at, loan[ahead], paid_at[ahead])
    return np.maximum(np.where(ahead, settled_at[loan], paid_at), drawn_at + HOUR)


def _casual_delay(willingness: Floats, ability: Floats, strain: Floats, rng: np.random.Generator) -> Ints:
    """Microseconds from the due moment (the end of a day) to a payment of somebody who means to pay."""
    n = len(strain)
    late = rng.random(n) < sigmoid(-2.3 - 1.0 * willingness + 0.8 * strain)
    early = rng.random(n) < sigmoid(-1.2 + 0.5 * ability - 0.5 * strain)
    days_late, days_early = np.minimum(rng.geometric(0.17, n), _LATEST_CASUAL), rng.integers(1, 13, n)
    days = np.where(late, days_late, np.where(early, -days_early, 0))
    hours_before_midnight = (rng.uniform(2, 15, n) * HOUR).astype(np.int64)
    return days * DAY - hours_before_midnight


def _loans(
    decisions: Decisions, decided_at: Ints, closed_at: Ints, customer: pa.Array, loan_id: pa.Array,
    applications: pa.Array, timeline: Timeline,
) -> pa.Table:  # fmt: skip
    """A row when the loan is decided, another when it is repaid."""
    closes = np.flatnonzero(closed_at < timeline.end)
    rows = np.concatenate([np.arange(len(decisions)), closes])
    is_closing = np.arange(len(rows)) >= len(decisions)
    take = pa.array(rows)
    product, amount, term, rate = (
        column[rows] for column in (decisions.product, decisions.amount, decisions.term, decisions.annual_rate)
    )
    refused = ~decisions.granted[rows]
    goods = np.isin(product, (1, 2))
    table = pa.table({
        "loan_id": loan_id.take(take),
        "customer_id": customer.take(take),
        "occurred_at": moments_column(decided_at[rows]),
        "known_at": moments_column(np.where(is_closing, closed_at[rows], decided_at[rows])),
        "application_id": applications.take(take),
        "product": labels(PRODUCTS, product),
        "status": labels(("granted", "refused", "closed"), np.where(is_closing, 2, refused.astype(np.int64))),
        "amount_requested": whole(100 * amount),
        "principal": pa.array(whole(100 * amount), mask=refused),
        "down_payment": pa.array(whole(100 * np.where(goods, 0.1 * amount, 0.0)), mask=refused),
        "instalment_monthly": pa.array(whole(100 * instalment_monthly(product, amount, term, rate)), mask=refused),
        "term_months": term,
        "annual_rate": rate,
        "closed_at": moments_column(np.where(is_closing, closed_at[rows], 0), ~is_closing),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _dues_and_payments(
    schedule: Schedule, drawn: Ints, drawn_at: Ints, customer: pa.Array, loan_id: pa.Array, timeline: Timeline,
    rng: np.random.Generator,
) -> dict[str, pa.Table]:  # fmt: skip
    of = drawn[schedule.loan]
    instalment_id = identifiers("I", np.arange(len(of)))
    take = pa.array(of)
    instalments = pa.table({
        "instalment_id": instalment_id,
        "loan_id": loan_id.take(take),
        "customer_id": customer.take(take),
        "occurred_at": moments_column(drawn_at[of]),
        "known_at": moments_column(drawn_at[of]),
        "due_at": moments_column(schedule.due_at),
        "number": schedule.number,
        "amount_due": schedule.amount,
    })  # fmt: skip
    instalment, paid_at, amount = _payments(schedule, drawn_at[of], rng)
    order = np.lexsort((instalment, paid_at))
    instalment, paid_at, amount = instalment[order], paid_at[order], amount[order]
    lag = (rng.exponential(3.0, len(order)) * HOUR).astype(np.int64) + (rng.random(len(order)) < 0.02) * 2 * DAY
    take = pa.array(of[instalment])
    payments = pa.table({
        "payment_id": identifiers("P", np.arange(len(order))),
        "loan_id": loan_id.take(take),
        "instalment_id": instalment_id.take(pa.array(instalment)),
        "customer_id": customer.take(take),
        "occurred_at": moments_column(paid_at),
        "known_at": moments_column(paid_at + lag),
        "amount": amount,
    })  # fmt: skip
    return {"instalments": instalments, "payments": known_before(payments, timeline.end)}


def _payments(schedule: Schedule, drawn_at: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Instalment, moment and fen of each payment: some come in two parts, some stop at the first part."""
    n = len(schedule.loan)
    settled = schedule.paid_at < _NEVER
    late = settled & (schedule.paid_at > schedule.due_at)
    in_parts = rng.random(n) < np.where(late, 0.18, np.where(settled, 0.02, 0.06))
    part_at = np.where(settled, schedule.paid_at, schedule.due_at + 20 * DAY) - rng.integers(1, 11, n) * DAY
    in_parts &= part_at > drawn_at
    first = np.where(in_parts, whole(schedule.amount * rng.uniform(0.2, 0.8, n)), 0)
    parts, wholes = np.flatnonzero(in_parts), np.flatnonzero(settled)
    return (
        np.concatenate([parts, wholes]),
        np.concatenate([part_at[parts], schedule.paid_at[wholes]]),
        np.concatenate([first[parts], (schedule.amount - first)[wholes]]),
    )


def _outcomes(
    schedule: Schedule, decisions: Decisions, drawn: Ints, drawn_at: Ints, customer: pa.Array, applications: pa.Array,
    timeline: Timeline,
) -> pa.Table:  # fmt: skip
    """Highest days past due so far, counted from the same instalments and payments that the tables hold."""
    tables = []
    for months in MONTHS_ON_BOOK:
        seen_at = months_later(drawn_at[drawn], months)
        until = np.minimum(schedule.paid_at, seen_at[schedule.loan])
        dpd = np.maximum(-((schedule.due_at - until) // DAY), 0)  # a day begun is a day past due
        dpd_max = np.zeros(len(drawn), np.int64)
        np.maximum.at(dpd_max, schedule.loan, dpd)
        rows = np.flatnonzero(decisions.listed[drawn] & (seen_at < timeline.end))
        take = pa.array(drawn[rows])
        tables.append(pa.table({
            "application_id": applications.take(take),
            "customer_id": customer.take(take),
            "occurred_at": moments_column(seen_at[rows]),
            "known_at": moments_column(seen_at[rows]),
            "months_on_book": np.full(len(rows), months),
            "dpd_max": dpd_max[rows],
        }))  # fmt: skip
    return pa.concat_tables(tables)
