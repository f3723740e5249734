"""Products as a contract: what the issue of the lender says, and every fault at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from data_contracts.errors import DeclarationError
from data_contracts.tables import PRODUCTS
from policy.products import Rate, read_products

TOML = (Path(__file__).parents[2] / "policy" / "products.toml").read_text(encoding="utf-8")


def declared(tmp_path: Path, text: str) -> str:
    path = tmp_path / "products.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_products(path)
    return str(raised.value)


def test_the_products_of_the_lender() -> None:
    found = read_products()
    assert found.cap == Decimal("0.24")
    told = {
        name: (p.zh, p.age.least, p.age.most, p.amount.least, p.amount.most, p.term_months.least, p.term_months.most)
        for name, p in found.products.items()
    }
    assert told == {
        "emergency_cash": ("应急贷", 20, 30, 1_000, 5_000, 1, 3),
        "renovation": ("场景贷（装修）", 30, 45, 50_000, 200_000, 12, 60),
        "education": ("场景贷（教育）", 30, 45, 10_000, 100_000, 6, 36),
        "business": ("经营贷", 35, 55, 100_000, 500_000, 6, 60),
    }
    rates = {name: (str(p.rate.least), str(p.rate.most), p.rate.per) for name, p in found.products.items()}
    assert rates == {
        "emergency_cash": ("0.0003", "0.0005", "day"),
        "renovation": ("0.06", "0.08", "year"),
        "education": ("0.06", "0.08", "year"),
        "business": ("0.07", "0.09", "year"),
    }
    assert {name for name, p in found.products.items() if p.paid_to == "merchant"} == {"renovation", "education"}
    assert all(p.prepayment_fee <= Decimal("0.01") for p in found.products.values())
    assert set(found.products) <= set(PRODUCTS)


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    text = TOML.replace("prepayment_fee = 0.01", "prepayment_fee = 0.02", 1)
    text = text.replace("age = { least = 35, most = 55 }", "age = { least = 55, most = 35 }")
    text = text.replace('paid_to = "customer"', 'paid_to = "friend"', 1).replace("[education]", "[aeroplane]")
    message = declared(tmp_path, text)
    assert "aeroplane: applications know no such product; there are emergency_cash" in message
    assert "renovation.prepayment_fee: Input should be less than or equal to 0.01" in message
    assert "business.age: least 55 is above most 35" in message
    assert "emergency_cash.paid_to: Input should be 'customer' or 'merchant'" in message


def test_every_term_of_bill_instalments_is_held_against_the_cap(tmp_path: Path) -> None:
    text = TOML.replace("term_months = { least = 1, most = 3 }", "term_months = { least = 1, most = 36 }")
    told = declared(tmp_path, text.replace("bill_fee = 0.006", "bill_fee = 0.0102"))
    assert "over 17 months, bill_instalments costs 24.5" in told  # 1 and 36 months keep the cap


def test_a_line_that_is_drawn_and_repaid_from_day_to_day_is_held_against_the_cap(tmp_path: Path) -> None:
    # over a month or three it keeps the cap
    text = TOML.replace("most = 0.0005, step", "most = 0.00059, step").replace("penalty = 1.3", "penalty = 1.1")
    assert "at 0.00059 a day from day to day, daily_interest costs 24.02% a year" in declared(tmp_path, text)


def test_what_costs_beyond_all_bounds_is_told_with_product_and_file(tmp_path: Path) -> None:
    told = declared(tmp_path, TOML.replace("most = 0.0005, step", "most = 0.99, step"))
    assert f"Products {tmp_path / 'products.toml'} are declared wrongly:" in told
    assert "emergency_cash.rate: at 0.99 a day over 3 months, daily_interest costs more than 100000% a year" in told
    long = declared(tmp_path, TOML.replace("{ least = 12, most = 60 }", "{ least = 12, most = 1200 }"))
    assert "renovation.term_months: most 1200 is above 600, the longest term" in long


def test_a_fault_of_a_product_hides_no_cap_fault_of_another(tmp_path: Path) -> None:
    text = TOML.replace("prepayment_fee = 0.01", "prepayment_fee = 0.02", 1)
    text = text.replace("{ least = 0.07, most = 0.09", "{ least = 0.07, most = 0.4")
    told = declared(tmp_path, text.replace("grace_days = 5", "grace_days = 50"))
    assert "renovation.prepayment_fee: Input should be less than or equal to 0.01" in told
    assert "business.grace_days" in told
    assert "business.rate" not in told  # what is not declared rightly costs nothing that could be told
    told = declared(tmp_path, text)
    assert "business.rate: at 0.4 a year" in told
    assert "renovation.prepayment_fee" in told
    only = TOML[: TOML.index("[emergency_cash]")].replace("0.24", "0.5") + "[business]\n"
    assert "products" not in declared(tmp_path, only).split(":", 1)[1]


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        (
            "most = 0.0005",
            "most = 0.0007",
            "emergency_cash.rate: at 0.0007 a day from day to day, daily_interest costs",
        ),
        ("cap = 0.24", "cap = 0.09", "business.rate: at 0.09 a year over 6 months, interest_quarterly costs 9.39%"),
        ("bill_fee = 0.006", "bill_fee = 0.02", "bill_instalments costs"),
        ("penalty = 1.3", "penalty = 1.4", "emergency_cash.penalty: 1.4 times the highest rate is 25.55% a year"),
    ],
)
def test_a_product_outside_the_cap_is_refused(tmp_path: Path, given: str, instead: str, told: str) -> None:
    assert told in declared(tmp_path, TOML.replace(given, instead))


@pytest.mark.parametrize(
    ("given", "instead", "told"),
    [
        ("step = 0.00001", "step = 0.0000001", "0.0000001 is no whole number of millionths"),
        ("step = 100 }", "step = 300 }", "most 5000 is not a whole number of steps of 300 above least 1000"),
        (
            "amount = { least = 1000, most = 5000, step = 100 }",
            "amount = { least = 500, most = 4500, step = 1000 }",
            "emergency_cash.amount: least 500 and most 4500 are no multiples of step 1000",
        ),
        ('"daily_interest", ', "", 'rate.per: is "day" where the loan is drawn'),
        ("bill_fee = 0.006\n", "", "bill_fee: goes with the repayment form bill_instalments"),
        (
            "term_months = { least = 6, most = 60, step = 3 }",
            "term_months = { least = 6, most = 60 }",
            "whole quarters",
        ),
        ("grace_days = 5", "grace = 5", "business.grace: there is no such key"),
        ('zh = "经营贷"\n', "", "business.zh: is missing"),
        ("cap = 0.24", "cap = 0.5", "cap: Input should be less than or equal to 0.36"),
        ("cap = 0.24", "cap = ", "cannot be read"),
    ],
)
def test_a_wrong_declaration_names_the_key(tmp_path: Path, given: str, instead: str, told: str) -> None:
    assert given in TOML
    assert told in declared(tmp_path, TOML.replace(given, instead))


def test_the_identity_is_of_what_is_declared(tmp_path: Path) -> None:
    same, other = tmp_path / "same.toml", tmp_path / "other.toml"
    same.write_text("# another comment\n" + TOML, encoding="utf-8")
    other.write_text(TOML.replace("least = 0.06,", "least = 0.061,"), encoding="utf-8")
    assert read_products(same).identity == read_products().identity != read_products(other).identity


def test_a_product_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DeclarationError, match="There is no product 'car'; there are emergency_cash, renovation"):
        read_products()["car"]


def test_rates_are_whole_millionths() -> None:
    assert Rate.daily("0.0003").of_year == Decimal("0.1095")
    assert Rate.annual("0.0725").of_day * 365 == pytest.approx(Decimal("0.0725"))
