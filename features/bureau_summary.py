"""A bureau's summary of a borrower, for lenders who have no records behind it: twelve declared numbers and what follows.

It reads age, which the other sets refuse. It is for lenders under a law that permits it: in the United States Regulation B
(12 CFR 1002.6(b)(2)) lets a statistically sound score use age as long as a high age never counts against the applicant,
which the direction makes sure of: the PD never rises with age. On Give Me Some Credit, age is worth 0.003 of AUC.
"""

from __future__ import annotations

from features import application
from features.algebra import Feature, Node, Reason
from features.application import AFFORDABILITY, BUREAU_DEBT, BUREAU_LATE, SITUATION
from features.declaring import declaring

PERMITS = ("age_years",)
AGE = Reason("R16", "Age of the applicant", "申请人年龄")

_AS_DECLARED = (
    "application_income_monthly",
    "application_debt_ratio",
    "application_bureau_late_30_59",
    "application_bureau_late_60_89",
    "application_bureau_late_90",
    "application_bureau_late_sum",
    "application_bureau_accounts_open",
    "application_bureau_mortgages",
)


def _column(name: str) -> Node:
    return Node("column", "applications", name)


_of_application = declaring("application")
_income, _debt = _column("income_monthly"), _column("debt_monthly")
_late_60, _late_90 = _column("bureau_late_60_89"), _column("bureau_late_90")
_accounts, _age = _column("bureau_accounts_open"), _column("age_years")

# Without a direction: a limit that is not used at all speaks against a borrower as well. Demanding one cost 0.0003 of AUC.
_utilisation = _of_application(
    "application_bureau_utilisation", _column("bureau_utilisation"), "Share used of all revolving limits, by the bureau",
    "征信概要额度使用率", "ratio", BUREAU_DEBT, missing="not declared")

FEATURES: tuple[Feature, ...] = (
    _utilisation,
    *(feature for feature in application.FEATURES if feature.name in _AS_DECLARED),
    _of_application("application_age_years", _age, "Age of the applicant", "申请人年龄", "years", AGE, -1,
                    "not declared"),
    _of_application("application_dependents_count", _column("dependents_count"), "Persons who live on the income",
                    "依靠其收入生活的人数", "count", SITUATION, missing="not declared"),
    _of_application("application_debt_monthly", _debt, "Monthly debt service and costs", "每月债务支出", "CNY", BUREAU_DEBT,
                    missing="not declared"),
    _of_application("application_income_after_debt", _income - _debt, "Monthly income after debt service and costs",
                    "月收入扣除债务支出后余额", "CNY", AFFORDABILITY, missing="not declared"),
    _of_application("application_income_per_dependent", _income / (_column("dependents_count").coalesce(0) + 1),
                    "Monthly income a person who lives on it, the applicant included", "人均月收入（含申请人）", "CNY",
                    AFFORDABILITY, missing="not declared"),
    _of_application("application_debt_per_account", _debt / (_accounts + 1), "Monthly debt service an open account",
                    "每个未结清账户的月债务支出", "CNY", BUREAU_DEBT, missing="not declared"),
    _of_application("application_bureau_late_60_sum", _late_60 + _late_90,
                    "Times 60 days past due or more, by the bureau's summary", "征信概要逾期60天及以上次数", "count",
                    BUREAU_LATE, +1, "not declared"),
    _of_application("application_bureau_late_per_account", (_column("bureau_late_30_59") + _late_60 + _late_90)
                    / (_accounts + 1), "Times late an open account, by the bureau's summary", "平均每个账户逾期次数", "ratio",
                    BUREAU_LATE, missing="not declared"),
)
