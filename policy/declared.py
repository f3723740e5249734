"""What a service decides by: rules, products and strategy, as its environment asks for them."""

from __future__ import annotations

import os
from pathlib import Path

from policy.products import Products, read_products
from policy.rules import RuleBook
from policy.strategy import Strategy, read_strategy


def declared() -> tuple[RuleBook, Products, Strategy]:
    """Rules, products and strategy as the environment asks for them.

    `LENDWELL_RULES` names a folder of rule tables, `LENDWELL_PRODUCTS` and `LENDWELL_STRATEGY` a TOML each; Lendwell's
    own by default. `DeclarationError` lists every fault.
    """
    rules, products, strategy = (
        Path(given) if (given := os.environ.get(f"LENDWELL_{name}")) else None
        for name in ("RULES", "PRODUCTS", "STRATEGY")
    )
    offered = read_products(products)
    return RuleBook.load(rules), offered, read_strategy(strategy, offered)


def shadow_strategies(products: Products) -> dict[str, Strategy]:
    """Strategies that decide beside the live one and are never answered, by name and version.

    `LENDWELL_SHADOW_STRATEGIES` names their TOML files, separated as in PATH; none by default.
    """
    files = filter(None, os.environ.get("LENDWELL_SHADOW_STRATEGIES", "").split(os.pathsep))
    read = (read_strategy(Path(file), products) for file in files)
    return {f"{strategy.name}/{strategy.version}": strategy for strategy in read}
