"""Two bundles on the same applications: who ranks better, whose PD is nearer, and whom each would approve.

The first is the champion, the second the challenger. What would have become of refused applicants is known only where
a truth says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.errors import LendwellError, SourceError
from data_contracts.folder import TableFolder
from evaluation.paired import Population, measure
from training.bundle import Bundle
from training.experiment import Experiment
from training.rejects import Refused, refused_rows
from training.run import Progress, Rows, prepare_for

_ROWS_DEPEND_ON = {"feature_set", "sequence_length", "parts", "target", "split", "seed", "decision_point"}
_USUAL_APPROVAL = 0.8
_LEAST_AGREEMENT = 0.99


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Parameters
    ----------
    populations : tuple of Population
        Granted applications; with a truth also the refused ones, and all.
    unseen : bool
        Whether the folder is neither model's own, so that every row counts and not the test rows only.
    refused : int
        Refused applications among the rows, also where nothing tells what would have become of them.
    agreement : float or None
        Share of granted applications whose observed outcome is that of the truth; None without a truth.
    """

    populations: tuple[Population, ...]
    unseen: bool
    refused: int
    agreement: float | None

    @property
    def widest(self) -> Population:
        """The population that a lender decides upon: all applicants where their outcomes are known."""
        return self.populations[-1]

    @property
    def other_outcome(self) -> bool:
        """Whether the truth seems to tell another outcome than the models' target."""
        return self.agreement is not None and self.agreement < _LEAST_AGREEMENT

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        return {
            "unseen": self.unseen,
            "refused": self.refused,
            "agreement": self.agreement,
            "populations": {population.name: population.to_dict() for population in self.populations},
        }


@dataclass(frozen=True)
class _Scored:
    """Rows of one model: those it is compared on, with its log-odds."""

    granted: pd.Series
    refused: pd.Series
    defaulted: pd.Series


def compare(
    champion: Bundle,
    challenger: Bundle,
    folder: TableFolder,
    *,
    truth: pd.DataFrame | None = None,
    approval_rate: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two bundles on the same labelled applications of a folder.

    On a folder that either was trained on only its test rows count, on any other one all. Refused applications are
    those of the same period whose customers neither was trained on.

    Parameters
    ----------
    champion, challenger : Bundle
    folder : TableFolder
        Records with outcomes.
    truth : DataFrame, optional
        What would have become of every application: `application_id`, `defaults`, and `true_pd` where it is known.
    approval_rate : float, optional
        At which the swap set is told; by default the share of the compared applications that were granted.
    seed : int, default 0
        Of the bootstrap.

    Raises
    ------
    LendwellError
        Where the two predict different things, or were tested on different rows of this folder.
    SourceError
        Where the truth lacks a column or an application.
    """
    experiments = [Experiment(**bundle.facts["experiment"]) for bundle in (champion, challenger)]
    _require_comparable(champion, challenger, experiments)
    own = [bundle.facts["data_identity"] == folder.identity for bundle in (champion, challenger)]
    scored: list[_Scored] = []
    made: dict[str, tuple[Rows, Refused | None]] = {}
    for at, (bundle, experiment) in enumerate(zip((champion, challenger), experiments, strict=True)):
        # The rows of a folder that only one of them was trained on are divided as that one's were.
        ruling = experiment if own[at] or not any(own) else experiment.model_copy(
            update={"split": experiments[1 - at].split, "seed": experiments[1 - at].seed}
        )  # fmt: skip
        if progress:
            progress(f"comparison: {('champion', 'challenger')[at]}", 0.05 + 0.4 * at)
        key = ruling.model_dump_json(include=_ROWS_DEPEND_ON)
        if key not in made:
            rows = prepare_for(ruling, folder, divided=any(own), refused=True)
            made[key] = rows, refused_rows(ruling, folder, rows)
        scored.append(_scored(bundle, *made[key], any(own)))
    if not scored[0].granted.index.equals(scored[1].granted.index):
        raise LendwellError(
            f"{champion.name} and {challenger.name} were tested on different rows of {folder.path}, "
            f"{len(scored[0].granted)} and {len(scored[1].granted)}: train both with the same [target], [split] and "
            "seed, or compare them on a folder that neither was trained on."
        )
    if progress:
        progress("comparison: figures", 0.9)
    return _comparison(scored, truth, approval_rate, unseen=not any(own), seed=seed)


def _require_comparable(champion: Bundle, challenger: Bundle, experiments: list[Experiment]) -> None:
    said = [(one.decision_point, one.target.model_dump(mode="json")) for one in experiments]
    if said[0] != said[1]:
        raise LendwellError(
            f"{champion.name} and {challenger.name} predict different things: {said[0]} and {said[1]}. "
            "Compare models of one decision point and one [target]."
        )


def _scored(bundle: Bundle, rows: Rows, refused: Refused | None, own: bool) -> _Scored:
    at = rows.sample.test if own else np.arange(len(rows.defaulted))
    index = rows.features.index[at]
    granted = bundle.model.decision_function(rows.features.iloc[at], rows.events.take(at))
    others = pd.Series(dtype=np.float64)
    if refused is not None:
        dates = rows.applied_at.iloc[at]
        within = refused.applied_at.between(dates.min(), dates.max()).to_numpy()
        which = refused.test if own else np.flatnonzero(within)
        if len(which):
            found = bundle.model.decision_function(refused.features.iloc[which], refused.events.take(which))
            others = pd.Series(found, index=refused.features.index[which])
    return _Scored(pd.Series(granted, index=index), others, pd.Series(rows.defaulted[at], index=index))


def _comparison(
    scored: list[_Scored], truth: pd.DataFrame | None, approval_rate: float | None, *, unseen: bool, seed: int
) -> Comparison:
    first, second = scored
    n, refused = len(first.granted), first.refused.index
    rate = approval_rate or (n / (n + len(refused)) if len(refused) else _USUAL_APPROVAL)
    granted = np.stack([first.granted.to_numpy(), second.granted.to_numpy()])
    y = first.defaulted.to_numpy()
    if truth is None:
        found = [measure("granted", y, granted, rate, seed=seed)]
        return Comparison(tuple(found), unseen, len(refused), None)
    told = _truth_of(truth, [*first.granted.index, *refused])
    true_pd = told["true_pd"].to_numpy(dtype=np.float64) if "true_pd" in told else None
    defaults = told["defaults"].to_numpy(dtype=np.int64)
    everything = np.concatenate([granted, np.stack([first.refused.to_numpy(), second.refused.to_numpy()])], axis=1)
    outcome = np.concatenate([y, defaults[n:]])
    found = []
    for name, part in (("granted", slice(0, n)), ("refused", slice(n, None)), ("all", slice(None))):
        if name == "granted" or len(refused):
            pds = None if true_pd is None else true_pd[part]
            found.append(measure(name, outcome[part], everything[:, part], rate, true_pd=pds, seed=seed))
    return Comparison(tuple(found), unseen, len(refused), float((defaults[:n] == y).mean()))


def read_truth(path: Path) -> pd.DataFrame:
    """Read a truth file: Parquet with `application_id`, `defaults` and, where it is known, `true_pd`."""
    try:
        truth = pd.read_parquet(path)
    except (OSError, ValueError) as fault:
        raise SourceError(f"{path} cannot be read as a truth ({fault}); give a Parquet file with --truth.") from fault
    lacking = [name for name in ("application_id", "defaults") if name not in truth]
    if lacking:
        raise SourceError(
            f"The truth {path} lacks the column {', '.join(lacking)}; it has {', '.join(map(str, truth))}."
        )
    return truth


def _truth_of(truth: pd.DataFrame, applications: list[Any]) -> pd.DataFrame:
    told = truth.drop_duplicates("application_id").set_index("application_id").reindex(applications)
    unknown = int(told["defaults"].isna().sum())
    if unknown:
        raise SourceError(
            f"The truth does not tell what became of {unknown} of {len(told)} applications. Give the truth "
            "of this very folder."
        )
    return told
