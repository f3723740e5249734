"""What was asked for and why it was answered so, read from logged decisions: product, channel, amount, first reason."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.attribution import Explainer
from evaluation.reasons import ReasonWriter
from evaluation.reference_reasons import NO_REASON, first_code
from training.bundle import Bundle
from training.reference import Distribution
from training.targets import LOCAL

DIMENSIONS = ("product", "channel", "amount")
_BUCKETS = 5


class _Application(msgspec.Struct):
    product: str | None = None
    channel: str | None = None
    amount_requested: int | None = None


class _Request(msgspec.Struct):
    application: _Application


_READ = msgspec.json.Decoder(_Request).decode


def only_asked(request: str) -> str:
    """Of a logged request the part that `requests_of` reads.

    Examples
    --------
    >>> only_asked('{"application": {"product": "cash", "age_years": 30}, "inquiries": []}')
    '{"application":{"product":"cash","channel":null,"amount_requested":null}}'
    """
    return msgspec.json.encode(_READ(request)).decode()


def requests_of(decisions: pd.DataFrame) -> pd.DataFrame:
    """`product`, `channel` (None = missing) and `amount_requested` in CNY (NaN = missing) of logged decisions."""
    asked = [_READ(text).application for text in decisions["request"]]
    amounts = [np.nan if one.amount_requested is None else one.amount_requested / 100 for one in asked]
    return pd.DataFrame(
        {
            "product": pd.Series([one.product for one in asked], dtype=object),
            "channel": pd.Series([one.channel for one in asked], dtype=object),
            "amount_requested": pd.Series(amounts, dtype=np.float64),
        }
    )


def with_buckets(requests: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """`DIMENSIONS` of requests; amounts in buckets that hold equally many of the reference's.

    Examples
    --------
    >>> asked = pd.DataFrame({"product": ["cash"] * 4, "channel": [None] * 4})
    >>> asked["amount_requested"] = [1000.0, 5000.0, 20000.0, None]
    >>> with_buckets(asked, asked)["amount"].tolist()
    ['<= 1,000', '1,000 .. 5,000', '> 5,000', None]
    """
    edges = Distribution.of("amount", reference["amount_requested"], bins=_BUCKETS).edges
    shown = [f"{edge:,.0f}" for edge in edges]
    between = [f"{low} .. {high}" for low, high in pairwise(shown)]
    labels = [f"<= {shown[0]}", *between, f"> {shown[-1]}"] if shown else ["all"]
    amounts = requests["amount_requested"].to_numpy(dtype=np.float64)
    places = np.searchsorted(edges, amounts, side="left")
    bucket = [None if gone else labels[at] for gone, at in zip(np.isnan(amounts), places.tolist(), strict=True)]
    return pd.DataFrame(
        {"product": requests["product"], "channel": requests["channel"], "amount": pd.Series(bucket, dtype=object)}
    )


@dataclass(frozen=True)
class Categories:
    """First reason, and where the bundle carries rows of its training product, channel and amount, then and now.

    Parameters
    ----------
    then, now : dict of str to ndarray of object
        Level of each row of the reference and of each decision, None = missing.
    """

    then: dict[str, npt.NDArray[Any]]
    now: dict[str, npt.NDArray[Any]]

    @classmethod
    def of(cls, bundle: Bundle, decisions: pd.DataFrame) -> Categories:
        """Those of a bundle's reference and of logged decisions."""
        then, now = {"reason": reference_reasons(bundle)}, {"reason": first_reasons(decisions)}
        if bundle.reference_rows is not None:
            asked = bundle.reference_rows.requests
            before, today = with_buckets(asked, asked), with_buckets(requests_of(decisions), asked)
            then |= {name: before[name].tolist() for name in DIMENSIONS}
            now |= {name: today[name].tolist() for name in DIMENSIONS}
        return cls(*({name: np.array(of, dtype=object) for name, of in side.items()} for side in (then, now)))


def days_of(decisions: pd.DataFrame) -> pd.Series:
    """Day of each decision as people in China name it."""
    return (decisions["decided_at"] + LOCAL).dt.strftime("%Y-%m-%d").reset_index(drop=True)


def newest_of_each(customers: pd.Series, days: pd.Series | None = None) -> npt.NDArray[np.int64]:
    """Rows of the newest decision on each customer, or on each customer of each day; without a customer each counts.

    Parameters
    ----------
    customers : Series of str
        Of each decision in its order, missing where nobody knows.
    days : Series of str, optional

    Examples
    --------
    >>> customers = pd.Series(["x", "y", None, "x", None])
    >>> newest_of_each(customers).tolist()
    [1, 2, 3, 4]
    >>> newest_of_each(customers, pd.Series(["Monday", *4 * ["Tuesday"]])).tolist()
    [0, 1, 2, 3, 4]
    """
    who = pd.DataFrame({"customer": customers.to_numpy(), "day": "" if days is None else days.to_numpy()})
    return np.flatnonzero(customers.isna().to_numpy() | ~who.duplicated(keep="last").to_numpy())


def first_reasons(decisions: pd.DataFrame) -> list[str]:
    """Code of the strongest reason that each answer gave, `NO_REASON` where nothing raised the risk."""
    told = (response["reasons"] for response in decisions["response"])
    return [reasons[0]["code"] if reasons else NO_REASON for reasons in told]


def reference_reasons(bundle: Bundle) -> list[str]:
    """The same of training rows: those that were explained for it, or else those that it is explained against."""
    reference = bundle.reference_rows
    if reference is not None and "reason" in reference.requests:
        return [str(code) for code in reference.requests["reason"] if code is not None]
    rows, events = bundle.background_features, bundle.background_sequences
    written = ReasonWriter.of(bundle).write(Explainer.of(bundle)(rows, events), rows, events)
    return [first_code(reasons) for reasons in written]
