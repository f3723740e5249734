"""Tables a credit committee reads: PD against outcome by decile, lift and gain, and what a cut-off would have meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metrics import Z95, Array, Metric, checked_pd, quantile_bins
from evaluation.resampling import draws, of_both_classes


def wilson(bad: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Array, Array]:
    """Wilson's 95 % interval of a rate (Wilson 1927, JASA 22), which stays inside [0, 1] for few or no events.

    Examples
    --------
    >>> low, high = wilson([0], [10])
    >>> round(float(high[0]), 4)
    0.2775
    """
    events, total = np.asarray(bad, dtype=np.float64), np.asarray(n, dtype=np.float64)
    rate = events / total
    scale = 1 + Z95**2 / total
    centre = (rate + Z95**2 / (2 * total)) / scale
    half = Z95 * np.sqrt(rate * (1 - rate) / total + Z95**2 / (4 * total**2)) / scale
    return np.where(events == 0, 0.0, centre - half), np.where(events == total, 1.0, centre + half)


def share(events: int, n: int) -> Metric:
    """Share of events among n rows, with Wilson's interval; undefined where there are no rows.

    Examples
    --------
    >>> share(0, 10).value, round(share(0, 10).high, 4), share(0, 0).note
    (0.0, 0.2775, 'no rows')
    """
    if n == 0:
        return Metric(None, None, None, 0, "no rows", "没有样本")
    low, high = wilson(events, n)
    return Metric(events / n, float(low), float(high), n)


def calibration_table(y: npt.ArrayLike, pd: npt.ArrayLike, *, bins: int = 10) -> pandas.DataFrame:
    """Mean PD against observed bad rate by quantile of PD, lowest first; equal PDs share a row.

    Returns
    -------
    DataFrame
        `n`, `bad`, `pd_low`, `pd_high`, `mean_pd`, `observed`, and `low`, `high`: Wilson's interval of `observed`.
    """
    label, probability = checked_pd(y, pd)
    names = ["n", "bad", "pd_low", "pd_high", "mean_pd", "observed", "low", "high"]
    if len(label) == 0:
        return pandas.DataFrame(columns=names)
    rows = pandas.DataFrame({"bin": quantile_bins(probability, bins), "y": label, "pd": probability})
    table = rows.groupby("bin").agg(
        n=("y", "size"), bad=("y", "sum"), pd_low=("pd", "min"), pd_high=("pd", "max"), mean_pd=("pd", "mean")
    )
    table["observed"] = table["bad"] / table["n"]
    table["low"], table["high"] = wilson(table["bad"], table["n"])
    return table.reset_index(drop=True)[names]


def lift_table(
    y: npt.ArrayLike, pd: npt.ArrayLike, *, bins: int = 10, resamples: int = 500, seed: int = 0
) -> pandas.DataFrame:
    """How much of all defaults lies where the PD is highest: lift and gain by quantile of PD, riskiest first.

    Returns
    -------
    DataFrame
        `n`, `bad`, `pd_low`, `pd_high`, `bad_rate` with Wilson's `low`, `high`; `lift` (bad rate over that of all) and
        `gain` (share of all bad loans down to here) with `_low`, `_high` by bootstrap over rows; `share` (of all rows
        down to here) and `cumulative_lift`. Equal PDs share a row. Empty where all loans are of one kind.

    Examples
    --------
    >>> lift_table([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], bins=2)[["n", "bad", "lift", "gain"]].to_numpy().tolist()
    [[2.0, 1.0, 2.0, 1.0], [2.0, 0.0, 0.0, 1.0]]
    """
    label, probability = checked_pd(y, pd)
    names = ["n", "bad", "pd_low", "pd_high", "bad_rate", "low", "high", "lift", "lift_low", "lift_high", "share"]
    names += ["gain", "gain_low", "gain_high", "cumulative_lift"]
    if label.all() or not label.any():
        return pandas.DataFrame(columns=names)
    group = quantile_bins(probability, bins)
    group = group.max() - group
    size = int(group.max()) + 1
    rows = pandas.DataFrame({"group": group, "y": label, "pd": probability}).groupby("group")
    table = rows.agg(n=("y", "size"), bad=("y", "sum"), pd_low=("pd", "min"), pd_high=("pd", "max"))
    table["bad_rate"] = table["bad"] / table["n"]
    table["low"], table["high"] = wilson(table["bad"], table["n"])

    def lift_and_gain(counted: tuple[Array, Array]) -> tuple[Array, Array]:
        bad, good = counted
        n, all_bad = bad + good, bad.sum(axis=1, keepdims=True)
        rate = np.divide(bad, n, out=np.full_like(n, np.nan), where=n > 0)
        return rate / (all_bad / n.sum(axis=1, keepdims=True)), np.cumsum(bad, axis=1) / all_bad

    found = lift_and_gain(of_both_classes(group, label, size, np.arange(len(label))[None]))
    drawn = draws(np.random.default_rng(seed), len(label), resamples)
    sampled = [lift_and_gain(of_both_classes(group, label, size, rows)) for rows in drawn]
    for k, name in enumerate(("lift", "gain")):
        table[name] = found[k][0]
        bounds = np.nanquantile(np.concatenate([pair[k] for pair in sampled]), [0.025, 0.975], axis=0)
        table[f"{name}_low"], table[f"{name}_high"] = bounds
    table["share"] = np.cumsum(table["n"]) / len(label)
    table["cumulative_lift"] = table["gain"] / table["share"]
    return table.reset_index(drop=True)[names]


_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def cutoff_table(y: npt.ArrayLike, pd: npt.ArrayLike, *, shares: Sequence[float] = _SHARES) -> pandas.DataFrame:
    """What approving the safest share of applicants would have meant: bad rates on both sides of the cut-off.

    Parameters
    ----------
    shares : sequence of float in (0, 1]
        Approval rates aimed at; applicants with the PD of the cut-off are all approved, so the real one may be higher.

    Returns
    -------
    DataFrame
        `pd_cutoff`, `approved`, `approval_rate`, `bad_rate_approved` and its Wilson interval `bad_rate_approved_low`,
        `bad_rate_approved_high`, `bad_rate_refused`, `bad_refused_share` (of all bad loans), `lift_refused` (bad rate
        of the refused over that of all); NaN where nobody is refused or bad.
    """
    label, probability = checked_pd(y, pd)
    rows = []
    ordered = np.sort(probability)
    for share in shares if len(label) else ():
        cutoff = float(ordered[max(0, int(np.ceil(share * len(ordered) - 1e-9)) - 1)])
        taken = probability <= cutoff
        refused, bad = int((~taken).sum()), int(label.sum())
        bad_refused = int(label[~taken].sum())
        rate_refused = bad_refused / refused if refused else np.nan
        low, high = wilson(bad - bad_refused, taken.sum())
        rows.append(
            {
                "pd_cutoff": cutoff,
                "approved": int(taken.sum()),
                "approval_rate": float(taken.mean()),
                "bad_rate_approved": float(label[taken].mean()),
                "bad_rate_approved_low": float(low),
                "bad_rate_approved_high": float(high),
                "bad_rate_refused": rate_refused,
                "bad_refused_share": bad_refused / bad if bad else np.nan,
                "lift_refused": rate_refused / float(label.mean()) if bad else np.nan,
            }
        )
    return pandas.DataFrame(rows)
