"""SuperLender (Zindi): a Nigerian app's loans to returning customers, and every earlier loan of theirs.

Dates are real (`dates` is "calendar"). Two clocks are in the files: `creationdate` is an hour behind all other times,
which are Nigerian (UTC+1), so it is taken as UTC; read on one clock, one application in six would come before the
customer's last loan was closed. One naira is taken as one yuan.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.mapping import Mapped, at, choice, import_files
from lenders.raw_files import RawFile, columns

_LOAN_COLUMNS = columns(
    ids="systemloanid", numbers="loanamount totaldue termdays", texts="customerid", times="approveddate creationdate"
)

LOANS = RawFile(
    "trainperf",
    _LOAN_COLUMNS | columns(texts="referredby good_bad_flag"),
    optional=("good_bad_flag",),
    also=("testperf",),
)
EARLIER = RawFile(
    "trainprevloans",
    _LOAN_COLUMNS | columns(times="closeddate firstduedate firstrepaiddate"),
    also=("testprevloans",),
)
PEOPLE = RawFile(
    "traindemographics",
    columns(texts="customerid employment_status_clients level_of_education_clients", times="birthdate"),
    needed=False,
    also=("testdemographics",),
)


def _nigerian(moment: str) -> str:
    return f"{moment} - INTERVAL 1 HOUR"


_CUSTOMER = {"customer_id": "customerid"}
_TERM = "CAST(ceil(termdays / 30) AS BIGINT)"  # 15, 30, 60 or 90 days; the first two are one instalment

_APPLICATION = {
    "application_id": "CAST(systemloanid AS VARCHAR)",
    **_CUSTOMER,
    "applied_at": "creationdate",
    "product": "'cash'",
    "amount_requested": "fen(loanamount)",
    "term_months": _TERM,
    "channel": "CASE WHEN referredby IS NULL THEN 'direct' ELSE 'referral' END",
    "instalment_monthly": f"fen(totaldue / {_TERM})",
    "age_years": "datediff('day', birthdate, creationdate) / 365.25",
    "education": choice(
        "level_of_education_clients",
        {
            "Primary": "lower_secondary",
            "Secondary": "secondary",
            "Graduate": "bachelor",
            "Post-Graduate": "postgraduate",
        },
    ),
    "employment": choice(
        "employment_status_clients",
        {
            "Permanent": "employee",
            "Contract": "employee",
            "Self-Employed": "self_employed",
            "Retired": "pensioner",
            "Student": "student",
            "Unemployed": "unemployed",
        },
    ),
}
_PERSON = f'(SELECT DISTINCT ON (customerid) * FROM "{PEOPLE.name}" ORDER BY ALL)'  # a few customers are listed twice

# a loan is told twice: when it was granted, and when it was closed
_LOAN = {
    "loan_id": "CAST(systemloanid AS VARCHAR)",
    **_CUSTOMER,
    "occurred_at": _nigerian("approveddate"),
    "known_at": f"CASE WHEN closed THEN {_nigerian('closeddate')} ELSE {_nigerian('approveddate')} END",
    "product": "'cash'",
    "status": "CASE WHEN closed THEN 'closed' ELSE 'granted' END",
    "principal": "fen(loanamount)",
    "instalment_monthly": f"fen(totaldue / {_TERM})",
    "term_months": _TERM,
    "annual_rate": "(totaldue / loanamount - 1) * 365 / termdays",
    "closed_at": f"CASE WHEN closed THEN {_nigerian('closeddate')} END",
}

# Only the sum is published: instalments of 30 days each are taken as equal, the last with what rounding leaves
_DUE = f"""(
SELECT *, {_TERM} AS parts, unnest(range(1, {_TERM} + 1)) AS number, fen(totaldue) AS total
FROM "{EARLIER.name}")"""
_AMOUNT = "CASE WHEN number < parts THEN total // parts ELSE total - (parts - 1) * (total // parts) END"
_INSTALMENT_ID = "concat_ws('-', systemloanid, number)"

_INSTALMENT = {
    "instalment_id": _INSTALMENT_ID,
    "loan_id": "CAST(systemloanid AS VARCHAR)",
    **_CUSTOMER,
    **at(_nigerian("approveddate")),
    # it may be paid until the end of its day
    "due_at": _nigerian("firstduedate + to_days(CAST(30 * (number - 1) AS INTEGER)) + INTERVAL 1 DAY"),
    "number": "number",
    "amount_due": _AMOUNT,
}

# The first repayment settles the first of several instalments; all else was paid when the loan was closed
_PAYMENT = {
    "payment_id": _INSTALMENT_ID,
    "loan_id": "CAST(systemloanid AS VARCHAR)",
    "instalment_id": _INSTALMENT_ID,
    **_CUSTOMER,
    **at(_nigerian("CASE WHEN number = 1 AND parts > 1 THEN firstrepaiddate ELSE closeddate END")),
    "amount": _AMOUNT,
}

_OUTCOME = {
    "application_id": "CAST(systemloanid AS VARCHAR)",
    **_CUSTOMER,
    # good means settled on time: known when the day it was due is over, which falls up to four days after the term
    **at("creationdate + to_days(CAST(termdays + 5 AS INTEGER))"),
    "defaulted": "good_bad_flag = 'Bad'",
}

_LOANS, _EARLIER = f'"{LOANS.name}"', f'"{EARLIER.name}"'
MAPPINGS = (
    Mapped(
        "applications",
        _APPLICATION,
        f"{_LOANS} LEFT JOIN {_PERSON} USING (customerid)",
        "application_id",
        (LOANS.name,),
    ),
    Mapped(
        "loans",
        _LOAN,
        f"{_EARLIER} CROSS JOIN (VALUES (false), (true)) AS states(closed)",
        "loan_id, known_at, status DESC",
        (EARLIER.name,),
        kept={EARLIER.name: f"{_EARLIER} SEMI JOIN {_LOANS} USING (customerid)"},
    ),
    Mapped("instalments", _INSTALMENT, _DUE, "instalment_id", (EARLIER.name,)),
    Mapped("payments", _PAYMENT, _DUE, "payment_id", (EARLIER.name,)),
    Mapped(
        "outcomes",
        _OUTCOME,
        f"{_LOANS} WHERE good_bad_flag IS NOT NULL",
        "application_id",
        (LOANS.name,),
        given=f"SELECT 1 FROM {_LOANS} WHERE good_bad_flag IS NOT NULL",
    ),
)


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read Zindi's files, `trainperf` or else `testperf` and the like, as loans now and earlier.

    Raises
    ------
    SourceError
        Where the folder, a file or a column is missing or cannot be read.
    """
    return import_files(source, (LOANS, EARLIER, PEOPLE), MAPPINGS, "SuperLender", progress), "calendar"
