"""Measures what a gate judges by: a bundle on a folder with outcomes, against the champion where there is another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas
from scipy.special import expit

from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from evaluation import metrics
from evaluation.attribution import explain
from evaluation.comparison import compare
from evaluation.gate.criteria import CRITERIA
from evaluation.gate.declaration import Measuring
from evaluation.gate.figures import adverse_impact, age_band, gini_fall, mean_pd_ratio, score_psi
from evaluation.gate.verdict import Evidence
from evaluation.metrics import Array, Integers, Metric
from evaluation.missing_sources import folder_of
from reporting.page import Text
from training.bundle import Bundle
from training.experiment import Experiment
from training.run import Progress, Rows, prepare_for
from training.splits import divide
from training.targets import LOCAL, label

_FIRST = Text("首个模型，没有其他冠军模型可比。", "A first model: there is no other champion to be compared with.")
_COMPARED = Text("已与冠军模型比较。", "It is compared with the champion instead.")
_UNDATED = Text("该机构的日期为虚构，没有月份可言。", "The lender's dates are made up, so there are no months.")
_UNKNOWN = Text("该机构的申请中没有此属性。", "No application of the lender tells this attribute.")


@dataclass(frozen=True)
class Judgeable:
    """The rows that a bundle is judged on.

    Parameters
    ----------
    rows : Rows
        On the folder that the bundle was trained on its test rows, on another one all labelled rows.
    log_odds : ndarray, shape (n,)
        What the bundle says of them, in batch.
    """

    rows: Rows
    log_odds: Array

    def sample(self, size: int, seed: int) -> Integers:
        """Positions drawn at random; the same seed draws the same."""
        return np.sort(np.random.default_rng(seed).permutation(len(self.log_odds))[:size])


def judgeable(bundle: Bundle, folder: TableFolder, progress: Progress | None = None) -> Judgeable:
    """Features, outcomes and log-odds of the rows that a bundle is judged on.

    Raises
    ------
    TrainingError
        Where not both outcomes are among them.
    """
    experiment = Experiment(**bundle.facts["experiment"])
    with TemporaryDirectory() as place:
        judged = folder
        if folder.identity == bundle.facts["data_identity"]:
            judged = folder_of(folder, _tested(experiment, folder), Path(place))
        rows = prepare_for(experiment, judged, progress, divided=False)
    return Judgeable(rows, bundle.model.decision_function(rows.features, rows.events))


def _tested(experiment: Experiment, folder: TableFolder) -> pandas.Index:
    """Applications that the experiment tested on; features of all the others need not be computed for that."""
    labels = label(folder, experiment.target)
    who = folder.read("applications", ["application_id", "customer_id", "applied_at"]).set_index("application_id")
    who = who.loc[labels.defaulted.index]
    sample = divide(who["customer_id"], who["applied_at"], experiment.split, experiment.seed, labels.known_at)
    return who.index[sample.test]


def measure(
    bundle: Bundle,
    found: Judgeable,
    folder: TableFolder,
    how: Measuring,
    *,
    champion: Bundle | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Measure what needs no service: discrimination, calibration, stability, fairness and additivity.

    Parameters
    ----------
    bundle : Bundle
    found : Judgeable
        From `judgeable` of this bundle and folder.
    folder : TableFolder
        Records with outcomes.
    how : Measuring
        Of the gate.
    champion : Bundle, optional
        Whom the bundle is to follow, if another.

    Returns
    -------
    Evidence
        Without the figures of the implementation, which `serving.rehearsal` measures.
    """
    y, pd = found.rows.defaulted, expit(found.log_odds)
    if progress:
        progress("gate: figures", 0.1)
    slope, _ = metrics.calibration_line(y, pd)
    figures = {
        "auc": metrics.auc(y, pd),
        "calibration_slope": slope,
        "calibration_error": metrics.ece(y, pd, seed=how.seed),
        "mean_pd_ratio": mean_pd_ratio(y, pd),
        "score_psi": score_psi(bundle.reference.score, found.log_odds),
        "additivity": _additivity(bundle, found, how),
    }
    fair, absent = _fairness(found, folder, pd, how)
    if folder.dates == "relative":
        absent["gini_fall"] = _UNDATED
    else:
        figures["gini_fall"] = _gini_fall(found, how)
    facts: dict[str, Any] = _facts(bundle, found, folder, how)
    if champion is None:
        absent["auc_difference"] = _FIRST
    else:
        if progress:
            progress("gate: champion on the same rows", 0.4)
        figures["auc_difference"], facts["compared"] = _against(champion, bundle, folder, how)
        absent["auc"] = _COMPARED
        del figures["auc"]
        facts["auc"] = metrics.auc(y, pd).to_dict()
    return Evidence({**figures, **fair}, absent, facts)


def unmeasured(folder: TableFolder, fault: LendwellError) -> Evidence:
    """Evidence of rows that nothing can be measured on, such as those of one outcome: no figure, but the reason."""
    told = Metric(None, None, None, 0, str(fault).rstrip("."), f"样本无法评审（{fault}）")
    return Evidence(dict.fromkeys(CRITERIA, told), {}, {"lender": folder.lender, "data_identity": folder.identity})


def _gini_fall(found: Judgeable, how: Measuring) -> Metric:
    month = (found.rows.applied_at + LOCAL).dt.strftime("%Y-%m")
    return gini_fall(found.rows.defaulted, found.log_odds, month, defaults=how.month_defaults, months=how.months)


def _additivity(bundle: Bundle, found: Judgeable, how: Measuring) -> Metric:
    drawn = found.sample(how.explained_rows, how.seed)
    features = found.rows.features.iloc[drawn].reset_index(drop=True)
    events = None if bundle.background_sequences is None else found.rows.events.take(drawn)
    split = explain(bundle.model, features, events, bundle.background_features, bundle.background_sequences)
    if not len(drawn):
        return Metric(None, None, None, 0, "no rows", "没有样本")
    return Metric(split.additivity_error, None, None, len(drawn))


def _fairness(
    found: Judgeable, folder: TableFolder, pd: Array, how: Measuring
) -> tuple[dict[str, Metric], dict[str, Text]]:
    """Adverse impact by each attribute that the lender knows of anybody, and those that it does not know."""
    told = folder.read("applications", ["application_id", "gender", "age_years"]).set_index("application_id")
    told = told.loc[found.rows.features.index]
    groups = {"adverse_impact_gender": told["gender"], "adverse_impact_age": age_band(told["age_years"])}
    figures = {
        name: adverse_impact(group, pd, approval_rate=how.approval_rate, rows=how.group_rows)
        for name, group in groups.items()
        if group.notna().any()
    }
    return figures, {name: _UNKNOWN for name in groups if name not in figures}


def _against(
    champion: Bundle, bundle: Bundle, folder: TableFolder, how: Measuring
) -> tuple[Metric, dict[str, Any] | None]:
    """AUC of the bundle minus the champion's on the same applications, and the swap set; or why there is none."""
    try:
        compared = compare(champion, bundle, folder, approval_rate=how.approval_rate, seed=how.seed)
    except LendwellError as fault:
        return Metric(None, None, None, 0, str(fault).rstrip("."), f"两个模型无法比较（{fault}）"), None
    granted = compared.populations[0]
    facts = {
        "rows": granted.rows,
        "defaults": granted.bad,
        "auc": {"champion": granted.champion["auc"].to_dict(), "challenger": granted.challenger["auc"].to_dict()},
        "swap_set": asdict(granted.swaps),
    }
    return granted.difference["auc"], facts


def _facts(bundle: Bundle, found: Judgeable, folder: TableFolder, how: Measuring) -> dict[str, Any]:
    dates = found.rows.applied_at
    return {
        "lender": folder.lender,
        "data_identity": folder.identity,
        "unseen_folder": folder.identity != bundle.facts["data_identity"],
        "feature_set_identity": bundle.feature_set.identity,
        "rows": len(found.log_odds),
        "defaults": int(found.rows.defaulted.sum()),
        "first": None if dates.empty else f"{dates.min():%Y-%m-%d}",
        "last": None if dates.empty else f"{dates.max():%Y-%m-%d}",
        "seed": how.seed,
    }
