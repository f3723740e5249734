"""What the model-risk report is made from: plain facts, arrays and frames, no model and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from reporting.page import Text

if TYPE_CHECKING:
    from evaluation.missing_sources import WithoutSource

Array = npt.NDArray[np.float64]


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
class Part:
    """One part of the hybrid: `name`, its `weight` in log-odds, and why it was `dropped`, if it was."""

    name: str
    weight: float
    dropped: Text | str | None = None


@dataclass(frozen=True)
class Exclusion:
    """How many applications were left out of the sample, and why."""

    reason: Text | str
    count: int


@dataclass(frozen=True)
class ReportInput:
    """Everything a model-risk report says.

    Parameters
    ----------
    model, decision_point, lender : str
        Name in the registry; moment of the loan's life; whose records.
    bundle_identity, feature_set, feature_set_identity, data_identity : str
        Hashes (sha256 hex), and the name of the feature set.
    experiment : str
        The experiment TOML, word for word.
    split_method : Text or str
        How train and test were divided.
    seeds : mapping of str to int
    target : Text or str
        What counts as a default, over which window.
    splits : sequence of Split
        The last one is the test the report speaks of; the first is the training sample.
    sample_notes : sequence of Text or str
        What else was learnt from, such as refused applications.
    exclusions : sequence of Exclusion
    features : sequence of FeatureLike
        Declarations, in the order of `explained.columns`.
    explained : DataFrame, shape (n, n_features)
        Features of the rows that were explained (a sample of the test), NaN = missing. No identifiers: its index is
        ignored, rows are shown by their number.
    attributions : AttributionsLike
        Of the same n rows.
    log_odds : array, shape (n,)
        Calibrated log-odds of the same rows (`decision_function`): what attributions must sum to.
    parts : sequence of Part
    calibrator : Text or str
    without : sequence of WithoutSource
        What the model does on the test without each of its sources.
    missing_rates : mapping of str to float, optional
        Share of rows without a value over the whole sample; from `explained` where not given.
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

    model: str
    decision_point: str
    lender: str
    bundle_identity: str
    feature_set: str
    feature_set_identity: str
    data_identity: str
    experiment: str
    split_method: Text | str
    seeds: Mapping[str, int]
    target: Text | str
    splits: Sequence[Split]
    exclusions: Sequence[Exclusion]
    features: Sequence[FeatureLike]
    explained: pd.DataFrame
    attributions: AttributionsLike
    log_odds: npt.ArrayLike
    parts: Sequence[Part]
    calibrator: Text | str
    without: Sequence[WithoutSource] = ()
    sample_notes: Sequence[Text | str] = ()
    missing_rates: Mapping[str, float] | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    limitations: Sequence[Text | str] = ()
    created: str = ""
    applicants: int = 5
    seed: int = 0

    def check(self) -> None:
        """Raise `ValueError`, naming every mismatch of shapes."""
        n, columns = self.explained.shape
        faults = []
        if not self.splits:
            faults.append("splits is empty")
        if [feature.name for feature in self.features] != [str(name) for name in self.explained.columns]:
            faults.append("features and the columns of explained differ")
        shapes = {
            "attributions.features": (np.shape(self.attributions.features), (n, columns)),
            "attributions.sequences": (np.shape(self.attributions.sequences), (n, len(self.attributions.sources))),
            "log_odds": (np.shape(self.log_odds), (n,)),
        }
        faults += [f"{name} has shape {has}, not {should}" for name, (has, should) in shapes.items() if has != should]
        for split in self.splits:
            sizes = {np.shape(split.y), np.shape(split.pd), *(np.shape(part) for part in split.parts.values())}
            if len(sizes) != 1:
                faults.append(f"split {split.name}: lengths {sorted(map(str, sizes))} differ")
        if faults:
            raise ValueError("The report's input does not fit together: " + "; ".join(faults) + ".")
