"""What every part of the hybrid has in common: checked rows in, log-odds of the bad class out, JSON on disk.

The parts follow scikit-learn (`fit`, `predict_proba`, `get_params`, `clone`): a notebook can cross-validate them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from data_contracts.errors import TrainingError
from training.parameters import value_faults

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FORMAT = 2
_LARGEST = float(np.finfo(np.float32).max)


class FitError(TrainingError, ValueError):
    """The rows cannot carry the model; a `ValueError` too, because scikit-learn's protocol asks for one."""


class RowClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary classifier of rows of numbers, NaN = missing, that answers with log-odds of the second class.

    A subclass gives `fit` and `log_odds`; probabilities and labels follow from those.
    """

    classes_: npt.NDArray[Any]
    n_features_in_: int
    feature_names_in_: npt.NDArray[Any]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def log_odds(self, X: Any) -> Floats:
        """Log-odds of the bad class, float64, shape (n,)."""
        raise NotImplementedError

    def decision_function(self, X: Any) -> Floats:
        """Log-odds of the bad class, float64, shape (n,)."""
        return self.log_odds(X)

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of both classes, shape (n, 2); the second column is the PD."""
        return probabilities(self.decision_function(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likelier class of each row, shape (n,)."""
        likely = self.decision_function(X) > 0
        labels: npt.NDArray[Any] = self.classes_[likely.astype(int)]
        return labels

    def _start_fit(self, X: Any, y: Any) -> tuple[Floats, Integers]:
        """Check parameters and training rows, remember names and classes, give back numbers and 0/1."""
        require_values(self)
        _refuse_infinite(X)
        try:
            rows, labels = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
            check_classification_targets(labels)
        except ValueError as error:
            raise FitError(_with_way_out(error, X)) from error
        self.classes_, binary = binary_labels(labels)
        return _in_single_range(rows), binary

    def _rows(self, X: Any) -> Floats:
        """Check rows to be scored: the features of the fit in their order, nothing infinite."""
        check_is_fitted(self)
        names, rows = getattr(self, "feature_names_in_", None), X
        try:
            # `tolist`, as iterating over the names takes ten times as long
            if names is not None and isinstance(X, pd.DataFrame) and X.columns.tolist() == names.tolist():
                rows = X.to_numpy(dtype=np.float64)
            # Serving hands a float64 matrix of the right width over for each request: only its range is checked.
            if (
                type(rows) is not np.ndarray
                or rows.dtype != np.float64
                or rows.ndim != 2
                or rows.shape[1] != self.n_features_in_
                or not len(rows)
            ):
                _refuse_infinite(X)
                rows = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        except FitError:
            raise
        except ValueError as error:
            raise FitError(_with_way_out(error, X, names)) from error
        return _in_single_range(rows, names)

    def _names(self) -> list[str]:
        """Names of the features, `x0, x1, ...` where the fit had none."""
        names = getattr(self, "feature_names_in_", None)
        return [f"x{k}" for k in range(self.n_features_in_)] if names is None else [str(name) for name in names]

    def _declared(self) -> dict[str, Any]:
        """Parameters, classes and feature names as JSON can hold them."""
        check_is_fitted(self)
        return {
            "format": FORMAT,
            "params": json_values(self.get_params(deep=False)),
            "classes": self.classes_.tolist(),
            "classes_dtype": self.classes_.dtype.str if self.classes_.dtype.kind != "O" else "object",
            "n_features": self.n_features_in_,
            "features": self._names() if hasattr(self, "feature_names_in_") else None,
        }

    def _declare(self, declared: dict[str, Any]) -> Self:
        """Take up again what `_declared` gave, without the parameters."""
        self.classes_ = np.array(declared["classes"], dtype=declared["classes_dtype"])
        self.n_features_in_ = declared["n_features"]
        if declared["features"] is not None:
            self.feature_names_in_ = np.array(declared["features"], dtype=object)
        return self


def probabilities(log_odds: Floats) -> Floats:
    """Both classes' probabilities for log-odds of the second, shape (n, 2).

    >>> probabilities(np.array([0.0])).tolist()
    [[0.5, 0.5]]
    """
    return np.column_stack([expit(-log_odds), expit(log_odds)])


def spread(shares: Floats, total: Floats) -> Floats:
    """Shares of shape (n, k) that sum to `total`: what rounding left over goes to each in proportion to its size.

    >>> spread(np.array([[3.0, -1.0]]), np.array([2.4])).round(12).tolist()
    [[3.3, -0.9]]
    """
    size = np.abs(shares)
    whole = size.sum(axis=1, keepdims=True)
    part = np.where(whole > 0, size / np.where(whole > 0, whole, 1.0), 1.0 / max(1, shares.shape[1]))
    mended: Floats = shares + (total - shares.sum(axis=1))[:, None] * part
    return mended


def residual(shares: Floats, total: Floats) -> float:
    """What `spread` has to spread at most: the largest |total - sum of shares| over the sum of their sizes.

    >>> residual(np.array([[3.0, -1.0]]), np.array([2.4])).__round__(12)
    0.1
    """
    left = np.abs(total - shares.sum(axis=1)) / np.maximum(np.abs(shares).sum(axis=1), 1e-6)
    return float(left.max(initial=0.0))


def binary_labels(labels: Any) -> tuple[npt.NDArray[Any], Integers]:
    """Split labels into (classes, 0/1); `FitError` unless there are exactly two classes.

    >>> binary_labels(["good", "bad", "good"])[1].tolist()
    [1, 0, 1]
    """
    classes, binary = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        raise FitError(
            f"all {len(binary)} rows are of one class ({classes.tolist()}); a model needs good and bad loans: "
            "widen the dates or the default definition"
        )
    if len(classes) > 2:
        kind = type_of_target(labels)
        raise FitError(f"Only binary classification is supported. The type of the target is {kind}.")
    return classes, binary.astype(np.int64)


def class_folds(
    y: Integers, n_folds: int, seed: int, groups: Any = None, *, least: int = 2, use: str = "cross-validation"
) -> Iterator[tuple[Integers, Integers]]:
    """Yield (train, test) rows of stratified folds that never split a group; fewer folds where rows are scarce.

    Raises
    ------
    FitError
        A class has fewer than `least` rows (or groups), so that no split holds both classes on both sides.
    """
    if groups is not None and len(groups) != len(y):
        raise FitError(f"groups has {len(groups)} entries for {len(y)} rows; give one per row")
    if groups is not None and pd.isna(np.asarray(groups)).any():
        raise FitError(f"groups is missing in {int(pd.isna(np.asarray(groups)).sum())} rows; give one per row")
    units = [len(np.unique(np.asarray(groups)[y == k])) if groups is not None else int((y == k).sum()) for k in (0, 1)]
    if min(units) < least:
        counted = "groups" if groups is not None else "rows"
        raise FitError(
            f"{use} needs at least {least} {counted} of each class, there are {units[0]} and {units[1]}; add rows"
        )
    n_folds = max(2, min(n_folds, *units))
    splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(np.zeros(len(y)), y, groups):
        if any(len(np.unique(y[rows])) < 2 for rows in (train, test)):
            raise FitError(f"{use}: a fold of the groups holds one class only; add rows or merge groups")
        yield train, test


def checked_weights(sample_weight: Any, labels: Integers) -> Floats | None:
    """Weights of rows as float64, None where there are none; `FitError` unless both classes have some above 0."""
    if sample_weight is None:
        return None
    try:
        weights: Floats = _check_sample_weight(sample_weight, labels, dtype=np.float64, ensure_non_negative=True)
    except ValueError as error:
        raise FitError(str(error)) from error
    binary_labels(labels[weights > 0])
    return weights


def inner_split(y: Integers, share: float, seed: int, groups: Any = None) -> tuple[Integers, Integers]:
    """Give (train, held-out) rows for early stopping: stratified, groups kept whole, `share` held out."""
    return next(class_folds(y, max(2, round(1 / share)), seed, groups, use="early stopping"))


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    """NumPy numbers as Python's, so that JSON can hold them."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that is the same bytes for the same content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote; `BundleError` where it is missing, broken or of another format."""
    from data_contracts.errors import BundleError

    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path.name} of a saved model cannot be read ({error}); save the model again") from error
    if content.get("format") != FORMAT:
        raise BundleError(f"{path.name} has format {content.get('format')!r}, this version reads {FORMAT}; train again")
    return content


def require_values(estimator: BaseEstimator) -> None:
    """Refuse parameters whose values make no sense; `FitError` lists every one."""
    faults = value_faults(estimator.get_params(deep=False))
    if faults:
        raise FitError(f"{type(estimator).__name__}: {'; '.join(faults)}")


def _in_single_range(rows: Floats, names: Any = None) -> Floats:
    """Rows within the range of single precision, in which the parts hold them; infinite ones are refused."""
    if np.fmax.reduce(rows, axis=None) <= _LARGEST and np.fmin.reduce(rows, axis=None) >= -_LARGEST:
        return rows
    _refuse_infinite(rows, names)
    return np.clip(rows, -_LARGEST, _LARGEST)


def _with_way_out(error: ValueError, X: Any, names: Any = None) -> str:
    """What scikit-learn says of a table, and which columns are meant and what to give instead."""
    told = str(error).strip()
    columns = list(X.columns) if hasattr(X, "columns") else []
    if columns and names is not None and columns != list(names):
        way_out = "Give the columns of the fit in their order: X[list(model.feature_names_in_)]."
        return f"{told}\n{way_out}{_moved(columns, names)}"
    text = [f"{name} ({value!r})" for name, value in _first_texts(X).items()]
    if text:
        return (
            f"{told}; X holds text in {', '.join(text[:5])}{', ...' if len(text) > 5 else ''}. Features are numbers: "
            "give a column of 0 and 1 for each category instead."
        )
    return told


def _moved(columns: list[Any], names: Any) -> str:
    """Which column is the first out of place, where none is new and none is lacking."""
    if len(columns) != len(names) or set(columns) != set(names):
        return ""
    place = next(k for k, name in enumerate(columns) if name != names[k])
    return f" Column {place} is {columns[place]!r} and was {names[place]!r}."


def _first_texts(X: Any) -> dict[Any, Any]:
    """The first value that is no number, by column of a frame."""
    found = {}
    for name, column in X.items() if hasattr(X, "columns") and X.columns.is_unique else ():
        known = column.dropna().astype(object)
        wrong = known[pd.to_numeric(known, errors="coerce").isna()]
        if len(wrong):
            found[name] = wrong.iloc[0]
    return found


def _refuse_infinite(X: Any, names: Any = None) -> None:
    """Name the columns that hold infinity; anything that is not numeric is left to scikit-learn's own check."""
    names = list(X.columns) if hasattr(X, "columns") else names
    try:
        table = np.asarray(X)
        infinite = np.isinf(table if table.dtype.kind != "O" else table.astype(np.float64))
    except (TypeError, ValueError):
        return
    if infinite.ndim != 2 or not infinite.any():
        return
    columns = np.flatnonzero(infinite.any(axis=0))
    found = ", ".join(str(names[k]) if names is not None else f"column {k}" for k in columns[:5])
    raise FitError(
        f"Input X contains infinity in {found} ({int(infinite.any(axis=1).sum())} rows, {len(columns)} columns); "
        "replace it by a number or by NaN = missing"
    )
