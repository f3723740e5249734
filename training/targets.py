"""From outcomes to a target: who defaulted, and who is left out and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import TrainingError
from data_contracts.folder import TableFolder
from data_contracts.tables import OUTCOMES
from training.experiment import Target

LOCAL = pd.Timedelta(hours=8)  # China Standard Time, in which people mean their days
ASKED = ("every_months", "least_months", "performance_months", "dpd", "with_debt")  # what a look at a card depends on


@dataclass(frozen=True)
class LeftOut:
    """How many applications are not in the sample, and why."""

    en: str
    zh: str
    count: int


@dataclass(frozen=True)
class Labels:
    """The target of every application that has one.

    Parameters
    ----------
    defaulted : Series of int64
        0 or 1, indexed by `application_id`.
    known_at : Series of timestamp
        When each of them was known, indexed alike.
    left_out : tuple of LeftOut
        Every application that has none, by reason.
    """

    defaulted: pd.Series
    known_at: pd.Series
    left_out: tuple[LeftOut, ...]


def label(folder: TableFolder, target: Target) -> Labels:
    """Compute the target of a folder's applications.

    Raises
    ------
    TrainingError
        Where the folder has no outcomes, all outcomes are of one kind, or looks at cards are asked for and the folder
        holds none or others.
    """
    if "outcomes" not in folder.tables:
        raise TrainingError(f"{folder.path} has no outcomes, so there is nothing to learn or to measure by.")
    looks = _looks_left_out(folder, target) if target.kind == "card_dpd" else ()
    outcomes = folder.read("outcomes")
    applications = folder.read("applications", ["application_id", "applied_at"])
    labels = label_outcomes(outcomes, applications["application_id"], target, applications["applied_at"])
    labels = replace(labels, left_out=(*looks, *labels.left_out))
    classes = labels.defaulted.nunique()
    if classes < 2:
        reasons = "; ".join(f"{left.count} {left.en}" for left in labels.left_out)
        raise TrainingError(
            f"The target has {classes} class(es) over {len(labels.defaulted)} applications ({reasons}); "
            "both defaulted and repaid loans are needed. Check [target] of the experiment against the outcomes."
        )
    return labels


def label_outcomes(
    outcomes: pd.DataFrame, applications: pd.Series, target: Target, applied_at: pd.Series | None = None
) -> Labels:
    """Compute the target from the rows of `outcomes`; of a corrected one the version known last counts.

    Parameters
    ----------
    outcomes : DataFrame
        Rows of the canonical table.
    applications : Series of str
        Identifiers of all applications.
    target : Target
        What counts as a default.
    applied_at : Series of timestamp, optional
        Of the same applications; needed where the target has an observation window.

    Examples
    --------
    >>> months = pd.to_datetime(["2024-03-31", "2024-06-30", "2024-03-31"])
    >>> outcomes = pd.DataFrame({"application_id": ["a", "a", "b"], "occurred_at": months, "known_at": months,
    ...     "months_on_book": [3, 6, 3], "dpd_max": [0, 45, 90], "defaulted": None})
    >>> labels = label_outcomes(outcomes, pd.Series(["a", "b", "c"]), Target(kind="dpd", dpd=30, months_on_book=6))
    >>> labels.defaulted.to_dict(), [(left.en.split()[0], left.count) for left in labels.left_out]
    ({'a': 1}, [('without', 1), ('immature:', 1)])
    """
    inside = applications if applied_at is None else applications[_observed(applied_at, target)]
    outcomes = outcomes[outcomes["application_id"].isin(inside)]
    in_time = outcomes.sort_values(["occurred_at", "known_at"], kind="stable")
    newest = in_time.drop_duplicates(list(OUTCOMES.key), keep="last")
    if target.kind == "label":
        told = newest[newest["defaulted"].notna()]
    else:
        told = newest[(newest["months_on_book"] == target.months) & newest["dpd_max"].notna()]
    told = told.drop_duplicates("application_id", keep="last").set_index("application_id").sort_index()
    clear = ~_indeterminate(told["dpd_max"], target) if target.indeterminate_from else pd.Series(True, told.index)
    bad = told["defaulted"] if target.kind == "label" else told["dpd_max"] >= target.dpd
    counts = (
        len(applications) - len(inside),
        int((~inside.isin(outcomes["application_id"])).sum()),
        outcomes["application_id"].nunique() - len(told),
        int((~clear).sum()),
    )
    left_out = (LeftOut(*words, count) for words, count in zip(_words(target), counts, strict=True))
    return Labels(
        bad[clear].astype("int64"), told.loc[clear, "known_at"], tuple(left for left in left_out if left.count)
    )


def _looks_left_out(folder: TableFolder, target: Target) -> tuple[LeftOut, ...]:
    """Looks at cards that were not taken when the folder was made, which must have been by this target."""
    observed = folder.batches[0].facts.get("observed") if folder.batches else None
    if observed is None:
        raise TrainingError(
            f"{folder.path} holds no looks at cards, which this target asks for. Make them of card statements with "
            "`lendwell observe --experiment NAME --data TABLES --out OBSERVED` and give that folder."
        )
    asked = target.model_dump(include=set(ASKED))
    other = [
        f"{name} = {observed['target'][name]}, not {asked[name]}"
        for name in ASKED
        if observed["target"][name] != asked[name]
    ]
    if other:
        raise TrainingError(
            f"{folder.path} was observed with {'; '.join(other)}. Run `lendwell observe` again for this experiment."
        )
    return tuple(LeftOut(**left) for left in observed["left_out"])


def _observed(applied_at: pd.Series, target: Target) -> npt.NDArray[np.bool_]:
    """Which applications lie in the observation window, whose days are those of China."""
    days = applied_at + LOCAL
    inside = np.ones(len(days), dtype=bool)
    if target.observed_from is not None:
        inside &= (days >= pd.Timestamp(target.observed_from)).to_numpy()
    if target.observed_until is not None:
        inside &= (days < pd.Timestamp(target.observed_until) + pd.Timedelta(days=1)).to_numpy()
    return inside


def _indeterminate(worst: pd.Series, target: Target) -> pd.Series:
    return ((worst >= target.indeterminate_from) & (worst < target.dpd)).astype(bool)


def _words(target: Target) -> tuple[tuple[str, str], ...]:
    """English and Chinese of the reasons: outside the window, without an outcome, immature, indeterminate."""
    start, end = target.observed_from or "", target.observed_until or ""
    without = ("without an outcome: refused, or never drawn", "无表现：被拒或未提款")
    immature = (f"immature: not yet {target.months} months on book", f"表现期不足{target.months}个月")
    if target.kind == "label":
        immature = ("with an outcome but no label", "有结果但无标签")
    elif target.kind == "card_dpd":
        without = ("without an outcome: no statement of the month after", "无表现：次月无账单")
        immature = (
            f"immature: not all of the {target.months} months after are known",
            f"表现期不足：其后{target.months}个月的账单不全",
        )
    return (
        (f"outside the observation window {start} to {end}", f"不在观察期{start}至{end}内"),
        without,
        immature,
        (
            f"indeterminate: {target.indeterminate_from} to {target.dpd - 1} days past due at worst",
            f"不确定样本：最高逾期{target.indeterminate_from}至{target.dpd - 1}天",
        ),
    )
