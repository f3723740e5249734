"""Strategies as declarations: every fault at once, identities by part, values changed for a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.errors import DeclarationError
from policy.products import read_products
from policy.strategy import read_strategy

TOML = (Path(__file__).parent / "strategy.toml").read_text(encoding="utf-8")


def test_the_strategy_that_comes_with_lendwell_decides_every_product() -> None:
    assert set(read_strategy(None, read_products()).products) == set(read_products().products)


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "strategy.toml"
    text = TOML.replace("approve_pd = 0.08 ", "approve_pd = 0.30 ").replace("lgd = 0.5\n", "lgd = 1.5\n")
    text = (
        text.replace("[education]", "[lessons]")
        .replace('version = "1"\n', "")
        .replace("least_share = 0.3", "least = 0.3")
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeclarationError) as raised:
        read_strategy(path, read_products())
    told = str(raised.value)
    for fault in (
        "version: is missing",
        "emergency_cash.least: there is no such key",
        "emergency_cash.least_share: is missing",
        "renovation.lgd: Input should be less than or equal to 1",
        "lessons: there is no such product",
        "education: the product is offered, but the strategy does not say how",
    ):
        assert fault in told


def test_cut_offs_are_in_order(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"approve_pd 0\.3 is above decline_pd 0\.088"):
        read_strategy().changed("emergency_cash", approve_pd=0.3)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"approve_pd": 0.05}, {"cut_offs"}),
        ({"burden_most": 0.4}, {"limit"}),
        ({"margin_rate": 0.02}, {"price"}),
        ({"lgd": 0.7}, {"cut_offs", "limit", "price"}),
    ],
)
def test_a_change_is_told_by_its_part(values: dict[str, float], parts: set[str]) -> None:
    base = read_strategy()
    other = base.changed("emergency_cash", **values)
    assert base.identity != other.identity
    assert {part for part, identity in other.parts.items() if identity != base.parts[part]} == parts
    assert base.changed("emergency_cash").identity == base.identity


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    path = tmp_path / "strategy.toml"
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_strategy(path)
