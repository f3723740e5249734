"""The guide and the lenders' pages must be true of the code."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from lenders.catalogue import LENDERS, importer
from tests.command_line import run
from tests.raw_folder import found, rows_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "adding_a_lender.md").read_text(encoding="utf-8")
INDEX = (DOCS / "lenders" / "README.md").read_text(encoding="utf-8")
SECTIONS = ("Source", "Terms", "Files", "How its columns map", "What it lacks", "Measured")


def shown(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)
    return block


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The guide's module and its raw file, as a reader would save them."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "loans.csv").write_text(shown("csv"), encoding="utf-8")
    (tmp_path / "my_lender.py").write_text(shown("python"), encoding="utf-8")
    return tmp_path / "my_lender.py"


def test_the_module_shown_gives_the_tables_it_tells_of(module: Path) -> None:
    tables, dates = importer(str(module))(module.parent / "raw")
    assert dates == "calendar"
    rows = rows_of(dict(tables))
    assert [row["application_id"] for row in rows["applications"]] == ["K-1", "K-2", "K-3"]
    assert rows["applications"][1] == {
        "application_id": "K-2", "customer_id": "N-2", "applied_at": pd.Timestamp("2023-03-03 16:00"),
        "product": "education", "amount_requested": 2600050, "term_months": 12, "income_monthly": None,
    }  # fmt: skip
    assert rows["applications"][2]["product"] == "other"
    assert [(row["application_id"], row["dpd_max"]) for row in rows["outcomes"]] == [("K-1", 0), ("K-2", 61)]
    assert rows["outcomes"][1]["known_at"] == pd.Timestamp("2024-03-03 16:00")
    assert found(dict(tables)) == {}


def test_the_commands_shown_import_and_validate_it(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(module.parent)
    commands = [line.split()[1:] for line in shown("sh").splitlines()]
    assert [words[0] for words in commands] == ["import", "validate"]
    for words in commands:
        ran = run(*words)
        assert ran.code == 0, ran
    kept = TableFolder.open(module.parent / "tables")
    assert {name: kept.rows(name) for name in kept.tables} == {"applications": 3, "outcomes": 2}


def test_a_wrong_raw_file_is_told_without_a_word_of_ones_own(module: Path) -> None:
    file = module.parent / "raw" / "loans.csv"
    file.write_text(shown("csv").replace("days_late", "late"), encoding="utf-8")
    ran = run("import", module, file.parent, "--out", module.parent / "tables")
    assert ran.code == 2
    assert "loans.csv lacks the column days_late" in " ".join(ran.err.split())


def test_the_words_explained_are_there() -> None:
    mapping, raw_files = import_module("lenders.mapping"), import_module("lenders.raw_files")
    for word in ("Mapped", "choice", "at", "import_files"):
        assert hasattr(mapping, word)
    for word in ("fen", "whole", "flag", "beijing"):
        assert f"MACRO {word}(" in mapping.MACROS
    fields = raw_files.RawFile.__dataclass_fields__
    assert {"also", "aliases", "optional", "needed", "missing"} <= set(fields)


@pytest.mark.parametrize("name", LENDERS)
def test_every_lender_has_its_page(name: str) -> None:
    file = f"{name.replace('-', '_')}.md"
    page = (DOCS / "lenders" / file).read_text(encoding="utf-8")
    assert f"[`{name}`]({file})" in INDEX
    assert page.splitlines()[0].endswith(f"(`{name}`)")
    assert page.splitlines()[2].startswith("**中文**：")
    assert re.findall(r"^## (.*)$", page, flags=re.MULTILINE) == list(SECTIONS)


@pytest.mark.parametrize(
    "name", ["taiwan", "give_me_some_credit", "superlender", "card_monthly_status", "sme_invoices"]
)
def test_a_page_names_every_column_that_is_mapped_and_read(name: str) -> None:
    page = (DOCS / "lenders" / f"{name}.md").read_text(encoding="utf-8")
    lender = import_module(f"lenders.{name}")
    usual = {"occurred_at", "known_at", "loan_id", "payment_id", "instalment_id", "due_at", "number"} | {
        "amount_due", "closed_at", "status",
    }  # fmt: skip
    canonical = {column for mapped in lender.MAPPINGS for column in mapped.columns} - usual
    assert {column for column in canonical if f"`{column}`" not in page} == set()
    assert {mapped.table for mapped in lender.MAPPINGS} <= set(TABLES)
