"""What a strategy would have done with past applications, and what another would have done otherwise.

Assumptions, which the figures share: an approved offer is taken, at whatever amount and rate; a loan goes as it went,
or as the truth or the inference says it would have gone. What a person makes of referred applications is not known:
they earn nothing here and count as neither approved nor declined. Profit is CNY an application, after funding,
operation and credit loss; the expected one takes the PD for the chance of default, the realised one what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.errors import DeclarationError
from evaluation.metric import Array, Integers, Metric, mean
from evaluation.paired import SwapSet, swapped
from evaluation.profit import worth
from evaluation.segments import levels_of
from evaluation.tables import share
from policy.decision import Policy
from policy.outcomes import Flags, Floats
from policy.past import Past
from policy.price import earned_if_repaid
from policy.products import FEN
from policy.reasons import BIT, OUTCOMES, REASONS
from policy.terms import Asked, strategy_arrays

FIGURES = ("approval_rate", "referral_rate", "bad_rate", "expected_profit", "realised_profit", "amount", "annual_rate")
LEAST_ROWS = 30  # applications that a segment must have to be told of
_NOBODY = ("nobody is approved", "无人获批")


@dataclass(frozen=True)
class Decided:
    """Past applications as one version decides them; arrays of shape (n,).

    Parameters
    ----------
    name : str
    outcome : ndarray of int64
        Place in `policy.reasons.OUTCOMES`.
    amount, annual_rate, margin, lgd : ndarray of float64
        Of what is granted or proposed: CNY, a year, what it earns of the amount if it is repaid, what is lost of it if
        not.
    frame : DataFrame or None
        All that `decide_frame` says; None of the legacy policy.
    """

    name: str
    outcome: Integers
    amount: Floats
    annual_rate: Floats
    margin: Floats
    lgd: Floats
    frame: pd.DataFrame | None = None

    def is_(self, outcome: str) -> Flags:
        """Who is approved, referred or declined."""
        found: Flags = self.outcome == OUTCOMES.index(outcome)
        return found


@dataclass(frozen=True)
class Backtest:
    """Figures of a version.

    Parameters
    ----------
    name : str
    overall : dict of str to Metric
        By figure, see `FIGURES`.
    segments : tuple of (str, str, dict)
        Dimension, level and their figures.
    reasons : tuple of (str, str, int)
        Severity, code and applications of what declined or referred, the most frequent first.
    """

    name: str
    overall: dict[str, Metric]
    segments: tuple[tuple[str, str, dict[str, Metric]], ...]
    reasons: tuple[tuple[str, str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        return {
            "name": self.name,
            "overall": _plain(self.overall),
            "segments": [{"dimension": at, "level": level, **_plain(found)} for at, level, found in self.segments],
            "reasons": [{"severity": kind, "code": code, "applications": n} for kind, code, n in self.reasons],
        }


@dataclass(frozen=True)
class Contrast:
    """Two versions on the same applications; differences are the second minus the first.

    Parameters
    ----------
    first, second : str
    difference : dict of str to Metric
        With intervals of the difference row by row.
    swaps : SwapSet
        Whom only one of them approves; the first is the champion.
    bad_rate_out, bad_rate_in : Metric
        Of those swapped out and in.
    segments : tuple of (str, str, dict, SwapSet)
    """

    first: str
    second: str
    difference: dict[str, Metric]
    swaps: SwapSet
    bad_rate_out: Metric
    bad_rate_in: Metric
    segments: tuple[tuple[str, str, dict[str, Metric], SwapSet], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": _plain(self.difference),
            "swap_set": {**asdict(self.swaps), "interval_out": self.bad_rate_out.to_dict(),
                         "interval_in": self.bad_rate_in.to_dict()},
            "segments": [
                {"dimension": at, "level": level, **_plain(found), "swap_set": asdict(swaps)}
                for at, level, found, swaps in self.segments
            ],
        }  # fmt: skip


def decided(name: str, past: Past, policy: Policy, fired: Flags | None = None) -> Decided:
    """Decide past applications by a policy."""
    frame = policy.decide_frame(past.frame, fired)
    year = frame["annual_rate"].to_numpy(np.float64)
    return Decided(
        name,
        frame["outcome"].cat.codes.to_numpy().astype(np.int64),
        frame["amount"].to_numpy(np.float64) / FEN,
        year,
        *_terms(past, policy, year),
        frame,
    )


def legacy(past: Past, policy: Policy) -> Decided:
    """What the lender decided then; costs and losses are those of `policy`, as are rates that are not told.

    Raises
    ------
    DeclarationError
        Where applications are for products that `policy` does not offer: `Past.offered` leaves them out.
    """
    if others := sorted(set(past.frame["product"]) - set(policy.tables.names)):
        raise DeclarationError(
            f"Nothing tells what loans of {', '.join(others)} cost, which the policy does not offer; leave them out "
            "with Past.offered."
        )
    year = np.where(np.isnan(past.legacy_rate), policy.decide_frame(past.frame, _none(past, policy))["annual_rate"],
                    past.legacy_rate)  # fmt: skip
    outcome = np.where(past.granted, OUTCOMES.index("approve"), OUTCOMES.index("decline")).astype(np.int64)
    asked = past.frame["amount_requested"].to_numpy(np.float64) / FEN
    amount = np.where(past.granted, np.nan_to_num(asked), 0.0)
    return Decided("legacy", outcome, amount, year, *_terms(past, policy, year))


def backtest(past: Past, version: Decided, policy: Policy | None = None, fired: Flags | None = None) -> Backtest:
    """Measure a version on past applications, over all and by segment."""
    n = len(past)
    parts = [(at, level, rows) for at, level, rows in levels_of(_dimensions(past), n) if len(rows) >= LEAST_ROWS]
    return Backtest(
        version.name,
        figures(past, version),
        tuple((at, level, figures(past, version, rows)) for at, level, rows in parts),
        () if policy is None or version.frame is None else _reasons(version.frame, policy, fired),
    )


def figures(past: Past, version: Decided, rows: Integers | None = None) -> dict[str, Metric]:
    """Figures of a version on some applications; undefined where nobody is approved."""
    at = np.arange(len(past)) if rows is None else rows
    approved = version.is_("approve")[at]
    of_approved = at[approved]
    bad = past.outcomes.bad[of_approved]
    return {
        "approval_rate": share(int(approved.sum()), len(at)),
        "referral_rate": share(int(version.is_("refer")[at].sum()), len(at)),
        "bad_rate": rate(bad),
        "expected_profit": mean(profit(past, version, past.frame["pd"].to_numpy(np.float64))[at]),
        "realised_profit": mean(profit(past, version, past.outcomes.defaults)[at]),
        "amount": _of_approved(version.amount[of_approved]),
        "annual_rate": _of_approved(version.annual_rate[of_approved]),
    }


def profit(past: Past, version: Decided, chance: Array) -> Array:
    """CNY that each application earns if loans default with a chance; who is not approved earns nothing."""
    money = np.where(version.is_("approve"), version.amount, 0.0)
    earned = worth(money, chance, version.margin, version.lgd)
    return np.where(money > 0, earned, 0.0)


def rate(bad: Array) -> Metric:
    """Share of bad loans: Wilson's interval where all outcomes are known, a mean's where some are chances.

    Examples
    --------
    >>> rate(np.array([0.0, 1.0, 0.0, 0.0])).value, rate(np.array([0.5, 0.0])).value, rate(np.array([])).note
    (0.25, 0.25, 'nobody is approved')
    """
    if not len(bad):
        return Metric(None, None, None, 0, *_NOBODY)
    if np.isin(bad, (0.0, 1.0)).all():
        return share(int(bad.sum()), len(bad))
    return mean(bad, least=0.0)


def contrast(past: Past, first: Decided, second: Decided) -> Contrast:
    """Compare two versions on the same applications."""
    bad, one, other = past.outcomes.bad, first.is_("approve"), second.is_("approve")
    found = []
    for at, level, rows in levels_of(_dimensions(past), len(past)):
        if len(rows) >= LEAST_ROWS:
            swaps = swapped(bad[rows], one[rows], other[rows])
            found.append((at, level, _difference(past, first, second, rows), swaps))
    return Contrast(
        first.name,
        second.name,
        _difference(past, first, second, np.arange(len(past))),
        swapped(bad, one, other),
        rate(bad[one & ~other]),
        rate(bad[other & ~one]),
        tuple(found),
    )


def _difference(past: Past, first: Decided, second: Decided, rows: Integers) -> dict[str, Metric]:
    said = past.outcomes
    pd_ = past.frame["pd"].to_numpy(np.float64)

    def of(values: Sequence[Any]) -> Metric:
        return mean((np.asarray(values[1], np.float64) - np.asarray(values[0], np.float64))[rows])

    both = (first, second)
    return {
        "approval_rate": of([one.is_("approve") for one in both]),
        "referral_rate": of([one.is_("refer") for one in both]),
        "bad_rate": _rate_difference(said.bad[rows], *(one.is_("approve")[rows] for one in both)),
        "expected_profit": of([profit(past, one, pd_) for one in both]),
        "realised_profit": of([profit(past, one, said.defaults) for one in both]),
    }


def _rate_difference(bad: Array, first: Flags, second: Flags) -> Metric:
    """Bad rate of the second's loans minus the first's: two ratios over the same rows, by the delta method."""
    if not (first.any() and second.any()):
        return Metric(None, None, None, len(bad), *_NOBODY)
    rates = [float(bad[approved].mean()) for approved in (first, second)]
    each = [approved * (bad - one) / approved.mean() for approved, one in zip((first, second), rates, strict=True)]
    moved = mean(each[1] - each[0])
    half = None if moved.high is None or moved.value is None else moved.high - moved.value
    value = rates[1] - rates[0]
    return Metric(value, None if half is None else value - half, None if half is None else value + half, len(bad))


def _of_approved(values: Array) -> Metric:
    return mean(values) if len(values) else Metric(None, None, None, 0, *_NOBODY)


def _terms(past: Past, policy: Policy, year: Floats) -> tuple[Floats, Floats]:
    """What each loan earns of its amount at a rate if it is repaid, and what it loses if not.

    A term that its product does not offer counts as the nearest that it does.
    """
    tables = policy.tables
    asked = Asked.of(past.frame, tables.names)
    product = np.maximum(asked.product, 0)  # what is not offered is not granted
    values = strategy_arrays(policy.strategy, tables.names)
    place = (asked.term - tables.bounds["term_least"][product]) / tables.bounds["term_step"][product]
    term = np.clip(np.rint(np.nan_to_num(place)), 0, tables.terms[product] - 1).astype(np.int64)
    return earned_if_repaid(product, term, year, tables, values), values["lgd"][product]


def _none(past: Past, policy: Policy) -> Flags:
    return np.zeros((len(past), len(policy.rules.rules)), np.bool_)


def _dimensions(past: Past) -> pd.DataFrame:
    """What figures are told by: each level, and amounts within products."""
    levels = past.levels.drop(columns="month", errors="ignore")
    if levels["product"].nunique() > 1:
        both = levels["product"].astype(str) + ", " + levels["amount_band"].astype(str)
        levels = levels.assign(product_and_amount=both)
    return levels


def _reasons(frame: pd.DataFrame, policy: Policy, fired: Flags | None) -> tuple[tuple[str, str, int], ...]:
    """How many applications each rule and each reason of the policy declined or referred."""
    bits = frame["reasons"].to_numpy()
    counted: list[tuple[str, str, int]] = [
        (one.severity, one.code, int((bits & BIT[one.code] > 0).sum())) for one in REASONS
    ]
    if fired is not None:
        counts = fired.sum(axis=0)
        counted += [(one.severity, one.id, int(n)) for one, n in zip(policy.rules.rules, counts, strict=True)]
    acting = [one for one in counted if one[0] in ("decline", "refer") and one[2]]
    return tuple(sorted(acting, key=lambda one: (-one[2], one[1])))


def _plain(found: dict[str, Metric]) -> dict[str, Any]:
    return {name: metric.to_dict() for name, metric in found.items()}
