"""Requests and decisions as small as the decision log takes them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np

from data_contracts.messages import ScoreRequest, parse_request
from serving.decision_log import Decision, new_decision_id

NOON = datetime(2025, 3, 1, 12)


def asked(application_id: str = "A-1", amount: int = 100) -> ScoreRequest:
    application = {
        "application_id": application_id,
        "customer_id": "C-secret",
        "applied_at": "2025-03-01T00:00:00Z",
        "product": "cash",
        "amount_requested": amount,
    }
    return parse_request(json.dumps({"application": application, "payments": []}))


def decided(at: datetime = NOON, bundle: str = "b" * 64, **changes: Any) -> Decision:
    facts: dict[str, Any] = {
        "decision_id": new_decision_id(),
        "request_id": "r-1",
        "decided_at": at,
        "decision_point": "application",
        "bundle_name": "cash",
        "bundle_version": "3",
        "bundle_identity": bundle,
        "feature_set_identity": "f" * 64,
        "features": np.array([0.1, np.nan, -0.0, 1e300]),
        "log_odds": -1.2345678901234567,
        "pd": 0.1 + 0.2,
        "score": 612.3,
        "response": {"pd": 0.1 + 0.2, "reasons": [{"zh": "近期查询较多"}]},
    }
    return Decision(**{**facts, **changes})
