"""Everything the realism report tells of a simulated lender, measured in one go."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt
import pandas as pd

from data_contracts.folder import TableFolder
from evaluation.metrics import Metric
from evaluation.realism import figures, signal
from training.experiment import Target
from training.targets import label_outcomes

Progress = Callable[[str, float], None]

TARGET = Target(kind="dpd", dpd=30, months_on_book=6)


@dataclass(frozen=True)
class Measured:
    """All figures, as frames that the page draws from.

    Parameters
    ----------
    records : dict of str to int
        Rows by table.
    coverage : dict of str to float
        See `figures.coverage`.
    outcomes : DataFrame
        See `figures.labelled`.
    by_quarter : DataFrame
        `loans`, `bad`, `rate` by quarter of application.
    curves : dict of str to DataFrame
        By `product` and by `quarter`, see `figures.maturity_curves`; empty where there are no outcomes.
    first_payment : DataFrame
        See `figures.first_payment_defaults`.
    rolls : DataFrame or None
        See `figures.roll_counts`.
    utilisation, counts : dict
        Quantiles of `cards` and `lines`; shares of `inquiries` and `tradelines`; empty where there are none.
    payments : dict of str to float
        See `figures.payment_shares`.
    expected : DataFrame
        Mean true PD of `all` and of those `granted`, by month of application.
    singles : DataFrame
        See `signal.single_aucs`.
    oracle : dict of str to Metric
        See `signal.oracle`.
    """

    records: dict[str, int]
    coverage: dict[str, float]
    outcomes: pd.DataFrame
    by_quarter: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    first_payment: pd.DataFrame
    rolls: pd.DataFrame | None
    utilisation: dict[str, list[float]]
    counts: dict[str, list[float]]
    payments: dict[str, float]
    expected: pd.DataFrame
    singles: pd.DataFrame
    oracle: dict[str, Metric]

    @property
    def default_rate(self) -> float:
        """Of all loans with an outcome."""
        return float(self.outcomes["defaulted"].mean()) if len(self.outcomes) else math.nan


def measure(folder: TableFolder, truth: pd.DataFrame, tell: Progress) -> Measured:
    """Measure a lender; what is measured of a table that it lacks is empty."""
    tell("realism: features", 0.0)
    has = set(folder.tables).issuperset
    applications = folder.read("applications", ["application_id"])["application_id"]
    defaulted = pd.Series(dtype="int64")
    if has({"outcomes"}):
        defaulted = label_outcomes(folder.read("outcomes"), applications, TARGET).defaulted
    singles = signal.single_aucs(signal.feature_matrix(folder), defaulted)
    tell("realism: tables", 0.6)
    with figures.open_records(folder) as records:
        outcomes = figures.labelled(records, defaulted)
        rolls = figures.roll_counts(records, figures.bureau_months()) if has({"tradeline_months"}) else None
        use: dict[str, npt.ArrayLike] = {
            "cards": figures.card_utilisation(records) if has({"tradelines", "tradeline_months"}) else [],
            "lines": figures.line_utilisation(records) if has({"card_months"}) else [],
        }
        counts = {
            name: count(records) if has({name}) else []
            for name, count in (("inquiries", figures.inquiry_counts), ("tradelines", figures.tradeline_counts))
        }
        paid = has({"instalments", "payments", "loans"})
        return Measured(
            records={name: folder.rows(name) for name in folder.tables},
            coverage=figures.coverage(records, folder.tables),
            outcomes=outcomes,
            by_quarter=figures.rates(outcomes.assign(quarter=figures.quarters(outcomes["month"])), ["quarter"]),
            curves={by: figures.maturity_curves(records, by) for by in ("product", "quarter") if has({"outcomes"})},
            first_payment=figures.first_payment_defaults(records) if paid else pd.DataFrame(),
            rolls=rolls,
            utilisation={name: figures.quantiles(values) for name, values in use.items()},
            counts=counts,
            payments=figures.payment_shares(records) if paid else {},
            expected=_expected(records, truth),
            singles=singles,
            oracle=signal.oracle(truth),
        )


def _expected(records: figures.Connection, truth: pd.DataFrame) -> pd.DataFrame:
    """Mean true PD by month of application, of those granted and of all."""
    month = records.sql(
        "SELECT application_id, strftime(applied_at + INTERVAL 8 HOUR, '%Y-%m') AS month FROM applications"
    ).df()
    rows = truth.merge(month, on="application_id")
    by = rows.groupby("month", sort=True)["true_pd"].mean()
    granted = rows[rows["granted"]].groupby("month")["true_pd"].mean()
    return pd.DataFrame({"all": by, "granted": granted.reindex(by.index)})
