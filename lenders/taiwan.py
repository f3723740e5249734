"""Default of credit card clients, Taiwan 2005 (UCI): one customer a row, with six monthly statements in columns.

Statements are of April to September 2005 and the label of October, so everybody is decided upon on 1 October: the day
is made up and one for all (`dates` is "relative"). One New Taiwan dollar is taken as one yuan.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.mapping import Mapped, at, choice, import_files
from lenders.raw_files import RawFile, columns

_STATUS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # September back to April; UCI has no PAY_1
_BILLS = tuple(f"BILL_AMT{month}" for month in range(1, 7))
_PAID = tuple(f"PAY_AMT{month}" for month in range(1, 7))

FILE = RawFile(
    "UCI_Credit_Card",
    columns(
        ids="ID",
        numbers=f"LIMIT_BAL SEX EDUCATION MARRIAGE AGE {' '.join((*_STATUS, *_BILLS, *_PAID))} Default",
    ),
    optional=("Default",),
    also=("default of credit card clients", "default_of_credit_card_clients"),
    aliases={"Default": ("default.payment.next.month", "default payment next month"), "PAY_0": ("PAY_1",)},
)

_APPLIED_AT = "beijing('2005-10-01')"

_APPLICATION = {
    "application_id": "CAST(ID AS VARCHAR)",
    "customer_id": "CAST(ID AS VARCHAR)",
    "applied_at": _APPLIED_AT,
    "product": "'revolving'",
    "amount_requested": "fen(LIMIT_BAL)",  # the limit that was given: what was asked for is not published
    "age_years": "AGE",
    "gender": choice("SEX", {"1": "male", "2": "female"}),
    # 3 is "others"; 0 is in no code book
    "marital_status": choice("MARRIAGE", {"1": "married", "2": "single"}, otherwise="unknown"),
    # 4 is "others"; 0, 5 and 6 are in no code book
    "education": choice("EDUCATION", {"1": "postgraduate", "2": "bachelor", "3": "secondary"}, otherwise="unknown"),
}

_STATEMENTS = f"""(
SELECT ID, LIMIT_BAL, unnest([{", ".join(_STATUS)}]) AS months_late, unnest([{", ".join(_BILLS)}]) AS bill,
       unnest([{", ".join(_PAID)}]) AS paid, unnest(range(6)) AS months_ago
FROM "{FILE.name}")"""

_CARD_MONTH = {
    "card_id": "CAST(ID AS VARCHAR)",
    "customer_id": "CAST(ID AS VARCHAR)",
    # the last day of the month
    **at("beijing(TIMESTAMP '2005-10-01' - to_months(months_ago) - INTERVAL 1 DAY)"),
    "credit_limit": "fen(LIMIT_BAL)",  # published once; taken as that of all six months
    "balance": "fen(bill)",
    "paid": "fen(paid)",
    "dpd": "30 * whole(greatest(months_late, 0))",  # -2 no consumption, -1 paid in full, 0 revolving: none is late
    "status": "CASE months_late WHEN -2 THEN 'unused' WHEN -1 THEN 'paid_in_full' WHEN 0 THEN 'carried' "
    "ELSE CASE WHEN months_late > 0 THEN 'late' END END",
}

_OUTCOME = {
    "application_id": "CAST(ID AS VARCHAR)",
    "customer_id": "CAST(ID AS VARCHAR)",
    **at("beijing('2005-11-01')"),
    "defaulted": 'flag("Default")',
}

_FILES = (FILE.name,)
MAPPINGS = (
    Mapped("applications", _APPLICATION, f'"{FILE.name}"', "application_id", _FILES),
    Mapped("card_months", _CARD_MONTH, _STATEMENTS, "card_id, occurred_at", _FILES),
    Mapped(
        "outcomes",
        _OUTCOME,
        f'"{FILE.name}" WHERE "Default" IS NOT NULL',
        "application_id",
        _FILES,
        given=f'SELECT 1 FROM "{FILE.name}" WHERE "Default" IS NOT NULL',
    ),
)


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read `UCI_Credit_Card` as applications, card statements and, where it has `Default`, outcomes.

    Raises
    ------
    SourceError
        Where the folder, the file or a column is missing or cannot be read.
    """
    return import_files(source, (FILE,), MAPPINGS, "Taiwan", progress), "relative"
