"""From a number of customers and a seed to a lender's tables and the truth behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder, write_tables
from lenders.simulated.accounts import open_accounts
from lenders.simulated.bureau import bureau_tables
from lenders.simulated.consents import consent_table, within_consent
from lenders.simulated.consumption import consumption_tables
from lenders.simulated.decisions import Decisions, decide, late_90_dpd
from lenders.simulated.declared import applications_table
from lenders.simulated.devices import device_columns
from lenders.simulated.feeds import disturbed, of_known_accounts
from lenders.simulated.invoices import invoice_tables
from lenders.simulated.people import macro_path, make_people
from lenders.simulated.repayment import repayment_tables
from lenders.simulated.rings import gather_rings
from lenders.simulated.scenarios import scenario_called
from lenders.simulated.timeline import NEVER, Ints, Timeline, identifiers

Progress = Callable[[str, float], None]

DEFAULT_START = datetime(2021, 1, 1)
_ACCOUNT_MONTHS_BEFORE, _BUREAU_MONTHS_BEFORE = 12, 24  # what a customer's consent opens at the first request
_MONTHS_AFTER = 4  # how long both are still seen after the last request


@dataclass(frozen=True)
class SimulatedLender:
    """A lender whose truth is known.

    Parameters
    ----------
    tables : dict of str to pa.Table
        Canonical tables by name. Rejected applicants have no outcome in them.
    truth : DataFrame
        One row an application: `application_id`, `true_pd` (probability of 30 days past due by the sixth month on
        book), `defaults` (whether that comes to pass were the loan granted), `late_90_dpd` (whether it would be 90 days
        past due by the twelfth month on book), `granted` and `ring` (number of the fraud ring, missing for most). Never
        readable by features.
    """

    tables: dict[str, pa.Table]
    truth: pd.DataFrame

    @property
    def records(self) -> int:
        """Rows of all tables together."""
        return sum(table.num_rows for table in self.tables.values())


def simulate(
    customers: int = 20_000,
    months: int = 36,
    seed: int = 7,
    start: datetime = DEFAULT_START,
    *,
    scenario: str = "baseline",
    progress: Progress | None = None,
) -> SimulatedLender:
    """Simulate a consumer-finance company: its customers, their bureau files, purses, businesses and loans.

    The same arguments give the same records. Every record carries when it was learned, and holds only what could be
    known then; some are wrong at first and mended later.

    Parameters
    ----------
    customers : int
        Number of customers; each applies at least once.
    months : int
        Months with applications.
    seed : int
        Seed of all randomness.
    start : datetime
        First month with applications; its day is ignored.
    scenario : str
        Name of one of `SCENARIOS`: what befalls the lender. Another scenario leaves what it does not touch as it was.
    progress : callable, optional
        Called with the name of the step that begins and the share that is done.

    Raises
    ------
    SourceError
        Where the numbers allow no lender, or there is no such scenario.

    Examples
    --------
    >>> lender = simulate(customers=50, months=12, seed=1)
    >>> sorted(lender.tables)[:3], bool(lender.truth.true_pd.between(0, 1).all())
    (['applications', 'card_months', 'consents'], True)
    """
    _check(customers, months, seed, start)
    course = scenario_called(scenario)
    tell = progress or (lambda step, share: None)
    tell("customers", 0.0)
    timeline = Timeline(start, months)
    macro = macro_path(timeline, course, seed)
    people = make_people(customers, timeline, macro, course, seed)
    rings = gather_rings(people, timeline, course, seed)
    tell("decisions", 0.05)
    decisions = decide(people, timeline, macro, rings, course, seed)
    names = identifiers("C", np.arange(customers)), _application_names(decisions)
    tell("repayment", 0.12)
    devices = device_columns(decisions, rings, customers, timeline.size, seed)
    tables = {"applications": applications_table(decisions, people, timeline, names, devices, seed)}
    own, purse = repayment_tables(decisions, people, timeline, names, seed)
    tell("bureau", 0.25)
    accounts = open_accounts(people, timeline, seed)
    seen = _seen(decisions, customers, timeline, _BUREAU_MONTHS_BEFORE)
    tables |= bureau_tables(accounts, people, timeline, macro, seen, names[0], seed)
    tell("consumption", 0.4)
    seen = _seen(decisions, customers, timeline, _ACCOUNT_MONTHS_BEFORE)
    tables |= consumption_tables(accounts, people, timeline, seen, purse, names[0], seed)
    tell("business", 0.85)
    tables |= own | invoice_tables(people, timeline, seen, names[0], seed)
    tell("consents", 0.92)
    consents, withdrawn_at = consent_table(people, timeline, *_first_and_last(decisions, customers), names[0], seed)
    tables = within_consent(disturbed(tables, course, timeline, names[0], seed), withdrawn_at, names[0])
    tables = of_known_accounts(tables) | {"consents": consents}
    tell("done", 1.0)
    return SimulatedLender(tables, _truth(decisions, names[1]))


def write(lender: SimulatedLender, out: Path) -> TableFolder:
    """Write the canonical tables into a folder, and the truth beside them as `truth/truth.parquet`.

    Raises
    ------
    SourceError
        Where `out` holds something else than canonical tables.
    """
    truth = {"truth/truth.parquet": lender.truth}
    return write_tables(out, lender.tables, lender="simulated", dates="calendar", beside=truth)


def _check(customers: int, months: int, seed: int, start: datetime) -> None:
    faults = [
        f"{name} is {value}, it must be from {low} to {high}"
        for name, value, low, high in (
            ("customers", customers, 1, 10_000_000),
            ("months", months, 1, 240),
            ("seed", seed, 0, 2**63 - 1),
            ("start", start.year, 1975, 2200),
        )
        if not low <= value <= high
    ]
    if faults:
        raise SourceError(f"No lender can be simulated: {'; '.join(faults)}.")


def _application_names(decisions: Decisions) -> pa.Array:
    """Identifiers in order of time; null for requests before the first month of the tables."""
    numbers = np.cumsum(decisions.listed) - 1
    return identifiers("A", numbers, ~decisions.listed)


def _first_and_last(decisions: Decisions, customers: int) -> tuple[Ints, Ints]:
    """Moments of each customer's first and last listed application."""
    first, last = np.full(customers, NEVER), np.zeros(customers, np.int64)
    np.minimum.at(first, decisions.customer[decisions.listed], decisions.applied_at[decisions.listed])
    np.maximum.at(last, decisions.customer[decisions.listed], decisions.applied_at[decisions.listed])
    return first, last


def _seen(decisions: Decisions, customers: int, timeline: Timeline, months_before: int) -> Ints:
    """First and last month in which a customer is seen, shape (2, customers)."""
    first, last = (timeline.month_of(moments) for moments in _first_and_last(decisions, customers))
    return np.stack([np.maximum(first - months_before, 0), np.minimum(last + _MONTHS_AFTER, timeline.size - 1)])


def _truth(decisions: Decisions, applications: pa.Array) -> pd.DataFrame:
    rows = np.flatnonzero(decisions.listed)
    return pd.DataFrame(
        {
            "application_id": applications.take(pa.array(rows)).to_pandas(),
            "true_pd": decisions.true_pd[rows],
            "defaults": decisions.defaults[rows],
            "late_90_dpd": late_90_dpd(decisions)[rows],
            "granted": decisions.granted[rows],
            "ring": pd.Series(decisions.ring[rows], dtype="Int64").where(decisions.ring[rows] >= 0),
        }
    )
