"""What alerts say, in English and Chinese."""

from __future__ import annotations

from evaluation.drift import DriftRow
from evaluation.drift.joint import JointDrift
from evaluation.drift.shares import SharesDrift
from evaluation.report.inputs import FeatureLike
from serving.monitoring.approval import Approval
from serving.monitoring.realised import Realised

Texts = tuple[str, str]

ASPECTS: dict[str, Texts] = {
    "missing": ("missing values", "缺失"),
    "level": ("level", "水平"),
    "shape": ("shape", "分布形状"),
}
DIMENSIONS: dict[str, Texts] = {
    "reason": ("first reason", "首要原因"),
    "product": ("product", "产品"),
    "channel": ("channel", "渠道"),
    "amount": ("amount asked for", "申请金额"),
}


def row(found: DriftRow, declared: FeatureLike | None, where: str, effect: float, approved: float) -> Texts:
    """Of a feature or the score: `where` is a segment or day, `effect` what it does to the approval rate."""
    en, zh = ASPECTS[found.aspect]
    name, name_zh = found.name, found.name
    if declared is not None:
        name, name_zh = f"{found.name} ({declared.en})", f"{found.name}（{declared.zh}）"
    size, size_zh = _size(found.psi, found.chance_psi, found.p_value)
    if found.aspect == "missing":
        then, now = f"{found.reference_missing_rate:.1%}", f"{found.missing_rate:.1%}"
        size, size_zh = f"{size}, missing {then} to {now}", f"{size_zh}，缺失率由{then}变为{now}"
    of, of_zh = _approval(effect, approved)
    told = f"{name} drifted in its {en}{_at(where)}: {size}; {of}"
    return told, f"{_at_zh(where)}{name_zh}的{zh}发生漂移：{size_zh}；{of_zh}"


def shares(found: SharesDrift, where: str, effect: float, approved: float) -> Texts:
    """Of reasons or the mix of requests."""
    en, zh = DIMENSIONS[found.name]
    then, now = (f"{share:.1%}" for share in found.share(found.moved))
    size, size_zh = _size(found.psi, found.chance_psi, found.p_value)
    of, of_zh = _approval(effect, approved)
    return (
        f"The mix of {en} drifted{_at(where)}: {found.moved} {then} to {now}, {size}; {of}",
        f"{_at_zh(where)}{zh}构成发生漂移：{found.moved}由{then}变为{now}，{size_zh}；{of_zh}",
    )


def joint(found: JointDrift, approval: Approval) -> Texts:
    """Of all features together."""
    area, by = f"{found.auc.value or 0.5:.3f}", ", ".join(found.features)
    then, now, p_value = f"{approval.before:.1%}", f"{approval.now:.1%}", f"p = {found.p_value:.2g}"
    told = f"Applicants can be told from those of training: AUC {area} (0.5 by chance), {p_value}, by {by}"
    told_zh = f"当前申请人与训练样本可被区分：AUC {area}（偶然为0.5），{p_value}，主要依据{by}"
    return f"{told}; approval rate {then} to {now}.", f"{told_zh}；批准率由{then}变为{now}。"


def worse_auc(found: Realised) -> Texts:
    """Of outcomes that show a lower AUC than the training's."""
    size, n = f"{found.auc.value or 0.0:.3f}", f"{found.matured:,}"
    return (
        f"The AUC of {found.month} is {size} on {n} matured outcomes, below that of training (p = {found.auc_p:.2g}).",
        f"{found.month}的AUC为{size}（已到期{n}笔），低于训练时（p = {found.auc_p:.2g}）。",
    )


def other_bad_rate(found: Realised) -> Texts:
    """Of outcomes that the PDs had otherwise."""
    rate, pd, n = f"{found.bad_rate.value or 0.0:.2%}", f"{found.mean_pd:.2%}", f"{found.matured:,}"
    p_value = f"p = {found.calibration_p:.2g}"
    return (
        f"The bad rate of {found.month} is {rate} on {n} matured outcomes where the PDs say {pd} ({p_value}).",
        f"{found.month}的违约率为{rate}（已到期{n}笔），而平均PD为{pd}（{p_value}）。",
    )


def more(n: int) -> Texts:
    """Of alerts that were too many to be told one by one."""
    return f"{n} more changes; the report lists all.", f"另有{n}项变化，详见报告。"


def _size(psi: float, chance: float, p_value: float) -> Texts:
    numbers = f"{psi:.3f}", f"{chance:.3f}", f"p = {p_value:.2g}"
    return "PSI {} ({} by chance), {}".format(*numbers), "PSI {}（偶然约{}），{}".format(*numbers)


def _approval(effect: float, approved: float) -> Texts:
    change, now = f"{100 * effect:+.1f}", f"{approved:.1%}"
    return f"{change} points of approval rate go with it, now {now}.", f"与之相应批准率{change}个百分点，现为{now}。"


def _at(where: str) -> str:
    return f" ({where})" if where else ""


def _at_zh(where: str) -> str:
    return f"{where}：" if where else ""
