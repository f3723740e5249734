"""Rows that a model has not learnt from, carried by its bundle for monitoring what histograms cannot tell.

The score, relations between features, segments and the mix of requests are compared with them: a model may score what
it has learnt from more sharply than anybody new. They hold no identifier.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import load_file, save_file

from data_contracts.errors import BundleError
from data_contracts.folder import TableFolder
from training.estimator import Floats, Integers

MOST_ROWS = 2_000
_ARRAYS, _LEVELS = "reference_rows.safetensors", "reference_rows.json"
_CATEGORIES = ("product", "channel")
_REASON = "reason"
_AMOUNT = "amount_requested"


@dataclass(frozen=True)
class ReferenceRows:
    """Test rows of the training, as they were known at their `as_of`.

    Parameters
    ----------
    features : DataFrame, shape (n, n_features)
        NaN = missing.
    log_odds : ndarray of float64, shape (n,)
        Calibrated, of the bundle's own model.
    requests : DataFrame, shape (n, 3) or (n, 4)
        `product` and `channel` (None = missing), `amount_requested` in CNY (NaN = missing); and where it was explained,
        the code of the first `reason` (None = not explained).
    applications : Index, optional
        Whose rows they are, while the bundle is being made; never saved.
    """

    features: pd.DataFrame
    log_odds: Floats
    requests: pd.DataFrame
    applications: pd.Index[Any] | None = None

    @classmethod
    def draw(
        cls, folder: TableFolder, features: pd.DataFrame, log_odds: npt.ArrayLike, *, seed: int = 0
    ) -> ReferenceRows:
        """Draw at most `MOST_ROWS` of some rows, whose index is `application_id`, in their order."""
        drawn: Integers = np.sort(np.random.default_rng(seed).permutation(len(features))[:MOST_ROWS])
        asked = folder.read("applications", ["application_id", *_CATEGORIES, _AMOUNT]).set_index("application_id")
        asked = asked.loc[features.index[drawn]].reset_index(drop=True)
        amount = asked[_AMOUNT].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan) / 100
        requests = pd.DataFrame({name: _texts(asked[name]) for name in _CATEGORIES} | {_AMOUNT: amount})
        rows, scores = features.iloc[drawn].reset_index(drop=True), np.asarray(log_odds, dtype=np.float64)[drawn]
        return cls(rows, scores, requests, features.index[drawn])

    def with_reasons(self, codes: Sequence[str | None]) -> ReferenceRows:
        """The same rows with the code of each first reason."""
        return replace(self, requests=self.requests.assign(**{_REASON: pd.Series(list(codes), dtype=object)}))

    def save(self, folder: Path) -> None:
        """Write the rows beside the other files of a bundle."""
        named = [*_CATEGORIES, *([_REASON] if _REASON in self.requests else [])]
        levels = {name: sorted(set(self.requests[name].dropna())) for name in named}
        places = {
            name: np.array([-1 if value is None else levels[name].index(value) for value in self.requests[name]])
            for name in named
        }
        arrays = {
            "features": self.features.to_numpy("float64").copy(),
            "log_odds": self.log_odds,
            _AMOUNT: self.requests[_AMOUNT].to_numpy("float64").copy(),
            **{name: place.astype(np.int64) for name, place in places.items()},
        }
        save_file(arrays, folder / _ARRAYS)
        text = json.dumps(levels, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / _LEVELS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, names: tuple[str, ...]) -> ReferenceRows | None:
        """Read what `save` has written; None where the bundle carries no rows."""
        if not (folder / _ARRAYS).is_file():
            return None
        try:
            arrays, levels = load_file(folder / _ARRAYS), json.loads((folder / _LEVELS).read_text(encoding="utf-8"))
            requests = {
                name: pd.Series([None if at < 0 else levels[name][at] for at in arrays[name].tolist()], dtype=object)
                for name in levels
            }
            columns = [*_CATEGORIES, _AMOUNT, *([_REASON] if _REASON in levels else [])]
            return cls(
                pd.DataFrame(arrays["features"], columns=list(names)),
                arrays["log_odds"],
                pd.DataFrame(requests | {_AMOUNT: arrays[_AMOUNT]})[columns],
            )
        except (OSError, ValueError, KeyError, IndexError) as fault:
            raise BundleError(
                f"The bundle's reference rows cannot be read ({fault}); train the bundle again."
            ) from fault


def _texts(values: pd.Series) -> pd.Series:
    return pd.Series([None if pd.isna(value) else str(value) for value in values], dtype=object)
