"""What became of past applications, granted or refused: by a truth where there is one, else observed or inferred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from reporting.page import Text
from training.calibration import fit_log_odds
from training.experiment import Target
from training.targets import label_outcomes

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BAD = Target(kind="dpd", dpd=90, months_on_book=12)


@dataclass(frozen=True)
class Outcomes:
    """What became of applications; arrays of shape (n,), 0 or 1 where it is known, a chance where it is inferred.

    Parameters
    ----------
    defaults : ndarray of float64
        Default as the model means it: what its PD, and so price and loss, are about.
    bad : ndarray of float64
        90 or more days past due by the twelfth month on book; as `defaults` where the lender's records do not tell.
    known : ndarray of str
        `truth`, `observed` or `inferred`: how `bad` is known.
    true_pd : ndarray of float64 or None
        The true probability of default, where a truth tells it.
    notes : tuple of Text
        What to know when reading figures of them.
    """

    defaults: Floats
    bad: Floats
    known: npt.NDArray[np.str_]
    true_pd: Floats | None
    notes: tuple[Text, ...]


def of_truth(truth: pd.DataFrame, applications: pd.Index[Any]) -> Outcomes:
    """From a truth, which tells it of refused applications too.

    Raises
    ------
    SourceError
        Where it lacks a column or an application.
    """
    lacking = [name for name in ("application_id", "defaults", "late_90_dpd") if name not in truth]
    if lacking:
        raise SourceError(f"The truth lacks {', '.join(lacking)}. Simulate the lender again, or leave the truth out.")
    told = truth.set_index("application_id").reindex(applications)
    if unknown := int(told["late_90_dpd"].isna().sum()):
        raise SourceError(
            f"The truth does not tell what became of {unknown} of {len(told)} applications. Give the truth of this "
            "very folder."
        )
    note = Text(
        "结果取自模拟机构的真值：被拒申请若获批会如何，同样已知。",
        "Outcomes are the simulated lender's truth: what refused applications would have come to is known, too.",
    )
    return Outcomes(
        told["defaults"].to_numpy(np.float64),
        told["late_90_dpd"].to_numpy(np.float64),
        np.full(len(told), "truth"),
        told["true_pd"].to_numpy(np.float64) if "true_pd" in told else None,
        (note,),
    )


def of_records(
    folder: TableFolder,
    applications: pd.Index[Any],
    target: Target,
    log_odds: Floats,
    refused: Flags,
    odds_factor: float,
) -> Outcomes:
    """From the outcomes that the lender has seen; what it has not seen is inferred from the model.

    A line through the model's log-odds is fitted to what was observed and says how likely the rest is to go wrong; the
    odds of refused applications count `odds_factor` times, as in fuzzy parcelling (`docs/rejects.md`).

    Parameters
    ----------
    target : Target
        Of the model.
    log_odds : ndarray, shape (n,)
        Of the model.
    refused : ndarray of bool, shape (n,)
        Whom the lender refused.

    Raises
    ------
    SourceError
        Where nothing was observed.
    """
    if "outcomes" not in folder.tables:
        raise SourceError(f"{folder.path} has no outcomes and no truth, so there is nothing to measure a strategy by.")
    rows = folder.read("outcomes")
    everybody = pd.Series(applications)
    seen = {name: label_outcomes(rows, everybody, one).defaulted.reindex(applications).to_numpy(np.float64)
            for name, one in (("defaults", target), ("bad", BAD))}  # fmt: skip
    notes = []
    if np.isnan(seen["bad"]).all():
        seen["bad"] = seen["defaults"]
        notes.append(
            Text(
                "这些申请尚无12个月的表现，坏账按模型的目标定义。",
                "None of these is seen to 12 months yet: bad means the model's own target.",
            )
        )
    if np.isnan(seen["defaults"]).all() or np.isnan(seen["bad"]).all():
        raise SourceError(f"None of the {len(applications)} applications of {folder.path} has an outcome yet.")
    filled = {name: inferred(values, log_odds, refused, odds_factor) for name, values in seen.items()}
    known = np.where(np.isnan(seen["bad"]), "inferred", "observed")
    unseen = known == "inferred"
    seen_n, refused_n, young_n = (int(rows.sum()) for rows in (~unseen, unseen & refused, unseen & ~refused))
    notes.append(
        Text(
            f"{seen_n}笔的结果已观察到；{refused_n}笔被拒、{young_n}笔尚无结果，由模型推断（被拒者的几率乘以{odds_factor:g}）。",
            f"{seen_n} outcomes were observed; {refused_n} refused applications and {young_n} without an outcome yet "
            f"are inferred from the model (odds of refused ones times {odds_factor:g}).",
        )
    )
    return Outcomes(filled["defaults"], filled["bad"], known, None, tuple(notes))


def inferred(seen: Floats, log_odds: Floats, refused: Flags, odds_factor: float) -> Floats:
    """Outcomes with chances in place of those that were not seen (NaN).

    Examples
    --------
    >>> seen = np.array([0.0, 1.0, 0.0, 1.0, np.nan, np.nan])
    >>> odds = np.zeros(6)
    >>> inferred(seen, odds, np.array([False] * 5 + [True]), odds_factor=3.0).round(2).tolist()
    [0.0, 1.0, 0.0, 1.0, 0.5, 0.75]
    """
    known = ~np.isnan(seen)
    (weight,), intercept = fit_log_odds(log_odds[known][:, None], seen[known].astype(np.int64))
    chance = expit(weight * log_odds + intercept + np.where(refused, np.log(odds_factor), 0.0))
    return np.where(known, seen, chance)
