"""What the model-risk report is made from: plain facts, arrays and frames, no model and no file.

What was not measured, or cannot be told, is an `Unknown` with its reason: the report says it in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation import metrics
from evaluation.metric import Metric
from reporting.page import Text, Unknown

if TYPE_CHECKING:
    from evaluation.alternative import Alternative
    from evaluation.comparison import Comparison
    from evaluation.conformal import Reliability
    from evaluation.implementation import Implementation
    from evaluation.interactions import Interactions
    from evaluation.lineage import Origin
    from evaluation.measuring.course import Course
    from evaluation.measuring.explanation import ReasonFacts
    from evaluation.measuring.persons import Treatment
    from evaluation.missing_sources import WithoutSource
    from evaluation.monitoring_limits import MonitoringLimits
    from evaluation.monotonicity import Monotonicity
    from evaluation.profit import Profit
    from evaluation.robustness import Noise
    from evaluation.segments import Overfit, Segment
    from evaluation.weak_slices import SliceSearch

Array = npt.NDArray[np.float64]
NOT_MEASURED = Unknown(Text("本次未测量。", "Not measured this time."))


class FeatureLike(Protocol):
    """What the report reads of a feature's declaration; `features.algebra.Feature` fits."""

    @property
    def name(self) -> str: ...
    @property
    def en(self) -> str: ...
    @property
    def zh(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def risk(self) -> int: ...
    @property
    def group(self) -> str: ...


class AttributionsLike(Protocol):
    """What the report reads of attributions; `evaluation.attribution.Attributions` fits.

    `base` in log-odds, `features` of shape (n, n_features), `sequences` of shape (n, n_sources), names of `sources`.
    """

    @property
    def base(self) -> float: ...
    @property
    def features(self) -> Array: ...
    @property
    def sequences(self) -> Array: ...
    @property
    def sources(self) -> Sequence[str]: ...


class ReasonLike(Protocol):
    """What the report reads of a reason; `data_contracts.replies.Reason` fits."""

    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str: ...
    @property
    def log_odds(self) -> float: ...


@dataclass(frozen=True)
class Identity:
    """Which model, on whose records, for what.

    Parameters
    ----------
    model, decision_point, lender : str
        Name in the registry; moment of the loan's life; whose records.
    bundle, feature_set, features, data, trained_on : str
        Hash of the bundle (sha256 hex); name and hash of the feature set; hashes of the records that were measured on
        and of those that were learnt from.
    use, not_for : sequence of Text
        What the score is for, and what it must not be used for.
    owner : Text or Unknown
        Who answers for the model.
    versions : mapping of str to str
        Libraries that trained it.
    """

    model: str
    decision_point: str
    lender: str
    bundle: str
    feature_set: str
    features: str
    data: str
    trained_on: str
    use: Sequence[Text] = ()
    not_for: Sequence[Text] = ()
    owner: Text | Unknown = NOT_MEASURED
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """One sample with its outcomes and what the hybrid and its parts said.

    Parameters
    ----------
    name : str
        `train`, `validation`, `test` ...; the report knows the Chinese for these.
    y : array of 0 and 1, shape (n,)
    pd : array, shape (n,)
        Calibrated PD of the hybrid.
    parts : mapping of str to array of shape (n,)
        Score of each part alone (PD or log-odds, higher is riskier); may be empty.
    period : Text or str
        The applications' dates, or how the rows were drawn.
    in_sample : bool, default False
        Whether the model was fitted on these rows, so that its figures flatter.
    """

    name: str
    y: npt.ArrayLike
    pd: npt.ArrayLike
    parts: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    period: Text | str = ""
    in_sample: bool = False


@dataclass(frozen=True)
class Exclusion:
    """How many applications were left out of the sample, and why."""

    reason: Text | str
    count: int


@dataclass(frozen=True)
class Month:
    """Labelled applications of one month: how many, and how many of them defaulted."""

    month: str
    rows: int
    bad: int


@dataclass(frozen=True)
class SampleFacts:
    """What was learnt from and what is measured on.

    Parameters
    ----------
    target : Text or str
        What counts as a default, over which window.
    windows : sequence of (Text, Text)
        Windows by name: how far back features look, how far forward the target.
    split_method : Text or str
        How train and test were divided.
    splits : sequence of Split
        The last one is the test the report speaks of; the first is the training sample.
    notes : sequence of Text or str
        What else was learnt from, such as refused applications.
    exclusions : sequence of Exclusion
    months : sequence of Month or Unknown
    """

    target: Text | str
    split_method: Text | str
    splits: Sequence[Split]
    windows: Sequence[tuple[Text, Text]] = ()
    notes: Sequence[Text | str] = ()
    exclusions: Sequence[Exclusion] = ()
    months: Sequence[Month] | Unknown = NOT_MEASURED


@dataclass(frozen=True)
class FeatureFacts:
    """What the model looks at.

    Parameters
    ----------
    declared : sequence of FeatureLike
        In the order of `Explained.rows`.
    missing : mapping of str to float
        Share of rows without a value over the whole sample; from the explained rows where not given.
    unread : sequence of str
        Columns of the application that no feature reads.
    constant : sequence of str
        Features with one value for all rows.
    """

    declared: Sequence[FeatureLike]
    missing: Mapping[str, float] = field(default_factory=dict)
    unread: Sequence[str] = ()
    constant: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """One part of the hybrid: `name`, its `weight` in log-odds, and why it was `dropped`, if it was."""

    name: str
    weight: float
    dropped: Text | str | None = None


@dataclass(frozen=True)
class Method:
    """How the model was made: its parts, calibrator, seeds, and the experiment, word for word."""

    experiment: str
    parts: Sequence[Part]
    calibrator: Text | str
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class Explained:
    """Rows that were explained, a sample of the test.

    Parameters
    ----------
    rows : DataFrame, shape (n, n_features)
        Features, NaN = missing. No identifiers: its index is ignored, rows are shown by their number.
    attributions : AttributionsLike
        Of the same n rows.
    log_odds : array, shape (n,)
        Calibrated log-odds of the same rows (`decision_function`): what attributions must sum to.
    interactions : Interactions or Unknown
    months : array, shape (n, n_sources, months), or Unknown
        Attributions of each source of events by month before the application, the latest first.
    reasons : sequence of sequence of ReasonLike
        What each of these applicants would be told, strongest first; empty where it is not known.
    """

    rows: pd.DataFrame
    attributions: AttributionsLike
    log_odds: npt.ArrayLike
    interactions: Interactions | Unknown = NOT_MEASURED
    months: Array | Unknown = NOT_MEASURED
    reasons: Sequence[Sequence[ReasonLike]] = ()


@dataclass(frozen=True)
class ReportInput:
    """Everything a model-risk report says.

    Parameters
    ----------
    identity, sample, features, method, explained
        See the classes.
    origin : Origin or Unknown
        Lineage, authorisation and quality of the records.
    alternative : Alternative or Unknown
        The plain scorecard beside the hybrid.
    challenger : Comparison or Unknown
        Champion and challenger on the same applications.
    course : Course or Unknown
        Gini, PSI, vintages and roll rates over time.
    segments : sequence of Segment or Unknown
        Figures by month, product, channel and the like.
    overfit : sequence of Overfit or Unknown
        AUC of training against test, over all and by segment.
    slices : SliceSearch or Unknown
        Where the model is worst, found by search.
    noise : sequence of Noise or Unknown
    reliability : sequence of Reliability or Unknown
        Conformal sets of all test rows, by outcome and by segment.
    directions : sequence of Monotonicity or Unknown
        Every declared direction of risk, tried on the hybrid.
    reasons : ReasonFacts or Unknown
        Whether the reasons that are served are those of fresh attributions, and stable.
    treatment : Treatment or Unknown
        What the features do with protected attributes, fairness at the cut-off, and proxies.
    profit : Profit or Unknown
        By cut-off, under assumptions that are declared.
    without : sequence of WithoutSource
        What the model does on the test without each of its sources.
    implementation : Implementation or Unknown
        The served way held against the measured one.
    monitoring : MonitoringLimits or Unknown
    hashes : mapping of str to str
        Files of the bundle, tables of the data and their SHA-256.
    limitations : sequence of Text or str
        What the reader must know, beyond what the report finds by itself.
    created : str
        When, as the caller wants it printed; empty prints none. An argument, so that the same run gives the same bytes.
    applicants : int, default 5
        How many rows get a page of their own.
    seed : int, default 0
        Of the bootstrap intervals.
    """

    identity: Identity
    sample: SampleFacts
    features: FeatureFacts
    method: Method
    explained: Explained
    origin: Origin | Unknown = NOT_MEASURED
    alternative: Alternative | Unknown = NOT_MEASURED
    challenger: Comparison | Unknown = NOT_MEASURED
    course: Course | Unknown = NOT_MEASURED
    segments: Sequence[Segment] | Unknown = NOT_MEASURED
    overfit: Sequence[Overfit] | Unknown = NOT_MEASURED
    slices: SliceSearch | Unknown = NOT_MEASURED
    noise: Sequence[Noise] | Unknown = NOT_MEASURED
    reliability: Sequence[Reliability] | Unknown = NOT_MEASURED
    directions: Sequence[Monotonicity] | Unknown = NOT_MEASURED
    reasons: ReasonFacts | Unknown = NOT_MEASURED
    treatment: Treatment | Unknown = NOT_MEASURED
    profit: Profit | Unknown = NOT_MEASURED
    without: Sequence[WithoutSource] = ()
    implementation: Implementation | Unknown = NOT_MEASURED
    monitoring: MonitoringLimits | Unknown = NOT_MEASURED
    hashes: Mapping[str, str] = field(default_factory=dict)
    limitations: Sequence[Text | str] = ()
    created: str = ""
    applicants: int = 5
    seed: int = 0

    @cached_property
    def figures(self) -> dict[str, dict[str, Metric]]:
        """Every figure of every sample, by its name."""
        return {split.name: metrics.evaluate(split.y, split.pd, seed=self.seed) for split in self.sample.splits}

    @property
    def test(self) -> Split:
        """The sample that the report speaks of."""
        return self.sample.splits[-1]

    def check(self) -> None:
        """Raise `ValueError`, naming every mismatch of shapes."""
        rows, given = self.explained.rows, self.explained.attributions
        n, columns = rows.shape
        faults = []
        if not self.sample.splits:
            faults.append("splits is empty")
        if [feature.name for feature in self.features.declared] != [str(name) for name in rows.columns]:
            faults.append("the declared features and the columns of the explained rows differ")
        shapes = {
            "attributions.features": (np.shape(given.features), (n, columns)),
            "attributions.sequences": (np.shape(given.sequences), (n, len(given.sources))),
            "log_odds": (np.shape(self.explained.log_odds), (n,)),
        }
        faults += [f"{name} has shape {has}, not {should}" for name, (has, should) in shapes.items() if has != should]
        for split in self.sample.splits:
            sizes = {np.shape(split.y), np.shape(split.pd), *(np.shape(part) for part in split.parts.values())}
            if len(sizes) != 1:
                faults.append(f"split {split.name}: lengths {sorted(map(str, sizes))} differ")
        if faults:
            raise ValueError("The report's input does not fit together: " + "; ".join(faults) + ".")
