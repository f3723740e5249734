"""The strategy report and the search for one as HTML files, for whoever answers for a lender's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policy.backtest import Backtest, Contrast
from policy.decision import Policy
from policy.optimise import Frontier, Optimised
from policy.past import Past
from policy.report import words
from policy.report.drawings import bad_rates, profits
from policy.targets import Target
from reporting.page import Text, render

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("targets", Text("目标", "Targets")),
    ("figures", Text("指标", "Figures")),
    ("frontier", Text("效率前沿", "Efficient frontier")),
    ("swaps", Text("换入换出客群", "Swap set")),
    ("segments", Text("按产品与客群", "By product and segment")),
    ("reasons", Text("拒绝与转人工的原因", "Why declined or referred")),
    ("method", Text("方法与口径", "Method")),
)
SEARCH_SECTIONS: tuple[tuple[str, Text], ...] = (
    ("constraints", Text("约束", "Constraints")),
    ("figures", Text("指标", "Figures")),
    ("cut_offs", Text("准入线与额度", "Cut-offs and limits")),
    ("frontier", Text("效率前沿", "Efficient frontier")),
    ("method", Text("方法与口径", "Method")),
)
_MOST_REASONS = 30
_SEARCHED = ("approve_pd", "decline_pd", "expected_loss_most")


@dataclass(frozen=True)
class Measured:
    """All that the strategy report tells.

    Parameters
    ----------
    past : Past
    policy : Policy
    this, other : Backtest
        The strategy, and what it is compared with.
    contrast : Contrast
        Of both; the other is the first.
    targets : tuple of Target
    times : dict of str to float
        From `policy.targets.decision_times`.
    frontier : Frontier
    """

    past: Past
    policy: Policy
    this: Backtest
    other: Backtest
    contrast: Contrast
    targets: tuple[Target, ...]
    times: dict[str, float]
    frontier: Frontier


def build_strategy_report(found: Measured, *, facts: Sequence[tuple[Text, str]], created: str = "") -> str:
    """Write the strategy report as self-contained HTML; the same input gives the same bytes.

    Parameters
    ----------
    found : Measured
    facts : sequence of (Text, str)
        Identities of model, data, rules and strategy.
    created : str
        When, as the caller wants it printed; empty prints none.
    """
    both = (found.this, found.other)
    names = [words.named(one.name) for one in both]

    def points(figure: str) -> list[tuple[float | None, float | None, Text]]:
        places = [(one.overall["approval_rate"].value, one.overall[figure].value) for one in both]
        return [(x, y, name) for (x, y), name in zip(places, names, strict=True)]

    bound = next((one.bound for one in found.targets if one.key == "bad_rate"), None)
    context: dict[str, Any] = {
        "title": Text(f"策略报告：{found.this.name}", f"Strategy report: {found.this.name}"),
        "sections": SECTIONS,
        "created": created,
        "found": found,
        "names": names,
        "figures": words.FIGURES,
        "known": _known(found.past),
        "plots": [
            bad_rates(found.frontier, points("bad_rate"), bound),
            profits(found.frontier, points("realised_profit")),
        ],
        "segments": _segments(found),
        "swaps": _swaps(found),
        "reasons": [(kind, code, words.reason(code, found.policy), n) for kind, code, n in found.this.reasons][
            :_MOST_REASONS
        ],
        "facts": facts,
    }
    return render("strategy.html.j2", context, "policy.report")


def build_search_report(
    found: Optimised, policy: Policy, *, facts: Sequence[tuple[Text, str]], created: str = ""
) -> str:
    """Write what a search found as self-contained HTML; the same input gives the same bytes."""
    shown = [(Text("现行策略，另一半客户", "present strategy, other half"), found.base)]
    if found.chosen and found.told:
        shown = [
            (Text("所选策略，选取所用的一半客户", "chosen strategy, half it was chosen on"), found.chosen),
            (Text("所选策略，另一半客户", "chosen strategy, other half"), found.told),
            *shown,
        ]
    told = found.told or found.base
    at = told.overall["approval_rate"].value

    def point(figure: str) -> list[tuple[float | None, float | None, Text]]:
        return [(at, told.overall[figure].value, words.named(told.name))]

    context: dict[str, Any] = {
        "title": Text("策略优化", "Search for a strategy"),
        "sections": SEARCH_SECTIONS,
        "created": created,
        "found": found,
        "shown": shown,
        "figures": words.FIGURES,
        "plots": [
            bad_rates(found.frontier, point("bad_rate"), found.constraints.bad_rate_most),
            profits(found.frontier, point("realised_profit")),
        ],
        "cut_offs": _cut_offs(found, policy),
        "products": {name: Text(one.zh, one.en) for name, one in policy.products.products.items()},
        "facts": facts,
    }
    return render("search.html.j2", context, "policy.report")


def _known(past: Past) -> list[tuple[Text, int]]:
    """How many outcomes are known, and how."""
    said = {
        "truth": Text("真值", "truth"),
        "observed": Text("已观察", "observed"),
        "inferred": Text("推断", "inferred"),
    }
    return [(name, n) for key, name in said.items() if (n := int((past.outcomes.known == key).sum()))]


def _segments(found: Measured) -> list[tuple[Text, list[tuple[Text, dict[str, Any], dict[str, Any] | None]]]]:
    """By dimension: level, the strategy's figures and those of the other."""
    others = {(at, name): figures for at, name, figures in found.other.segments}
    grouped: dict[str, list[tuple[Text, dict[str, Any], dict[str, Any] | None]]] = {}
    for at, name, figures in found.this.segments:
        row = (words.level(at, name, found.policy), figures, others.get((at, name)))
        grouped.setdefault(at, []).append(row)
    return [(words.DIMENSIONS.get(at, Text(at, at)), rows) for at, rows in grouped.items()]


def _swaps(found: Measured) -> list[tuple[Text, Any, dict[str, Any]]]:
    """Products: their name, swap set and difference."""
    return [
        (words.level(at, name, found.policy), swaps, difference)
        for at, name, difference, swaps in found.contrast.segments
        if at == "product"
    ]


def _cut_offs(found: Optimised, policy: Policy) -> list[tuple[str, list[tuple[str, float, float | None]]]]:
    """By product: what was searched, as it is and as it was chosen."""
    chosen = found.strategy
    rows = []
    for name, base in policy.strategy.products.items():
        now = base.model_dump()
        then = {} if chosen is None else chosen.products[name].model_dump()
        rows.append((name, [(key, now[key], then.get(key)) for key in _SEARCHED]))
    return rows
