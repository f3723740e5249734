"""From outcomes to a target: who defaulted, and who is left out and why."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from data_contracts.errors import TrainingError
from data_contracts.folder import TableFolder
from data_contracts.tables import OUTCOMES
from training.experiment import Target


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
    left_out : tuple of LeftOut
        Every application that has none, by reason.
    """

    defaulted: pd.Series
    left_out: tuple[LeftOut, ...]


def label(folder: TableFolder, target: Target) -> Labels:
    """Compute the target of a folder's applications.

    Raises
    ------
    TrainingError
        Where the folder has no outcomes, or all outcomes are of one kind.
    """
    if "outcomes" not in folder.tables:
        raise TrainingError(f"{folder.path} has no outcomes, so there is nothing to learn or to measure by.")
    outcomes = folder.read("outcomes")
    applications = folder.read("applications", ["application_id"])["application_id"]
    labels = label_outcomes(outcomes, applications, target)
    classes = labels.defaulted.nunique()
    if classes < 2:
        reasons = "; ".join(f"{left.count} {left.en}" for left in labels.left_out)
        raise TrainingError(
            f"The target has {classes} class(es) over {len(labels.defaulted)} applications ({reasons}); "
            "both defaulted and repaid loans are needed. Check [target] of the experiment against the outcomes."
        )
    return labels


def label_outcomes(outcomes: pd.DataFrame, applications: pd.Series, target: Target) -> Labels:
    """Compute the target from the rows of `outcomes`; of a corrected one the version known last counts.

    Examples
    --------
    >>> months = pd.to_datetime(["2024-03-31", "2024-06-30", "2024-03-31"])
    >>> outcomes = pd.DataFrame({"application_id": ["a", "a", "b"], "occurred_at": months, "known_at": months,
    ...     "months_on_book": [3, 6, 3], "dpd_max": [0, 45, 90], "defaulted": None})
    >>> labels = label_outcomes(outcomes, pd.Series(["a", "b", "c"]), Target(kind="dpd", dpd=30, months_on_book=6))
    >>> labels.defaulted.to_dict(), [(left.en.split()[0], left.count) for left in labels.left_out]
    ({'a': 1}, [('without', 1), ('immature:', 1)])
    """
    without = int((~applications.isin(outcomes["application_id"])).sum())
    in_time = outcomes.sort_values(["occurred_at", "known_at"], kind="stable")
    newest = in_time.drop_duplicates(list(OUTCOMES.key), keep="last")
    if target.kind == "label":
        given = newest[newest["defaulted"].notna()].drop_duplicates("application_id", keep="last")
        defaulted = given.set_index("application_id")["defaulted"].astype("int64")
        immature = LeftOut("with an outcome but no label", "有结果但无标签", 0)
    else:
        months = target.months_on_book
        mature = newest[(newest["months_on_book"] == months) & newest["dpd_max"].notna()]
        mature = mature.drop_duplicates("application_id", keep="last")
        defaulted = (mature.set_index("application_id")["dpd_max"] >= target.dpd).astype("int64")
        immature = LeftOut(f"immature: not yet {months} months on book", f"表现期不足{months}个月", 0)
    observed = outcomes["application_id"].nunique()
    left_out = (
        LeftOut("without an outcome: refused, or never drawn", "无表现：被拒或未提款", without),
        LeftOut(immature.en, immature.zh, observed - len(defaulted)),
    )
    return Labels(defaulted.sort_index(), tuple(left for left in left_out if left.count))
