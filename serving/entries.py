"""What a scored applicant's entry in the decision log holds, whatever was decided on top of the score."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from data_contracts.replies import Warned
from serving.log_entries import SCORE, Decision, new_decision_id
from serving.scorer import Scored, Scorer

FROM_SNAPSHOT = "from_snapshot"  # code of the warning that tells where a request came from


def told_of_score(scored: Scored) -> dict[str, Any]:
    """What the answer to a score request says beside `told_of_any`, ids and identities."""
    return {
        "band": scored.band.model_dump(),
        "log_odds": scored.log_odds,
        "reasons": [reason.model_dump() for reason in scored.reasons],
        "sum_of_attributions_minus_log_odds": scored.residual,
    }


def told_of_any(scored: Scored, about: Sequence[Warned] = ()) -> dict[str, Any]:
    """What every answer says of a scored applicant: PD, points, and warnings with those of where it came from first."""
    return {
        "pd": scored.pd,
        "score": scored.score,
        "warnings": [warning.model_dump() for warning in (*about, *scored.warnings)],
    }


def entry_of(
    scorer: Scorer,
    scored: Scored,
    now: datetime,
    told: Mapping[str, Any],
    about: Sequence[Warned] = (),
    *,
    kind: str = SCORE,
) -> Decision:
    """An answer about a scored applicant, under an id of its own.

    Parameters
    ----------
    scorer, scored
        Who scored, and what came of it.
    now : datetime
        When it is answered, UTC without a zone.
    told : mapping
        What the answer says beside ids, PD, points, identities and warnings.
    about : sequence of Warned
        What is to be said of where the request came from.
    kind : str, default "score"
        Of the entry.
    """
    decision_id, request_id = new_decision_id(), uuid.uuid4().hex
    return Decision(
        kind=kind,
        decision_id=decision_id,
        request_id=request_id,
        decided_at=now,
        decision_point=scorer.decision_point,
        bundle_name=scorer.bundle_name.name,
        bundle_version=scorer.bundle_name.version,
        bundle_identity=scorer.bundle_name.identity,
        feature_set_identity=scorer.feature_set_name.identity,
        features=scored.features,
        parts=scored.parts,
        log_odds=scored.log_odds,
        pd=scored.pd,
        score=scored.score,
        response={
            **told,
            "request_id": request_id,
            "decision_id": decision_id,
            "decision_point": scorer.decision_point,
            **told_of_any(scored, about),
            "bundle": scorer.bundle_name.model_dump(),
            "feature_set": scorer.feature_set_name.model_dump(),
        },
    )
