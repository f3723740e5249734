"""Customers with their latent traits, the macro path and the monthly strain on their purse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lenders.simulated.scenarios import Scenario
from lenders.simulated.timeline import Flags, Floats, Ints, Timeline, generator, whole

YOUNG, FAMILY, OWNER = 0, 1, 2  # customers of emergency cash, of renovation and education, of business loans

_SEGMENT_SHARES = (0.50, 0.34, 0.16)
_AGES = np.array([[21.6, 27.0], [31.6, 42.0], [36.6, 52.0]])  # at the start, so that each fits its products throughout
_INCOMES = np.array([5_500.0, 11_000.0, 19_000.0])  # CNY a month, median
_PERSISTENCE = 0.86  # of strain, month to month: a shock is half gone after 5 months


@dataclass(frozen=True)
class People:
    """The customers; every array has shape (customers,) but `strain`.

    Parameters
    ----------
    ability, willingness, stability, hunger : ndarray of float64
        Latent standard normal traits: means to pay, will to pay, steadiness of life, appetite for credit.
    juggling : ndarray of float64
        Latent standard normal habit of paying one debt with another. It moves nothing but the order of events: cash
        advances come right before repayments.
    segment : ndarray of int64
        `YOUNG`, `FAMILY` or `OWNER`.
    age_at_start : ndarray of float64
        Years at the first month with applications.
    income : ndarray of float64
        True income, CNY a month.
    city_tier, payday : ndarray of int64
        1 to 5; day of the month, 0 to 27.
    thin, newcomer : ndarray of bool
        Hardly known to the credit bureau; brought by a new channel.
    strain : ndarray of float64, shape (customers, timeline.size)
        Lack of liquidity a month, about 0 with standard deviation 0.7. The only part that changes.
    """

    ability: Floats
    willingness: Floats
    stability: Floats
    hunger: Floats
    juggling: Floats
    segment: Ints
    age_at_start: Floats
    income: Floats
    city_tier: Ints
    payday: Ints
    thin: Flags
    newcomer: Flags
    strain: Floats

    def __len__(self) -> int:
        return len(self.ability)


def macro_path(timeline: Timeline, scenario: Scenario, seed: int) -> Floats:
    """Macro-economic headwind a month, shape (timeline.size + 12,): a mild cycle with noise that persists."""
    rng = generator(seed, "macro")
    months = np.arange(timeline.size + 12)
    noise = np.zeros(len(months))
    for month in months[1:]:
        noise[month] = 0.8 * noise[month - 1] + 0.06 * rng.standard_normal()
    shock = scenario.headwind * np.clip((months - scenario.first_month(timeline) + 1) / 4, 0, 1)
    path: Floats = 0.18 * np.sin(2 * np.pi * (months - 30) / 40) + noise + shock
    return path


def make_people(customers: int, timeline: Timeline, macro: Floats, scenario: Scenario, seed: int) -> People:
    """Draw the customers and the strain they live through."""
    rng = generator(seed, "people")
    newcomer = generator(seed, "newcomers").random(customers) < scenario.newcomers
    ability = rng.standard_normal(customers)
    stability = 0.3 * ability + np.sqrt(1 - 0.09) * rng.standard_normal(customers) - 0.8 * newcomer
    hunger = -0.3 * ability + np.sqrt(1 - 0.09) * rng.standard_normal(customers)
    ability -= 0.2 * newcomer  # appetite stays: it says how often one asks, and with it where others' draws lie
    segment = rng.choice(3, customers, p=_SEGMENT_SHARES)
    low, high = _AGES[segment].T
    tier = np.clip(whole(2.9 - 0.35 * ability + rng.standard_normal(customers)), 1, 5)
    income = _INCOMES[segment] * np.exp(0.32 * ability - 0.08 * (tier - 3) + 0.22 * rng.standard_normal(customers))
    return People(
        ability=ability,
        willingness=rng.standard_normal(customers) - 0.6 * newcomer,
        stability=stability,
        hunger=hunger,
        juggling=rng.standard_normal(customers),
        segment=segment,
        age_at_start=rng.uniform(low, high),
        income=income,
        city_tier=tier,
        payday=rng.integers(0, 28, customers),
        thin=rng.random(customers) < np.array([0.14, 0.05, 0.03])[segment],
        newcomer=newcomer,
        strain=_strain(ability, stability, timeline, macro, rng),
    )


def _strain(ability: Floats, stability: Floats, timeline: Timeline, macro: Floats, rng: np.random.Generator) -> Floats:
    """Strain falls back to normal, wanders, and jumps when a job or a health is lost."""
    strain = np.empty((len(ability), timeline.size))
    level = 0.6 * rng.standard_normal(len(ability))
    hazard = 0.013 * np.exp(-0.5 * stability - 0.25 * ability)
    for month in range(timeline.size):
        shock = rng.random(len(ability)) < hazard * np.exp(macro[month])
        level = _PERSISTENCE * level + 0.29 * rng.standard_normal(len(ability)) - 0.03 + 0.03 * macro[month]
        level += shock * rng.uniform(1.0, 2.2, len(ability))
        strain[:, month] = level
    return strain
