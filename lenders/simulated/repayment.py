"""Own loans: what was decided, what fell due, what was paid, and how each loan went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lenders.simulated.decisions import Decisions
from lenders.simulated.lines import Lines, draw_lines, statements
from lenders.simulated.people import People
from lenders.simulated.requests import BUSINESS, EMERGENCY_CASH, PRODUCTS
from lenders.simulated.schedules import Schedule, instalment_monthly, term_loans, together
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    NEVER,
    Flags,
    Floats,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
    months_later,
    whole,
)

MONTHS_ON_BOOK = (3, 6, 9, 12)
_BOUNCED, _MISTYPED = 0.03, 0.004  # of late instalments, of payments


@dataclass(frozen=True)
class Purse:
    """What own loans move on the customers' accounts; arrays of shape (n,): customer, moment, CNY.

    A loan for goods does not arrive there: it goes to the merchant, whom the customer pays the rest. What is repaid on
    one loan at one moment is one transaction; a business repays from its takings.
    """

    drawn: tuple[Ints, Ints, Floats]
    paid_down: tuple[Ints, Ints, Floats]
    repaid: tuple[Ints, Ints, Floats]
    repaid_by_business: tuple[Ints, Ints, Floats]


def repayment_tables(
    decisions: Decisions, people: People, timeline: Timeline, names: tuple[pa.Array, pa.Array], seed: int
) -> tuple[dict[str, pa.Table], Purse]:
    """Build `loans`, `instalments`, `payments`, `card_months` and `outcomes`, and tell what went through the accounts.

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
    is_line = decisions.product[drawn] == EMERGENCY_CASH
    on_line, at_once = np.flatnonzero(is_line), np.flatnonzero(~is_line)
    lines = draw_lines(
        decisions, on_line, drawn[on_line], drawn_at[drawn[on_line]], people, timeline, generator(seed, "lines")
    )
    schedule = together(
        lines.schedule, term_loans(decisions, at_once, drawn[at_once], drawn_at[drawn[at_once]], people, timeline, rng)
    )
    closed_at = np.full(n, NEVER)
    closed_at[drawn] = _closed_at(schedule, lines, len(drawn))
    customers, applications = names
    customer = customers.take(pa.array(decisions.customer))
    loan_id = identifiers("L", np.arange(n))
    card = pa.array(drawn[on_line])
    tables = {
        "loans": _loans(decisions, decided_at, closed_at, customer, loan_id, applications, timeline),
        "instalments": _instalments(schedule, drawn, customer, loan_id, timeline),
        "payments": _payments(schedule, drawn, customer, loan_id, timeline, generator(seed, "payments")),
        "card_months": statements(
            lines, closed_at[drawn[on_line]], customer.take(card), loan_id.take(card), timeline.end,
            generator(seed, "statements"),
        ),
        "outcomes": _outcomes(schedule, decisions, drawn, drawn_at, customer, applications, timeline),
    }  # fmt: skip
    return tables, _purse(decisions, drawn, drawn_at, lines, schedule)


def _closed_at(schedule: Schedule, lines: Lines, drawn: int) -> Ints:
    """When each drawn loan is repaid for good, and a line can no longer be drawn."""
    latest = np.zeros(drawn, np.int64)
    np.maximum.at(latest, schedule.loan, schedule.paid_at)
    latest[lines.loan] = np.maximum(latest[lines.loan], lines.ends_at)
    return latest


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
        "down_payment": pa.array(whole(100 * decisions.down_payment[rows]), mask=refused),
        "instalment_monthly": pa.array(whole(100 * instalment_monthly(product, amount, term, rate)), mask=refused),
        "term_months": term,
        "annual_rate": rate,
        "closed_at": moments_column(np.where(is_closing, closed_at[rows], 0), ~is_closing),
    })  # fmt: skip
    return known_before(table, timeline.end)


def _instalments(
    schedule: Schedule, drawn: Ints, customer: pa.Array, loan_id: pa.Array, timeline: Timeline
) -> pa.Table:
    """A row when it is scheduled, another where an early payment lowers what it asks for."""
    n = len(schedule)
    lowered = np.flatnonzero((schedule.settled < schedule.amount) & (schedule.paid_at < timeline.end))
    rows = np.concatenate([np.arange(n), lowered])
    take = pa.array(drawn[schedule.loan[rows]])
    return pa.table({
        "instalment_id": identifiers("I", rows),
        "loan_id": loan_id.take(take),
        "customer_id": customer.take(take),
        "occurred_at": moments_column(schedule.drawn_at[rows]),
        "known_at": moments_column(np.concatenate([schedule.drawn_at, schedule.paid_at[lowered]])),
        "due_at": moments_column(schedule.due_at[rows]),
        "number": schedule.number[rows],
        "amount_due": np.concatenate([schedule.amount, schedule.settled[lowered]]),
    })  # fmt: skip


def _payments(
    schedule: Schedule, drawn: Ints, customer: pa.Array, loan_id: pa.Array, timeline: Timeline,
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    """Payments as they are learned: a bounced one comes again as nothing, a mistyped one with its true amount."""
    instalment, paid_at, amount = _paid(schedule)
    owing = np.flatnonzero((schedule.paid_at > schedule.due_at) & (rng.random(len(schedule)) < _BOUNCED))
    tried_at = schedule.due_at[owing] - (rng.uniform(1, 14, len(owing)) * HOUR).astype(np.int64)
    tried = (tried_at > schedule.drawn_at[owing]) & (tried_at < timeline.end - 9 * DAY)  # so that it is known to fail
    instalment = np.concatenate([instalment, owing[tried]])
    paid_at = np.concatenate([paid_at, tried_at[tried]])
    bounced = np.arange(len(instalment)) >= len(amount)
    amount = np.concatenate([amount, schedule.settled[owing[tried]]])
    order = np.lexsort((instalment, paid_at))
    instalment, paid_at, amount = (column[order] for column in (instalment, paid_at, amount))
    bounced = bounced[order]

    n = len(order)
    lag = (rng.exponential(3.0, n) * HOUR).astype(np.int64) + (rng.random(n) < 0.02) * 2 * DAY
    mistyped = ~bounced & (rng.random(n) < _MISTYPED)
    wrong = np.flatnonzero(bounced | mistyped)
    rows = np.concatenate([np.arange(n), wrong])
    known_at = (paid_at + lag)[rows]
    known_at[n:] += (rng.uniform(0.5, 4.5, len(wrong)) * DAY).astype(np.int64)
    told = np.concatenate([np.where(mistyped, amount // 10, amount), np.where(bounced, 0, amount)[wrong]])
    take = pa.array(drawn[schedule.loan[instalment[rows]]])
    table = pa.table({
        "payment_id": identifiers("P", rows),
        "loan_id": loan_id.take(take),
        "instalment_id": identifiers("I", instalment[rows]),
        "customer_id": customer.take(take),
        "occurred_at": moments_column(paid_at[rows]),
        "known_at": moments_column(known_at),
        "amount": told,
    })  # fmt: skip
    return known_before(table, timeline.end)


def _paid(schedule: Schedule) -> tuple[Ints, Ints, Ints]:
    """Instalment, moment and fen of each payment that was made."""
    parts, wholes = np.flatnonzero(schedule.part > 0), np.flatnonzero(schedule.paid_at < NEVER)
    return (
        np.concatenate([parts, wholes]),
        np.concatenate([schedule.part_at[parts], schedule.paid_at[wholes]]),
        np.concatenate([schedule.part[parts], (schedule.settled - schedule.part)[wholes]]),
    )


def _purse(decisions: Decisions, drawn: Ints, drawn_at: Ints, lines: Lines, schedule: Schedule) -> Purse:
    customer, product = decisions.customer[drawn], decisions.product[drawn]

    def select(moved: tuple[Ints, Ints, Floats], rows: Flags) -> tuple[Ints, Ints, Floats]:
        return moved[0][rows], moved[1][rows], moved[2][rows]

    business, goods = np.flatnonzero(product == BUSINESS), np.flatnonzero(decisions.down_payment[drawn] > 0)
    cash = np.flatnonzero(lines.cash)
    instalment, paid_at, amount = _paid(schedule)
    loan = schedule.loan[instalment]
    order = np.lexsort((paid_at, loan))
    loan, paid_at = loan[order], paid_at[order]
    new = np.flatnonzero(np.diff(loan, prepend=-1) | np.diff(paid_at, prepend=-1))
    total = np.add.reduceat(amount[order], new) / 100 if len(new) else np.zeros(0)
    repaid = customer[loan[new]], paid_at[new], total
    by_business = product[loan[new]] == BUSINESS
    return Purse(
        drawn=(
            np.concatenate([customer[lines.loan[lines.line[cash]]], customer[business]]),
            np.concatenate([lines.at[cash], drawn_at[drawn[business]]]),
            np.concatenate([lines.principal[cash] / 100, decisions.amount[drawn[business]]]),
        ),
        paid_down=(customer[goods], drawn_at[drawn[goods]], decisions.down_payment[drawn[goods]]),
        repaid=select(repaid, ~by_business),
        repaid_by_business=select(repaid, by_business),
    )


def _outcomes(
    schedule: Schedule, decisions: Decisions, drawn: Ints, drawn_at: Ints, customer: pa.Array, applications: pa.Array,
    timeline: Timeline,
) -> pa.Table:  # fmt: skip
    """Highest days past due so far, counted from what instalments and payments tell in the end."""
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
