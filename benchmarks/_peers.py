"""What a lender would train instead, fold by fold; the peers' own Python runs it, so it imports nothing of ours.

    PYTHON benchmarks/_peers.py MODEL ROWS.parquet OUT.parquet [--seconds N]

ROWS holds `__defaulted`, `__customer` and `__fold`; every other column is a feature, a number or a category. Each row
is scored by the model that was fitted on the other folds. OUT gets the column `pd`, rows in the same order. The last
line on stdout is one JSON object: processor seconds of each fold's fit, and the version of the peer.

Boosting finds its number of rounds on 15 % of the training rows, customers kept whole, and is then fitted anew on all
of them, as ours is.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

LABEL, CUSTOMER, FOLD = "__defaulted", "__customer", "__fold"
THREADS = 1  # two peers run side by side; threads that wait for each other would count as work
_SEED = 1
_ROUNDS, _PATIENCE = 4000, 100
_HELD_OUT = 7  # one of so many parts: 15 %
_BEST_OF_SCORECARD = 60  # characteristics by information value; a scorecard with more is not read by anybody
_LEAST_IV = 0.01
Fitted = Callable[[pd.DataFrame], Any]


def main() -> None:
    """Fit, score and write."""
    parser = argparse.ArgumentParser(description="Out-of-fold PD of a peer.")
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("rows")
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=120.0, help="of AutoGluon, for each fold")
    asked = parser.parse_args()
    rows = pd.read_parquet(asked.rows)
    labels, customers, fold = (rows.pop(name).to_numpy() for name in (LABEL, CUSTOMER, FOLD))
    rows.columns = [f"c{at}" for at in range(rows.shape[1])]  # names that no library stumbles over
    fit, package = MODELS[asked.model]
    scored, used = np.full(len(rows), np.nan), []
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        started = _processor_seconds()
        predict = fit(rows.iloc[train], labels[train], customers[train], asked.seconds)
        used.append(round(_processor_seconds() - started, 2))
        scored[test] = predict(rows.iloc[test])
        print(f"{time.strftime('%H:%M:%S')} {asked.model}: fold {number + 1}", file=sys.stderr, flush=True)
    pd.DataFrame({"pd": scored}).to_parquet(asked.out)
    print(json.dumps({"fit_cpu_seconds": used, "version": f"{package} {importlib.metadata.version(package)}"}))


def _lightgbm(rows: pd.DataFrame, labels: Any, customers: Any, _: float) -> Fitted:
    import lightgbm  # type: ignore[import-not-found]

    learn, held = _inner(labels, customers)
    settings: dict[str, Any] = {
        "learning_rate": 0.02, "num_leaves": 15, "min_child_samples": 50, "colsample_bytree": 0.5, "subsample": 0.8,
        "subsample_freq": 1, "reg_lambda": 5.0, "verbosity": -1, "n_jobs": THREADS, "random_state": _SEED,
    }  # fmt: skip
    stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
    tried = lightgbm.LGBMClassifier(n_estimators=_ROUNDS, **settings)
    tried.fit(rows.iloc[learn], labels[learn], eval_set=[(rows.iloc[held], labels[held])], callbacks=[stop])
    model = lightgbm.LGBMClassifier(n_estimators=max(1, tried.best_iteration_), **settings).fit(rows, labels)
    return lambda some: model.predict_proba(some)[:, 1]


def _catboost(rows: pd.DataFrame, labels: Any, customers: Any, _: float) -> Fitted:
    import catboost  # type: ignore[import-not-found]

    categories = [name for name in rows if isinstance(rows[name].dtype, pd.CategoricalDtype)]

    def ready(some: pd.DataFrame) -> pd.DataFrame:
        named = {str(name): some[name].astype("object").fillna("missing").astype(str) for name in categories}
        return some.assign(**named)

    learn, held = _inner(labels, customers)
    settings: dict[str, Any] = {
        "learning_rate": 0.03, "depth": 6, "l2_leaf_reg": 6.0, "thread_count": THREADS, "random_seed": _SEED,
        "cat_features": categories, "verbose": False, "allow_writing_files": False,
    }  # fmt: skip
    whole = ready(rows)
    tried = catboost.CatBoostClassifier(iterations=_ROUNDS, early_stopping_rounds=_PATIENCE, **settings)
    tried.fit(whole.iloc[learn], labels[learn], eval_set=(whole.iloc[held], labels[held]))
    model = catboost.CatBoostClassifier(iterations=max(1, tried.tree_count_), **settings).fit(whole, labels)
    return lambda some: model.predict_proba(ready(some))[:, 1]


def _scorecard(rows: pd.DataFrame, labels: Any, _: Any, __: float) -> Fitted:
    """Optimal binning of the characteristics that tell most by themselves, then logistic regression on their WoE."""
    from optbinning import BinningProcess  # type: ignore[import-not-found]
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    values = {str(name): _information_value(rows[name].to_numpy(dtype=float), labels) for name in rows}
    strongest = sorted(values, key=lambda name: -values[name])[:_BEST_OF_SCORECARD]
    chosen = [name for name in strongest if values[name] >= _LEAST_IV] or strongest[:1]
    binning = BinningProcess(
        chosen, max_n_prebins=20, min_prebin_size=0.02, n_jobs=THREADS,
        binning_transform_params={name: {"metric": "woe", "metric_missing": "empirical"} for name in chosen},
    )  # fmt: skip
    model = make_pipeline(binning, LogisticRegression(C=0.1, max_iter=2000)).fit(rows[chosen].astype(float), labels)
    return lambda some: model.predict_proba(some[chosen].astype(float))[:, 1]


def _autogluon(rows: pd.DataFrame, labels: Any, customers: Any, seconds: float) -> Fitted:
    from autogluon.tabular import TabularPredictor  # type: ignore[import-not-found]

    learn, held = _inner(labels, customers)
    whole = rows.assign(**{LABEL: labels})
    place = tempfile.TemporaryDirectory(prefix="lendwell-autogluon-")
    predictor = TabularPredictor(LABEL, eval_metric="roc_auc", path=f"{place.name}/models", verbosity=0)
    cores = len(os.sched_getaffinity(0))
    predictor.fit(
        whole.iloc[learn],
        tuning_data=whole.iloc[held],
        time_limit=seconds,
        presets="medium_quality",
        num_cpus=cores,
    )

    def predict(some: pd.DataFrame) -> Any:
        with place:
            return predictor.predict_proba(some)[1].to_numpy()

    return predict


MODELS: dict[str, tuple[Callable[..., Fitted], str]] = {
    "lightgbm": (_lightgbm, "lightgbm"),
    "catboost": (_catboost, "catboost"),
    "scorecard": (_scorecard, "optbinning"),
    "autogluon": (_autogluon, "autogluon.tabular"),
}


def _inner(labels: Any, customers: Any) -> tuple[Any, Any]:
    """Rows to learn from and rows to stop by."""
    single = len(np.unique(customers)) == len(customers)
    splitter = StratifiedKFold if single else StratifiedGroupKFold
    parts = splitter(_HELD_OUT, shuffle=True, random_state=_SEED).split(labels, labels, None if single else customers)
    learn, held = next(iter(parts))
    return learn, held


def _information_value(values: Any, labels: Any, bins: int = 10) -> float:
    """Of ten parts of equal size and the missing values."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0
    edges = np.unique(np.quantile(values[known], np.arange(1, bins) / bins))
    part = np.where(known, np.searchsorted(edges, values, side="left"), len(edges) + 1)
    bad, all_ = (np.bincount(part, weight, len(edges) + 2) for weight in (labels.astype(float), None))
    shares = [(count + 0.5) / (count.sum() + 1.0) for count in (all_ - bad, bad)]
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1]))[all_ > 0].sum())


def _processor_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # of the peers' own making; nobody here could mend them
    main()
