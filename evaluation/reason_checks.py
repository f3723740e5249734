"""Whether reasons are those that were measured, and whether they are stable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.replies import Reason
from evaluation.attribution import Explainer
from evaluation.reasons import ReasonWriter
from features.sequences import EventSequences
from training.bundle import Bundle
from training.estimator import Floats

LEAST_AGREEMENT = 0.99
_ROUNDING = 1e-6


@dataclass(frozen=True)
class ReasonAgreement:
    """How many served answers tell the reasons that are measured anew.

    Parameters
    ----------
    rows : int
        Answers that were compared.
    agreed : int
        Those with the same reasons in the same order, each of the same weight.
    differing : tuple of int
        Which ones are not, in their order from 0.
    """

    rows: int
    agreed: int
    differing: tuple[int, ...]

    @property
    def share(self) -> float | None:
        """Of the answers; None where there was none."""
        return self.agreed / self.rows if self.rows else None

    @property
    def passed(self) -> bool:
        """Whether at least 99 % agree; what was not measured does not pass."""
        return self.share is not None and self.share >= LEAST_AGREEMENT


def agreement(
    bundle: Bundle,
    features: pd.DataFrame,
    sequences: EventSequences | None,
    served: Sequence[Sequence[Reason | Mapping[str, Any]]],
) -> ReasonAgreement:
    """Compare reasons that were served with those of fresh attributions.

    Fresh means that nothing is taken from what serving uses: the trees are explained anew from the model instead of by
    the bundle's tables, and all applicants at once.

    Parameters
    ----------
    bundle : Bundle
        What answered.
    features : DataFrame, shape (n, n_features)
        Of the applicants that were answered.
    sequences : EventSequences or None
        Their events, where the bundle reads them.
    served : sequence of sequence of Reason or mapping
        The reasons of each answer, strongest first, as objects or as a log holds them.
    """
    if not len(features):
        return ReasonAgreement(0, 0, ())
    explainer = Explainer(bundle.model, bundle.background_features, bundle.background_sequences)
    events = sequences if explainer.sources else None
    fresh = ReasonWriter.of(bundle).write(explainer(features, events), features, events)
    pairs = zip(map(_weights, served), map(_weights, fresh), strict=True)
    differing = tuple(at for at, (told, measured) in enumerate(pairs) if not _same(told, measured))
    return ReasonAgreement(len(fresh), len(fresh) - len(differing), differing)


@dataclass(frozen=True)
class ReasonStability:
    """How many applicants keep their first reason when their numbers change a little.

    Parameters
    ----------
    rows, kept : int
        Applicants, and those who are told the same first reason.
    spread : float
        How far numbers were moved, as a share of their standard deviation.
    """

    rows: int
    kept: int
    spread: float

    @property
    def share(self) -> float | None:
        """Of the applicants; None where there was none."""
        return self.kept / self.rows if self.rows else None


def stability(
    bundle: Bundle, features: pd.DataFrame, sequences: EventSequences | None, *, spread: float = 0.01, seed: int = 0
) -> ReasonStability:
    """Measure how many applicants keep their first reason when every feature moves by a little noise.

    Noise is normal, its size a share of the feature's standard deviation over the bundle's background. A feature that
    holds whole numbers there, such as a count or a flag, moves in whole steps, so it stays where it is most often; a
    missing value stays missing. Events stay as they are.
    """
    if not len(features):
        return ReasonStability(0, 0, spread)
    explainer, writer = Explainer.of(bundle), ReasonWriter.of(bundle)
    events = sequences if explainer.sources else None
    values = features.to_numpy(dtype=np.float64)
    moved = pd.DataFrame(_moved(values, bundle.background_features.to_numpy(), spread, seed), columns=features.columns)
    first, second = (
        [reasons[0].code if reasons else None for reasons in writer.write(explainer(rows, events), rows, events)]
        for rows in (pd.DataFrame(values, columns=features.columns), moved)
    )
    kept = sum(before == after for before, after in zip(first, second, strict=True))
    return ReasonStability(len(features), kept, spread)


def _moved(values: Floats, background: Floats, share: float, seed: int) -> Floats:
    known = np.ma.masked_invalid(background)
    noise = np.random.default_rng(seed).normal(size=values.shape) * share * known.std(axis=0).filled(0.0)
    whole = (np.ma.floor(known) == known).filled(True).all(axis=0)
    moved: Floats = values + np.where(whole, np.round(noise), noise)
    return moved


def _weights(reasons: Sequence[Reason | Mapping[str, Any]]) -> list[tuple[str, float]]:
    plain = [reason.model_dump() if isinstance(reason, Reason) else reason for reason in reasons]
    return [(str(reason["code"]), float(reason["log_odds"])) for reason in plain]


def _same(told: list[tuple[str, float]], measured: list[tuple[str, float]]) -> bool:
    if [code for code, _ in told] != [code for code, _ in measured]:
        return False
    return all(abs(one - other) <= _ROUNDING for (_, one), (_, other) in zip(told, measured, strict=True))
