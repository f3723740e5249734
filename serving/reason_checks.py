"""Whether the reasons that are served, or were, are those that are measured anew from the same raw records."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from data_contracts.messages import ScoreRequest, read_request
from evaluation.reason_checks import ReasonAgreement, agreement
from features.requests import of_requests
from features.sequences import EventSequences
from serving.scorer import Scorer
from training.bundle import Bundle


def served_agreement(scorer: Scorer, requests: Sequence[ScoreRequest]) -> ReasonAgreement:
    """Score requests one by one, as the endpoint does, and measure the reasons of all of them anew."""
    served = [scorer.score(request).reasons for request in requests]
    return agreement(scorer.bundle, *_rows(scorer.bundle, requests), served)


def logged_agreement(bundle: Bundle, decisions: pd.DataFrame) -> ReasonAgreement:
    """Measure the reasons of logged answers anew.

    Parameters
    ----------
    bundle : Bundle
        What answered.
    decisions : DataFrame
        Of the decision log, of this bundle alone: `DecisionLog.read(bundle=bundle.identity)`.
    """
    requests = [read_request(text) for text in decisions["request"]]
    return agreement(bundle, *_rows(bundle, requests), [answer["reasons"] for answer in decisions["response"]])


def _rows(bundle: Bundle, requests: Sequence[ScoreRequest]) -> tuple[pd.DataFrame, EventSequences | None]:
    return of_requests(requests, bundle.feature_set, bundle.sequence_length)
