from __future__ import annotations

import re
import socket
from datetime import UTC, datetime

import pandas as pd
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import write_tables
from data_contracts.judge import judge
from data_contracts.quality.checklist import checklist
from data_contracts.quality.data_docs import build_data_docs

START = pd.Timestamp("2024-03-01 04:00")
CREATED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four loan months, one of an impossible status and one of an impossible dpd, and an outcome."""
    months = pd.DataFrame(
        {
            "loan_id": ["l1", "l2", "l3", "l4"],
            "customer_id": "c",
            "occurred_at": START,
            "known_at": START,
            "status": ["active", "closed", "gone", "active"],
            "instalments_left": 3,
            "dpd": [0, 5, 6, 987654],
        }
    )
    outcomes = pd.DataFrame({"application_id": ["a"], "customer_id": "c", "occurred_at": START, "known_at": START})
    tables = {"loan_months": months, "outcomes": outcomes.assign(defaulted=False)}
    return write_tables(tmp_path_factory.mktemp("lender") / "tables", tables, lender="tiny", dates="calendar")


@pytest.fixture(scope="module")
def site(folder, tmp_path_factory):
    """The site, built without a network."""

    def refused(*_):
        raise AssertionError("the network was asked for")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", refused)
    try:
        return build_data_docs(folder, tmp_path_factory.mktemp("docs") / "site", created=CREATED).parent
    finally:
        patch.undo()


def words(path):
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


def results(site, table):
    (page,) = site.glob(f"validations/{table}/**/*.html")
    return page


def test_there_is_a_page_of_each_suite_and_of_each_result(site):
    assert sorted(path.stem for path in site.glob("expectations/*.html")) == ["loan_months", "outcomes"]
    assert "loan_months" in words(site / "index.html")
    for link in re.findall(r'<a href="((?:exp|val)[^"]+)"', (site / "index.html").read_text(encoding="utf-8")):
        assert (site / link).is_file()
    home = re.search(r'<a href="([./]+index\.html)"', results(site, "outcomes").read_text(encoding="utf-8"))
    assert (results(site, "outcomes").parent / home.group(1)).resolve() == (site / "index.html").resolve()


def test_every_rule_of_the_contract_is_an_expectation_in_its_own_words(folder, site):
    text = words(site / "expectations" / "loan_months.html")
    checks = [check for check in checklist(folder.tables) if check.table == "loan_months" and check.rule != "type"]
    assert len(checks) > 15
    for check in checks:
        if check.rule != "fresh":
            assert f"must be {check.en} · 应{check.zh}" in text


def test_results_are_those_of_the_check(folder, site):
    text = words(results(site, "loan_months"))
    broken = [finding for finding in judge(folder).findings if finding.table == "loan_months"]
    assert {(finding.column, finding.rule, finding.rows) for finding in broken} == {
        ("status", "category", 1), ("dpd", "range", 1),
    }  # fmt: skip
    assert "Unsuccessful Expectations 2" in text
    assert text.count("1 unexpected values found. 25% of 4 total rows.") == 2
    asked = [
        check for check in checklist(folder.tables) if check.table == "loan_months" and check.result != "not asked"
    ]
    assert f"Evaluated Expectations {len(asked) - 1}" in text  # types are read from the files, not by an expectation
    assert "2024-05-06T07:08:00Z" in text
    assert "Unsuccessful Expectations 0" in words(results(site, "outcomes"))


def test_offending_values_are_shown_only_when_asked_for(folder, site, tmp_path):
    assert "987654" not in results(site, "loan_months").read_text(encoding="utf-8")
    shown = build_data_docs(folder, tmp_path / "site", created=CREATED, examples=True).parent
    assert "987654" in words(results(shown, "loan_months"))


def test_pages_ask_for_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?:|<img|<link|src=|@import|url\(", text), page.name
    assert {path.suffix for path in site.rglob("*") if path.is_file()} == {".html"}


def test_the_same_check_gives_the_same_bytes_and_replaces_the_earlier_site(folder, site, tmp_path):
    before = {path.relative_to(site): path.read_bytes() for path in site.rglob("*.html")}
    again = build_data_docs(folder, tmp_path / "site", findings=judge(folder).findings, created=CREATED).parent
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*.html")} == before
    (again / "expectations" / "old.html").write_text("", encoding="utf-8")
    build_data_docs(folder, again, findings=[], created=CREATED)
    assert not (again / "expectations" / "old.html").exists()
    assert "Unsuccessful Expectations 0" in words(results(again, "loan_months"))
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_is_no_site_is_left_alone(folder, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "index.html").write_text("dear", encoding="utf-8")
    with pytest.raises(SourceError, match="holds something else than Data Docs"):
        build_data_docs(folder, tmp_path / "letters")
    assert (tmp_path / "letters" / "index.html").read_text(encoding="utf-8") == "dear"
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="name another folder"):
        build_data_docs(folder, tmp_path / "file")
