"""Conditions compiled to arrays, so that all of all rules are judged in a dozen NumPy calls.

A condition on a number is an interval, one on a text a row of truths by the code of the text. Whether for one applicant
or for a thousand at once, the arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import ContractError
from policy.rules.conditions import Condition
from policy.rules.derived import DERIVED
from policy.rules.fields import Field, vocabulary

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NUMBERS = (int, float, np.number, np.bool_, type(None))
_MISSING, _OTHER = 0, 1  # codes of texts; the others are of those that conditions name


class Compiled:
    """Conditions over applicants, whose values stand in two arrays: numbers (fields, applicants) and codes of texts.

    Parameters
    ----------
    conditions : sequence of Condition
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        asked = dict.fromkeys(condition.field.name for condition in conditions)
        derived = [one for one in DERIVED if one.name in asked]
        asked |= dict.fromkeys(name for one in derived for name in one.needs)
        known = vocabulary()
        self.fields: tuple[Field, ...] = tuple(known[name] for name in asked)
        """What is read, with what derived fields are worked out from."""
        self.number_rows = {name: row for row, name in enumerate(name for name in asked if known[name].kind != "text")}
        self.text_rows = {name: row for row, name in enumerate(name for name in asked if known[name].kind == "text")}
        self._scales = np.array([known[name].scale for name in self.number_rows]).reshape(-1, 1)
        self._derived = [
            (self.number_rows[one.name], [self.number_rows[name] for name in one.needs], one.of) for one in derived
        ]
        self._count = len(conditions)
        numbers = [at for at, condition in enumerate(conditions) if condition.field.kind != "text"]
        texts = [at for at, condition in enumerate(conditions) if condition.field.kind == "text"]
        self._on_numbers, self._on_texts = np.array(numbers, np.int64), np.array(texts, np.int64)
        self._compile_numbers([conditions[at] for at in numbers])
        self._compile_texts([conditions[at] for at in texts])

    def _compile_numbers(self, conditions: Sequence[Condition]) -> None:
        self._number_of = np.array([self.number_rows[one.field.name] for one in conditions], np.int64)
        self._low = np.array([one.low for one in conditions], np.float64).reshape(-1, 1)
        self._high = np.array([one.high for one in conditions], np.float64).reshape(-1, 1)
        self._of_missing = np.flatnonzero([one.missing for one in conditions])

    def _compile_texts(self, conditions: Sequence[Condition]) -> None:
        named: dict[str, set[str]] = {name: set() for name in self.text_rows}
        for one in conditions:
            named[one.field.name] |= one.texts or frozenset()
        self._codes = {
            name: {text: code for code, text in enumerate(sorted(texts), start=_OTHER + 1)}
            for name, texts in named.items()
        }
        self._text_of = np.array([self.text_rows[one.field.name] for one in conditions], np.int64)
        width = 2 + max(map(len, self._codes.values()), default=0)
        self._truths = np.zeros((len(conditions), width), np.bool_)
        self._truth_rows = np.arange(len(conditions)).reshape(-1, 1)
        for row, one in enumerate(conditions):
            self._truths[row, _MISSING] = one.missing
            if one.texts is not None:
                self._truths[row, _OTHER] = one.negated
                for text, code in self._codes[one.field.name].items():
                    self._truths[row, code] = (text in one.texts) != one.negated

    def one(self, facts: Mapping[str, Any]) -> tuple[Floats, Ints]:
        """Values of one applicant; `ContractError` where a number is none."""
        values = [facts.get(name) for name in self.number_rows]
        try:
            numbers = np.array(values, np.float64).reshape(-1, 1)  # None becomes NaN
        except (TypeError, ValueError):
            wrong = next(name for name in self.number_rows if not isinstance(facts.get(name), _NUMBERS))
            told = type(facts[wrong]).__name__
            raise ContractError(f"{wrong} is {told}; give a number, or None for missing.") from None
        codes = np.empty((len(self.text_rows), 1), np.int64)
        for name, row in self.text_rows.items():
            text = facts.get(name)
            missing = text is None or text == "" or text != text  # NaN differs from itself
            codes[row, 0] = _MISSING if missing else self._codes[name].get(str(text), _OTHER)
        return self._derive(numbers), codes

    def many(self, frame: pd.DataFrame) -> tuple[Floats, Ints]:
        """Values of the applicants of a frame; columns that are not there are missing."""
        numbers = np.full((len(self.number_rows), len(frame)), np.nan)
        for name, row in self.number_rows.items():
            if name in frame:
                try:
                    numbers[row] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
                except (TypeError, ValueError):
                    raise ContractError(f"Column {name} holds what is no number; give numbers or missing.") from None
        codes = np.zeros((len(self.text_rows), len(frame)), np.int64)
        for name, row in self.text_rows.items():
            if name in frame:
                column = frame[name]
                of_texts = column.astype(object).map(self._codes[name]).fillna(_OTHER).to_numpy(np.int64)
                codes[row] = np.where(column.isna() | (column == ""), _MISSING, of_texts)
        return self._derive(numbers), codes

    def _derive(self, numbers: Floats) -> Floats:
        """Bring numbers to the units of tables and work out what is derived, where the facts do not give it."""
        numbers /= self._scales
        for row, needs, of in self._derived:
            numbers[row] = np.where(np.isnan(numbers[row]), of(*numbers[needs]), numbers[row])
        return numbers

    def met(self, numbers: Floats, codes: Ints) -> Bools:
        """Whether each condition is met by each applicant: array (conditions, applicants)."""
        values = numbers[self._number_of]
        by_numbers = (values >= self._low) & (values <= self._high)
        by_numbers[self._of_missing] = np.isnan(values[self._of_missing])
        met = np.empty((self._count, numbers.shape[1]), np.bool_)
        met[self._on_numbers] = by_numbers
        met[self._on_texts] = self._truths[self._truth_rows, codes[self._text_of]]
        return met

    def missing(self, numbers: Floats, codes: Ints) -> Bools:
        """Whether the field of each condition is missing: array (conditions, applicants)."""
        missing = np.empty((self._count, numbers.shape[1]), np.bool_)
        missing[self._on_numbers] = np.isnan(numbers)[self._number_of]
        missing[self._on_texts] = (codes == _MISSING)[self._text_of]
        return missing
