"""Of which applicants each source has something to say at the moment of decision, against the company's target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import duckdb
import pandas as pd

from data_contracts.authorisation import require_decision_point
from data_contracts.declare import DecisionPoint, Provider, Table
from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from reporting.page import Text

TARGET = 0.95
PROVIDERS: tuple[Provider, ...] = tuple(name for name in get_args(Provider) if name != "applicant")
PROVIDER_NAMES = {
    "applicant": Text("申请人", "Applicant"),
    "bureau": Text("征信", "Bureau"),
    "consumption": Text("消费", "Consumption"),
    "repayment": Text("本机构还款", "Own repayments"),
    "business": Text("经营", "Business"),
}


@dataclass(frozen=True)
class Coverage:
    """Which sources are there for whom when it is decided.

    Parameters
    ----------
    decision_point : str
        What is decided at `applied_at`.
    target : float
        Share of the applications concerned that a source is to cover.
    tables : dict of str to tuple of str
        By provider, the tables of the folder that were looked at: those that may be used at this decision point.
    by_month : bool
        Whether the lender's dates are real, so that months mean something.
    applications : DataFrame
        A row an application, indexed by `application_id`: `customer_id`, `applied_at`, `product`; for each provider,
        whether a record of it was known (`bureau`), whether it is `concerned` (`bureau_concerned`: own repayments of
        returning customers only, a business's records for business loans only) and, where the lender keeps consents,
        whether one was needed for a record that was known (`bureau_bound`) and whether one covered `applied_at`
        (`bureau_consent`).

    Notes
    -----
    A returning customer was granted an earlier loan by this lender: a first loan has no repayments yet.
    """

    decision_point: DecisionPoint
    target: float
    tables: dict[str, tuple[str, ...]]
    by_month: bool
    applications: pd.DataFrame

    def summary(self) -> dict[str, Any]:
        """Counts and shares as plain JSON.

        Returns
        -------
        dict
            `decision_point`, `target`, `applications`, `customers`, `returning`, `complete` (share of applications for
            which every source that concerns them is there) and `providers`: by name `tables`, `concerned`, `present`,
            `share` (present among those concerned; None where it concerns nobody), `meets` (the target; None
            likewise), `share_of_all`, `share_of_customers` (at their latest application that it concerns),
            `by_product` and `by_month` (`concerned` and `share` of each) and, where it needs a consent that the lender
            keeps, `consented` (share of those concerned) and `without_consent` (records there, consent not).
        """
        rows = self.applications
        everything = pd.Series(True, index=rows.index)
        for provider in PROVIDERS:
            everything &= rows[provider] | ~rows[f"{provider}_concerned"]
        return {
            "decision_point": self.decision_point,
            "target": self.target,
            "applications": len(rows),
            "customers": int(rows["customer_id"].nunique()),
            "returning": int(rows["repayment_concerned"].sum()),
            "complete": _mean(everything),
            "providers": {provider: self._provider(provider) for provider in PROVIDERS},
        }

    def _provider(self, provider: str) -> dict[str, Any]:
        rows = self.applications
        concerned = rows[rows[f"{provider}_concerned"]]
        share = _mean(concerned[provider])
        latest = concerned.sort_values("applied_at", kind="stable").groupby("customer_id")[provider].last()
        found = {
            "tables": list(self.tables[provider]),
            "concerned": len(concerned),
            "present": int(concerned[provider].sum()),
            "share": share,
            "meets": None if share is None else share >= self.target,
            "share_of_all": _mean(rows[provider]),
            "share_of_customers": _mean(latest),
            "by_product": _by(concerned, concerned["product"], provider),
            "by_month": _by(concerned, concerned["applied_at"].dt.strftime("%Y-%m"), provider) if self.by_month else {},
        }
        if (consent := f"{provider}_consent") in rows:
            found["consented"] = _mean(concerned[consent])
            found["without_consent"] = int((rows[f"{provider}_bound"] & ~rows[consent]).sum())
        return found


def coverage(folder: TableFolder, decision_point: DecisionPoint = "application", *, target: float = TARGET) -> Coverage:
    """Find for every application which sources had a record that was known when it was decided.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables.
    decision_point : str
        Only tables whose use lists it are looked at, and only consents to it count.
    target : float, default 0.95
        Share that each source is to reach.

    Raises
    ------
    DeclarationError
        Where there is no such decision point.
    SourceError
        Where the folder lacks `applications` or a table cannot be read.
    """
    require_decision_point(decision_point)
    used: dict[str, tuple[str, ...]] = {
        provider: tuple(name for name in folder.tables if _counts(TABLES[name], provider, decision_point))
        for provider in PROVIDERS
    }
    with connect(threads=2) as engine:
        try:
            engine.execute(
                "CREATE TEMP TABLE apps AS SELECT application_id, customer_id, applied_at, product "
                f"FROM {folder.scan('applications')} ORDER BY application_id"
            )
            found = engine.sql(_presence(folder, used)).df()
            if "consents" in folder.tables:
                covered = engine.sql(_consented(folder, decision_point)).df()
                found = found.merge(covered, on="application_id", validate="one_to_one")
        except duckdb.Error as fault:
            raise SourceError(f"The tables in {folder.path} cannot be read ({fault}); write them anew.") from fault
    rows = found.sort_values("application_id").set_index("application_id")
    return Coverage(decision_point, target, used, folder.dates == "calendar", rows)


def _counts(table: Table, provider: str, decision_point: str) -> bool:
    if table.name == "loans":  # it says who returns, not how the customer repaid
        return False
    return table.use.provider == provider and decision_point in table.use.decision_points


def _presence(folder: TableFolder, used: dict[str, tuple[str, ...]]) -> str:
    """SQL: each application with whether the first record of a provider about its customer was known by then."""
    columns, joins = [], ""
    for provider, names in used.items():
        if not names:
            columns.append(f"false AS {provider}, false AS {provider}_bound")
            continue
        parts = " UNION ALL ".join(
            f"SELECT customer_id, min(known_at) AS first, {TABLES[name].use.consent} AS bound "
            f"FROM {folder.scan(name)} GROUP BY 1"
            for name in names
        )
        joins += (
            " LEFT JOIN (SELECT customer_id, min(first) AS first, min(first) FILTER (bound) AS bound "
            f"FROM ({parts}) GROUP BY 1) {provider} ON apps.customer_id = {provider}.customer_id"
        )
        columns += [
            f"coalesce({provider}.first <= applied_at, false) AS {provider}",
            f"coalesce({provider}.bound <= applied_at, false) AS {provider}_bound",
        ]
    returning = "false"
    if "loans" in folder.tables:
        joins += (
            f" LEFT JOIN (SELECT customer_id, min(occurred_at) AS granted FROM {folder.scan('loans')} "
            "WHERE status IN ('granted', 'closed') GROUP BY 1) own ON apps.customer_id = own.customer_id"
        )
        returning = "coalesce(own.granted < applied_at, false)"
    concerned = dict.fromkeys(used, "true")
    concerned |= {"repayment": returning, "business": "product = 'business'"}
    columns += [f"{condition} AS {provider}_concerned" for provider, condition in concerned.items()]
    return f"SELECT apps.*, {', '.join(columns)} FROM apps{joins}"


def _consented(folder: TableFolder, decision_point: str) -> str:
    """SQL: each application with whether a consent, as it was known then, covers it; a column a provider."""
    needing = {table.use.provider for table in TABLES.values() if table.use.consent}
    columns = ", ".join(
        f"coalesce(bool_or(provider = '{provider}'), false) AS {provider}_consent"
        for provider in PROVIDERS
        if provider in needing
    )
    return f"""
        SELECT application_id, {columns} FROM apps LEFT JOIN (
            SELECT application_id, arg_max(provider, known_at) AS provider
            FROM apps JOIN {folder.scan("consents")} c USING (customer_id)
            WHERE known_at <= applied_at AND decision_point = '{decision_point}'
            GROUP BY application_id, consent_id
            HAVING arg_max(occurred_at, known_at) <= min(applied_at)
            AND coalesce(arg_max(coalesce(expires_at, 'infinity'::TIMESTAMP), known_at), 'infinity') > min(applied_at)
        ) USING (application_id) GROUP BY application_id"""


def _by(rows: pd.DataFrame, groups: pd.Series, provider: str) -> dict[str, dict[str, float | int]]:
    counted = rows.groupby(groups)[provider].agg(["size", "mean"])
    return {str(name): {"concerned": int(size), "share": float(mean)} for name, size, mean in counted.itertuples()}


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if len(values) else None
