from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.errors import DeclarationError
from policy.rules import RuleBook
from policy.rules.conditions import parse

HEADER = "id,version,owner,effective_from,effective_to,severity,products,if_1,if_2,text_en,text_zh"
RIGHT = "TST-001,1,credit_risk,2021-01-01,,decline,*,age_years < 18,,Too young,未成年"
CASES = "rule,version,expect,facts\nTST-001,1,fires,age_years = 17\nTST-001,1,silent,age_years = 18\n"


def written(folder: Path, *rows: str, header: str = HEADER, name: str = "tests.csv") -> Path:
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(DeclarationError) as refused:
        RuleBook.load(folder)
    head, *listed = str(refused.value).split("\n")
    assert head == f"The rules in {folder} are declared wrongly; nothing was loaded:"
    return [fault.removeprefix("- ") for fault in listed]


@pytest.mark.parametrize(
    ("column", "cell", "fault"),
    [
        ("id", "TST-1x", "write it as letters, a hyphen and digits: INQ-004"),
        ("id", "", "it is empty"),
        ("version", "one", "'one' is no version; write 1, 2, ..."),
        ("owner", "Zhang San", "name a role in small letters: credit_risk"),
        ("effective_from", "1/1/2021", "'1/1/2021' is no date; write it as 2026-01-31"),
        ("effective_from", "20210101", "'20210101' is no date; write it as 2026-01-31"),
        ("effective_to", "2021-02-30", "'2021-02-30' is no date; write it as 2026-01-31"),
        ("effective_to", "2020-12-31", "2020-12-31 is before effective_from, 2021-01-01"),
        ("severity", "reject", "write one of flag, refer, decline"),
        ("products", "", "it is empty; write * for all products"),
        ("products", "mortgage", "product is never mortgage; it is one of emergency_cash, renovation, education, "),
        ("if_1", "", "there is no condition; write one such as age_years < 18"),
        ("text_en", "", "it is empty"),
        ("text_zh", "", "it is empty"),
        ("text_zh", "长" * 301, "it is longer than 300 characters"),
        ("if_1", "pd >> 0.1", "pd is a number (ratio): '>> 0.1' is no test of it; write one such as >= 3, < 3, = 3, "),
        ("if_2", "aeg_years < 18", "there is no field aeg_years; did you mean age_years?"),
        (
            "if_1",
            "amount_requested > 5",
            "there is no field amount_requested; did you mean application_amount_requested?",
        ),
        ("if_1", "zzz > 5", "there is no field zzz; `lendwell policy rules --fields` lists those there are"),
        ("if_1", "gender = female", "gender is a protected attribute and may decide nothing"),
        ("if_1", "marital_status = single", "marital_status is a protected attribute and may decide nothing"),
        ("if_1", "employment >= 3", "employment is a text: compare it with =, !=, in or not in"),
        ("if_1", "employment = astronaut", "employment is never astronaut; it is one of employee, public, "),
        ("if_1", "channel = a;b", "'a;b' is no text to compare channel with"),
        ("if_1", "application_owns_home >= 1", "application_owns_home is a flag: write is true, is false, is missing "),
        ("if_1", "age_years < eighteen", "age_years is a number (years): '< eighteen' is no test of it; write one "),
        ("if_1", "tradelines_count 5..3", "tradelines_count '5..3' is empty: 5 is above 3"),
        ("if_1", "pd > 1e999", "1e999 is too large a number"),
        ("if_1", "pd", "pd has no test; write one such as >= 3"),
        ("if_1", "< 18", "'< 18' is no condition; write a field and a test, such as age_years < 18"),
    ],
)
def test_a_fault_is_told_with_file_row_and_column(tmp_path, column, cell, fault):
    wrong = dict(zip(HEADER.split(","), RIGHT.replace("001", "002").split(","), strict=True)) | {column: cell}
    (told,) = faults(written(tmp_path, RIGHT, ",".join(f'"{one}"' for one in wrong.values())))
    assert told.startswith(f"tests.csv, row 3, column {column}: {fault}")


def test_all_faults_of_all_files_are_told_at_once(tmp_path):
    written(tmp_path, RIGHT, "TST-001,1,credit_risk,2021-01-01,,flag,*,pd > 0.1,,,", name="a.csv")
    written(tmp_path, "TST-003,1,X,2021-01-01,,flag,*,zzz > 1,,a,b", header=HEADER + ",colour", name="b.csv")
    (tmp_path / "c.csv").write_text("id,version\n", encoding="utf-8")
    columns = "id, version, owner, effective_from, effective_to, severity, products, if_1, text_en, text_zh"
    there = "there is no field zzz; `lendwell policy rules --fields` lists those there are"
    assert faults(tmp_path) == [
        "a.csv, row 3, column text_en: it is empty",
        "a.csv, row 3, column text_zh: it is empty",
        f"b.csv, row 1, column colour: there is no such column; there are {columns}",
        "b.csv, row 2, column owner: name a role in small letters: credit_risk",
        f"b.csv, row 2, column if_1: {there}",
        *(f"c.csv, row 1, column {name}: this column is missing" for name in columns.split(", ")[2:]),
        "a.csv, row 3, column id: TST-001 has a version 1 already (a.csv, row 2)",
    ]


def test_versions_of_a_rule_may_not_be_in_force_on_the_same_day(tmp_path):
    second = RIGHT.replace("TST-001,1", "TST-001,2").replace("2021-01-01", "2023-01-01")
    at_once = "TST-001 version 1 is in force at the same time (tests.csv, row 2): 2021-01-01 to ever"
    assert faults(written(tmp_path, RIGHT, second)) == [f"tests.csv, row 3, column effective_from: {at_once}"]
    written(tmp_path, RIGHT.replace("2021-01-01,", "2021-01-01,2022-12-31"), second)
    book = RuleBook.load(tmp_path)
    assert [book.on(date(2022, 12, 31)).rules[0].version, book.on(date(2023, 1, 1)).rules[0].version] == [1, 2]
    with pytest.raises(DeclarationError, match="No rule is in force on 2020-12-31"):
        book.on(date(2020, 12, 31))


def test_a_row_with_a_fault_counts_for_the_checks_over_all_rows(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "tests.csv").write_text(CASES, encoding="utf-8")
    first = RIGHT.replace("age_years", "aeg_years")
    second = RIGHT.replace("TST-001,1", "TST-001,2").replace("2021-01-01", "2023-01-01")
    unknown = "there is no field aeg_years; did you mean age_years?"
    at_once = "TST-001 version 1 is in force at the same time (tests.csv, row 2): 2021-01-01 to ever"
    assert faults(written(tmp_path, first, second)) == [
        f"tests.csv, row 2, column if_1: {unknown}", f"tests.csv, row 3, column effective_from: {at_once}"
    ]  # fmt: skip
    assert faults(written(tmp_path, first, RIGHT)) == [
        f"tests.csv, row 2, column if_1: {unknown}",
        "tests.csv, row 3, column id: TST-001 has a version 1 already (tests.csv, row 2)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("001,1,", "001,one,", "column version: 'one' is no version; write 1, 2, ..."),
        ("2021-01-01,", "1/1/2021,", "column effective_from: '1/1/2021' is no date; write it as 2026-01-31"),
        ("2021-01-01,", "2021-01-01,2021-02-30", "column effective_to: '2021-02-30' is no date; write it as"),
    ],
)
def test_what_cannot_be_read_of_a_row_brings_no_other_fault(tmp_path, old, new, fault):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "tests.csv").write_text(CASES, encoding="utf-8")
    later = RIGHT.replace("TST-001,1", "TST-001,2").replace("2021-01-01", "2023-01-01")
    (told,) = faults(written(tmp_path, RIGHT.replace(old, new), later))
    assert told.startswith(f"tests.csv, row 2, {fault}")


def test_cases_of_a_table_that_cannot_be_read_are_no_faults(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "tests.csv").write_text(CASES, encoding="utf-8")
    written(tmp_path, RIGHT.replace("TST-001", "TST-002"))
    written(tmp_path, RIGHT, header=HEADER.replace("owner", "who"), name="other.csv")
    assert [told.split(":")[0] for told in faults(tmp_path)] == [
        "other.csv, row 1, column who", "other.csv, row 1, column owner"
    ]  # fmt: skip


def test_a_table_whose_suffix_is_in_capitals_is_read(tmp_path):
    written(tmp_path, RIGHT.replace("TST-001", "TST-002"))
    book = RuleBook.load(written(tmp_path, RIGHT, name="OTHER.CSV"))
    assert {rule.id for rule in book.rules} == {"TST-001", "TST-002"}


def test_a_folder_without_cases_is_told(tmp_path, caplog):
    RuleBook.load(written(tmp_path, RIGHT))
    assert f"The rules in {tmp_path} have no test cases" in caplog.text
    caplog.clear()
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "tests.csv").write_text(CASES, encoding="utf-8")
    RuleBook.load(tmp_path)
    assert not caplog.text


def test_days_may_be_written_as_a_spreadsheet_does(tmp_path):
    book = RuleBook.load(written(tmp_path, RIGHT.replace("2021-01-01,", "2021/1/5,2021/1/10")))
    assert (book.rules[0].effective_from, book.rules[0].effective_to) == (date(2021, 1, 5), date(2021, 1, 10))


def test_an_id_may_have_a_version_only_once(tmp_path):
    assert faults(written(tmp_path, RIGHT, RIGHT.replace("decline", "refer"))) == [
        "tests.csv, row 3, column id: TST-001 has a version 1 already (tests.csv, row 2)"
    ]


def test_a_book_that_runs_stays_when_the_next_cannot_be_loaded(tmp_path):
    running = RuleBook.load(written(tmp_path, RIGHT))
    written(tmp_path, RIGHT.replace("age_years", "aeg_years"))
    faults(tmp_path)
    assert running.on(date(2026, 1, 1)).decide({"age_years": 17}).severity == "decline"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "bad.csv: it is empty; its first row names id, version"),
        ("id,版本\n".encode("gbk"), "bad.csv: it is not UTF-8; save it as 'CSV UTF-8' or as XLSX"),
        ((HEADER + "\n" + RIGHT + ",extra\n").encode(), "bad.csv, row 2: it has more cells than the first row"),
        ((HEADER + ",id\n").encode(), "bad.csv, row 1, column id: this column is there twice"),
        ((HEADER + '\n"').encode(), "bad.csv: it cannot be read"),
        ((HEADER + "\n" * 10_001).encode(), "bad.csv: it cannot be read (it has more than 10,000 rows; split it)"),
        (b"x" * 5_000_001, "bad.csv: it cannot be read (it is larger than 5,000,000 bytes; split it)"),
    ],
)
def test_a_file_that_is_no_table_is_told(tmp_path, content, fault):
    (tmp_path / "bad.csv").write_bytes(content)
    assert faults(tmp_path)[0].startswith(fault)


def test_a_spreadsheet_is_read_as_a_csv_is(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(HEADER.split(","))
    book.active.append(["TST-001", 1, "credit_risk", date(2021, 1, 1), None, "decline", "*", "age_years < 18", None, "Too young", "未成年"])  # fmt: skip # noqa: E501
    (tmp_path / "xlsx").mkdir()
    book.save(tmp_path / "xlsx" / "tests.xlsx")
    (tmp_path / "csv").mkdir()
    by_csv = RuleBook.load(written(tmp_path / "csv", RIGHT))
    assert RuleBook.load(tmp_path / "xlsx").identity == by_csv.identity
    book.active["H2"] = "aeg_years < 18"
    book.save(tmp_path / "xlsx" / "tests.xlsx")
    assert faults(tmp_path / "xlsx") == [
        "tests.xlsx, row 2, column if_1: there is no field aeg_years; did you mean age_years?"
    ]


def test_a_file_that_is_no_spreadsheet_is_told(tmp_path):
    (tmp_path / "tests.xlsx").write_bytes(b"no spreadsheet")
    assert faults(tmp_path) == ["tests.xlsx: it cannot be read (File is not a zip file)"]


def test_a_spreadsheet_that_unpacks_to_more_than_it_should_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "tests.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/sharedStrings.xml", b" " * 100_000_001)
    (told,) = faults(tmp_path)
    assert told == "tests.xlsx: it cannot be read (unpacked it is larger than 100,000,000 bytes; split it)"


@settings(max_examples=200, deadline=None)
@given(
    cell=st.text(max_size=60)
    | st.from_regex(r"(age_years|product|pd|application_owns_home) ?[\x20-\x7e]{0,20}", fullmatch=True)
)
def test_whatever_stands_in_a_cell_is_a_condition_or_told(cell):
    try:
        condition = parse(cell)
    except ValueError:
        return  # any other exception fails the test
    assert parse(str(condition)) == condition


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: (HEADER + "\n" + text).encode()))
def test_whatever_stands_in_a_file_is_a_table_or_told(tmp_path, content):
    for suffix in (".csv", ".xlsx"):
        (tmp_path / "any").with_suffix(suffix).write_bytes(content)
    with pytest.raises(DeclarationError, match="nothing was loaded"):
        RuleBook.load(tmp_path)


def test_a_folder_without_tables_is_told(tmp_path):
    with pytest.raises(DeclarationError, match=r"There are no tables of rules in .*; it must hold \.csv or \.xlsx"):
        RuleBook.load(tmp_path)


def test_the_identity_is_of_what_is_declared_not_of_how_it_is_laid_out(tmp_path):
    other = RIGHT.replace("TST-001", "TST-002").replace("18", "19")
    first = RuleBook.load(written(tmp_path, RIGHT, other)).identity
    assert RuleBook.load(written(tmp_path, "", other, RIGHT + ",a note", header=HEADER + ",note")).identity == first
    assert RuleBook.load(written(tmp_path, RIGHT, other.replace("19", "20"))).identity != first


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("TST-001,1,perhaps,age_years = 17", "expect: write fires or silent"),
        ("TST-001,1,fires,age_years < 17", "facts: 'age_years < 17' is no fact; write one such as age_years = 17"),
        ("TST-001,1,fires,age_years = young", "facts: age_years is a number (years), 'young' is none"),
        ("TST-001,1,fires,aeg_years = 17", "facts: there is no field aeg_years; did you mean age_years?"),
        ("TST-001,1,fires,product = mortgage", "facts: product is never mortgage; it is one of "),
        ("TST-001,1,fires,application_owns_home = 1", "facts: application_owns_home is a flag: write true or false"),
        ("TST-001,x,fires,age_years = 17", "version: 'x' is no version; write 1, 2, ..."),
        ("TST-001,2,fires,age_years = 17", "rule: there is no TST-001 version 2"),
    ],
)
def test_a_fault_in_a_test_case_is_told_alike(tmp_path, row, fault):
    written(tmp_path, RIGHT)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "tests.csv").write_text(CASES + row + "\n", encoding="utf-8")
    assert faults(tmp_path)[0].startswith(f"tests.csv, row 4, column {fault}")
