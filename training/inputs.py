"""What a model reads of applications: their features and their raw events, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.folder import TableFolder
from features import batch, sequences
from features.algebra import FeatureSet
from features.sequences import EventSequences

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Inputs:
    """Features and raw events of the same applications.

    Parameters
    ----------
    features : DataFrame, shape (n, n_features)
        Indexed by `application_id`.
    events : EventSequences
        Of no length where nobody reads them.
    """

    features: pd.DataFrame
    events: EventSequences

    @classmethod
    def read(
        cls,
        folder: TableFolder,
        declared: FeatureSet,
        length: int,
        progress: Progress | None = None,
    ) -> Inputs:
        """Compute those of every application of a folder; the last `length` events of each, 0 for none."""
        matrix = batch.compute(folder, declared, progress=progress)
        if not length:
            return cls(matrix, EventSequences.empty(len(matrix), 0))
        if progress:
            progress("features: raw events", 0.95)
        return cls(matrix, sequences.from_folder(folder, length))

    def of(self, applications: pd.Index[Any]) -> Inputs:
        """Those of some applications, in their order."""
        return self.take(self.features.index.get_indexer(applications))

    def take(self, rows: npt.NDArray[np.int64]) -> Inputs:
        """Those of the given rows, in their order."""
        return Inputs(self.features.iloc[rows], self.events.take(rows))
