"""The first reason of a bundle's reference rows, as they would be answered: what drift of reasons is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_contracts.replies import Reason
from evaluation.attribution import Explainer
from evaluation.reasons import ReasonWriter
from training.bundle import Bundle
from training.inputs import Inputs
from training.run import Rows

NO_REASON = "(none)"
MOST_ROWS = 1_000


def first_code(reasons: Sequence[Reason]) -> str:
    """Code of the strongest reason, `NO_REASON` where nothing raises the risk."""
    return reasons[0].code if reasons else NO_REASON


def with_reasons(bundle: Bundle, rows: Rows) -> Bundle:
    """Explain at most `MOST_ROWS` of the reference rows of a bundle that has just been trained.

    Parameters
    ----------
    bundle : Bundle
        From `training.run.train`; one without reference rows stays as it is.
    rows : Rows
        That it was trained on.
    """
    reference = bundle.reference_rows
    if reference is None or reference.applications is None:
        return bundle
    explainer, writer = Explainer.of(bundle), ReasonWriter.of(bundle)
    codes = np.full(len(reference.features), None, dtype=object)
    for inputs in (Inputs(rows.features, rows.events), rows.refused):
        if inputs is None:
            continue
        place = inputs.features.index.get_indexer(reference.applications[:MOST_ROWS])
        found = np.flatnonzero(place >= 0)
        held = inputs.take(place[found])
        events = None if bundle.background_sequences is None else held.events
        if len(found):
            written = writer.write(explainer(held.features, events), held.features, events)
            codes[found] = [first_code(reasons) for reasons in written]
    return replace(bundle, reference_rows=reference.with_reasons(codes.tolist()))
