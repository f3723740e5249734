"""Decisions as monitoring needs them, read day by day, so that a month of raw requests is never in memory at once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from data_contracts.errors import LendwellError
from serving.decision_log import DecisionLog
from serving.monitoring.requests import only_asked

MOST_DAYS = 3_660
_NUMBERS = ["decision_id", "application_key", "decided_at", "log_odds", "pd"]


def read_decisions(
    log: DecisionLog, bundle: str, since: datetime, until: datetime, *, numbers_only: bool = False
) -> pd.DataFrame:
    """Decisions of one bundle in their order.

    Parameters
    ----------
    log : DecisionLog
    bundle : str
        Its identity.
    since, until : datetime
        `since <= decided_at < until`, UTC without a zone; at most ten years.
    numbers_only : bool, default False
        Leave out features, request and response.

    Returns
    -------
    DataFrame
        As `DecisionLog.read` gives them, with only these columns; of a request its application's product, channel and
        amount, of a response its first reason.
    """
    if (until - since).days > MOST_DAYS:
        raise LendwellError(f"From {since:%Y-%m-%d} on are more than {MOST_DAYS} days; name a later day with --since.")
    columns = [*_NUMBERS, *([] if numbers_only else ["features", "request", "response"])]
    parts, start = [], since
    while start < until:
        end = min(start + timedelta(days=1), until)
        part = log.read(since=start, until=end, bundle=bundle)
        if len(part):
            part = part[columns].copy()
            if not numbers_only:
                part["request"] = [only_asked(text) for text in part["request"]]
                first = [{"reasons": response["reasons"][:1]} for response in part["response"]]
                part["response"] = pd.Series(first, index=part.index, dtype=object)
            parts.append(part)
        start = end
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)
