from __future__ import annotations

import pandas as pd

from policy.rules.facts import consents_at

APPLIED = pd.Timestamp("2025-06-01")
EARLY, LATE = pd.Timestamp("2025-01-01"), pd.Timestamp("2025-07-01")


def consent(consent_id, customer, provider, *, known=EARLY, expires=None, point="application"):
    return {
        "consent_id": consent_id, "customer_id": customer, "occurred_at": EARLY, "known_at": known,
        "provider": provider, "decision_point": point, "expires_at": pd.Timestamp(expires) if expires else pd.NaT,
    }  # fmt: skip


def test_consent_is_what_was_known_and_valid_when_the_application_was_decided():
    customers = ["holds", "expired", "expires_later", "withdrawn", "withdrawn_later", "given_later", "elsewhere"]
    applications = pd.DataFrame({"customer_id": customers, "applied_at": APPLIED}, index=[f"A-{c}" for c in customers])
    applications.index.name = "application_id"
    consents = pd.DataFrame(
        [
            consent("K1", "holds", "bureau"),
            consent("K2", "expired", "bureau", expires="2025-05-31"),
            consent("K3", "expires_later", "bureau", expires="2025-06-02"),
            consent("K4", "withdrawn", "bureau"),
            consent("K4", "withdrawn", "bureau", known=pd.Timestamp("2025-03-01"), expires="2025-03-01"),
            consent("K5", "withdrawn_later", "bureau"),
            consent("K5", "withdrawn_later", "bureau", known=LATE, expires="2025-06-30"),
            consent("K6", "given_later", "bureau", known=LATE),
            consent("K7", "elsewhere", "bureau", point="behaviour"),
            consent("K8", "holds", "consumption"),
        ]
    )
    agreed = consents_at(applications, consents)
    assert list(agreed) == ["consent_bureau", "consent_consumption"]  # nobody was asked about the rest: missing
    assert agreed["consent_bureau"].tolist() == [True, False, True, False, True, False, False]
    assert agreed["consent_consumption"].tolist() == [True] + [False] * 6
