"""A strategy: the cut-offs, costs and bounds by which a score becomes a decision, declared as TOML and versioned."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data_contracts.errors import DeclarationError
from policy.products import Products, field_faults

LIMIT = (
    "expected_loss_most", "burden_most", "income_months_most", "exposure_most", "unstated_income_most", "least_share"
)  # fmt: skip
PRICE = ("funding_rate", "operating_rate", "margin_rate", "life_years")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProductStrategy(_Section):
    """How one product is decided; `strategy.toml` explains each.

    Amounts are CNY, rates and shares ratios.
    """

    approve_pd: float = Field(gt=0, le=1)
    decline_pd: float = Field(gt=0, le=1)
    lgd: float = Field(gt=0, le=1)
    funding_rate: float = Field(ge=0, le=1)
    operating_rate: float = Field(ge=0, le=1)
    margin_rate: float = Field(ge=0, le=1)
    life_years: float | None = Field(default=None, gt=0, le=10)
    expected_loss_most: float = Field(gt=0)
    burden_most: float = Field(gt=0, le=1)
    income_months_most: float = Field(gt=0)
    exposure_most: float = Field(gt=0)
    unstated_income_most: float = Field(ge=0)
    least_share: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> ProductStrategy:
        if self.approve_pd > self.decline_pd:
            raise ValueError(f"approve_pd {self.approve_pd} is above decline_pd {self.decline_pd}")
        return self


class Strategy(_Section):
    """A strategy for all products.

    Examples
    --------
    >>> base = read_strategy()
    >>> base.name, base.products["business"].lgd
    ('base', 0.45)
    >>> base.changed("business", decline_pd=0.12).identity == base.identity
    False
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    version: str = Field(min_length=1, max_length=64)
    products: dict[str, ProductStrategy] = Field(min_length=1)

    @functools.cached_property
    def identity(self) -> str:
        """SHA-256 of all that is declared."""
        return _sha256(self.model_dump(mode="json"))

    @functools.cached_property
    def parts(self) -> dict[str, str]:
        """SHA-256 of what decides on `cut_offs`, `limit` and `price`, so that a change can be told by its cause."""
        declared = {name: product.model_dump(mode="json") for name, product in self.products.items()}
        split: dict[str, dict[str, Any]] = {"cut_offs": {}, "limit": {}, "price": {}}
        for name, values in declared.items():
            for key, value in values.items():
                part = "limit" if key in LIMIT else "price" if key in PRICE else "cut_offs"
                split[part][f"{name}.{key}"] = value
                if key == "lgd":  # it is in both: what is lost, and what the loss costs
                    split["limit"][f"{name}.{key}"] = split["price"][f"{name}.{key}"] = value
        return {part: _sha256(values) for part, values in split.items()}

    def changed(self, product: str, **values: float) -> Strategy:
        """The same with other values of one product; for a search over strategies."""
        declared = self.model_dump()
        if product not in declared["products"]:
            raise DeclarationError(
                f"The strategy {self.name} has no product {product!r}; it has {list(self.products)}."
            )
        declared["products"][product] |= values
        return _checked(declared, self.name)


def write_strategy(strategy: Strategy, remark: str = "") -> str:
    """A strategy as the TOML that `read_strategy` reads, with a remark above it.

    Examples
    --------
    >>> base = read_strategy()
    >>> written = tomllib.loads(write_strategy(base, "as it came"))
    >>> Strategy(**{"name": written.pop("name"), "version": written.pop("version")}, products=written) == base
    True
    """
    lines = [
        *(f"# {line}" for line in remark.splitlines()),
        f'name = "{strategy.name}"',
        f"version = {json.dumps(strategy.version)}",
    ]
    for name, product in strategy.products.items():
        lines += ["", f"[{name}]", *(f"{key} = {value!r}" for key, value in product if value is not None)]
    return "\n".join(lines) + "\n"


def read_strategy(path: Path | None = None, products: Products | None = None) -> Strategy:
    """Read and check a strategy: the one that comes with Lendwell, or a lender's own.

    Parameters
    ----------
    path : Path, optional
    products : Products, optional
        That it must decide on, all of them and no others.

    Raises
    ------
    DeclarationError
        Where the file cannot be read or is declared wrongly; every fault is listed.
    """
    where = str(path or "policy/strategy.toml")
    try:
        source = importlib.resources.files("policy").joinpath("strategy.toml") if path is None else path
        declared = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise DeclarationError(f"Strategy {where} cannot be read ({fault}).") from fault
    head = {key: value for key, value in declared.items() if key in ("name", "version")}
    given = {key: value for key, value in declared.items() if key not in head}
    return _checked({**head, "products": given}, where, products)


def _checked(declared: Mapping[str, Any], where: str, products: Products | None = None) -> Strategy:
    faults = []
    if products is not None:
        given, offered = set(declared["products"]), set(products.products)
        faults += [f"{name}: there is no such product" for name in sorted(given - offered)]
        faults += [
            f"{name}: the product is offered, but the strategy does not say how" for name in sorted(offered - given)
        ]
    try:
        strategy = Strategy.model_validate(dict(declared))
    except ValidationError as error:
        faults = [*field_faults(error), *faults]
    if faults:
        raise DeclarationError(f"Strategy {where} is declared wrongly:\n" + "\n".join(f"- {fault}" for fault in faults))
    return strategy


def _sha256(declared: Any) -> str:
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
