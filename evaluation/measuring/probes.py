"""The bundle put to the test: weak slices, noise, single PDs, and the directions that its features declare."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.conformal import Reliability, conformal_reliability
from evaluation.measuring.subject import Subject
from evaluation.metric import Array
from evaluation.monotonicity import Monotonicity, monotonicity
from evaluation.resampling import halves
from evaluation.robustness import Noise, Score, noise_robustness
from evaluation.weak_slices import SliceSearch, weak_slices
from reporting.page import Text, Unknown
from training.sequence_net import SequenceNetClassifier

NOISE_ROWS, PROMISED = 2_000, 0.9
_LEVELS = ("product", "channel")


def scorer(subject: Subject) -> Score:
    """Calibrated log-odds of test rows with other features; their events stay as they are, so they are heard once."""
    model = subject.bundle.model
    parts = {name: part for name, part in model.parts_.items() if not isinstance(part, SequenceNetClassifier)}
    known = {name: pd.Series(np.asarray(of), subject.tested_index) for name, of in subject.test.parts.items()}

    def score(features: pd.DataFrame) -> Array:
        rows = features.to_numpy(dtype=np.float64)
        told = {name: part.log_odds(rows) for name, part in parts.items()}
        told |= {name: known[name].loc[features.index].to_numpy() for name in model.parts_ if name not in parts}
        return model.calibrator_(model.blended(told))

    return score


def slices_of(subject: Subject) -> SliceSearch:
    """Search features, product, channel and the like for slices whose log loss is beyond what the PDs expect."""
    features = subject.rows.features.iloc[subject.tested].reset_index(drop=True)
    levels = subject.dimensions.drop(columns="month", errors="ignore").reset_index(drop=True)
    test = subject.test
    return weak_slices(test.y, test.pd, pd.concat([levels, features], axis=1), seed=subject.experiment.seed)


def noise_of(subject: Subject, score: Score) -> list[Noise]:
    """Noise on the features of a sample of the test."""
    drawn = np.random.default_rng(subject.experiment.seed).permutation(len(subject.tested))[:NOISE_ROWS]
    at = subject.tested[np.sort(drawn)]
    cutoff = float(np.mean(np.asarray(subject.test.y)))
    rows = subject.rows
    return noise_robustness(
        score, rows.features.iloc[at], rows.defaulted[at], cutoff=cutoff, seed=subject.experiment.seed
    )


def reliability_of(subject: Subject) -> list[Reliability]:
    """Conformal sets: thresholds from one half of the test, coverage on the other."""
    y, pds = np.asarray(subject.test.y), np.asarray(subject.test.pd)
    first, second = halves(y, subject.experiment.seed)
    levels = subject.dimensions[[name for name in _LEVELS if name in subject.dimensions]].iloc[second]
    return conformal_reliability((y[first], pds[first]), (y[second], pds[second]), levels, promised=PROMISED)


def directions_of(subject: Subject, score: Score) -> list[Monotonicity] | Unknown:
    """Every declared direction tried on the whole hybrid."""
    directions = {feature.name: feature.risk for feature in subject.bundle.feature_set.features if feature.risk}
    if not directions:
        return Unknown(Text("没有特征声明风险方向。", "No feature declares a direction of risk."))
    features = subject.rows.features.iloc[subject.tested]
    return monotonicity(score, features, directions, seed=subject.experiment.seed)
