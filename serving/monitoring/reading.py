"""Decisions as monitoring needs them, read day by day, so that a month of raw requests is never in memory at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from data_contracts.errors import LendwellError
from serving.decision_log import DecisionLog
from serving.log_entries import DECISION, SCORE
from serving.monitoring.requests import only_asked

MOST_DAYS = 3_660
_NUMBERS = ["decision_id", "application_key", "customer_key", "decided_at", "log_odds", "pd"]
_KINDS = (SCORE, DECISION)  # who is decided has been scored
_SAME_REQUEST = ["application_key", "request_sha256"]


def read_decisions(
    log: DecisionLog, bundle: str, since: datetime, until: datetime, *, numbers_only: bool = False
) -> pd.DataFrame:
    """Scored requests of one bundle in their order; one that was scored and decided on the same day counts once.

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
        read = [log.read(start, end, bundle, kind=kind, columns=[*columns, "request_sha256"]) for kind in _KINDS]
        part = pd.concat([one for one in read if len(one)]) if any(map(len, read)) else read[0]
        if len(part):
            part = part.sort_values("decided_at", kind="stable", ignore_index=True)
            part = part.drop_duplicates(_SAME_REQUEST, ignore_index=True)[columns]
            if not numbers_only:
                part["request"] = [only_asked(text) for text in part["request"]]
                first = [{"reasons": _of_the_score(response)[:1]} for response in part["response"]]
                part["response"] = pd.Series(first, index=part.index, dtype=object)
            parts.append(part)
        start = end
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)


def _of_the_score(response: Mapping[str, Any]) -> Sequence[Any]:
    """Reasons of the score: those of a whole decision are merged with the policy's."""
    found: Sequence[Any] = response.get("score_reasons", response["reasons"])
    return found
