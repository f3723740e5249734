"""Fraud rings: customers who were gathered to apply together and never to pay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenders.simulated.people import YOUNG, People
from lenders.simulated.scenarios import Scenario
from lenders.simulated.timeline import HISTORY_MONTHS, Floats, Ints, Timeline, generator

_SMALLEST, _LARGEST = 5, 20
_EVERYDAY_SHARE = 0.004  # of the customers, in any years
_CHANNELS = (0, 3)  # the app, a partner: nobody looks them in the eye there


@dataclass(frozen=True)
class Rings:
    """Who belongs to which ring, and how each ring applies.

    Parameters
    ----------
    of : ndarray of int64, shape (customers,)
        Number of the customer's ring, -1 for none.
    month, channel, devices : ndarray of int64, shape (rings,)
        Month in the grid, code of the channel, number of devices.
    day : ndarray of float64, shape (rings,)
        Share of the month that has passed when the first of them applies.
    """

    of: Ints
    month: Ints
    channel: Ints
    devices: Ints
    day: Floats

    def __len__(self) -> int:
        return len(self.month)


def gather_rings(people: People, timeline: Timeline, scenario: Scenario, seed: int) -> Rings:
    """Gather a few rings in all months, and those of the scenario from its onset on, among other customers."""
    of = np.full(len(people), -1)
    parts = [
        _gather(of, people, _EVERYDAY_SHARE, (HISTORY_MONTHS, timeline.size), generator(seed, "rings")),
        _gather(
            of,
            people,
            scenario.ringed,
            (min(scenario.first_month(timeline), timeline.size - 1), timeline.size),
            generator(seed, "rings of the scenario"),
        ),
    ]
    whole, day = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    month, channel, devices = whole.reshape(-1, 3).T
    return Rings(of, month, channel, devices, day)


def _gather(
    of: Ints, people: People, share: float, months: tuple[int, int], rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Enter members into `of`; month, channel and devices of each new ring in a row, and its day."""
    free = rng.permutation(np.flatnonzero((people.segment == YOUNG) & ~people.newcomer))
    free = free[of[free] < 0]
    count = int(share * len(people) / ((_SMALLEST + _LARGEST) / 2))
    sizes = rng.integers(_SMALLEST, _LARGEST + 1, count)
    sizes = sizes[np.cumsum(sizes) <= len(free)]
    member = np.repeat(np.arange(len(sizes)), sizes)
    of[free[: len(member)]] = of.max(initial=-1) + 1 + member
    month = rng.integers(*months, count)[: len(sizes)]
    channel = rng.choice(_CHANNELS, count)[: len(sizes)]
    devices = np.maximum(sizes // rng.integers(4, 7, count)[: len(sizes)], 1)
    return np.stack([month, channel, devices], axis=1), rng.uniform(0.05, 0.8, count)[: len(sizes)]
