"""What a lender's tables look like from afar: the figures that are set beside those of public data.

Every function takes a connection in which each table of the folder is a view of that name (see `open_records`), in the
state last known of each record. Public data are measured by the same functions: `evaluation.realism.public_figures`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.engine import connect
from data_contracts.folder import TableFolder
from data_contracts.tables import EVENT_TABLES, TABLES

STATES = ("0", "1", "2", "3", "4", "5", "C")  # months past due, 5 for more than four or written off; C closed
QUANTILES = tuple(k / 20 for k in range(21))
MOST_INQUIRIES, MOST_TRADELINES = 10, 16
DPD = 30
_OUTLIER = 2.0  # balances beyond twice the limit are faults of a file, not use of a card
_LOCAL = "INTERVAL 8 HOUR"  # China Standard Time: a payment at 23:30 is in time

Connection = duckdb.DuckDBPyConnection


@contextlib.contextmanager
def open_records(folder: TableFolder, threads: int = 2) -> Iterator[Connection]:
    """Connect to a folder's tables: each is a view, of corrected records only the state last known."""
    with connect(threads=threads, memory_limit="2GB") as connection:
        for name in folder.tables:
            newest = ""
            if name in folder.corrected:
                key = ", ".join(f'"{column}"' for column in TABLES[name].key)
                newest = f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC) = 1"
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {folder.scan(name)}{newest}")
        yield connection


def coverage(connection: Connection, tables: Sequence[str]) -> dict[str, float]:
    """Share of applications for which a provider had sent at least one record before the decision."""
    found: dict[str, float] = {}
    for provider in dict.fromkeys(table.use.provider for table in EVENT_TABLES if table.name in tables):
        names = [table.name for table in EVENT_TABLES if table.use.provider == provider and table.name in tables]
        records = " UNION ALL ".join(f"SELECT customer_id, known_at FROM {name}" for name in names)
        share = _column(
            connection,
            f"""WITH since AS (SELECT customer_id, min(known_at) AS known_at FROM ({records}) GROUP BY customer_id)
            SELECT avg(coalesce(since.known_at <= applied_at, false)::INT) FROM
            (SELECT customer_id, applied_at FROM applications) LEFT JOIN since USING (customer_id)""",
        )
        found[provider] = float(share[0])
    return found


def labelled(connection: Connection, defaulted: pd.Series) -> pd.DataFrame:
    """Applications with an outcome: `product`, `month` (of application, local) and `defaulted`, by application."""
    rows = _frame(
        connection,
        f"""SELECT application_id, product, strftime(applied_at + {_LOCAL}, '%Y-%m') AS month FROM applications
        ORDER BY applied_at, application_id""",
    )
    return rows.set_index("application_id").join(defaulted.rename("defaulted"), how="inner")


def rates(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Loans, defaults and the rate in each group.

    Examples
    --------
    >>> rates(pd.DataFrame({"product": ["a", "a", "b"], "defaulted": [0, 1, 0]}), ["product"]).rate.to_dict()
    {'a': 0.5, 'b': 0.0}
    """
    table = pd.DataFrame(rows.groupby(by, sort=True)["defaulted"].agg(loans="size", bad="sum", rate="mean"))
    table["rate"] = table["rate"].astype("float64")
    return table


def quarters(months: pd.Series) -> pd.Series:
    """Quarter of a month, `2021-05` to `2021Q2`."""
    return months.str[:4] + "Q" + ((months.str[5:].astype(int) + 2) // 3).astype(str)


def maturity_curves(connection: Connection, by: str) -> pd.DataFrame:
    """Share of loans ever 30 days past due by months on book, a row a group, for loans that are old enough.

    Parameters
    ----------
    by : {"product", "quarter"}
        Products are followed over loans seen to the longest month on book; vintages as far as nine in ten of their
        loans have come.
    """
    quarter = f"year(applied_at + {_LOCAL}) || 'Q' || quarter(applied_at + {_LOCAL})"
    rows = connection.sql(
        f"""SELECT {quarter if by == "quarter" else "product"} AS one, months_on_book AS month,
        (dpd_max >= {DPD})::INT AS late, max(months_on_book) OVER (PARTITION BY application_id) AS oldest
        FROM outcomes JOIN (SELECT application_id, applied_at, product FROM applications) USING (application_id)
        WHERE dpd_max IS NOT NULL AND months_on_book IS NOT NULL"""
    ).df()
    if by == "product":
        rows = rows[rows["oldest"] == rows["oldest"].max()]
    table = rows.pivot_table(index="one", columns="month", values="late", aggfunc=["mean", "size"], sort=True)
    if table.empty:
        return pd.DataFrame()
    share, loans = table["mean"], table["size"].fillna(0)
    curves: pd.DataFrame = share.where(loans.ge(0.9 * loans.iloc[:, 0], axis=0))
    return curves


def first_payment_defaults(connection: Connection) -> pd.DataFrame:
    """Loans whose first instalment was not paid in full 30 days after it was due, by product: `loans`, `rate`."""
    return _frame(
        connection,
        f"""WITH first AS (SELECT instalment_id, loan_id, due_at, amount_due FROM instalments WHERE number = 1),
        paid AS (SELECT instalment_id, sum(amount) AS amount FROM payments JOIN first USING (instalment_id)
            WHERE payments.occurred_at <= due_at + INTERVAL {DPD} DAY GROUP BY instalment_id)
        SELECT product, count(*) AS loans, avg((coalesce(amount, 0) < amount_due)::INT) AS rate
        FROM first LEFT JOIN paid USING (instalment_id) JOIN (SELECT loan_id, product FROM loans) USING (loan_id)
        WHERE due_at + INTERVAL {DPD} DAY <= (SELECT max(known_at) FROM payments)
        GROUP BY product ORDER BY product""",
    )


def bureau_months() -> str:
    """Query of the bureau's monthly states as `roll_counts` reads them."""
    return f"""SELECT tradeline_id AS account,
        year(occurred_at + {_LOCAL}) * 12 + month(occurred_at + {_LOCAL}) AS month,
        CASE status WHEN 'closed' THEN 'C' WHEN 'open' THEN overdue_bucket::VARCHAR END AS state
        FROM tradeline_months"""


def roll_counts(connection: Connection, months: str) -> pd.DataFrame:
    """Count moves of accounts from one month's state to that of the next month.

    Parameters
    ----------
    months : str
        Query of `account`, `month` (a whole number) and `state`; states other than `STATES` are unknown.

    Returns
    -------
    DataFrame, shape (7, 7)
        A row for the state in a month, a column for the state a month later.

    Examples
    --------
    >>> with connect(threads=1) as engine:
    ...     table = roll_counts(engine, "SELECT * FROM (VALUES ('a', 1, '0'), ('a', 2, '1'), ('a', 4, '2')) AS "
    ...                                 "m(account, month, state)")
    >>> int(table.loc["0", "1"]), int(table.to_numpy().sum())
    (1, 1)
    """
    moves = connection.sql(
        f"""WITH moves AS (SELECT state, lead(state) OVER ahead AS next, lead(month) OVER ahead - month AS gap
            FROM ({months}) WINDOW ahead AS (PARTITION BY account ORDER BY month))
        SELECT state, next, count(*) AS n FROM moves WHERE gap = 1 AND state IN {STATES} AND next IN {STATES}
        GROUP BY state, next"""
    ).df()
    table: pd.DataFrame = moves.pivot_table(index="state", columns="next", values="n", aggfunc="sum")
    return table.reindex(index=list(STATES), columns=list(STATES)).fillna(0).astype("int64")


def roll_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Shares of moves out of each state; NaN for a state that never was."""
    values = counts.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(values / values.sum(axis=1, keepdims=True), counts.index, counts.columns)


def roll_distance(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Mean total variation between the moves of open accounts, over the states both tables have; 0 same, 1 disjoint."""
    shares = [roll_rates(counts.iloc[:-1, :-1]).to_numpy() for counts in (first, second)]
    rows = 0.5 * np.abs(shares[0] - shares[1]).sum(axis=1)
    known = np.isfinite(rows)
    return float(rows[known].mean()) if known.any() else float("nan")


def quantiles(use: npt.ArrayLike) -> list[float]:
    """Utilisation at the 0, 5, ..., 100 % of accounts; beyond twice the limit it is cut off, below nothing too."""
    values = np.asarray(use, dtype=np.float64)
    values = values[np.isfinite(values)]
    return np.quantile(np.clip(values, 0, _OUTLIER), QUANTILES).tolist() if len(values) else []


def card_utilisation(connection: Connection) -> npt.NDArray[np.float64]:
    """Balance over limit of cards at other lenders, in the last month the bureau tells of."""
    return _column(
        connection,
        """SELECT arg_max(months.balance, months.occurred_at) / any_value(credit_limit)
        FROM tradeline_months AS months JOIN (SELECT tradeline_id, credit_limit FROM tradelines
            WHERE kind = 'card' AND credit_limit > 0) USING (tradeline_id)
        WHERE months.status = 'open' AND months.balance IS NOT NULL GROUP BY tradeline_id""",
    )


def line_utilisation(connection: Connection) -> npt.NDArray[np.float64]:
    """Balance over limit on the statements of this lender's own lines and cards."""
    return _column(connection, "SELECT balance / credit_limit FROM card_months WHERE credit_limit > 0")


def inquiry_counts(connection: Connection) -> list[float]:
    """Share of applications with 0, 1, 2, ... and at last 10 or more bureau inquiries in the 365 days before."""
    return _counted(
        connection,
        """LEFT JOIN (SELECT customer_id, occurred_at, known_at, inquiry_id AS record FROM inquiries) AS r
        ON r.customer_id = a.customer_id AND known_at <= applied_at AND occurred_at > applied_at - INTERVAL 365 DAY""",
        MOST_INQUIRIES,
    )


def tradeline_counts(connection: Connection) -> list[float]:
    """Share of applications with 0, 1, 2, ... and at last 16 or more accounts in the bureau's file."""
    return _counted(
        connection,
        """LEFT JOIN (SELECT customer_id, min(occurred_at) AS since, tradeline_id AS record FROM tradelines
        GROUP BY ALL) AS r ON r.customer_id = a.customer_id AND since <= applied_at""",
        MOST_TRADELINES,
    )


def count_shares(counts: npt.ArrayLike, most: int) -> list[float]:
    """Shares of the counts 0, 1, ..., `most` or more.

    Examples
    --------
    >>> count_shares([0, 0, 1, 7], most=2)
    [0.5, 0.25, 0.25]
    """
    inside = np.minimum(np.asarray(counts, dtype=np.int64), most)
    shares: list[float] = (np.bincount(inside, minlength=most + 1) / max(len(inside), 1)).tolist()
    return shares


def payment_shares(connection: Connection) -> dict[str, float]:
    """How payments came: days from due day to payment day, and amount against what was due; see `paid_shares`."""
    rows = connection.sql(
        f"""SELECT date_diff('day', due_at + {_LOCAL}, payments.occurred_at + {_LOCAL}) AS days,
        amount < amount_due AS partial
        FROM payments JOIN (SELECT instalment_id, due_at, amount_due FROM instalments) USING (instalment_id)"""
    ).df()
    return paid_shares(rows["days"], rows["partial"])


def paid_shares(days: npt.ArrayLike, partial: npt.ArrayLike) -> dict[str, float]:
    """Shares of payments before the due day, on it, after it, 30 days after it, and of less than was due."""
    late, part = np.asarray(days, dtype=np.float64), np.asarray(partial, dtype=np.float64)
    if not len(late):
        return {}
    shares = {"early": late < 0, "on_time": late == 0, "late": late > 0, "late_30": late >= DPD, "partial": part > 0}
    return {name: float(np.mean(share)) for name, share in shares.items()}


def _counted(connection: Connection, join: str, most: int) -> list[float]:
    counts = _column(
        connection,
        f"""SELECT count(record) FROM (SELECT application_id, customer_id, applied_at FROM applications) AS a {join}
        GROUP BY application_id""",
    )
    return count_shares(counts, most)


def _frame(connection: Connection, query: str) -> pd.DataFrame:
    rows: pd.DataFrame = connection.sql(query).df()
    return rows


def _column(connection: Connection, query: str) -> npt.NDArray[np.float64]:
    return _frame(connection, query).iloc[:, 0].to_numpy(dtype=np.float64, na_value=np.nan)
