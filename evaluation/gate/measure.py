"""Measures what a gate judges by: a bundle on a folder with outcomes, against the champion where there is another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas
from scipy.special import expit

from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from evaluation import metrics
from evaluation.attribution import Explainer
from evaluation.comparison import compare
from evaluation.fairness import Fairness, age_bands, fairness
from evaluation.gate.criteria import CRITERIA
from evaluation.gate.declaration import Measuring
from evaluation.gate.figures import gini_fall, mean_pd_ratio
from evaluation.gate.verdict import Evidence
from evaluation.metric import Array, Integers, Metric
from evaluation.missing_sources import folder_of
from evaluation.segments import months
from evaluation.stability import drift_over_time
from reporting.page import Text
from training.bundle import Bundle
from training.experiment import Experiment
from training.reference import Distribution, Reference
from training.run import Progress, Rows, prepare_for
from training.splits import divide
from training.targets import label

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
        "score_psi": _score_psi(bundle.reference.score, found.log_odds, how.seed),
        "additivity": _additivity(bundle, found, how),
    }
    fair, absent = _adverse_impact(found, folder, pd, how)
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
    month = months(found.rows.applied_at)
    return gini_fall(found.rows.defaulted, found.log_odds, month, defaults=how.month_defaults, months=how.months)


def _additivity(bundle: Bundle, found: Judgeable, how: Measuring) -> Metric:
    drawn = found.sample(how.explained_rows, how.seed)
    features = found.rows.features.iloc[drawn].reset_index(drop=True)
    events = None if bundle.background_sequences is None else found.rows.events.take(drawn)
    return Metric(Explainer.of(bundle)(features, events).additivity_error, None, None, len(drawn))


def _score_psi(reference: Distribution, score: Array, seed: int) -> Metric:
    """PSI of the score alone, all rows being one period."""
    rows, period = pandas.DataFrame(index=range(len(score))), np.zeros(len(score), dtype=np.int64)
    (found,) = drift_over_time(Reference((), reference), rows, score, period, seed=seed)
    return found.score_psi


def _adverse_impact(
    found: Judgeable, folder: TableFolder, pd: Array, how: Measuring
) -> tuple[dict[str, Metric], dict[str, Text]]:
    """By each attribute that the lender knows of anybody, at the gate's approval rate; and those it does not know."""
    told = folder.read("applications", ["application_id", "gender", "age_years"]).set_index("application_id")
    told = told.loc[found.rows.features.index]
    groups = {"gender": told["gender"], "age": age_bands(told["age_years"])}
    known = pandas.DataFrame({name: group for name, group in groups.items() if group.notna().any()})
    cutoff = float(np.sort(pd)[int(np.ceil(how.approval_rate * len(pd) - 1e-9)) - 1])
    compared = fairness(found.rows.defaulted, pd, known, cutoff=cutoff, least_rows=how.group_rows, seed=how.seed)
    figures = {f"adverse_impact_{one.attribute}": _with_groups(one) for one in compared}
    return figures, {name: _UNKNOWN for name in map("adverse_impact_{}".format, groups) if name not in figures}


def _with_groups(found: Fairness) -> Metric:
    """The ratio, noting whose shares it is of and who is left out."""
    ratio = found.adverse_impact_ratio
    compared = sorted(
        (group.approved.value, f"{group.name} {group.approved.value:.1%}")
        for group in found.groups
        if group.name not in found.too_small and group.approved.value is not None
    )
    left = sum(group.n for group in found.groups if group.name in found.too_small) + found.unknown
    zh, en = [ratio.note_zh] * bool(ratio.note_zh), [ratio.note] * bool(ratio.note)
    if len(compared) > 1:
        (_, least), (_, most) = compared[0], compared[-1]
        zh, en = [*zh, f"通过率：{least}，{most}"], [*en, f"approved: {least} against {most}"]
    if left:
        zh, en = [*zh, f"群体未知或过小者{left}人"], [*en, f"{left} applicants in no group or a small one"]
    return replace(ratio, note="; ".join(en), note_zh="；".join(zh))


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
