"""What customers agreed to, and that nothing is learned once they withdrew it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.tables import TABLES
from lenders.simulated.people import OWNER, People
from lenders.simulated.timeline import (
    DAY,
    HOUR,
    NEVER,
    Flags,
    Ints,
    Timeline,
    generator,
    identifiers,
    known_before,
    labels,
    moments_column,
)

_PROVIDERS = ("bureau", "consumption", "business")
_POINTS = ("application", "behaviour", "early_warning", "transaction")
_ASKED = tuple((p, d) for p in range(3) for d in range(4) if d < 3 or p == 1)  # provider and decision point
_WITHDRAWN = 0.01  # of each provider's consents


def consent_table(
    people: People, timeline: Timeline, first_at: Ints, last_at: Ints, customers: pa.Array, seed: int
) -> tuple[pa.Table, Ints]:
    """Build `consents`: given at the first application or shortly before, withdrawn by a few after the last.

    Parameters
    ----------
    first_at, last_at : ndarray of int64, shape (customers,)
        Moments of the first and last application.

    Returns
    -------
    pa.Table
    ndarray of int64, shape (3, customers)
        When each provider's consents are withdrawn, `NEVER` or more for most.
    """
    rng = generator(seed, "consents")
    n = len(people)
    given_at = first_at - (rng.exponential(0.5, n) * HOUR).astype(np.int64) - (rng.random(n) < 0.1) * 2 * DAY
    withdrawn_at = last_at + (rng.uniform(5, 150, (3, n)) * DAY).astype(np.int64)
    withdraws = (rng.random((3, n)) < _WITHDRAWN) & (withdrawn_at < timeline.end - 3 * DAY)
    withdraws[2] &= people.segment == OWNER
    at = np.where(withdraws, withdrawn_at, NEVER)
    customer, asked = np.nonzero(_asked_of(people))
    provider, point = np.array(_ASKED)[asked].T
    ends = np.flatnonzero(at[provider, customer] < NEVER)
    rows = np.concatenate([np.arange(len(customer)), ends])
    is_end = np.arange(len(rows)) >= len(customer)
    given, ended = given_at[customer[rows]], at[provider[rows], customer[rows]]
    table = pa.table({
        "consent_id": identifiers("K", rows),
        "customer_id": customers.take(pa.array(customer[rows])),
        "occurred_at": moments_column(given),
        "known_at": moments_column(np.where(is_end, ended, given)),
        "provider": labels(_PROVIDERS, provider[rows]),
        "decision_point": labels(_POINTS, point[rows]),
        "expires_at": moments_column(np.where(is_end, ended, 0), ~is_end),
    })  # fmt: skip
    return known_before(table, timeline.end), at


def _asked_of(people: People) -> Flags:
    """Which consents each customer is asked for, shape (customers, consents)."""
    business = np.array([provider == 2 for provider, _ in _ASKED])
    asked: Flags = ~business[None, :] | (people.segment == OWNER)[:, None]
    return asked


def within_consent(tables: Mapping[str, pa.Table], withdrawn_at: Ints, customers: pa.Array) -> dict[str, pa.Table]:
    """The tables without what was learned after the customer withdrew the consent that it needs."""
    return {name: _within(name, table, withdrawn_at, customers) for name, table in tables.items()}


def _within(name: str, table: pa.Table, withdrawn_at: Ints, customers: pa.Array) -> pa.Table:
    use = TABLES[name].use
    if not use.consent:
        return table
    until = withdrawn_at[_PROVIDERS.index(use.provider)]
    gone = np.flatnonzero(until < NEVER)
    which = pc.index_in(table["customer_id"], value_set=customers.take(pa.array(gone))).combine_chunks()
    rows = np.flatnonzero(which.is_valid().to_numpy(zero_copy_only=False))
    known_at = table["known_at"].take(pa.array(rows)).to_numpy().astype("datetime64[us]").astype(np.int64)
    late = known_at > until[gone[which.take(pa.array(rows)).to_numpy()]]
    kept = np.ones(len(table), bool)
    kept[rows[late]] = False
    return table.filter(pa.array(kept)) if late.any() else table
