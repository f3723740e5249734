"""Credit Card Approval Prediction (Kaggle): each card's state month by month, and who applied for it.

`credit_record` alone has no applications: its months become `card_months`, from which roll rates are computed. With
`application_record` beside it there are applications, at the start of the card's first month, and outcomes by months
on book, for vintages. Months are counted back from one that is not named: it is made up (`dates` is "relative").
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.home_credit_mapping import EDUCATION, EMPLOYMENT, HOUSING, MARITAL_STATUS
from lenders.mapping import Mapped, at, choice, import_files
from lenders.raw_files import RawFile, columns

MONTHS = RawFile("credit_record", columns(ids="ID", numbers="MONTHS_BALANCE", texts="STATUS"))
PEOPLE = RawFile(
    "application_record",
    columns(
        ids="ID",
        numbers="CNT_CHILDREN AMT_INCOME_TOTAL DAYS_BIRTH DAYS_EMPLOYED FLAG_WORK_PHONE FLAG_EMAIL CNT_FAM_MEMBERS",
        texts="CODE_GENDER FLAG_OWN_CAR FLAG_OWN_REALTY NAME_INCOME_TYPE NAME_EDUCATION_TYPE NAME_FAMILY_STATUS "
        "NAME_HOUSING_TYPE OCCUPATION_TYPE",
    ),
    needed=False,
)


def _month_begins(month: str) -> str:
    return f"beijing(TIMESTAMP '2019-12-01' + to_months(CAST({month} AS INTEGER)))"


_MONTH_ENDS = f"{_month_begins('MONTHS_BALANCE + 1')} - INTERVAL 1 DAY"
_CUSTOMER = {"customer_id": "CAST(ID AS VARCHAR)"}

# Kaggle names ranges of days (1-29, 30-59, ... over 150), of which the least is taken; C is a month paid off
_DPD = choice("STATUS", {"C": "0", "0": "1", "1": "30", "2": "60", "3": "90", "4": "120", "5": "150"})

_CARD_MONTH = {
    "card_id": "CAST(ID AS VARCHAR)",
    **_CUSTOMER,
    **at(_MONTH_ENDS),
    # C is a month paid off, X one without a debt; 0, up to 29 days past due, does not tell who is late
    "status": choice("STATUS", {"X": "unused", "C": "paid_in_full", "0": "carried"}, otherwise="late"),
    "dpd": f"CAST({_DPD} AS BIGINT)",  # missing where STATUS is X: there was no debt that could be late
}

_APPLICATION = {
    "application_id": "CAST(ID AS VARCHAR)",
    **_CUSTOMER,
    "applied_at": _month_begins("first"),
    "product": "'revolving'",
    "income_monthly": "fen(AMT_INCOME_TOTAL / 12)",
    "age_years": "-DAYS_BIRTH / 365.25",
    "gender": choice("CODE_GENDER", {"F": "female", "M": "male"}),
    "marital_status": choice("NAME_FAMILY_STATUS", MARITAL_STATUS),
    "children_count": "whole(CNT_CHILDREN)",
    "household_size": "whole(CNT_FAM_MEMBERS)",
    "education": choice("NAME_EDUCATION_TYPE", EDUCATION),
    "housing": choice("NAME_HOUSING_TYPE", HOUSING),
    "employment": choice("NAME_INCOME_TYPE", EMPLOYMENT),
    "occupation": "OCCUPATION_TYPE",
    "employed_months": "CASE WHEN DAYS_EMPLOYED <= 0 THEN -DAYS_EMPLOYED / 30.4375 END",  # 365243: not employed
    "owns_car": "FLAG_OWN_CAR = 'Y'",
    "owns_home": "FLAG_OWN_REALTY = 'Y'",
    "has_work_phone": "flag(FLAG_WORK_PHONE)",
    "has_email": "flag(FLAG_EMAIL)",
}

_FIRST = f'(SELECT ID, min(MONTHS_BALANCE) AS first FROM "{MONTHS.name}" GROUP BY ID)'
# an ID that comes twice names two different people
_APPLICANTS = f"""(
SELECT * FROM "{PEOPLE.name}" QUALIFY count(*) OVER (PARTITION BY ID) = 1) JOIN {_FIRST} USING (ID)"""

_OUTCOME = {
    "application_id": "CAST(ID AS VARCHAR)",
    **_CUSTOMER,
    **at(_MONTH_ENDS),
    "months_on_book": "whole(MONTHS_BALANCE - first + 1)",
    "dpd_max": f"max(coalesce(CAST({_DPD} AS BIGINT), 0)) OVER (PARTITION BY ID ORDER BY MONTHS_BALANCE)",
}

_ALL = (MONTHS.name, PEOPLE.name)
MAPPINGS = (
    Mapped(
        "applications",
        _APPLICATION,
        _APPLICANTS,
        "application_id",
        _ALL,
        kept={PEOPLE.name: _APPLICANTS},
        left_out="their ID has no month or names two people",
    ),
    Mapped("card_months", _CARD_MONTH, f'"{MONTHS.name}"', "card_id, occurred_at", (MONTHS.name,)),
    Mapped(
        "outcomes",
        _OUTCOME,
        f'"{MONTHS.name}" JOIN (SELECT ID, first FROM {_APPLICANTS}) USING (ID)',
        "application_id, occurred_at",
        _ALL,
    ),
)


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read `credit_record` as card months and, where `application_record` is there, applications and outcomes.

    Raises
    ------
    SourceError
        Where the folder, `credit_record` or a column is missing or cannot be read.
    """
    return import_files(source, (MONTHS, PEOPLE), MAPPINGS, "Credit Card Approval Prediction", progress), "relative"
