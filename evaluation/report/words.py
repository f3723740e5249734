"""What a bundle's own facts come to in words: its target, windows, split, rejects, use and limitations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.report.inputs import Split
from evaluation.tables import wilson
from features.algebra import FeatureSet
from reporting.page import Text
from training.bundle import Bundle
from training.experiment import Experiment
from training.hybrid import LEAST_WEIGHT, HybridClassifier

CALIBRATORS = {
    "platt": Text("Platt（对数几率的直线）", "Platt: a line in log-odds"),
    "beta": Text("Beta校准", "beta calibration"),
    "isotonic": Text("保序回归", "isotonic regression"),
}


def dropped_text(model: HybridClassifier, part: str) -> Text | None:
    """Why a part of the hybrid is not in use; None where it is."""
    why = model.dropped_.get(part)
    if why is None:
        return None
    if model.weights_.get(part, 0.0) < LEAST_WEIGHT and "weight" in why:
        return Text(f"与其余组件并用时权重低于{LEAST_WEIGHT}，没有增益", why)
    return Text("训练时没有事件序列", why)


def split_text(bundle: Bundle) -> Text:
    """How train and test were divided."""
    if bundle.facts["cutoff"]:
        day = bundle.facts["cutoff"][:10]
        return Text(
            f"时间外样本：{day}起的申请为测试集，按客户分组",
            f"Out of time: applications from {day} on are the test, grouped by customer",
        )
    return Text("按客户随机划分", "Customers drawn at random")


def target_text(experiment: Experiment) -> Text:
    """What counts as a default."""
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


def windows_text(experiment: Experiment, declared: FeatureSet) -> list[tuple[Text, Text]]:
    """How far back features look and how far forward the target, by name."""
    days = sorted({aggregate.days for aggregate in declared.aggregates if aggregate.days is not None})
    whole = sum(aggregate.days is None for aggregate in declared.aggregates)
    listed = ", ".join(map(str, days))
    back = Text(
        f"申请时刻之前{listed}天；另有{whole}个聚合看全部已知历史" if days else f"{whole}个聚合看全部已知历史",
        f"{listed} days up to the moment of decision; {whole} aggregates look at all that is known"
        if days
        else f"{whole} aggregates look at all that is known",
    )
    found = [(Text("特征观察窗口", "Observation windows of features"), back)]
    if experiment.target.kind != "label":
        months = experiment.target.months
        found.append((Text("表现窗口", "Performance window"), Text(f"其后{months}个月", f"{months} months after it")))
    else:
        text = Text("由机构自有标签决定，数据中未给出", "that of the lender's own label, which the records do not tell")
        found.append((Text("表现窗口", "Performance window"), text))
    return found


def use_text(bundle: Bundle, target: Text) -> list[Text]:
    """What the score is for."""
    return [
        Text(
            f"在决策点“{bundle.decision_point}”给出违约概率（PD）、分数与原因，违约指：{target.zh}。",
            f"Gives PD, score and reasons at the decision point {bundle.decision_point}, where a default is: "
            f"{target.en[:1].lower()}{target.en[1:]}.",
        )
    ]


def not_for_text(bundle: Bundle, products: Sequence[str]) -> list[Text]:
    """What the score must not be used for."""
    listed = ", ".join(products)
    return [
        Text(
            f"样本以外的产品（样本仅含：{listed}）、其他机构的客户，或{bundle.decision_point}以外的决策点。",
            f"Other products than those of the sample ({listed}), customers of other lenders, or other decision points "
            f"than {bundle.decision_point}.",
        ),
        Text(
            "不得作为对个人权益有重大影响的决定的唯一依据而不提供说明与人工复核。",
            "To decide alone what matters to a person, without an explanation and a way to a human decision.",
        ),
    ]


def rejects_text(bundle: Bundle) -> list[Text]:
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


def limitations(bundle: Bundle, test: Split) -> list[Text]:
    """What the reader must know of how the model was made and of the level of its PDs."""
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
