"""Why the model says what it says, measured: attributions, their fidelity, and whether the served reasons hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_contracts.replies import Reason
from evaluation.attribution import Attributions, Explainer
from evaluation.fidelity import Fidelity, audit
from evaluation.implementation import ServedRows
from evaluation.measuring.subject import Subject
from evaluation.metric import Array
from evaluation.reason_checks import ReasonAgreement, ReasonStability, agreement, stability
from evaluation.reasons import ReasonWriter
from features.sequences import EventSequences
from reporting.page import Text, Unknown

EXPLAINED_ROWS = 300
AUDITED_ROWS, AUDITED_AGAINST = 50, 20  # a walk is taken for each pair of them


@dataclass(frozen=True)
class ReasonFacts:
    """Whether explanations can be relied on.

    Parameters
    ----------
    agreement : ReasonAgreement
        Reasons as they are served, each applicant alone, against fresh attributions.
    stability : ReasonStability
        Of the first reason under a little noise.
    fidelity : tuple of Fidelity
        Attributions of each net against sampled Shapley values.
    """

    agreement: ReasonAgreement
    stability: ReasonStability
    fidelity: tuple[Fidelity, ...]


@dataclass(frozen=True)
class Sample:
    """Rows of the test that are explained, and what explains them."""

    features: pd.DataFrame
    events: EventSequences | None
    explainer: Explainer
    attributions: Attributions
    reasons: list[list[Reason]]


def explained_sample(subject: Subject) -> Sample:
    """Explain a sample of the test."""
    drawn = np.random.default_rng(subject.experiment.seed).permutation(len(subject.tested))[:EXPLAINED_ROWS]
    at = subject.tested[np.sort(drawn)]
    explainer = Explainer.of(subject.bundle)
    features = subject.rows.features.iloc[at].reset_index(drop=True)
    events = subject.rows.events.take(at) if explainer.sources else None
    attributions = explainer(features, events)
    reasons = ReasonWriter.of(subject.bundle).write(attributions, features, events)
    return Sample(features, events, explainer, attributions, reasons)


def months_of_events(subject: Subject, sample: Sample) -> Array | Unknown:
    """Attributions of each source of events by month before the application, shape (n, n_sources, months)."""
    if sample.events is None:
        return Unknown(
            Text(
                "混合模型没有序列网络，事件不按月解释。",
                "The hybrid has no sequence net in use; there are no events to explain by month.",
            )
        )
    return sample.explainer.by_month(sample.features, sample.events, seed=subject.experiment.seed)


def reasons_of(subject: Subject, sample: Sample, served: ServedRows) -> ReasonFacts:
    """Check reasons and attributions."""
    bundle, seed = subject.bundle, subject.experiment.seed
    writer, rows = ReasonWriter.of(bundle), subject.rows
    answers = []
    for k, events in enumerate(served.events):
        alone, heard = served.features.iloc[[k]], events if sample.explainer.sources else None
        answers += writer.write(sample.explainer(alone, heard), alone, heard)
    return ReasonFacts(
        agreement(bundle, rows.features.iloc[served.at].reset_index(drop=True), rows.events.take(served.at), answers),
        stability(bundle, sample.features, sample.events, seed=seed),
        _fidelity(subject, sample),
    )


def _fidelity(subject: Subject, sample: Sample) -> tuple[Fidelity, ...]:
    """The audit of the nets on a few applicants against a part of the background, as walks are many."""
    bundle = subject.bundle
    known, events = bundle.background_features.iloc[:AUDITED_AGAINST], bundle.background_sequences
    fewer = None if events is None else events.take(np.arange(len(known)))
    some = np.arange(min(AUDITED_ROWS, len(sample.features)))
    heard = None if sample.events is None else sample.events.take(some)
    explainer = Explainer(bundle.model, known, fewer)
    return audit(explainer, sample.features.iloc[some], heard, orders=len(known), seed=subject.experiment.seed)
