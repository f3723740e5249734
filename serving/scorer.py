"""A bundle at work on one request: features, hybrid, attributions, the four strongest reasons, band and warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from data_contracts.messages import EXAMPLE, ScoreRequest, parse_request
from data_contracts.replies import BundleName, FeatureSetName, Reason, ScoreBand, Warned
from evaluation.attribution import Attributions, Explainer
from evaluation.reasons import ReasonWriter
from evaluation.sequence_attribution import MONTHS
from features.algebra import FeatureSet
from features.online import compile_plan
from features.sequences import EventSequences, from_records
from serving.bands import Bands
from serving.cautions import Cautions
from training.bundle import Bundle

_WARMING = parse_request(json.dumps(EXAMPLE))


@dataclass(frozen=True)
class Scored:
    """What a bundle says of one applicant.

    Parameters
    ----------
    features : ndarray of float64, shape (n_features,)
        In the order of the feature set, NaN where missing.
    log_odds, pd : float
        Calibrated log-odds and probability of default.
    score : float
        Points, higher is safer.
    band : ScoreBand
        Which share of the training applicants that is.
    reasons : list of Reason
        At most four reasons that raise the risk, strongest first.
    attributions : ndarray of float64, shape (n_features + n_sources,)
        What each feature and each source of events adds to the log-odds.
    residual : float
        Base and attributions together, minus the log-odds: zero but for rounding.
    warnings : list of Warned
        A source that is missing or stale, values that training has not seen.
    parts : dict of str to float
        Log-odds of each part of the hybrid before weights, and as `blend` of all before the calibrator.
    """

    features: npt.NDArray[np.float64]
    log_odds: float
    pd: float
    score: float
    band: ScoreBand
    reasons: list[Reason]
    attributions: npt.NDArray[np.float64]
    residual: float
    warnings: list[Warned]
    parts: dict[str, float]


class Scorer:
    """Scores requests with one bundle.

    Parameters
    ----------
    bundle : Bundle
        A loaded and verified bundle.
    version : str, default "unregistered"
        The registry's version or alias of it.
    """

    def __init__(self, bundle: Bundle, version: str = "unregistered") -> None:
        self.bundle = bundle
        self.decision_point = bundle.decision_point
        self.bundle_name = BundleName(name=bundle.name, version=version, identity=bundle.identity)
        self.feature_set_name = FeatureSetName(name=bundle.feature_set.name, identity=bundle.feature_set.identity)
        self._plan = compile_plan(bundle.feature_set)
        self._explainer = Explainer.of(bundle)
        self._reasons = ReasonWriter.of(bundle)
        self._bands = Bands.of(bundle)
        self._cautions = Cautions(
            bundle.reference, bundle.feature_set, _used_tables(bundle.feature_set, self._explainer.sources)
        )
        self.score(_WARMING)  # what is compiled at the first call is compiled before the first caller waits

    def score(self, request: ScoreRequest, features: npt.NDArray[np.float64] | None = None) -> Scored:
        """Score one applicant as of the request's `applied_at`.

        Parameters
        ----------
        request : ScoreRequest
        features : ndarray of float64, shape (n_features,), optional
            What a log says that they were; by default they are computed.
        """
        row, sequences = self._inputs(request, features)
        parts = self._explainer(row, sequences)
        log_odds = float(parts.log_odds[0])
        attributions = np.concatenate([parts.features[0], parts.sequences[0]])
        return Scored(
            features=row[0],
            log_odds=log_odds,
            pd=float(expit(log_odds)),
            score=float(self.bundle.scale.points(log_odds)),
            band=self.band(log_odds),
            reasons=self._reasons.write(parts, row, sequences)[0],
            attributions=attributions,
            residual=float(parts.base + attributions.sum() - log_odds),
            warnings=self._cautions(request, row[0]),
            parts={name: float(values[0]) for name, values in parts.parts.items()},
        )

    def band(self, log_odds: float) -> ScoreBand:
        """The band that calibrated log-odds fall into."""
        return self._bands(log_odds)

    def explain(self, request: ScoreRequest) -> tuple[Attributions, npt.NDArray[np.float64]]:
        """All attributions of one applicant, and the shares of each source's months, shape (n_sources, MONTHS)."""
        row, sequences = self._inputs(request)
        parts = self._explainer(row, sequences)
        if sequences is None or not parts.sources:
            return parts, np.zeros((0, MONTHS))
        return parts, self._explainer.by_month(row, sequences)[0]

    def _inputs(
        self, request: ScoreRequest, features: npt.NDArray[np.float64] | None = None
    ) -> tuple[npt.NDArray[np.float64], EventSequences | None]:
        records, as_of = request.records(), request.as_of
        if features is None:
            features = self._plan.compute(request.application_record(), records, as_of)
        length = self.bundle.sequence_length
        return features.reshape(1, -1), None if length is None else from_records(records, as_of, length)


def _used_tables(feature_set: FeatureSet, event_sources: tuple[str, ...]) -> frozenset[str]:
    """Tables that the features or the events of a bundle come from."""
    parents = {source.table.name for source in feature_set.sources}
    children = {source.child.table.name for source in feature_set.sources if source.child}
    return frozenset(parents | children | set(event_sources))
