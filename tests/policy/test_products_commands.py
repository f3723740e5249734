"""What is lent and how it is repaid, as a person asks for it on the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tests.command_line import refused, run

SCHEDULE = ("policy", "schedule", "renovation", "--amount", 80_000, "--term", 12, "--rate", "0.065", "--start",
            "2026-08-31")  # fmt: skip


def test_products_are_listed_for_people_and_machines() -> None:
    shown = run("policy", "products")
    assert shown.code == 0
    for told in ("emergency_cash 应急贷", "50,000-200,000", "0.03%-0.05% a day", "7%-9% a year", "24.00% a year"):
        assert told in shown.out
    facts = run("policy", "products", "--json").facts
    assert (facts["cap"], facts["products"]["business"]["amount"]["most"]) == (0.24, 500_000)


def test_a_schedule_is_a_table_json_and_csv_of_the_same() -> None:
    facts = run(*SCHEDULE, "--json").facts
    rows = list(csv.DictReader(io.StringIO(run(*SCHEDULE, "--csv").out)))
    assert [row["due_on"] for row in rows] == [row["due_on"] for row in facts["instalments"]]
    assert rows[0]["due_on"] == "2026-09-30"
    assert rows[5]["due_on"] == "2027-02-28"
    assert [round(100 * float(row["amount"])) for row in rows] == [row["amount"] for row in facts["instalments"]]
    assert rows[-1]["balance"] == "0.00"
    assert facts["annual_nominal"] < facts["annual_effective"] < facts["cap"]
    shown = run(*SCHEDULE)
    assert all(row["amount"] in shown.out for row in rows)
    assert "annual_effective" in shown.out


def test_another_form_of_the_product() -> None:
    facts = run(*SCHEDULE, "--form", "equal_principal", "--json").facts
    assert len({row["principal"] for row in facts["instalments"][:-1]}) == 1


def test_what_the_product_does_not_offer_is_told_at_once() -> None:
    told = refused(
        "policy", "schedule", "education", "--amount", 10_001, "--term", 5, "--rate", "x", "--start", "2026-01-31",
        "--form", "daily_interest", code=2,
    )  # fmt: skip
    for fault in (
        "--amount 10001: the product has 10000 to 100000 CNY, by 500",
        "--term 5: the product has 6 to 36 months, by 1",
        "--rate x: education has 0.06 to 0.08 a year, by 0.0001",
        "--form daily_interest: education is repaid by equal_instalments, equal_principal",
    ):
        assert fault in told


def test_products_of_a_lender_s_own_and_their_faults(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    text = (Path(__file__).parents[2] / "policy" / "products.toml").read_text(encoding="utf-8")
    own.write_text(text.replace("cap = 0.24", "cap = 0.3"), encoding="utf-8")
    assert run("policy", "products", "--products", own, "--json").facts["cap"] == 0.3
    own.write_text(text.replace("cap = 0.24", "cap = 0.05"), encoding="utf-8")
    told = refused("policy", "products", "--products", own, code=2)
    assert told.count("the cap is 5.00%") >= 7
