"""Products as a lender declares them, checked as a contract: bounds, segments, repayment forms, rates and the cap.

Money in `products.toml` is CNY and rates are ratios, as people write them; here they are whole fen and whole parts per
million (`rate` of 0.0625 a year is 62,500 ppm), so that no decision hangs on the last bit of a fraction.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data_contracts.errors import DeclarationError
from data_contracts.tables import PRODUCTS

FEN = 100
PPM = 1_000_000
DAYS_A_YEAR = 365
MONTHS_A_YEAR = 12
LONGEST = 600  # months that a loan may run

Form = Literal["equal_instalments", "equal_principal", "interest_quarterly", "daily_interest", "bill_instalments"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Grid(_Section):
    """What may be asked for: from `least` to `most` in steps.

    Examples
    --------
    >>> Grid(least=6, most=60, step=3).holds(9), Grid(least=6, most=60, step=3).holds(10)
    (True, False)
    """

    least: int = Field(gt=0)
    most: int = Field(gt=0)
    step: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Grid:
        if self.least > self.most:
            raise ValueError(f"least {self.least} is above most {self.most}")
        if (self.most - self.least) % self.step:
            raise ValueError(f"most {self.most} is not a whole number of steps of {self.step} above least {self.least}")
        return self

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.most - self.least) // self.step + 1

    @property
    def values(self) -> range:
        """All of them, in order."""
        return range(self.least, self.most + 1, self.step)

    def holds(self, value: int) -> bool:
        """Whether it is one of the values."""
        return value in self.values


class Span(_Section):
    """Whole years of age, both ends included."""

    least: int = Field(ge=18, le=110)
    most: int = Field(ge=18, le=110)

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.least > self.most:
            raise ValueError(f"least {self.least} is above most {self.most}")
        return self


class Band(_Section):
    """Rates at which a product is sold, as ratios, a year or a day."""

    least: Decimal = Field(gt=0, lt=1)
    most: Decimal = Field(gt=0, lt=1)
    step: Decimal = Field(gt=0, lt=1)
    per: Literal["year", "day"]

    @field_validator("least", "most", "step")
    @classmethod
    def _whole(cls, value: Decimal) -> Decimal:
        if value * PPM != int(value * PPM):
            raise ValueError(f"{value:f} is no whole number of millionths")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Band:
        _ = self.ppm
        return self

    @property
    def ppm(self) -> Grid:
        """The rates in parts per million."""
        return Grid(least=int(self.least * PPM), most=int(self.most * PPM), step=int(self.step * PPM))

    @property
    def a_year(self) -> int:
        """How many of its periods make a year: 1, or 365."""
        return DAYS_A_YEAR if self.per == "day" else 1


class Rate(_Section):
    """A rate of interest: whole parts per million, a year or a day.

    Examples
    --------
    >>> Rate.annual("0.0625"), Rate.daily("0.0005").of_year
    (Rate(ppm=62500, per='year'), Decimal('0.1825'))
    """

    ppm: int = Field(ge=0)
    per: Literal["year", "day"]

    @classmethod
    def annual(cls, ratio: str | Decimal) -> Rate:
        """From a ratio a year."""
        return cls(ppm=int(Decimal(ratio) * PPM), per="year")

    @classmethod
    def daily(cls, ratio: str | Decimal) -> Rate:
        """From a ratio a day."""
        return cls(ppm=int(Decimal(ratio) * PPM), per="day")

    @property
    def ratio(self) -> Decimal:
        """As people write it."""
        return Decimal(self.ppm) / PPM

    @property
    def of_year(self) -> Decimal:
        """A year of 12 equal months or of 365 days, without interest on interest."""
        return self.ratio * (DAYS_A_YEAR if self.per == "day" else 1)

    @property
    def of_day(self) -> Decimal:
        """A day."""
        return self.ratio if self.per == "day" else self.ratio / DAYS_A_YEAR


class Product(_Section):
    """A product.

    Parameters
    ----------
    zh, en, segment_zh, segment_en : str
        What it is called and for whom it is.
    age : Span
    amount : Grid
        CNY.
    term_months : Grid
    rate : Band
    repayment : tuple of str
        Forms it may be repaid in, the usual one first.
    paid_to : str
        `customer`, or `merchant` where the loan pays for goods.
    prepayment_fee : Decimal
        Share of the principal that is repaid ahead, at most 1 %.
    bill_fee : Decimal
        Share of the amount a month, where a bill is repaid in instalments.
    grace_days : int
        Days after a due day in which a payment counts as made in time.
    penalty : Decimal
        Rate of overdue principal, as a multiple of the contract's.
    """

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)
    segment_zh: str = Field(min_length=1)
    segment_en: str = Field(min_length=1)
    age: Span
    amount: Grid
    term_months: Grid
    rate: Band
    repayment: tuple[Form, ...] = Field(min_length=1, strict=False)
    paid_to: Literal["customer", "merchant"]
    prepayment_fee: Decimal = Field(ge=0, le=Decimal("0.01"))
    bill_fee: Decimal = Field(default=Decimal(0), ge=0, le=Decimal("0.02"))
    grace_days: int = Field(default=3, ge=0, le=30)
    penalty: Decimal = Field(default=Decimal("1.5"), ge=1, le=Decimal("1.5"))

    @field_validator("amount")
    @classmethod
    def _of_whole_steps(cls, amount: Grid) -> Grid:
        if amount.least % amount.step:  # what is offered is rounded down to whole steps
            raise ValueError(f"least {amount.least} and most {amount.most} are no multiples of step {amount.step}")
        return amount

    @field_validator("term_months")
    @classmethod
    def _not_too_long(cls, term: Grid) -> Grid:
        if term.most > LONGEST:
            raise ValueError(f"most {term.most} is above {LONGEST}, the longest term")
        return term

    @model_validator(mode="after")
    def _agree(self) -> Product:
        faults = []
        if len(set(self.repayment)) < len(self.repayment):
            faults.append("repayment: names a form twice")
        if ("daily_interest" in self.repayment) != (self.rate.per == "day"):
            faults.append('rate.per: is "day" where the loan is drawn and repaid at will (daily_interest), else "year"')
        if ("bill_instalments" in self.repayment) != (self.bill_fee > 0):
            faults.append("bill_fee: goes with the repayment form bill_instalments, and is above 0 there")
        if "interest_quarterly" in self.repayment and (self.term_months.least % 3 or self.term_months.step % 3):
            faults.append("term_months: interest_quarterly needs terms of whole quarters; give least and step by 3")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def form(self) -> Form:
        """The usual form of repayment."""
        return self.repayment[0]

    @property
    def fen(self) -> Grid:
        """What may be asked for, in fen."""
        return Grid(least=self.amount.least * FEN, most=self.amount.most * FEN, step=self.amount.step * FEN)

    def quoted(self, ppm: int) -> Rate:
        """A rate of this product."""
        return Rate(ppm=ppm, per=self.rate.per)


class Products(_Section):
    """All products under their cap.

    Parameters
    ----------
    cap : Decimal
        Highest effective annual rate, all in: see `policy.rate`.
    products : dict of str to Product
        By the name that applications use.

    Examples
    --------
    >>> read_products().products["business"].amount.most
    500000
    """

    cap: Decimal = Field(default=Decimal("0.24"), gt=0, le=Decimal("0.36"))
    products: dict[str, Product] = Field(min_length=1)

    @functools.cached_property
    def identity(self) -> str:
        """SHA-256 of what is declared; comments and layout do not matter."""
        declared = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(declared.encode()).hexdigest()

    def __getitem__(self, name: str) -> Product:
        """A product by name; `DeclarationError` names those there are."""
        if name not in self.products:
            raise DeclarationError(f"There is no product {name!r}; there are {', '.join(self.products)}.")
        return self.products[name]


def read_products(path: Path | None = None) -> Products:
    """Read and check products: those that come with Lendwell, or a lender's own.

    Raises
    ------
    DeclarationError
        Where the file cannot be read or breaks the contract, or a product could cost more than the cap allows; every
        fault is listed.
    """
    where = str(path or "policy/products.toml")
    try:
        source = importlib.resources.files("policy").joinpath("products.toml") if path is None else path
        # rates as decimals: 0.0003 is exactly that
        declared = tomllib.loads(source.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise DeclarationError(f"Products {where} cannot be read ({fault}).") from fault
    return declared_products(declared, where)


def declared_products(declared: Mapping[str, Any], where: str = "products") -> Products:
    """Check what is declared; `DeclarationError` lists every fault."""
    from policy.cap import cap_faults

    head = {"cap": _decimal(declared["cap"])} if "cap" in declared else {}
    given = {name: value for name, value in declared.items() if name != "cap"}
    faults = [
        f"{name}: applications know no such product; there are {', '.join(PRODUCTS)}"
        for name in given
        if name not in PRODUCTS
    ]
    sound = {}
    for name, value in given.items():
        try:
            sound[name] = Product.model_validate(_decimals(value))
        except ValidationError as error:
            faults += field_faults(error, name)
    try:
        products = Products(**head, products=sound)
        faults += cap_faults(products)
    except ValidationError as error:
        found = field_faults(error)
        faults += found if sound or not given else [fault for fault in found if fault.startswith("cap")]
    if faults:
        raise DeclarationError(
            f"Products {where} are declared wrongly:\n" + "\n".join(f"- {fault}" for fault in faults)
        )
    return products


def field_faults(error: ValidationError, *within: str) -> list[str]:
    """What pydantic found, as `product.field: problem`; `within` is where it looked."""
    words = {"extra_forbidden": "there is no such key", "missing": "is missing"}
    faults = []
    for detail in error.errors(include_url=False):
        place = ".".join(str(part) for part in (*within, *detail["loc"]) if part != "products")
        problem = words.get(detail["type"], detail["msg"].removeprefix("Value error, "))
        faults.append(f"{place}: {problem}" if place else problem)
    return faults


_FRACTIONS = frozenset({"prepayment_fee", "bill_fee", "penalty"})


def _decimals(product: Any) -> Any:
    """Whole numbers are decimals too where a ratio is asked for: `prepayment_fee = 0`."""
    if not isinstance(product, Mapping):
        return product
    read = {name: _decimal(value) if name in _FRACTIONS else value for name, value in product.items()}
    if isinstance(read.get("rate"), Mapping):
        read["rate"] = {name: _decimal(value) for name, value in read["rate"].items()}
    return read


def _decimal(value: Any) -> Any:
    return Decimal(value) if type(value) is int else value
