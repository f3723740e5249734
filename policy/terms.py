"""Products and a strategy laid out as arrays, so that one applicant and a million are decided by the same arithmetic.

All of it is additions, multiplications, divisions and comparisons of float64 in a fixed order (powers are products),
which give the same bits for one row and for many, on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas

from data_contracts.errors import DeclarationError
from policy.products import DAYS_A_YEAR, FEN, MONTHS_A_YEAR, PPM, Product, Products
from policy.strategy import ProductStrategy, Strategy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LONGEST_MONTH = 31


@dataclass(frozen=True)
class RateTables:
    """What an instalment is, and for how long the money is out, by rate and term of every product.

    Parameters
    ----------
    names : tuple of str
        Products, in order.
    first, terms : ndarray of int64, shape (products,)
        Where a product's table begins in `burden`, and how many terms it has; rates come first, terms within.
    burden : ndarray of float64
        Monthly instalment to amount.
    life_first : ndarray of int64, shape (products,)
        Where a product's terms begin in `life`.
    life : ndarray of float64
        Years for which the amount is out, on average, at the lowest rate.
    bounds : dict of str to ndarray, shape (products,)
        Of amount (fen), term, rate (ppm) and age.
    """

    names: tuple[str, ...]
    first: Ints
    terms: Ints
    burden: Floats
    life_first: Ints
    life: Floats
    bounds: dict[str, Floats]

    @classmethod
    def of(cls, products: Products) -> RateTables:
        """Lay products out."""
        burdens = [_burden(product) for product in products.products.values()]
        lives = [_life(product, table[0]) for product, table in zip(products.products.values(), burdens, strict=True)]
        bounds = [_bounds(product) for product in products.products.values()]
        return cls(
            names=tuple(products.products),
            first=_starts([table.size for table in burdens]),
            terms=np.array([table.shape[1] for table in burdens]),
            burden=np.concatenate([table.ravel() for table in burdens]),
            life_first=_starts([len(life) for life in lives]),
            life=np.concatenate(lives),
            bounds={name: np.array([one[name] for one in bounds]) for name in bounds[0]},
        )


@dataclass(frozen=True)
class Asked:
    """What is asked for and known of applicants; arrays of shape (n,), NaN = not known.

    Parameters
    ----------
    product : ndarray of int64
        Place among the products, -1 for none of them.
    amount, income, debt, exposure : ndarray of float64
        Fen: asked for, income a month, instalments a month with us and elsewhere, principal that runs with us.
    term, age, pd : ndarray of float64
        Months; years; probability of default.
    """

    product: Ints
    amount: Floats
    term: Floats
    age: Floats
    income: Floats
    debt: Floats
    exposure: Floats
    pd: Floats

    @classmethod
    def of(cls, facts: Mapping[str, Sequence[Any]] | pandas.DataFrame, products: Sequence[str]) -> Asked:
        """From columns of applications (fen), features (CNY) and `pd`; `COLUMNS` names them.

        An instalment or principal that is not known counts as none: the rules look at sources that are missing.
        """
        lacking = [name for name in COLUMNS if name not in facts]
        if lacking:
            raise DeclarationError(f"A decision needs {', '.join(lacking)}; give the columns {', '.join(COLUMNS)}.")
        number = {name: _floats(facts[name]) for name in COLUMNS if name != "product"}
        if isinstance(facts, pandas.DataFrame):
            product = pandas.Index(products).get_indexer(pandas.Index(facts["product"])).astype(np.int64)
        else:
            product = np.array([products.index(name) if name in products else -1 for name in facts["product"]])
        return cls(
            product=product,
            amount=number["amount_requested"],
            term=number["term_months"],
            age=number["age_years"],
            income=number["income_monthly"],
            debt=_fen(number["loans_instalment_sum"]) + _fen(number["tradelines_instalment_sum"]),
            exposure=_fen(number["loans_active_principal_sum"]),
            pd=number["pd"],
        )


FEATURES = ("loans_instalment_sum", "tradelines_instalment_sum", "loans_active_principal_sum")
COLUMNS = ("product", "amount_requested", "term_months", "age_years", "income_monthly", *FEATURES, "pd")


def strategy_arrays(strategy: Strategy, names: Sequence[str]) -> dict[str, Floats]:
    """Each value of a strategy by product; amounts stay CNY, NaN where none is given."""
    lacking = [name for name in names if name not in strategy.products]
    if lacking:
        raise DeclarationError(f"The strategy {strategy.name} does not say how to decide {', '.join(lacking)}.")
    return {
        field: np.array(
            [np.nan if (value := getattr(strategy.products[name], field)) is None else value for name in names]
        )
        for field in ProductStrategy.model_fields
    }


def _burden(product: Product) -> Floats:
    """Monthly instalment to amount, shape (rates, terms): the heaviest one, of business loans the interest alone."""
    year = np.array(product.rate.ppm.values, dtype=np.float64) * product.rate.a_year / PPM
    terms = np.array(product.term_months.values)
    if product.form == "interest_quarterly":
        return np.repeat((year / MONTHS_A_YEAR)[:, None], len(terms), axis=1)
    if product.form == "equal_instalments":
        growth = np.multiply.accumulate(np.repeat((1 + year / MONTHS_A_YEAR)[:, None], terms[-1], axis=1), axis=1)
        table: Floats = (year / MONTHS_A_YEAR)[:, None] / (1 - 1 / growth[:, terms - 1])
        return table
    interest = year / MONTHS_A_YEAR if product.rate.per == "year" else year / DAYS_A_YEAR * _LONGEST_MONTH
    return interest[:, None] + (1 / terms)[None, :]


def _life(product: Product, burden: Floats) -> Floats:
    """Years for which a CNY is out at the lowest rate, shape (terms,)."""
    terms = np.array(product.term_months.values, dtype=np.float64)
    if product.form == "interest_quarterly":
        return terms / MONTHS_A_YEAR
    if product.form == "equal_instalments":
        year = product.rate.ppm.least * product.rate.a_year / PPM
        return (burden * terms - 1) / year
    return (terms + 1) / 2 / MONTHS_A_YEAR


def _bounds(product: Product) -> dict[str, float]:
    grids = {"amount": product.fen, "term": product.term_months, "rate": product.rate.ppm}
    found = {f"{name}_{side}": float(getattr(grid, side)) for name, grid in grids.items()
             for side in ("least", "most", "step")}  # fmt: skip
    return {**found, "age_least": product.age.least, "age_most": product.age.most, "a_year": product.rate.a_year}


def _starts(sizes: list[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def _floats(values: Any) -> Floats:
    return np.asarray(pandas.to_numeric(values) if isinstance(values, pandas.Series) else values, dtype=np.float64)


def _fen(cny: Floats) -> Floats:
    """Whole fen of CNY; what is not known counts as nothing."""
    return np.where(np.isnan(cny), 0.0, np.rint(cny * FEN))
