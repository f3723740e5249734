from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from lenders.give_me_some_credit import import_tables
from tests.raw_folder import Row, found, raw_folder, rows_of

BORROWER: Row = {
    "row": 1, "SeriousDlqin2yrs": 1, "RevolvingUtilizationOfUnsecuredLines": 0.75, "age": 45,
    "NumberOfTime30-59DaysPastDueNotWorse": 2, "DebtRatio": 0.8, "MonthlyIncome": 9120.0,
    "NumberOfOpenCreditLinesAndLoans": 13, "NumberOfTimes90DaysLate": 1, "NumberRealEstateLoansOrLines": 6,
    "NumberOfTime60-89DaysPastDueNotWorse": 0, "NumberOfDependents": 2.0,
}  # fmt: skip
CODE_98 = {
    "NumberOfTime30-59DaysPastDueNotWorse": 98,
    "NumberOfTime60-89DaysPastDueNotWorse": 98,
    "NumberOfTimes90DaysLate": 98,
}


@pytest.mark.parametrize(
    ("change", "column", "answer"),
    [
        ({}, "application_id", "1"),
        ({}, "income_monthly", 9_120_00),
        ({"MonthlyIncome": None}, "income_monthly", None),
        ({}, "age_years", 45.0),
        ({"age": 0}, "age_years", None),
        ({}, "bureau_utilisation", 0.75),
        ({"RevolvingUtilizationOfUnsecuredLines": 1.4}, "bureau_utilisation", 1.4),
        ({"RevolvingUtilizationOfUnsecuredLines": 22000.0}, "bureau_utilisation", None),  # an amount, not a share
        ({}, "debt_ratio", 0.8),
        ({"MonthlyIncome": None, "DebtRatio": 5710.0}, "debt_ratio", None),  # the debt itself
        ({"MonthlyIncome": 1.0, "DebtRatio": 5710.0}, "debt_ratio", None),
        ({}, "bureau_late_30_59", 2),
        ({}, "bureau_late_60_89", 0),
        ({}, "bureau_late_90", 1),
        (CODE_98, "bureau_late_30_59", None),
        (CODE_98, "bureau_late_60_89", None),
        (CODE_98, "bureau_late_90", None),
        ({"NumberOfTimes90DaysLate": 96}, "bureau_late_90", None),
        ({}, "bureau_accounts_open", 13),
        ({}, "bureau_mortgages", 6),
    ],
)
def test_application_attributes(tmp_path: Path, change: Row, column: str, answer: Any) -> None:
    tables = rows_of(import_tables(raw_folder(tmp_path, {"cs-training": [BORROWER | change]}))[0])
    assert tables["applications"][0][column] == answer


def test_kaggles_csv_has_a_column_without_a_name_and_na_for_missing(tmp_path: Path) -> None:
    names = ["", *list(BORROWER)[1:]]
    (tmp_path / "cs-training.csv").write_text(f"{','.join(names)}\n9,0,0.5,40,0,0.1,NA,3,0,1,0,NA\n", encoding="utf-8")
    tables = rows_of(import_tables(tmp_path)[0])
    assert (tables["applications"][0]["application_id"], tables["applications"][0]["income_monthly"]) == ("9", None)
    assert tables["outcomes"][0]["defaulted"] is False


def test_the_test_file_has_no_label(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"cs-test": [BORROWER | {"SeriousDlqin2yrs": None}]})
    assert list(import_tables(source)[0]) == ["applications"]


def test_real_borrowers_keep_every_row_and_meet_the_contract(real_data: Path) -> None:
    tables, dates = import_tables(real_data / "give_me_some_credit")
    assert {name: table.num_rows for name, table in tables.items()} == {"applications": 119917, "outcomes": 119917}
    assert dates == "relative"
    missing = {name: tables["applications"][name].null_count for name in tables["applications"].column_names}
    assert {name: rows for name, rows in missing.items() if rows} == {
        "income_monthly": 23764,
        "age_years": 1,
        "dependents_count": 3154,
        "bureau_utilisation": 190,
        "debt_ratio": 23764 + 1314 + 491,
        "bureau_late_30_59": 219,
        "bureau_late_60_89": 219,
        "bureau_late_90": 219,
    }
    assert pc.mean(tables["outcomes"]["defaulted"].cast("float64")).as_py() == pytest.approx(0.0666, abs=1e-4)
    assert found(tables) == {("applications", "income_plausible", "flag"): 1897}
