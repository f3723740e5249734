from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import write_tables
from data_contracts.judge import require_valid
from lenders.catalogue import LENDERS, importer
from lenders.home_credit import import_tables
from lenders.home_credit_files import APPLICATION_FILES, CHILDREN, application_file

FILES = {raw.name: raw for raw in (*map(application_file, APPLICATION_FILES), *CHILDREN)}

WEDNESDAY_10 = pd.Timestamp("2018-05-09 02:00")  # 10 o'clock in China


def raw(name: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """A raw file of Home Credit with all its columns: texts and numbers that a row does not give are missing."""
    columns = FILES[name].columns
    blank = {column: {"id": 1, "number": None, "text": None}[kind] for column, kind in columns.items()}
    if name.startswith("application"):
        blank |= {"WEEKDAY_APPR_PROCESS_START": "WEDNESDAY", "HOUR_APPR_PROCESS_START": 10, "AMT_CREDIT": 1000}
    frame = pd.DataFrame([blank | row for row in rows], columns=list(columns))
    return frame.astype({column: "float64" for column, kind in columns.items() if kind == "number"})


def folder(path: Path, *, ending: str = "parquet", **files: pd.DataFrame) -> Path:
    path.mkdir(exist_ok=True)
    for name, frame in files.items():
        if ending == "csv":
            frame.to_csv(path / f"{name}.csv", index=False)
        else:
            frame.to_parquet(path / f"{name}.parquet", index=False)
    return path


def imported(path: Path, **files: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    files = {"application_train": raw("application_train", {"SK_ID_CURR": 1, "TARGET": 0})} | files
    tables, _ = import_tables(folder(path, **files))
    return {name: table.to_pylist() for name, table in tables.items()}


@pytest.mark.parametrize(
    ("raw_values", "column", "answer"),
    [
        ({}, "applied_at", WEDNESDAY_10),
        (
            {"WEEKDAY_APPR_PROCESS_START": "MONDAY", "HOUR_APPR_PROCESS_START": 0},
            "applied_at",
            pd.Timestamp("2018-05-06 16:00"),
        ),
        (
            {"WEEKDAY_APPR_PROCESS_START": "SUNDAY", "HOUR_APPR_PROCESS_START": 23},
            "applied_at",
            pd.Timestamp("2018-05-13 15:00"),
        ),
        ({"AMT_INCOME_TOTAL": 270000}, "income_monthly", 22_500_00),
        ({"AMT_ANNUITY": 24700.5}, "instalment_monthly", 24_700_50),
        ({"DAYS_BIRTH": -14610}, "age_years", 40.0),
        ({"DAYS_EMPLOYED": -487}, "employed_months", 16.0),
        ({"DAYS_EMPLOYED": 365243}, "employed_months", None),
        ({"CODE_GENDER": "F"}, "gender", "female"),
        ({"CODE_GENDER": "XNA"}, "gender", None),
        ({"ORGANIZATION_TYPE": "XNA"}, "industry", None),
        ({"NAME_CONTRACT_TYPE": "Revolving loans"}, "product", "revolving"),
        ({"NAME_INCOME_TYPE": "Businessman"}, "employment", "business_owner"),
        ({"NAME_EDUCATION_TYPE": "Incomplete higher"}, "education", "vocational"),
        ({"REGION_RATING_CLIENT_W_CITY": -1}, "region_rating", None),
        ({"REGION_RATING_CLIENT_W_CITY": 3}, "region_rating", 3),
        ({f"FLAG_DOCUMENT_{n}": n in (3, 8) for n in range(2, 22)}, "documents_provided", 2),
        ({"FLAG_DOCUMENT_3": 1}, "identity_document_provided", True),
        ({"FLAG_OWN_CAR": "N"}, "owns_car", False),
        ({"FLAG_OWN_CAR": None}, "owns_car", None),
        ({"DAYS_REGISTRATION": -12}, "registration_age_days", 12.0),
        ({"EXT_SOURCE_3": float("nan")}, "external_score_3", None),
    ],
)
def test_application_attributes(tmp_path: Path, raw_values: dict[str, Any], column: str, answer: Any) -> None:
    (application,) = imported(tmp_path, application_train=raw("application_train", raw_values))["applications"]
    assert application[column] == answer


@pytest.mark.parametrize(
    ("raw_values", "expected"),
    [
        (
            {"DAYS_CREDIT": -100, "DAYS_CREDIT_UPDATE": -9},
            {"occurred_at": WEDNESDAY_10 - pd.Timedelta(days=100), "known_at": WEDNESDAY_10 - pd.Timedelta(days=9)},
        ),
        (  # a report dated before the account was opened
            {"DAYS_CREDIT": -100, "DAYS_CREDIT_UPDATE": -41926},
            {"known_at": WEDNESDAY_10 - pd.Timedelta(days=100)},
        ),
        (  # a report that arrived after the application stays unknown to it
            {"DAYS_CREDIT": -100, "DAYS_CREDIT_UPDATE": 5},
            {"known_at": WEDNESDAY_10 + pd.Timedelta(days=5)},
        ),
        ({"DAYS_CREDIT_ENDDATE": -41875, "DAYS_ENDDATE_FACT": -300}, {"due_at": None, "closed_at": None}),
        ({"DAYS_CREDIT_ENDDATE": 100}, {"due_at": WEDNESDAY_10 + pd.Timedelta(days=100)}),
        ({"AMT_CREDIT_SUM": 450000.0, "AMT_CREDIT_SUM_DEBT": -84144.55}, {"amount": 450_000_00, "balance": -84_144_55}),
        ({"AMT_CREDIT_SUM": 450000.0, "CREDIT_CURRENCY": "currency 2"}, {"amount": None}),
        ({"CREDIT_TYPE": "Mobile operator loan"}, {"kind": "other"}),
        ({"CREDIT_TYPE": "Microloan", "CREDIT_ACTIVE": "Bad debt"}, {"kind": "microloan", "status": "bad"}),
    ],
)
def test_bureau_accounts(tmp_path: Path, raw_values: dict[str, Any], expected: dict[str, Any]) -> None:
    usual = {"DAYS_CREDIT": -200, "DAYS_CREDIT_UPDATE": -1, "CREDIT_CURRENCY": "currency 1", "CREDIT_ACTIVE": "Active"}
    (tradeline,) = imported(tmp_path, bureau=raw("bureau", usual | raw_values))["tradelines"]
    assert {name: tradeline[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("code", "status", "bucket"),
    [("0", "open", 0), ("1", "open", 1), ("5", "open", 5), ("C", "closed", 0), ("X", "unknown", None)],
)
def test_bureau_months(tmp_path: Path, code: str, status: str, bucket: int | None) -> None:
    tables = imported(
        tmp_path,
        bureau=raw("bureau", {"SK_ID_BUREAU": 7, "DAYS_CREDIT": -90, "DAYS_CREDIT_UPDATE": -1}),
        bureau_balance=raw("bureau_balance", {"SK_ID_BUREAU": 7, "MONTHS_BALANCE": -2, "STATUS": code}),
    )
    (month,) = tables["tradeline_months"]
    assert (month["customer_id"], month["status"], month["overdue_bucket"]) == ("1", status, bucket)
    assert month["occurred_at"] == month["known_at"] == pd.Timestamp("2018-03-09 02:00")


def test_card_months(tmp_path: Path) -> None:
    statement = {
        "SK_ID_PREV": 5, "MONTHS_BALANCE": -1, "AMT_BALANCE": -4128.34, "AMT_CREDIT_LIMIT_ACTUAL": 180000,
        "AMT_PAYMENT_TOTAL_CURRENT": 1000, "CNT_DRAWINGS_CURRENT": 3, "SK_DPD": 12,
    }  # fmt: skip
    (month,) = imported(tmp_path, credit_card_balance=raw("credit_card_balance", statement))["card_months"]
    assert (month["card_id"], month["balance"], month["credit_limit"]) == ("5", -4_128_34, 180_000_00)
    assert (month["paid"], month["drawings"], month["dpd"], month["drawn_cash"]) == (1_000_00, 3, 12, None)
    assert month["known_at"] == pd.Timestamp("2018-04-09 02:00")


@pytest.mark.parametrize(
    ("state", "termination", "status", "known_days", "principal"),
    [
        ("Approved", 365243, "granted", -500, 900_00),
        ("Approved", -20, "closed", -20, 900_00),
        ("Approved", 30, "granted", -500, 900_00),  # a day that is only planned
        ("Refused", None, "refused", -500, None),
        ("Canceled", None, "cancelled", -500, None),
        ("Unused offer", None, "unused", -500, 900_00),
    ],
)
def test_earlier_loans(
    tmp_path: Path, state: str, termination: float | None, status: str, known_days: int, principal: int | None
) -> None:
    request = {"NAME_CONTRACT_STATUS": state, "DAYS_DECISION": -500, "DAYS_TERMINATION": termination, "AMT_CREDIT": 900}
    (loan,) = imported(tmp_path, previous_application=raw("previous_application", request))["loans"]
    assert (loan["status"], loan["principal"]) == (status, principal)
    assert loan["known_at"] == WEDNESDAY_10 + pd.Timedelta(days=known_days)
    assert (loan["closed_at"] is not None) == (status == "closed")


def instalment(number: int, paid: float | None, paid_day: float | None) -> dict[str, Any]:
    return {
        "SK_ID_PREV": 9, "NUM_INSTALMENT_VERSION": 1, "NUM_INSTALMENT_NUMBER": number, "AMT_INSTALMENT": 100,
        "DAYS_INSTALMENT": -30, "AMT_PAYMENT": paid, "DAYS_ENTRY_PAYMENT": paid_day,
    }  # fmt: skip


def test_an_instalment_paid_in_parts_is_due_once_and_an_unpaid_one_has_no_payment(tmp_path: Path) -> None:
    rows = [instalment(1, 40, -31), instalment(1, 60, -20), instalment(2, None, None)]
    tables = imported(tmp_path, installments_payments=raw("installments_payments", *rows))
    assert [(row["instalment_id"], row["amount_due"]) for row in tables["instalments"]] == [
        ("9-1-1-30", 100_00),
        ("9-1-2-30", 100_00),
    ]
    assert [(row["payment_id"], row["instalment_id"], row["amount"]) for row in tables["payments"]] == [
        ("9-1-1-30-1", "9-1-1-30", 40_00),
        ("9-1-1-30-2", "9-1-1-30", 60_00),
    ]
    assert tables["payments"][1]["known_at"] == WEDNESDAY_10 - pd.Timedelta(days=20)
    assert tables["instalments"][0]["due_at"] == WEDNESDAY_10 - pd.Timedelta(days=30)
    assert "loans" not in tables


def test_a_loan_known_only_from_its_instalments_is_kept(tmp_path: Path) -> None:
    request = {"SK_ID_PREV": 8, "DAYS_DECISION": -90, "NAME_CONTRACT_STATUS": "Approved"}
    tables = imported(
        tmp_path,
        installments_payments=raw("installments_payments", instalment(1, 100, -30)),
        previous_application=raw("previous_application", request),
    )
    assert [(row["loan_id"], row["status"], row["product"]) for row in tables["loans"]] == [
        ("8", "granted", "other"),
        ("9", "granted", "other"),
    ]
    assert tables["loans"][1]["known_at"] == WEDNESDAY_10 - pd.Timedelta(days=30)


def test_months_of_earlier_loans(tmp_path: Path) -> None:
    rows = [
        {"SK_ID_PREV": 3, "MONTHS_BALANCE": -1, "NAME_CONTRACT_STATUS": "Completed", "CNT_INSTALMENT_FUTURE": 0},
        {"SK_ID_PREV": 3, "MONTHS_BALANCE": -2, "NAME_CONTRACT_STATUS": "Returned to the store", "SK_DPD": 4},
    ]
    months = imported(tmp_path, POS_CASH_balance=raw("POS_CASH_balance", *rows))["loan_months"]
    assert [(row["status"], row["dpd"], row["instalments_left"]) for row in months] == [
        ("other", 4, None),
        ("closed", None, 0),
    ]


def test_outcomes_come_from_the_target_and_are_known_after_the_decision(tmp_path: Path) -> None:
    tables = imported(
        tmp_path,
        application_train=raw("application_train", {"SK_ID_CURR": 1, "TARGET": 0}, {"SK_ID_CURR": 2, "TARGET": 1}),
        application_test=raw("application_test", {"SK_ID_CURR": 3}).drop(columns="TARGET"),
    )
    assert [row["application_id"] for row in tables["applications"]] == ["1", "2", "3"]
    assert [(row["application_id"], row["defaulted"]) for row in tables["outcomes"]] == [("1", False), ("2", True)]
    assert all(row["known_at"] > WEDNESDAY_10 for row in tables["outcomes"])


def test_without_a_target_there_are_no_outcomes(tmp_path: Path) -> None:
    test = raw("application_test", {}).drop(columns="TARGET")
    tables, dates = import_tables(folder(tmp_path, application_test=test))
    assert (sorted(tables), dates) == (["applications"], "relative")


def test_csv_and_parquet_give_the_same_tables(tmp_path: Path) -> None:
    files = {
        "application_train": raw("application_train", {"TARGET": 1, "OCCUPATION_TYPE": 'Core "staff", new'}),
        "bureau": raw("bureau", {"SK_ID_BUREAU": 7, "DAYS_CREDIT": -90, "DAYS_CREDIT_UPDATE": -1}),
        "bureau_balance": raw("bureau_balance", {"SK_ID_BUREAU": 7, "MONTHS_BALANCE": 0, "STATUS": "C"}),
        "installments_payments": raw("installments_payments", instalment(1, 40, -31)),
    }
    from_csv, _ = import_tables(folder(tmp_path / "csv", ending="csv", **files))
    from_parquet, _ = import_tables(folder(tmp_path / "parquet", **files))
    assert from_csv == from_parquet
    assert len(from_csv) == 6


def test_records_of_customers_without_an_application_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = {"DAYS_CREDIT": -9, "DAYS_CREDIT_UPDATE": -1}
    bureau = raw("bureau", account | {"SK_ID_BUREAU": 1}, account | {"SK_ID_BUREAU": 2, "SK_ID_CURR": 424242})
    months = raw("bureau_balance", *({"SK_ID_BUREAU": n, "MONTHS_BALANCE": 0, "STATUS": "0"} for n in (1, 2, 3)))
    with caplog.at_level(logging.WARNING, "lenders"):
        tables = imported(tmp_path, bureau=bureau, bureau_balance=months)
    assert (len(tables["tradelines"]), len(tables["tradeline_months"])) == (1, 1)
    assert "bureau.parquet: 1 of 2 rows left out" in caplog.text
    assert "bureau_balance.parquet: 2 of 3 rows left out" in caplog.text
    assert "424242" not in caplog.text


def test_progress_is_told_by_table(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    source = folder(tmp_path, application_train=raw("application_train", {"TARGET": 0}))
    import_tables(source, lambda step, share: told.append((step, share)))
    assert told == [("applications", 0.0), ("outcomes", 0.5)]


APPLICATION = raw("application_train", {"TARGET": 0})
MONTHS = raw("bureau_balance", {"STATUS": "0", "MONTHS_BALANCE": -1})


def nothing(path: Path) -> None:
    path.mkdir(exist_ok=True)


def no_application(path: Path) -> None:
    folder(path, bureau=raw("bureau", {}))


def both_endings(path: Path) -> None:
    folder(path, application_train=APPLICATION)
    folder(path, ending="csv", application_train=APPLICATION)


def packed(path: Path) -> None:
    (path / "application_train.csv.zip").write_bytes(b"PK")


def months_without_accounts(path: Path) -> None:
    folder(path, application_train=APPLICATION, bureau_balance=MONTHS)


def lacking_columns(path: Path) -> None:
    folder(path, application_train=APPLICATION.drop(columns=["AMT_CREDIT", "DAYS_BIRTH"]))


def text_for_a_number(path: Path) -> None:
    folder(path, application_train=APPLICATION.assign(AMT_CREDIT="many"))


def truncated(path: Path) -> None:
    folder(path, application_train=APPLICATION)
    file = path / "application_train.parquet"
    file.write_bytes(file.read_bytes()[:200])


def csv_with_text_for_a_number(path: Path) -> None:
    folder(path, ending="csv", application_train=APPLICATION.assign(AMT_CREDIT="many"))


def csv_with_a_short_line(path: Path) -> None:
    folder(path, ending="csv", application_train=APPLICATION)
    with (path / "application_train.csv").open("a") as stream:
        stream.write("2,0\n")


def csv_without_a_line(path: Path) -> None:
    (path / "application_train.csv").touch()


def csv_in_another_encoding(path: Path) -> None:
    (path / "application_train.csv").write_bytes("客户,金额\n".encode("gb18030"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (nothing, ["no application_train or application_test", "it holds nothing", "Name the folder"]),
        (no_application, ["no application_train or application_test", "it holds bureau.parquet"]),
        (both_endings, ["both application_train.parquet and application_train.csv", "leave the one"]),
        (packed, ["application_train.csv.zip is packed", "unpack it"]),
        (months_without_accounts, ["bureau_balance.parquet needs bureau", "add bureau.parquet"]),
        (
            lacking_columns,
            ["application_train.parquet lacks the columns AMT_CREDIT, DAYS_BIRTH", "must have the names"],
        ),
        (
            text_for_a_number,
            ["application_train.parquet, column AMT_CREDIT: numbers are needed", "Write it as a number"],
        ),
        (truncated, ["application_train.parquet is no whole Parquet file", "truncated", "Get it again"]),
        (csv_with_text_for_a_number, ["application_train.csv", "Line: 2", '"AMT_CREDIT"', '"many"', "mend the line"]),
        (csv_with_a_short_line, ["application_train.csv", "Line: 3", "Found: 2", "mend the line"]),
        (csv_without_a_line, ["application_train.csv is empty", "first line"]),
        (csv_in_another_encoding, ["application_train.csv is no CSV text in UTF-8", "save it"]),
    ],
)
def test_bad_sources_name_cause_and_way_out(tmp_path: Path, fault: Any, words: list[str]) -> None:
    fault(tmp_path)
    with pytest.raises(SourceError) as raised:
        import_tables(tmp_path)
    assert [word for word in words if word not in str(raised.value)] == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no folder .*nowhere; name the folder"):
        import_tables(tmp_path / "nowhere")


def test_the_catalogue_knows_its_lenders_and_names_them() -> None:
    assert importer("home-credit") is import_tables
    assert all(callable(importer(lender)) for lender in LENDERS)
    with pytest.raises(SourceError, match=r"no lender 'homecredit'\. Choose one of: home-credit"):
        importer("homecredit")


REAL_ROWS = {
    "home_credit": {
        "applications": 7403,
        "tradelines": 35631,
        "tradeline_months": 353432,
        "card_months": 74422,
        "outcomes": 7403,
    },
    "home_credit_seven_tables": {
        "applications": 915,
        "tradelines": 4130,
        "tradeline_months": 3655,
        "card_months": 620,
        "loans": 4605,  # 4,604 requests, and one that only its instalment shows
        "loan_months": 5381,
        "instalments": 10106,
        "payments": 10315,  # of 10,319 rows 4 are unpaid
        "outcomes": 915,
    },
}


@pytest.mark.parametrize(("source", "rows"), REAL_ROWS.items())
def test_real_files_keep_every_row_and_meet_the_contract(
    real_data: Path, tmp_path: Path, source: str, rows: dict[str, int]
) -> None:
    tables, dates = import_tables(real_data / source)
    assert {name: table.num_rows for name, table in tables.items()} == rows
    require_valid(write_tables(tmp_path / "canonical", tables, lender="home-credit", dates=dates))


def test_real_records_were_known_when_the_customer_applied(real_data: Path) -> None:
    tables, _ = import_tables(real_data / "home_credit_seven_tables")
    applied = tables["applications"].select(["customer_id", "applied_at"])
    for name in sorted(set(tables) - {"applications", "outcomes"}):
        joined = tables[name].select(["customer_id", "known_at"]).join(applied, "customer_id").to_pandas()
        assert len(joined) == tables[name].num_rows
        assert (joined["known_at"] <= joined["applied_at"]).all(), name


def test_real_sums_survive_to_the_fen(real_data: Path) -> None:
    source = real_data / "home_credit_seven_tables"
    tables, _ = import_tables(source)
    paid = pq.read_table(source / "installments_payments.parquet").column("AMT_PAYMENT").to_pandas().dropna()
    fen = pa.compute.sum(tables["payments"]["amount"]).as_py()
    assert fen == pytest.approx(paid.sum() * 100, rel=0, abs=len(paid) / 2)  # at most half a fen a payment
    target = pq.read_table(source / "application_train.parquet").column("TARGET").to_pandas()
    assert pa.compute.sum(tables["outcomes"]["defaulted"]).as_py() == target.sum()
