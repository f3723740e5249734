"""Explanation's promise: 500 trees in 300 µs a row, the whole hybrid in 5 ms, shares that add up and rank as Shapley's.

    python -m benchmarks.explain [--rows N] [--features N] [--trees N] [--depth N] [--shap-rows N]

A hybrid of 500 trees of depth 5, a tabular net and a sequence net is trained on random applicants: 250 features with
missing values, and the 64 last events of each from the sources that requests have. It is explained against 100 of them.

The last line on stdout is one JSON object. Of the trees: `table_seconds` to compute the tables and `table_mb`,
`tree_single_row_us` of one row by itself and `batch_us_per_row` of many; `shap_us_per_row` of shap.TreeExplainer
(interventional, the same trees, rows and background), `ratio_to_shap` of the two for many rows, and
`max_abs_difference_to_shap`. Of the hybrid: `single_row_ms`, log-odds included, median of rows by themselves, and
`single_row_cpu_ms` of it; `score_ms` of the log-odds alone; `additivity_max_abs`; `fidelity` of each net beside sampled
Shapley values, and the lesser of their mean rank correlations as `reference_rank_correlation`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import shap
from scipy.special import expit

from evaluation.attribution import Explainer
from evaluation.fidelity import audit
from features.sequences import KINDS, SOURCES, EventSequences
from training.boosted import BoostedClassifier, single
from training.estimator import Floats
from training.hybrid import HybridClassifier
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier
from training.tree_attribution import TreeAttribution

_BACKGROUND, _LENGTH, _WARM = 100, 64, 20
_PRESENT = 0.45  # of the sources that an applicant has events of


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and fidelity of explanations, beside shap.")
    parser.add_argument("--rows", type=int, default=2_000, help="trained on; the half of them is explained")
    parser.add_argument("--features", type=int, default=250)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--shap-rows", type=int, default=20, help="few, as it is slow")
    parser.add_argument("--calls", type=int, default=200, help="of one row")
    asked = parser.parse_args()
    started = time.perf_counter()
    X, events, defaulted = _applicants(asked.rows, asked.features)
    _say(f"training on {asked.rows} rows of {asked.features} features")
    model = _hybrid(asked.trees, asked.depth).fit(X, defaulted, sequences=events)
    _say(f"weights {model.weights_}")
    gc.collect()
    gc.freeze()  # as the service keeps the garbage collector
    trees, of_trees = _trees(model.parts_["boosted"], X, asked.shap_rows, asked.calls)
    _say(f"trees {of_trees}")
    explainer = Explainer(model, X[:_BACKGROUND], events.take(np.arange(_BACKGROUND)), trees)
    of_hybrid = _hybrid_figures(explainer, X, events, asked.calls)
    _say(f"hybrid {of_hybrid}")
    fidelity = audit(explainer, X[_BACKGROUND:], events.take(np.arange(_BACKGROUND, asked.rows)))
    measured = {
        "trees": asked.trees,
        "depth": asked.depth,
        "features": asked.features,
        "cores": len(os.sched_getaffinity(0)),
        "weights": {name: round(weight, 3) for name, weight in model.weights_.items()},
        **of_trees,
        **of_hybrid,
        "fidelity": [asdict(one) for one in fidelity],
        "reference_rank_correlation": round(min(one.rank_correlation for one in fidelity), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(measured))
    gc.unfreeze()


def _applicants(n: int, n_features: int) -> tuple[Floats, EventSequences, Any]:
    """Features of which some are missing and half of which matter, one by one and in pairs, and events that matter."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_features))
    X[rng.random(X.shape) < 0.1] = np.nan
    present = rng.random((n, len(SOURCES))) < _PRESENT
    source = rng.integers(1, len(SOURCES) + 1, (n, _LENGTH))
    source *= np.take_along_axis(np.pad(present, ((0, 0), (1, 0))), source, axis=1)
    source = np.take_along_axis(source, np.argsort(source > 0, axis=1, kind="stable"), axis=1)
    kind = np.where(source > 0, rng.integers(1, len(KINDS) + 1, source.shape), 0)
    values = np.abs(rng.normal(3, 1.5, (*source.shape, 3))) * (source > 0)[..., None]
    known = np.nan_to_num(X[:, : n_features // 2])
    risk = known @ rng.normal(size=known.shape[1]) / np.sqrt(known.shape[1])
    risk += known[:, 0] * known[:, 1] + 0.15 * (source == 2).sum(axis=1) - 0.7
    events = EventSequences(source, kind, values.astype(np.float32), SOURCES, KINDS)
    return X, events, (rng.random(n) < expit(2 * risk)).astype(int)


def _hybrid(trees: int, depth: int) -> HybridClassifier:
    return HybridClassifier(
        boosted=BoostedClassifier(
            n_estimators=trees, max_depth=depth, learning_rate=0.05, min_child_weight=1, n_seeds=1,
            early_stopping_rounds=0, colsample_bytree=0.3, max_bin=64,
        ),
        tabular_net=TabularNetClassifier(max_epochs=6),
        sequence_net=SequenceNetClassifier(max_epochs=4),
        n_folds=2,
    )  # fmt: skip


def _trees(part: Any, X: Floats, shap_rows: int, calls: int) -> tuple[TreeAttribution, dict[str, float]]:
    """The tables, and their figures beside shap's."""
    background, rows = X[:_BACKGROUND], X[len(X) // 2 :]
    TreeAttribution.of(part, background[:2]).shares(rows[:2])  # compiles
    started = time.perf_counter()
    trees = TreeAttribution.of(part, background)
    table_seconds = time.perf_counter() - started
    batch = min(_seconds(trees.shares, rows) for _ in range(3)) / len(rows)
    alone = [_seconds(trees.shares, rows[[at % len(rows)]]) for at in range(5 * calls)][_WARM:]
    known = shap.TreeExplainer(
        part.booster_, single(background), feature_perturbation="interventional", model_output="raw"
    )
    known.shap_values(single(rows[:1]))
    started = time.perf_counter()
    wanted = known.shap_values(single(rows[:shap_rows]))
    of_shap = (time.perf_counter() - started) / shap_rows
    return trees, {
        "table_seconds": round(table_seconds, 2),
        "table_mb": round(trees.tables.shares.nbytes / 1e6, 1),
        "tree_single_row_us": round(float(np.median(alone)) * 1e6, 1),
        "batch_us_per_row": round(batch * 1e6, 1),
        "shap_us_per_row": round(of_shap * 1e6, 1),
        "ratio_to_shap": round(of_shap / batch, 1),
        "max_abs_difference_to_shap": float(np.abs(trees.shares(rows[:shap_rows]) - wanted).max()),
    }


def _hybrid_figures(explainer: Explainer, X: Floats, events: EventSequences, calls: int) -> dict[str, float]:
    found = explainer(X[_BACKGROUND : 5 * _BACKGROUND], events.take(np.arange(_BACKGROUND, 5 * _BACKGROUND)))
    wall, processor, score = [], [], []
    for at in range(len(X) - calls - _WARM, len(X)):
        row, event = X[[at]], events.take([at])
        used = time.thread_time()
        wall.append(_seconds(explainer, row, event))
        processor.append(time.thread_time() - used)
        score.append(_seconds(explainer.model.log_odds, row, event))
    medians = (round(float(np.median(took[_WARM:])) * 1e3, 3) for took in (wall, processor, score))
    names = ("single_row_ms", "single_row_cpu_ms", "score_ms")
    return {
        **dict(zip(names, medians, strict=True)),
        "single_row_p90_ms": round(float(np.quantile(wall[_WARM:], 0.9)) * 1e3, 3),
        "additivity_max_abs": found.additivity_error,
        "completeness_error": found.completeness_error,
    }


def _seconds(call: Callable[..., Any], *given: Any) -> float:
    started = time.perf_counter()
    call(*given)
    return time.perf_counter() - started


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
