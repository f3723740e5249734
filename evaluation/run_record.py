"""What is told of a training in its MLflow run: figures on each fold, loss by round or epoch, drawings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scipy.special import expit

from evaluation.metrics import auc, ece
from evaluation.report import plots
from evaluation.tables import calibration_table
from reporting.page import Plot, Text
from training.bundle import Bundle
from training.curves import as_svg, learning_plots, search_plots
from training.hybrid import HybridClassifier
from training.run import Rows
from training.tune import Tuning


def out_of_fold(model: HybridClassifier, rows: Rows) -> tuple[list[dict[str, Any]], dict[str, dict[int, float]]]:
    """AUC of every part, of the blend and calibrated, on each fold that it has not learnt from, and on all (fold 0).

    Returns
    -------
    folds : list of dict
        `fold`, `model`, `rows`, `defaults`, `auc`, `auc_low`, `auc_high` (DeLong, 95 %), on all rows also `ece`.
    by_fold : dict of str to dict of int to float
        The same by metric, `fold_auc_boosted` and the like, and fold.
    """
    y = rows.defaulted[rows.sample.train]
    # Granted applications come first; refused ones that were learnt from have no outcome to be measured by.
    scores, number = model.oof_log_odds_.iloc[: len(y)], model.oof_fold_[: len(y)]
    folds: list[dict[str, Any]] = []
    by_fold: dict[str, dict[int, float]] = {}
    for fold in range(int(number.max()) + 2):
        at = number >= 0 if fold == 0 else number == fold - 1
        for name in scores.columns:
            log_odds = scores[name].to_numpy()[at]
            area = auc(y[at], log_odds)
            figures = {"auc": area.value, "auc_low": area.low, "auc_high": area.high}
            if fold == 0 and name == "calibrated":
                error = ece(y, expit(log_odds))
                figures |= {"ece": error.value, "ece_low": error.low, "ece_high": error.high}
            folds.append({"fold": fold, "model": name, "rows": int(at.sum()), "defaults": int(y[at].sum()), **figures})
            for kind, value in figures.items():
                if fold and value is not None:
                    by_fold.setdefault(f"fold_{_named(kind, name)}", {})[fold] = value
    return folds, by_fold


def _named(kind: str, model: str) -> str:
    """`auc_low` of `boosted` is `auc_boosted_low`."""
    figure, _, bound = kind.partition("_")
    return f"{figure}_{model}" + (f"_{bound}" if bound else "")


def overall(folds: list[dict[str, Any]]) -> dict[str, float]:
    """Out-of-fold figures over all training rows: `oof_auc_boosted`, `oof_auc_boosted_low`, ..., `oof_ece`."""
    kinds = ("auc", "auc_low", "auc_high", "ece", "ece_low", "ece_high")
    return {
        f"oof_{kind if kind.startswith('ece') else _named(kind, row['model'])}": float(row[kind])
        for row in folds
        for kind in kinds
        if row["fold"] == 0 and row.get(kind) is not None
    }


def learning(model: HybridClassifier) -> dict[str, dict[int, float]]:
    """Held-out log loss of each part's first seed by round or epoch, as `curve_boosted` and the like."""
    first = {name: part.history_[0] if part.history_ else [] for name, part in model.parts_.items()}
    return {f"curve_{name}": dict(enumerate(losses, start=1)) for name, losses in first.items() if losses}


def by_trial(best: Tuning) -> dict[str, dict[int, float]]:
    """AUC of each finished trial of the search by its number, as `tuning_auc`."""
    complete = best.trials[best.trials["state"] == "COMPLETE"]
    return {"tuning_auc": dict(zip(complete["number"].tolist(), complete["value"].tolist(), strict=True))}


def draw_curves(bundle: Bundle, rows: Rows, folder: Path) -> None:
    """Write loss by round or epoch, and ROC and calibration on the test rows."""
    folder.mkdir()
    learnt = learning_plots({name: part.history_ for name, part in bundle.model.parts_.items()})
    if learnt:
        (folder / "learning.svg").write_text(as_svg(learnt), encoding="utf-8")
    at = rows.sample.test
    y, pd = rows.defaulted[at], expit(bundle.model.decision_function(rows.features.iloc[at], rows.events.take(at)))
    if len(set(y.tolist())) < 2:
        return
    table = calibration_table(y, pd)
    columns = (table[name].to_numpy() for name in ("mean_pd", "observed", "low", "high"))
    tested = [
        Plot(
            plots.roc([(y, pd)]),
            Text("测试样本 ROC 曲线", "ROC curve on the test rows"),
            Text("好客户中被判为坏的占比", "Share of good loans flagged"),
            Text("坏客户中被识别的占比", "Share of bad loans found"),
        ),
        Plot(
            plots.reliability(*columns),
            Text("测试样本校准曲线", "Calibration on the test rows"),
            Text("平均 PD", "Mean PD"),
            Text("实际坏账率（95% 区间）", "Observed bad rate (95 % interval)"),
        ),
    ]
    (folder / "test.svg").write_text(as_svg(tested), encoding="utf-8")


def write_search(best: Tuning, folder: Path) -> None:
    """Write every trial, what the parameters matter, and both as a drawing."""
    folder.mkdir()
    best.trials.to_csv(folder / "trials.csv", index=False)
    (folder / "importances.json").write_text(json.dumps(best.importances, indent=2) + "\n", encoding="utf-8")
    (folder / "search.svg").write_text(as_svg(search_plots(best)), encoding="utf-8")
