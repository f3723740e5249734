"""Why the policy itself declines, refers or lends less, in Chinese and English; rules and scores bring their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["decline", "refer", "note"]
Outcome = Literal["approve", "refer", "decline"]
OUTCOMES: tuple[Outcome, ...] = ("approve", "refer", "decline")  # their places are the codes of `decide_frame`


@dataclass(frozen=True)
class PolicyReason:
    """A reason of the policy: what it leads to, and its words."""

    code: str
    severity: Severity
    zh: str
    en: str


# In the order in which they are told, and of their bits in `reasons` of `decide_frame`.
REASONS: tuple[PolicyReason, ...] = (
    PolicyReason("P01", "decline", "所申请的产品不在供应范围内", "The product asked for is not offered"),
    PolicyReason("P02", "decline", "年龄不符合产品要求", "The age is outside the product's"),
    PolicyReason("P03", "decline", "所申请的期限不在产品范围内", "The term asked for is not offered with this product"),
    PolicyReason("P04", "decline", "申请金额低于产品最低金额", "The amount asked for is below the product's least"),
    PolicyReason("S01", "decline", "评分显示违约风险过高", "The score shows too high a risk of default"),
    PolicyReason("R01", "decline", "风险超出产品利率区间可覆盖的范围", "The product's rates cannot cover the risk"),
    PolicyReason(
        "L01", "decline", "可批额度低于产品最低金额", "What could be lent is below the product's least amount"
    ),
    PolicyReason("P05", "refer", "年龄、金额或期限缺失", "Age, amount or term is not stated"),
    PolicyReason("S02", "refer", "没有可用的评分", "There is no score"),
    PolicyReason("S03", "refer", "评分处于人工审核区间", "The score calls for a person's judgement"),
    PolicyReason("L02", "refer", "未填写收入，须人工核实", "No income was stated; a person must verify it"),
    PolicyReason("L03", "refer", "可批额度远低于申请金额", "What can be lent is far below what was asked for"),
    PolicyReason("L11", "note", "额度受预期损失限制", "The amount is bound by the expected loss"),
    PolicyReason("L12", "note", "额度受月供负担限制", "The amount is bound by the monthly debt burden"),
    PolicyReason("L13", "note", "额度受收入限制", "The amount is bound by income"),
    PolicyReason("L14", "note", "额度受在本机构的总敞口限制", "The amount is bound by loans with us that run"),
    PolicyReason("L15", "note", "额度受产品最高金额限制", "The amount is bound by the product's highest"),
    PolicyReason(
        "R02", "note", "利率因风险高于产品最低利率", "The rate is above the product's lowest because of the risk"
    ),
)

BIT = {reason.code: 1 << place for place, reason in enumerate(REASONS)}
DECLINES = sum(BIT[reason.code] for reason in REASONS if reason.severity == "decline")
REFERS = sum(BIT[reason.code] for reason in REASONS if reason.severity == "refer")


def told(bits: int) -> list[PolicyReason]:
    """Reasons of a row's bits, in order.

    Examples
    --------
    >>> [reason.code for reason in told(BIT["S03"] | BIT["L12"])]
    ['S03', 'L12']
    """
    return [reason for reason in REASONS if bits & BIT[reason.code]]
