"""Facts over several sources that no feature is: what a customer would owe, and to whom, with the loan asked for.

They are worked out from other fields where rules ask for them, for one applicant and for many by the same arithmetic;
missing is whatever has a missing part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Derived:
    """A fact that is worked out from others.

    Parameters
    ----------
    name : str
        Its name in rules.
    unit : str
    en : str
        One phrase in business terms.
    needs : tuple of str
        Fields that it is worked out from.
    of : callable
        From their columns to its own.
    """

    name: str
    unit: str
    en: str
    needs: tuple[str, ...]
    of: Callable[..., Any]


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Missing where there is nothing to divide by."""
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return ratio


_ASKED, _INCOME = "application_amount_requested", "application_income_monthly"
_OWN, _ELSEWHERE = "loans_active_principal_sum", "tradelines_unsecured_sum"

DERIVED: tuple[Derived, ...] = (
    Derived(
        "age_at_maturity",
        "years",
        "Age at the end of the term asked for",
        ("age_years", "application_term_months"),
        lambda age, months: age + months / 12,
    ),
    Derived(
        "exposure_own",
        "CNY",
        "Principal of the loans that run with us and the amount asked for",
        (_OWN, _ASKED),
        lambda own, asked: own + asked,
    ),
    Derived(
        "exposure_own_to_income",
        "ratio",
        "Loans that run with us and the amount asked for, in monthly incomes",
        (_OWN, _ASKED, _INCOME),
        lambda own, asked, income: _ratio(own + asked, income),
    ),
    Derived(
        "exposure_unsecured",
        "CNY",
        "Unsecured debt elsewhere, loans that run with us and the amount asked for",
        (_ELSEWHERE, _OWN, _ASKED),
        lambda elsewhere, own, asked: elsewhere + own + asked,
    ),
    Derived(
        "exposure_unsecured_to_income",
        "ratio",
        "Unsecured debt elsewhere, loans that run with us and the amount asked for, in monthly incomes",
        (_ELSEWHERE, _OWN, _ASKED, _INCOME),
        lambda elsewhere, own, asked, income: _ratio(elsewhere + own + asked, income),
    ),
    Derived(
        "exposure_own_to_revenue",
        "ratio",
        "Loans that run with us and the amount asked for, to the sales of 365 days",
        (_OWN, _ASKED, "invoices_revenue_sum_365d"),
        lambda own, asked, revenue: _ratio(own + asked, revenue),
    ),
    Derived(
        "instalment_elsewhere_share",
        "ratio",
        "Share of the monthly instalments, with the one asked for, that is owed elsewhere",
        ("tradelines_instalment_sum", "loans_instalment_sum", "application_instalment_monthly"),
        lambda elsewhere, own, asked: _ratio(elsewhere, elsewhere + own + asked),
    ),
)
