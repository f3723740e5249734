"""From which device each application was sent: most devices know one customer, some a family, a ring's a dozen."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lenders.simulated.decisions import Decisions
from lenders.simulated.requests import BRANCH
from lenders.simulated.rings import Rings
from lenders.simulated.timeline import Ints, generator, identifiers

_IN_FAMILIES = 0.08  # share of the customers who use another's device
_REPLACED_MONTHLY = 0.03
_MOST_DEVICES = 8  # of one ring


def device_columns(decisions: Decisions, rings: Rings, customers: int, months: int, seed: int) -> dict[str, pa.Array]:
    """Build `device_id` and `device_customers` of all requests, null where one applies in a branch.

    Customers seen on a device are counted up to each application, as they were known then.

    Parameters
    ----------
    customers, months : int
        How many customers there are, and months in the grid.
    """
    rng = generator(seed, "devices")
    owner = np.arange(customers)
    lends = rng.random(customers) >= _IN_FAMILIES
    lenders = np.flatnonzero(lends)
    if len(lenders):
        of_whom = lenders[rng.integers(0, len(lenders), customers)]
        owner = np.where(lends, owner, of_whom)
    replaced = np.minimum(rng.geometric(_REPLACED_MONTHLY, customers), months)
    whose = owner[decisions.customer]
    device = 2 * whose + (decisions.month >= replaced[whose])
    luck = rng.random(customers)[decisions.customer]
    ringed = np.flatnonzero(decisions.ring >= 0)
    ring = decisions.ring[ringed]
    of_ring = (luck[ringed] * np.minimum(rings.devices[ring], _MOST_DEVICES)).astype(np.int64)
    device[ringed] = 2 * customers + _MOST_DEVICES * ring + of_ring
    pseudonym = rng.permutation(3 * customers + _MOST_DEVICES)  # a ring has 5 customers or more, so this is enough
    in_branch = decisions.channel == BRANCH
    return {
        "device_id": identifiers("D", pseudonym[device], in_branch),
        "device_customers": pa.array(_customers_so_far(decisions, device, in_branch), mask=in_branch),
    }


def _customers_so_far(decisions: Decisions, device: Ints, in_branch: np.ndarray) -> Ints:
    """Customers seen on each request's device up to it; requests are in order of time."""
    known = np.flatnonzero(~in_branch)
    order = known[np.argsort(device[known], kind="stable")]
    pair = device[order] * (int(decisions.customer.max(initial=0)) + 1) + decisions.customer[order]
    new = np.zeros(len(order), np.int64)
    new[np.unique(pair, return_index=True)[1]] = 1
    total = np.cumsum(new)
    first = np.searchsorted(device[order], device[order])
    so_far = np.zeros(len(decisions), np.int64)
    so_far[order] = total - total[first] + 1
    return so_far
