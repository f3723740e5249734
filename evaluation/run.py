"""Measure a bundle on rows it has not learnt from and write the reviewer's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from data_contracts.folder import TableFolder
from evaluation.attribution import Attributions, Explainer
from evaluation.metrics import Metric
from evaluation.metrics import evaluate as measure
from evaluation.missing_sources import WithoutSource, without_sources
from evaluation.report.build import build_report
from evaluation.report.inputs import Exclusion, Part, ReportInput, Split
from evaluation.tables import wilson
from reporting.page import Text
from training.bundle import Bundle
from training.experiment import Experiment
from training.run import Progress, Rows, prepare_for

EXPLAINED_ROWS = 300


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Parameters
    ----------
    metrics : dict of str to Metric
        On the rows the model has not learnt from.
    rows : int
        How many those are.
    additivity_error : float
        Largest difference between attributions and log-odds over the explained rows.
    report : str
        The reviewer's report as HTML.
    without : tuple of WithoutSource
        How it fares on the same rows without each of its sources.
    """

    metrics: dict[str, Metric]
    rows: int
    additivity_error: float
    report: str
    without: tuple[WithoutSource, ...] = ()

    def figures(self) -> dict[str, float]:
        """Plain numbers: every metric with its interval, `auc`, `auc_low`, ..., and `auc_without_bureau`, ..."""
        found: dict[str, float] = {}
        for name, metric in self.metrics.items():
            for suffix, value in (("", metric.value), ("_low", metric.low), ("_high", metric.high)):
                if value is not None:
                    found[f"{name}{suffix}"] = float(value)
        for missing in self.without:
            found |= missing.figures()
        return {**found, "additivity_error": self.additivity_error}


def evaluate(
    bundle: Bundle,
    folder: TableFolder,
    *,
    rows: Rows | None = None,
    created: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a bundle on a folder's labelled applications and write its report.

    On the folder it was trained on, only the test rows count; on any other folder, all rows.

    Parameters
    ----------
    bundle : Bundle
        What to measure.
    folder : TableFolder
        Records with outcomes.
    rows : Rows, optional
        The folder's rows, where they are at hand from training.
    created : str
        Printed in the report; empty prints none.
    """
    experiment = Experiment(**bundle.facts["experiment"])
    own = folder.identity == bundle.facts["data_identity"]
    if rows is None:
        rows = prepare_for(experiment, folder, progress, divided=own)
    tested = rows.sample.test if own else np.arange(len(rows.defaulted))
    if progress:
        progress("evaluation: scores", 0.2)
    splits = [_split(bundle, rows, tested, "test", in_sample=False)]
    if own:
        splits.insert(0, _split(bundle, rows, rows.sample.train, "train", in_sample=True))
    chosen = tested[np.sort(np.random.default_rng(experiment.seed).permutation(len(tested))[:EXPLAINED_ROWS])]
    if progress:
        progress("evaluation: attributions", 0.4)
    explained, attributions = _explained(bundle, rows, chosen)
    if progress:
        progress("evaluation: without each source", 0.6)
    without = tuple(without_sources(bundle, folder, rows, tested, splits[-1].pd))
    if progress:
        progress("evaluation: report", 0.7)
    report = build_report(
        ReportInput(
            model=bundle.name,
            decision_point=bundle.decision_point,
            lender=folder.lender,
            bundle_identity=bundle.identity,
            feature_set=bundle.feature_set.name,
            feature_set_identity=bundle.feature_set.identity,
            data_identity=folder.identity,
            experiment=bundle.facts["experiment_text"],
            split_method=_split_text(bundle) if own else Text("全部为未见过的样本", "All rows are unseen"),
            seeds={"experiment": experiment.seed},
            target=_target_text(experiment),
            splits=splits,
            sample_notes=_rejects_text(bundle),
            exclusions=[Exclusion(Text(left.zh, left.en), left.count) for left in rows.left_out],
            features=bundle.feature_set.features,
            explained=explained,
            attributions=attributions,
            log_odds=attributions.log_odds,
            parts=_parts(bundle),
            calibrator=bundle.model.calibrator_.kind,
            without=without,
            missing_rates={str(name): float(rate) for name, rate in rows.features.isna().mean().items()},
            hashes={**{f"data/{name}": value for name, value in folder.hashes.items()}, "bundle": bundle.identity},
            limitations=_limitations(bundle, splits[-1]),
            created=created,
            seed=experiment.seed,
        )
    )
    metrics = measure(rows.defaulted[tested], splits[-1].pd, seed=experiment.seed)
    return Evaluation(metrics, len(tested), attributions.additivity_error, report, without)


def _split(bundle: Bundle, rows: Rows, at: npt.NDArray[np.int64], name: str, *, in_sample: bool) -> Split:
    features, events = rows.features.iloc[at], rows.events.take(at)
    parts = bundle.model.parts_log_odds(features, events)
    raw = bundle.model.intercept_ + sum(bundle.model.weights_[part] * value for part, value in parts.items())
    pd = expit(bundle.model.calibrator_(np.asarray(raw)))
    dates = rows.applied_at.iloc[at]
    period = f"{dates.min():%Y-%m-%d} – {dates.max():%Y-%m-%d}"
    return Split(name, rows.defaulted[at], pd, parts, period, in_sample)


def _explained(bundle: Bundle, rows: Rows, at: npt.NDArray[np.int64]) -> tuple[Any, Attributions]:
    features = rows.features.iloc[at].reset_index(drop=True)
    events = None if bundle.background_sequences is None else rows.events.take(at)
    return features, Explainer.of(bundle)(features, events)


def _parts(bundle: Bundle) -> list[Part]:
    model = bundle.model
    return [Part(name, weight, model.dropped_.get(name)) for name, weight in model.weights_.items()]


def _split_text(bundle: Bundle) -> Text:
    if bundle.facts["cutoff"]:
        day = bundle.facts["cutoff"][:10]
        return Text(
            f"时间外样本：{day}起的申请为测试集，按客户分组",
            f"Out of time: applications from {day} on are the test, grouped by customer",
        )
    return Text("按客户随机划分", "Customers drawn at random")


def _target_text(experiment: Experiment) -> Text:
    target = experiment.target
    if target.kind == "label":
        text = Text("机构自有违约标签", "The lender's own label of default")
    elif target.kind == "card_dpd":
        text = Text(
            f"观察日后{target.months}个月内任一账单逾期{target.dpd}天及以上",
            f"{target.dpd} or more days past due on any statement of the {target.months} months after the card was "
            "looked at",
        )
    else:
        text = Text(
            f"放款后{target.months}个月内逾期{target.dpd}天及以上",
            f"{target.dpd} or more days past due within {target.months} months on book",
        )
    if target.indeterminate_from is not None:
        low, high = target.indeterminate_from, target.dpd - 1
        text = Text(
            f"{text.zh}；最高逾期{low}至{high}天为不确定样本，不参与建模",
            f"{text.en}; {low} to {high} days past due at worst is indeterminate and left out",
        )
    if target.observed_from is not None or target.observed_until is not None:
        start, end = target.observed_from or "…", target.observed_until or "…"
        text = Text(f"{text.zh}；观察期{start}至{end}", f"{text.en}; observation window {start} to {end}")
    return text


def _rejects_text(bundle: Bundle) -> list[Text]:
    """How many refused applications were learnt from beside the training sample, and as what."""
    used = bundle.facts.get("rejects")
    if not used:
        return []
    whose = {"granted": Text("已放款申请", "granted applications"), "all": Text("全部申请", "all applications")}
    calibrated = whose[bundle.facts["experiment"]["rejects"]["calibrated_on"]]
    bad, good, factor = used["inferred_bad_rate"], used["granted_bad_rate"], used["odds_factor"]
    return [
        Text(
            f"训练另含{used['refused']}笔被拒申请（模糊分配，总权重为已放款申请的{used['weight']:.0%}）：推断坏账率{bad:.2%}"
            f"（比值乘以{factor:g}），已放款训练样本为{good:.2%}；PD以{calibrated.zh}校准。",
            f"Learnt from as well: {used['refused']} refused applications by fuzzy parcelling, weighing "
            f"{used['weight']:.0%} of the granted ones, with an inferred bad rate of {bad:.2%} (odds times {factor:g}) "
            f"against {good:.2%} of the granted ones in training; the PD is calibrated on {calibrated.en}.",
        ),
        *(
            Text(f"{left['zh']}：{left['count']}笔，未参与学习。", f"Not learnt from: {left['count']} {left['en']}.")
            for left in used["left_out"]
        ),
    ]


def _limitations(bundle: Bundle, test: Split) -> list[Text]:
    found = [_protected_text(bundle)]
    bad, expected = np.asarray(test.y), float(np.mean(np.asarray(test.pd)))
    low, high = (float(bound) for bound in wilson(int(bad.sum()), len(bad)))
    if not low <= expected <= high:
        found.append(
            Text(
                f"测试样本平均PD为{expected:.2%}，实际坏账率为{bad.mean():.2%}（95%区间{low:.2%}–{high:.2%}）：PD整体偏离。",
                f"Mean PD on the test is {expected:.2%} against {bad.mean():.2%} observed (95 % interval {low:.2%} to "
                f"{high:.2%}): the level of the PDs is off.",
            )
        )
    return [*found, *_limits_of_split(bundle), *_limits_of_target(bundle)]


_PROTECTED = {"gender": Text("性别", "gender"), "age_years": Text("年龄", "age"),
              "marital_status": Text("婚姻状况", "marital status")}  # fmt: skip


def _protected_text(bundle: Bundle) -> Text:
    """Say which protected attributes the features read, and that the others only serve the analysis of fairness."""
    permits = bundle.feature_set.permits
    read = [said for name, said in _PROTECTED.items() if name in permits]
    kept = [said for name, said in _PROTECTED.items() if name not in permits]
    zh, en = [], []
    if kept:
        zh.append(f"{'、'.join(said.zh for said in kept)}不进入特征，仅用于公平性分析。")
        en.append(f"Not among the features, kept for fairness analysis only: {', '.join(said.en for said in kept)}.")
    if read:
        zh.append(f"{'、'.join(said.zh for said in read)}为特征：使用前须经合规审查。")
        en.append(
            f"Among the features although protected: {', '.join(said.en for said in read)}; compliance must allow it."
        )
    return Text("".join(zh), " ".join(en))


def _limits_of_split(bundle: Bundle) -> list[Text]:
    if not bundle.facts["cutoff"]:
        return []
    found = [
        Text(
            "测试仅含训练中未出现过的客户，对老客户的效果未经验证。",
            "The test holds only customers whom the training has not seen, so how returning ones are ranked has not "
            "been verified.",
        )
    ]
    if bundle.facts["experiment"]["split"].get("embargo"):
        text = Text(
            "测试开始时结果尚未可知的申请不参与训练，故训练样本止于测试期之前一段时间。",
            "Whose outcome was not known when the test began is not learnt from, so the training ends some time before "
            "the test.",
        )
    else:
        text = Text(
            "训练期末的标签在测试期开始之后才可知，投产当日不可能据此训练，测试结果因此偏乐观。",
            "Labels of the last training months became known only after the test began: on that day nobody could have "
            "learnt from them, so the test flatters.",
        )
    return [*found, text]


def _limits_of_target(bundle: Bundle) -> list[Text]:
    target = bundle.facts["experiment"]["target"]
    if target["kind"] == "dpd" and "rejects" in bundle.facts:
        return [
            Text(
                "被拒申请以推断的结果参与学习，该推断无法由实际表现验证；本报告仅以已放款申请度量，对被拒申请的排序未经验证。",
                "Refused applications were learnt from with inferred outcomes, which nothing observed can verify; this "
                "report measures on granted ones only, so how it ranks refused ones has not been verified.",
            )
        ]
    if target["kind"] == "dpd":
        return [
            Text(
                "仅以已放款申请学习；被拒申请无表现，模型对其排序未经验证。",
                "Learnt from granted applications only; how it ranks refused ones has not been verified.",
            )
        ]
    if target["kind"] == "card_dpd":
        dpd = target["dpd"]
        whose = Text("有欠款且", "that carried debt and were ") if target["with_debt"] else Text("", "that were ")
        return [
            Text(
                f"仅观察{whose.zh}未逾期{dpd}天及以上的卡；表现期内账单中断的卡不在样本中，注销或核销者的效果未经验证。",
                f"Learnt from cards {whose.en}less than {dpd} days past due; cards whose statements end within the "
                "performance window are not in the sample, so how closed or written-off ones are ranked has not been "
                "verified.",
            )
        ]
    return []
