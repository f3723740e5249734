"""Whether the model that is served is the one that was measured: the same applicants by the online way, raw records in.

Each sampled application is computed alone as the service does it, its features by the compiled plan and its events from
the raw records, and held against the row of the batch that the report measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import expit

from data_contracts.folder import TableFolder
from features import sequences
from features.online import compile_plan
from features.replay import TOLERANCE, applicants, differ, event_tables, relative_difference
from training.bundle import Bundle
from training.run import Rows

SAMPLED = 50


@dataclass(frozen=True)
class Deviation:
    """A feature that came out otherwise online: in how many of the sampled rows, and the two values of the first."""

    feature: str
    rows: int
    in_batch: float
    online: float


@dataclass(frozen=True)
class Implementation:
    """What was found when applications of the test were scored once more as the service scores.

    Parameters
    ----------
    rows, features, records : int
        Applications of the sample, features of each, and raw records of all.
    deviations : tuple of Deviation
        Features that differ by more than 1e-9 of the value, or are missing on one side only.
    feature_difference : float
        Largest relative difference of a feature that both have.
    events_differ : int
        Applications whose sequence of raw events is not the same to the bit.
    pd_difference : float
        Largest difference of the PD.
    tolerance : float
        What features and PD may differ by.
    """

    rows: int
    features: int
    records: int
    deviations: tuple[Deviation, ...]
    feature_difference: float
    events_differ: int
    pd_difference: float
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the online way answers as the batch did."""
        return not self.deviations and not self.events_differ and self.pd_difference <= self.tolerance


@dataclass(frozen=True)
class ServedRows:
    """Some rows computed once more as the service does it, each alone.

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
        Which rows they are.
    features : DataFrame, shape (n, n_features)
        By the online plan.
    events : list of EventSequences
        From the raw records, one row each.
    records : int
        How many raw records there were.
    """

    at: npt.NDArray[np.int64]
    features: pd.DataFrame
    events: list[sequences.EventSequences]
    records: int


def served_rows(
    bundle: Bundle, folder: TableFolder, rows: Rows, at: npt.NDArray[np.int64], *, sample: int = SAMPLED, seed: int = 0
) -> ServedRows:
    """Compute some rows by the online way, each alone, from all raw records of its customer.

    Parameters
    ----------
    bundle : Bundle
        The model.
    folder : TableFolder
        The tables that `rows` were computed from.
    rows : Rows
        Labelled applications of the folder.
    at : ndarray of int64, shape (n,)
        Which of them to draw from; n > 0.
    sample : int, default 50
        How many to draw.
    seed : int, default 0
        The same seed draws the same applications.
    """
    chosen = at[np.sort(np.random.default_rng(seed).permutation(len(at))[:sample])]
    names = rows.features.index[chosen]
    drawn = folder.read_arrow("applications")
    drawn = drawn.filter(pc.is_in(drawn["application_id"], pa.array(names.to_numpy(), pa.string())))
    tables = dict.fromkeys((*event_tables(bundle.feature_set), *sequences.SOURCES))
    found = {row["application_id"]: (row, of) for row, of in applicants(folder, tables, drawn)}
    asked = [found[name] for name in names]
    plan, length = compile_plan(bundle.feature_set), rows.events.source.shape[1]
    online = [plan.compute(row, records, row["applied_at"]) for row, records in asked]
    return ServedRows(
        at=chosen,
        features=pd.DataFrame(np.stack(online), columns=list(bundle.feature_set.names)),
        events=[sequences.from_records(records, row["applied_at"], length) for row, records in asked],
        records=sum(len(of or ()) for _, records in asked for of in records.values()),
    )


def implementation_test(bundle: Bundle, rows: Rows, served: ServedRows) -> Implementation:
    """Hold rows that were computed by the online way against the batch that is measured."""
    batch, online = (frame.to_numpy(dtype=np.float64) for frame in (rows.features.iloc[served.at], served.features))
    given = rows.events.take(served.at)
    distance = relative_difference(batch, online)
    return Implementation(
        rows=len(served.at),
        features=online.shape[1],
        records=served.records,
        deviations=_deviations(bundle.feature_set.names, batch, online, differ(batch, online)),
        feature_difference=float(np.nanmax(distance, initial=0.0)),
        events_differ=sum(not _same(one, given.take([k])) for k, one in enumerate(served.events)),
        pd_difference=_pd_difference(bundle, rows, served),
    )


def _deviations(
    names: tuple[str, ...], batch: npt.NDArray[np.float64], online: npt.NDArray[np.float64], far: npt.NDArray[np.bool_]
) -> tuple[Deviation, ...]:
    found = []
    for column in np.flatnonzero(far.any(axis=0)).tolist():
        row = int(np.argmax(far[:, column]))
        values = float(batch[row, column]), float(online[row, column])
        found.append(Deviation(names[column], int(far[:, column].sum()), *values))
    return tuple(found)


def _same(one: sequences.EventSequences, other: sequences.EventSequences) -> bool:
    pairs = ((one.source, other.source), (one.kind, other.kind), (one.values, other.values))
    return all(np.array_equal(mine, its) for mine, its in pairs)


def _pd_difference(bundle: Bundle, rows: Rows, served: ServedRows) -> float:
    """Largest difference between the PD of the batch and that of each applicant alone."""
    model = bundle.model
    whole = expit(model.decision_function(rows.features.iloc[served.at], rows.events.take(served.at)))
    alone = [
        expit(model.decision_function(served.features.iloc[[k]], events))[0] for k, events in enumerate(served.events)
    ]
    return float(np.abs(whole - np.array(alone)).max())
