"""A bundle and the rows it is measured on: what every measure of a report starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from data_contracts.folder import TableFolder
from evaluation.measuring.dimensions import dimensions
from evaluation.metric import Array
from evaluation.report.inputs import Split
from training.bundle import Bundle
from training.experiment import Experiment
from training.run import Rows


@dataclass(frozen=True)
class Subject:
    """A bundle and the rows it is measured on.

    Parameters
    ----------
    bundle : Bundle
    folder : TableFolder
        Records with outcomes.
    rows : Rows
        Its labelled applications.
    own : bool
        Whether the folder is the one the bundle was trained on, so that only the test rows count.
    """

    bundle: Bundle
    folder: TableFolder
    rows: Rows
    own: bool

    @cached_property
    def experiment(self) -> Experiment:
        """What the bundle was trained by."""
        return Experiment(**self.bundle.facts["experiment"])

    @property
    def tested(self) -> npt.NDArray[np.int64]:
        """Rows that the model has not learnt from."""
        return self.rows.sample.test if self.own else np.arange(len(self.rows.defaulted))

    @property
    def tested_index(self) -> pd.Index:
        """Their `application_id`."""
        return self.rows.features.index[self.tested]

    @cached_property
    def splits(self) -> list[Split]:
        """The test last; before it, on the bundle's own folder, what it has learnt from."""
        found = [self._split(self.tested, "test", in_sample=False)]
        return [self._split(self.rows.sample.train, "train", in_sample=True), *found] if self.own else found

    @property
    def test(self) -> Split:
        """The rows that count, with their PDs."""
        return self.splits[-1]

    @property
    def log_odds(self) -> Array:
        """Calibrated log-odds of the test rows."""
        return np.asarray(logit(np.asarray(self.test.pd)))

    @cached_property
    def dimensions(self) -> pd.DataFrame:
        """By what the test rows are told apart."""
        return dimensions(self.folder, self.tested_index)

    def _split(self, at: npt.NDArray[np.int64], name: str, *, in_sample: bool) -> Split:
        model, features, events = self.bundle.model, self.rows.features.iloc[at], self.rows.events.take(at)
        parts = model.parts_log_odds(features, events)
        dates = self.rows.applied_at.iloc[at]
        period = f"{dates.min():%Y-%m-%d} – {dates.max():%Y-%m-%d}"
        return Split(
            name, self.rows.defaulted[at], expit(model.calibrator_(model.blended(parts))), parts, period, in_sample
        )
