"""Which records may decide what: where they come from, whether the customer must consent, how long they are kept.

A lender changes these to what its own authorisations say. Adverse bureau records are kept for five years from their end
(征信业管理条例, Article 16), which for an account of five years is ten from its opening; own books for ten years.
"""

from __future__ import annotations

from data_contracts.declare import DecisionPoint, Use

DECISION_POINTS: tuple[DecisionPoint, ...] = ("application", "behaviour", "early_warning", "transaction", "collection")

_TEN_YEARS, _FIVE_YEARS = 3_653, 1_827

APPLICANT = Use("applicant", DECISION_POINTS)
BUREAU = Use("bureau", ("application", "behaviour", "early_warning"), consent=True, retention_days=_TEN_YEARS)
CONSUMPTION = Use(
    "consumption",
    ("application", "behaviour", "early_warning", "transaction"),
    consent=True,
    retention_days=_FIVE_YEARS,
)
BUSINESS = Use("business", ("application", "behaviour", "early_warning"), consent=True, retention_days=_TEN_YEARS)
OWN_CARD = Use("consumption", DECISION_POINTS, retention_days=_TEN_YEARS)
REPAYMENT = Use("repayment", DECISION_POINTS, retention_days=_TEN_YEARS)
OUTCOME = Use("repayment", ())
