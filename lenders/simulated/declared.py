"""What applicants say of themselves: true on the whole, rounded, and rosier than the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from lenders.simulated.decisions import Decisions
from lenders.simulated.people import OWNER, YOUNG, People
from lenders.simulated.requests import CHANNELS, PRODUCTS
from lenders.simulated.schedules import instalment_monthly
from lenders.simulated.timeline import (
    DAY,
    HISTORY_MONTHS,
    Floats,
    Timeline,
    generator,
    labels,
    moments_column,
    sigmoid,
    whole,
)

_INDUSTRIES = ("manufacturing", "retail", "catering", "construction", "transport", "it", "finance", "public", "other")
_YEAR = 365.25 * DAY


def applications_table(
    decisions: Decisions, people: People, timeline: Timeline, names: tuple[pa.Array, pa.Array],
    devices: Mapping[str, pa.Array], seed: int,
) -> pa.Table:  # fmt: skip
    """Build `applications`: those within the tables' months, in order of time.

    Parameters
    ----------
    devices : mapping of str to pa.Array
        Columns of the devices, a row a request.
    """
    rng = generator(seed, "declared")
    rows = np.flatnonzero(decisions.listed)
    who, product, amount = decisions.customer[rows], decisions.product[rows], decisions.amount[rows]
    ringed, serial = decisions.ring[rows] >= 0, decisions.serial[rows]
    draws = int(decisions.serial.max(initial=-1)) + 1
    rosy, left_out, unscored = generator(seed, "declared requests").random((draws, 3))[serial].T
    since_start = (decisions.applied_at[rows] - timeline.starts[HISTORY_MONTHS]) / _YEAR
    monthly = instalment_monthly(product, amount, decisions.term[rows], decisions.annual_rate[rows])
    price = amount + decisions.down_payment[rows]
    income = people.income[who] * np.exp(0.08 + 0.22 * ndtri(rosy)) * np.where(ringed, 1.5, 1.0)
    grown = {
        name: np.mod(begin[who] + pace * since_start, spell[who])
        for name, (begin, pace, spell) in _growing(people, rng).items()
    }
    grown["employed_months"] = np.where(ringed, 26 + 30 * left_out, grown["employed_months"])  # on paper
    customers, applications = names
    take = pa.array(who)
    return pa.table({
        "application_id": applications.take(pa.array(rows)),
        "customer_id": customers.take(take),
        "applied_at": moments_column(decisions.applied_at[rows]),
        "product": labels(PRODUCTS, product),
        "amount_requested": whole(100 * amount),
        "term_months": decisions.term[rows],
        "channel": labels(CHANNELS, decisions.channel[rows]),
        **{name: values.take(pa.array(rows)) for name, values in devices.items()},
        "instalment_monthly": whole(100 * monthly),
        "goods_price": pa.array(whole(100 * price), mask=decisions.down_payment[rows] == 0),
        "income_monthly": pa.array(whole(income / 100) * 10_000, mask=left_out < 0.04),
        **{name: values.take(take) for name, values in _lasting(people, rng).items()},
        **grown,
        "external_score_1": pa.array(
            ndtr(decisions.supplier_score[rows]), mask=(people.thin[who] & ~ringed) | (unscored < 0.06)
        ),
    })  # fmt: skip


def _growing(people: People, rng: np.random.Generator) -> dict[str, tuple[Floats, float, Floats]]:
    """Values at the start of the tables, what a year adds to them, and at which value they begin anew.

    Jobs and telephones are changed, so that their ages do not grow over the years of the tables.
    """
    n = len(people)
    tenure = np.exp(3.1 + 0.65 * people.stability + 0.6 * rng.standard_normal(n))
    phone = np.exp(6.1 + 0.5 * people.stability + 0.7 * rng.standard_normal(n))
    working = np.maximum(people.age_at_start - 20, 0.5)
    tenure *= np.where(people.newcomer, 0.5, 1.0)
    employed, telephone = np.minimum(tenure, 12 * working), np.minimum(phone, 5_000)
    return {
        "age_years": (people.age_at_start, 1.0, np.full(n, np.inf)),
        "employed_months": (employed, 12.0, employed / rng.uniform(0.05, 1.0, n)),
        "phone_age_days": (telephone, 365.0, telephone / rng.uniform(0.05, 1.0, n)),
    }


def _lasting(people: People, rng: np.random.Generator) -> dict[str, pa.Array]:
    """What a customer is and stays over the months of the tables."""
    n, young = len(people), people.segment == YOUNG
    married = rng.random(n) < np.where(young, 0.2, 0.78)
    children = np.where(married, rng.poisson(np.where(young, 0.3, 1.1)), 0)
    learning = people.ability + 1.1 * rng.standard_normal(n)
    settled = people.stability + 0.4 * people.ability + 1.2 * rng.standard_normal(n) + np.where(young, -1.6, 0.3)
    steady = people.stability + 1.2 * rng.standard_normal(n)
    employment = np.where(people.segment == OWNER, 3, np.select([steady > 1.9, steady < -1.8], [1, 2], 0))
    housing = np.select([settled > 1.2, settled > 0.1, settled < -2.2], [0, 1, 4], np.where(young, 3, 2))
    return {
        "gender": labels(("female", "male"), rng.integers(0, 2, n)),
        "marital_status": labels(("single", "married"), married.astype(np.int64)),
        "children_count": pa.array(children),
        "household_size": pa.array(1 + married + children),
        "education": labels(
            ("lower_secondary", "secondary", "vocational", "bachelor", "postgraduate"),
            np.searchsorted([-2.0, -0.5, 0.5, 2.3], learning),
        ),
        "housing": labels(("own", "mortgaged", "rented", "parents", "employer"), housing),
        "employment": labels(("employee", "public", "self_employed", "business_owner"), employment),
        "industry": labels(_INDUSTRIES, rng.integers(0, len(_INDUSTRIES), n)),
        "city_tier": pa.array(people.city_tier),
        "owns_car": pa.array(rng.random(n) < sigmoid(0.6 * people.ability + np.where(young, -1.6, 0.4))),
        "owns_home": pa.array(housing <= 1),
        "lives_elsewhere": pa.array(rng.random(n) < sigmoid(-0.6 - 0.4 * people.stability)),
        "has_email": pa.array(rng.random(n) < 0.7),
    }
