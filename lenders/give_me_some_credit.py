"""Give Me Some Credit (Kaggle): a credit bureau's summary of one borrower a row, and whether they fell 90 days behind.

There are no events, dates or amounts asked for, so there are only applications, with the bureau's figures as declared
attributes, and outcomes. `applied_at` is made up (`dates` is "relative"); one dollar is taken as one yuan.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.mapping import Mapped, at, import_files
from lenders.raw_files import RawFile, columns

FILE = RawFile(
    "cs-training",
    columns(
        ids="row",
        numbers="SeriousDlqin2yrs RevolvingUtilizationOfUnsecuredLines age NumberOfTime30-59DaysPastDueNotWorse "
        "DebtRatio MonthlyIncome NumberOfOpenCreditLinesAndLoans NumberOfTimes90DaysLate "
        "NumberRealEstateLoansOrLines NumberOfTime60-89DaysPastDueNotWorse NumberOfDependents",
    ),
    optional=("SeriousDlqin2yrs",),
    also=("cs-test",),
    aliases={"row": ("column0", "Unnamed: 0")},  # Kaggle gives it no name
    missing=("", "NA"),
)


def _times_late(column: str) -> str:
    return f'CASE WHEN "{column}" < 96 THEN whole("{column}") END'  # 96 and 98 are codes that Kaggle does not explain


_APPLICATION = {
    "application_id": 'CAST("row" AS VARCHAR)',
    "customer_id": 'CAST("row" AS VARCHAR)',
    "applied_at": "beijing('2009-01-01')",
    "product": "'other'",
    "income_monthly": "fen(MonthlyIncome)",
    "age_years": "nullif(age, 0)",  # one borrower is of age 0, all others of 21 or more
    # beyond 10 it is an amount, not a share: such borrowers default at 6 %, those between 1 and 2 at 40 %
    "bureau_utilisation": "CASE WHEN RevolvingUtilizationOfUnsecuredLines <= 10 "
    "THEN RevolvingUtilizationOfUnsecuredLines END",
    "dependents_count": "whole(NumberOfDependents)",
    "debt_monthly": "fen(CASE WHEN MonthlyIncome > 1 THEN DebtRatio * MonthlyIncome ELSE DebtRatio END)",
    # without an income, or with one of 0 or 1, the column holds the debt itself
    "debt_ratio": "CASE WHEN MonthlyIncome > 1 THEN DebtRatio END",
    "bureau_late_30_59": _times_late("NumberOfTime30-59DaysPastDueNotWorse"),
    "bureau_late_60_89": _times_late("NumberOfTime60-89DaysPastDueNotWorse"),
    "bureau_late_90": _times_late("NumberOfTimes90DaysLate"),
    "bureau_accounts_open": "whole(NumberOfOpenCreditLinesAndLoans)",
    "bureau_mortgages": "whole(NumberRealEstateLoansOrLines)",
}

_OUTCOME = {
    "application_id": 'CAST("row" AS VARCHAR)',
    "customer_id": 'CAST("row" AS VARCHAR)',
    **at("beijing('2011-01-01')"),  # two years
    "defaulted": "flag(SeriousDlqin2yrs)",
}

_FILES = (FILE.name,)
MAPPINGS = (
    Mapped("applications", _APPLICATION, f'"{FILE.name}"', "application_id", _FILES),
    Mapped(
        "outcomes",
        _OUTCOME,
        f'"{FILE.name}" WHERE SeriousDlqin2yrs IS NOT NULL',
        "application_id",
        _FILES,
        given=f'SELECT 1 FROM "{FILE.name}" WHERE SeriousDlqin2yrs IS NOT NULL',
    ),
)


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read `cs-training`, or else `cs-test`, as applications and, where it has `SeriousDlqin2yrs`, outcomes.

    Raises
    ------
    SourceError
        Where the folder, the file or a column is missing or cannot be read.
    """
    return import_files(source, (FILE,), MAPPINGS, "Give Me Some Credit", progress), "relative"
