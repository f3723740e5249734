"""Features and events of many score requests, as the endpoint computes them of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data_contracts.messages import ScoreRequest
from features.algebra import FeatureSet
from features.online import compile_plan
from features.sequences import EventSequences, from_records


def of_requests(
    requests: Sequence[ScoreRequest], declared: FeatureSet, length: int | None
) -> tuple[pd.DataFrame, EventSequences | None]:
    """Compute the features of each request as of its `applied_at`, and its last events.

    Parameters
    ----------
    requests : sequence of ScoreRequest
        Raw records of an applicant each.
    declared : FeatureSet
        What to compute.
    length : int or None
        How many events; None where no events are wanted.

    Returns
    -------
    features : DataFrame, shape (n, n_features)
        In the order of the requests, NaN where missing.
    events : EventSequences or None
    """
    plan = compile_plan(declared)
    records = [request.records() for request in requests]
    values = [
        plan.compute(request.application_record(), known, request.as_of)
        for request, known in zip(requests, records, strict=True)
    ]
    features = pd.DataFrame(np.array(values).reshape(-1, len(declared.names)), columns=list(declared.names))
    if length is None:
        return features, None
    empty = EventSequences.empty(0, length)
    each = [from_records(known, request.as_of, length) for request, known in zip(requests, records, strict=True)]
    source, kind, rows = (
        np.concatenate([getattr(one, name) for one in (empty, *each)]) for name in ("source", "kind", "values")
    )
    return features, EventSequences(source, kind, rows, empty.sources, empty.kinds)
