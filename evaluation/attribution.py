"""Attributions of the whole hybrid that add up: base + features + sources of events = calibrated log-odds.

Each part is explained against the bundle's background, by a method whose shares sum to the part's log-odds, and weighed
as the blend weighs it:

* trees: Shapley values against the background, exact (`training.tree_attribution`);
* tabular net: expected gradients (`evaluation.net_attribution`);
* sequence net: Shapley values of the sources of events, exact (`evaluation.sequence_attribution`).

The base is the background's mean log-odds, and a share says what sets this applicant apart from the others, not from an
empty history. The calibrator, a rising map, is carried through by its secant between base and answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from data_contracts.tables import TABLES
from evaluation.net_attribution import TabularNetAttribution
from evaluation.sequence_attribution import SequenceNetAttribution
from features.algebra import FeatureSet
from features.sequences import EventSequences
from features.sources import Group
from training.boosted import BoostedClassifier
from training.bundle import Bundle
from training.estimator import Floats, residual, spread
from training.hybrid import HybridClassifier
from training.tabular_net import TabularNetClassifier
from training.tree_attribution import TreeAttribution

_NEAR = 1e-9


@dataclass(frozen=True)
class Attributions:
    """Why each applicant got the score: shares of calibrated log-odds, above 0 raises the PD.

    Parameters
    ----------
    base : float
        Calibrated log-odds of the background's mean.
    features : ndarray, shape (n, n_features)
        Share of each feature, in the order of `model.feature_names_in_`.
    sequences : ndarray, shape (n, n_sources)
        Share of each source of raw events; no columns without a sequence part.
    sources : tuple of str
        What the columns of `sequences` are.
    log_odds : ndarray, shape (n,)
        The calibrated log-odds that were split: those of `model.decision_function`.
    completeness_error : float
        Largest residual of a part's shares, relative to the sum of their sizes, before it was spread over them in
        proportion: of trees the rounding of XGBoost, of the tabular net what its gradients leave out.
    parts : dict of str to ndarray, shape (n,)
        Log-odds of each part of the hybrid before weights, and as `blend` of all before the calibrator.
    """

    base: float
    features: Floats
    sequences: Floats
    sources: tuple[str, ...]
    log_odds: Floats
    completeness_error: float
    parts: dict[str, Floats] = field(default_factory=dict)

    @property
    def additivity_error(self) -> float:
        """Largest absolute difference between base + shares and the log-odds."""
        total = self.base + self.features.sum(axis=1) + self.sequences.sum(axis=1)
        return float(np.abs(total - self.log_odds).max(initial=0.0))

    def by_group(self, declared: FeatureSet) -> dict[str, Floats]:
        """Share of each group of sources, shape (n,): its features and its events together.

        Parameters
        ----------
        declared : FeatureSet
            Of the features, in their order.

        Returns
        -------
        dict of str to ndarray
            application, bureau, consumption, repayment, business; with the base they sum to the log-odds.
        """
        groups = [feature.group for feature in declared.features]
        groups += [TABLES[source].use.provider for source in self.sources]  # type: ignore[misc]
        shares = np.hstack([self.features, self.sequences])
        return {name: shares[:, [group == name for group in groups]].sum(axis=1) for name in get_args(Group)}


class Explainer:
    """Explains the scores of a hybrid against a background, one applicant at a time or many.

    What follows from the background alone is computed once, here.

    Parameters
    ----------
    model : HybridClassifier
        Fitted.
    background_X : DataFrame or ndarray, shape (n, n_features)
        Typical applicants, as the bundle carries them; some hundred are enough.
    background_sequences : EventSequences or None
        Their raw events, when the model has a sequence part.
    trees : TreeAttribution, optional
        Of the boosted part against the same background, where it is at hand; computed otherwise.

    Attributes
    ----------
    parts : dict
        What explains each part of the hybrid, by its name.
    sources : tuple of str
        Of raw events that the model reads.
    """

    def __init__(
        self,
        model: HybridClassifier,
        background_X: Any,
        background_sequences: EventSequences | None,
        trees: TreeAttribution | None = None,
    ) -> None:
        self.model = model
        self.parts: dict[str, TreeAttribution | TabularNetAttribution | SequenceNetAttribution] = {}
        for name, part in model.parts_.items():
            if isinstance(part, BoostedClassifier):
                self.parts[name] = trees or TreeAttribution.of(part, background_X)
            elif isinstance(part, TabularNetClassifier):
                self.parts[name] = TabularNetAttribution(part, background_X)
            elif background_sequences is None:
                raise ValueError("this model was trained with sequences of events; give those of the background")
            else:
                self.parts[name] = SequenceNetAttribution(part, background_sequences)
        self.sources = tuple(model.parts_["sequence_net"].sources_) if "sequence_net" in model.parts_ else ()
        weighted = [model.weights_[name] * part.base for name, part in self.parts.items()]
        self._base = model.intercept_ + float(np.sum(weighted))

    @classmethod
    def of(cls, bundle: Bundle) -> Explainer:
        """Explain a bundle's scores against its own background, by the tables that it carries."""
        return cls(bundle.model, bundle.background_features, bundle.background_sequences, bundle.trees)

    def __call__(self, X: Any, sequences: EventSequences | None = None) -> Attributions:
        """Split the calibrated log-odds of each applicant.

        Parameters
        ----------
        X : DataFrame or ndarray, shape (n, n_features)
            The applicants.
        sequences : EventSequences or None
            Their raw events, when the model has a sequence part.

        Returns
        -------
        Attributions
            `base + features.sum(1) + sequences.sum(1)` equals `model.decision_function` to 1e-9.
        """
        log_odds = self.model.parts_log_odds(X, sequences)
        rows = np.asarray(X, dtype=np.float64)  # names and order of the features have been checked
        features, events, error = np.zeros(rows.shape), np.zeros((len(rows), 0)), 0.0
        for name, part in self.parts.items():
            weight = self.model.weights_[name]
            if isinstance(part, TreeAttribution):
                split, total = part.shares(rows), log_odds[name] - part.base
                error = max(error, residual(split, total))
                features += weight * spread(split, total)
            elif isinstance(part, TabularNetAttribution):
                split, left = part.shares(rows, log_odds[name])
                error = max(error, left)
                features += weight * split
            elif sequences is not None:
                events = weight * part.shares(sequences, log_odds[name])
        blend = self.model.blended(log_odds)
        base, calibrated, slope = self._calibrated(blend)
        parts = {**log_odds, "blend": blend}
        return Attributions(base, features * slope, events * slope, self.sources, calibrated, error, parts)

    def by_month(self, X: Any, sequences: EventSequences, *, orders: int = 16, seed: int = 0) -> Floats:
        """Split the share of each source of events among the months before `as_of`.

        Parameters
        ----------
        X, sequences
            The applicants and their events.
        orders : int, default 16
            Orders in which events join, each followed by its reverse. 16 rank months as many hundreds do to 0.93, 50
            to 0.97.
        seed : int, default 0
            Draws the orders; the same seed gives the same shares.

        Returns
        -------
        ndarray, shape (n, n_sources, MONTHS)
            The latest month first, the last one all that is a year old or older; months sum to `sequences` of the
            applicant's attributions.
        """
        part = self.parts.get("sequence_net")
        if not isinstance(part, SequenceNetAttribution):
            raise ValueError("this model has no sequence net, so there are no events to explain")
        log_odds = self.model.parts_log_odds(X, sequences)
        months = part.month_shares(sequences, log_odds["sequence_net"], orders=orders, seed=seed)
        *_, slope = self._calibrated(self.model.blended(log_odds))
        return months * (self.model.weights_["sequence_net"] * slope)[..., None]

    def _calibrated(self, raw: Floats) -> tuple[float, Floats, Floats]:
        """Calibrated base and log-odds, and the mean slope of the calibrator between them, shape (n, 1)."""
        calibrator = self.model.calibrator_
        calibrated, moved = calibrator(raw), raw - self._base
        around = calibrator(np.array([self._base - 1e-3, self._base, self._base + 1e-3]))
        near = np.abs(moved) < _NEAR
        secant = (calibrated - around[1]) / np.where(near, 1.0, moved)
        slope = np.where(near, (around[2] - around[0]) / 2e-3, secant)
        return float(around[1]), calibrated, slope[:, None]


def explain(
    model: HybridClassifier,
    X: Any,
    sequences: EventSequences | None,
    background_X: Any,
    background_sequences: EventSequences | None,
) -> Attributions:
    """Explain some applicants once; whoever asks again keeps an `Explainer`."""
    return Explainer(model, background_X, background_sequences)(X, sequences)
