"""XGBoost as a part of the hybrid: seeds averaged in log-odds, risk directions as monotone constraints."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xgboost

from data_contracts.errors import LendwellWarning
from training.estimator import (
    FitError,
    Floats,
    Integers,
    RowClassifier,
    checked_weights,
    inner_split,
    read_json,
    write_json,
)
from training.forest_kernel import Forest, forest_of, walk

_LARGEST = float(np.finfo(np.float32).max)


class NoSplitWarning(LendwellWarning):
    """No tree of the boosted part found a split, so that it tells nobody apart."""


class BoostedClassifier(RowClassifier):
    """Gradient-boosted trees whose number of rounds is found on held-out rows, then refit on all rows.

    Parameters
    ----------
    n_estimators : int, default 1500
        Most rounds that early stopping may choose.
    learning_rate, max_depth, min_child_weight, subsample, colsample_bytree, reg_alpha, reg_lambda, gamma, max_bin
        As in XGBoost.
    monotone : mapping of str to {-1, 0, 1}, optional
        Risk direction by feature name (`x0, x1, ...` where X has no names): with +1 the PD never falls when the
        feature rises.
    n_seeds : int, default 3
        Models whose log-odds are averaged; they differ in the rows and columns they draw.
    early_stopping_rounds : int, default 50
        Rounds without a better held-out log loss before stopping; 0 trains `n_estimators` rounds without a split.
    inner_share : float, default 0.2
        Share of rows held out for early stopping, stratified, and by group when groups are given.
    random_state : int, default 0
        Seed; the same seed gives the same model.
    n_jobs : int, default 1
        Threads; more help on an idle machine only, where threads of XGBoost need not wait for a core.

    Attributes
    ----------
    booster_ : xgboost.Booster
        The trees of all seeds.
    rounds_ : int
        Rounds of each seed.
    history_ : list of list of float
        Held-out log loss by round, one list, where training was stopped early. Not kept by `save`.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> model = BoostedClassifier(min_child_weight=1, n_seeds=1, monotone={"x0": 1}).fit(X, X[:, 0] > 19)
    >>> bool(model.log_odds(X)[0] < 0 < model.log_odds(X)[-1])
    True
    """

    booster_: xgboost.Booster
    rounds_: int
    history_: list[list[float]]
    forest_: Forest

    def __init__(
        self,
        *,
        n_estimators: int = 1500,
        learning_rate: float = 0.04,
        max_depth: int = 4,
        min_child_weight: float = 20.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.5,
        reg_alpha: float = 0.0,
        reg_lambda: float = 1.0,
        gamma: float = 0.0,
        max_bin: int = 256,
        monotone: Mapping[str, int] | None = None,
        n_seeds: int = 3,
        early_stopping_rounds: int = 50,
        inner_share: float = 0.2,
        random_state: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.max_bin = max_bin
        self.monotone = monotone
        self.n_seeds = n_seeds
        self.early_stopping_rounds = early_stopping_rounds
        self.inner_share = inner_share
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> Self:
        """Find the number of rounds on held-out rows, then train every seed on all rows.

        Parameters
        ----------
        X : DataFrame or ndarray, shape (n, n_features)
            NaN = missing.
        y : array, shape (n,)
            Two classes; the second in order is the bad one.
        groups : array, shape (n,), optional
            Rows of one group (a customer) stay on one side of the inner split.
        sample_weight : array, shape (n,), optional
            How much each row counts, 0 for not at all; all alike by default.

        Raises
        ------
        FitError
            One class only, too few rows, infinite values, or a risk direction for an unknown feature.

        Warns
        -----
        NoSplitWarning
            No tree found a split: every row gets the same PD.
        """
        rows, labels = self._start_fit(X, y)
        each = checked_weights(sample_weight, labels)
        params = self._training_params()
        self.rounds_ = self._rounds(params, rows, labels, groups, each)
        matrix = self._matrix(rows, labels, each)
        self.booster_ = _averaged(
            [
                xgboost.train({**params, "seed": self.random_state + k}, matrix, self.rounds_)
                for k in range(self.n_seeds)
            ]
        )
        self.forest_ = forest_of(self.booster_)
        if not self.booster_.get_score(importance_type="weight"):
            warnings.warn(NoSplitWarning(self._why_no_split(rows, labels, each)), stacklevel=2)
        return self

    def log_odds(self, X: Any) -> Floats:
        """Mean log-odds of the seeds, float64, shape (n,)."""
        rows = np.ascontiguousarray(self._rows(X))
        answers = np.empty(len(rows), dtype=np.float32)
        walk(self.forest_, rows, answers)
        return answers.astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write `boosted.json` and `boosted.ubj` into `folder`."""
        write_json(folder / "boosted.json", {**self._declared(), "rounds": self.rounds_})
        (folder / "boosted.ubj").write_bytes(bytes(self.booster_.save_raw("ubj")))

    @classmethod
    def load(cls, folder: Path) -> BoostedClassifier:
        """Read what `save` wrote; `BundleError` where a file is missing or broken."""
        from data_contracts.errors import BundleError

        declared = read_json(folder / "boosted.json")
        model = cls(**declared["params"])._declare(declared)
        model.rounds_ = declared["rounds"]
        try:
            content = (folder / "boosted.ubj").read_bytes()
            model.booster_ = xgboost.Booster({"nthread": 1}, model_file=bytearray(content))
        except (OSError, xgboost.core.XGBoostError) as error:
            raise BundleError(f"the boosted part of a saved model cannot be read ({error}); train again") from error
        model.forest_ = forest_of(model.booster_)
        return model

    def _matrix(
        self, rows: Floats, labels: Integers, each: Floats | None, at: Any = slice(None)
    ) -> xgboost.QuantileDMatrix:
        weight = None if each is None else each[at]
        return xgboost.QuantileDMatrix(
            single(rows[at]), labels[at], weight=weight, max_bin=self.max_bin, nthread=self.n_jobs
        )

    def _rounds(self, params: dict[str, Any], rows: Floats, labels: Integers, groups: Any, each: Floats | None) -> int:
        self.history_ = []
        if not self.early_stopping_rounds:
            return self.n_estimators
        judged: dict[str, dict[str, list[float]]] = {}
        train, held = inner_split(labels, self.inner_share, self.random_state, groups)
        weight = None if each is None else each[held]
        unseen = xgboost.DMatrix(single(rows[held]), labels[held], weight=weight, nthread=self.n_jobs)
        booster = xgboost.train(
            {**params, "seed": self.random_state},
            self._matrix(rows, labels, each, train),
            self.n_estimators,
            evals=[(unseen, "held")],
            early_stopping_rounds=self.early_stopping_rounds,
            evals_result=judged,
            verbose_eval=False,
        )
        self.history_.append(judged["held"]["logloss"])
        return int(booster.best_iteration) + 1

    def _why_no_split(self, rows: Floats, labels: Integers, each: Floats | None) -> str:
        share = float(np.average(labels, weights=each))
        held = share * (1.0 - share) * (len(labels) if each is None else float(each.sum())) * self.subsample
        absent = np.isnan(rows).mean(axis=0)
        if not ((np.fmin.reduce(rows) < np.fmax.reduce(rows)) | ((absent > 0) & (absent < 1))).any():
            why = "no feature varies. Look at how the features were made"
        elif held < 2.0 * self.min_child_weight:
            why = (
                f"each side of a split must hold min_child_weight={self.min_child_weight:g} in the sum of p * (1 - p), "
                "and the rows hold too little of it for two. Lower min_child_weight, or bring more rows"
            )
        else:
            why = "none gains what gamma, reg_alpha and reg_lambda ask for. Look at features and target, or lower them"
        return f"XGBoost found no split, so that every row gets the same PD: {why}."

    def _training_params(self) -> dict[str, Any]:
        given = self.get_params(deep=False)
        names = ("learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "reg_alpha")
        params = {name: given[name] for name in (*names, "reg_lambda", "gamma", "max_bin")}
        fixed = {"objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "verbosity": 0}
        return {**params, **fixed, "nthread": self.n_jobs, "monotone_constraints": self._directions()}

    def _directions(self) -> tuple[int, ...]:
        """Monotone constraints in the order of the features."""
        monotone, names = dict(self.monotone or {}), self._names()
        faults = [f"{name!r} is not a feature" for name in monotone if name not in names]
        faults += [
            f"{name!r} has direction {way!r}, not -1, 0 or 1" for name, way in monotone.items() if way not in (-1, 0, 1)
        ]
        if faults:
            raise FitError(f"risk directions (monotone): {'; '.join(faults)}")
        return tuple(int(monotone.get(name, 0)) for name in names)


def _averaged(boosters: list[xgboost.Booster]) -> xgboost.Booster:
    """One booster that answers with the mean of several: all their trees, each leaf divided by their number.

    It answers a request in a third of the time of five. Fields are those of XGBoost's model schema (doc/model.schema).
    """
    models = [json.loads(bytes(booster.save_raw("json"))) for booster in boosters]
    forests = [model["learner"]["gradient_booster"]["model"] for model in models]
    trees = [tree for forest in forests for tree in forest["trees"]]
    for number, tree in enumerate(trees):
        leaves = [left == -1 for left in tree["left_children"]]
        tree["id"] = number
        tree["base_weights"] = [weight / len(models) for weight in tree["base_weights"]]
        tree["split_conditions"] = [
            value / len(models) if leaf else value for value, leaf in zip(tree["split_conditions"], leaves, strict=True)
        ]
    forests[0] |= {
        "trees": trees,
        "tree_info": [0] * len(trees),
        "iteration_indptr": list(range(len(trees) + 1)),
        "gbtree_model_param": {**forests[0]["gbtree_model_param"], "num_trees": str(len(trees))},
    }
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(json.dumps(models[0]).encode()))


def single(rows: Floats) -> npt.NDArray[np.float32]:
    """Rows in single precision, as XGBoost holds them; a number beyond it stays the largest one, not infinite."""
    return np.clip(rows, -_LARGEST, _LARGEST).astype(np.float32)
