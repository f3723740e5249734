"""Figures of public data to set a simulated lender beside: aggregates alone, no record of any of them is kept here.

`public_figures.toml` says of each where it comes from and how many rows it was computed from. A test
(`tests/evaluation/test_realism_public.py`) computes every one again from the data.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from evaluation.realism.figures import STATES


@dataclass(frozen=True)
class Source:
    """A public data set."""

    name: str
    terms: str
    zh: str
    en: str


@dataclass(frozen=True)
class PublicFigures:
    """What is known of public data.

    Parameters
    ----------
    sources : dict of str to Source
        By the keys that the other fields use.
    default_rate : dict of str to float
        Each data set's own label of default.
    roll_counts : dict of str to DataFrame
        Moves between monthly states, as `evaluation.realism.figures.roll_counts` counts them.
    utilisation : dict of str to list of float
        At `evaluation.realism.figures.QUANTILES`: bureau cards, card statements, bills.
    inquiries, tradelines : list of float
        Shares of applications by number of inquiries in a year and of accounts in the bureau's file.
    payments : dict of str to float
        As `evaluation.realism.figures.paid_shares`.

    Examples
    --------
    >>> round(public_figures().default_rate["taiwan"], 2)
    0.22
    """

    sources: dict[str, Source]
    default_rate: dict[str, float]
    roll_counts: dict[str, pd.DataFrame]
    utilisation: dict[str, list[float]]
    inquiries: list[float]
    tradelines: list[float]
    payments: dict[str, float]


@functools.cache
def public_figures() -> PublicFigures:
    """Read the figures that come with the package."""
    text = (files("evaluation.realism") / "public_figures.toml").read_text(encoding="utf-8")
    facts: dict[str, Any] = tomllib.loads(text)
    return PublicFigures(
        sources={key: Source(**source) for key, source in facts["sources"].items()},
        default_rate=facts["default_rate"],
        roll_counts={
            key: pd.DataFrame(counts, list(STATES), list(STATES)) for key, counts in facts["roll_counts"].items()
        },
        utilisation=facts["utilisation"],
        inquiries=facts["inquiries"]["home_credit"],
        tradelines=facts["tradelines"]["home_credit"],
        payments=facts["payments"]["home_credit"],
    )
