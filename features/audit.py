"""The audit for leaks: no feature may become another number when all that the lender learned after `as_of` is removed.

A sample of applications is computed three times: in batch on the lender's tables as they are; in batch on tables from
which all that became known after the application's `as_of` is removed; online on all records. All must agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import isnan
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.folder import Batch, TableFolder, write_tables
from data_contracts.tables import TABLES
from features import batch
from features.algebra import FeatureSet
from features.online import compile_plan
from features.replay import Applicant, Compute, Progress, applicants, differ, event_tables, replay
from features.versions import newest

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A feature that changed when the future was removed.

    Parameters
    ----------
    feature : str
        Its name.
    engine : {"batch", "online"}
        Which engine saw the future.
    rows : int
        Applications of the sample whose value differs.
    application_id : str
        The first of them.
    with_future, without_future : float
        Its value on all records by that engine, and in batch on what was known at `as_of`; NaN where missing.
    """

    feature: str
    engine: Literal["batch", "online"]
    rows: int
    application_id: str
    with_future: float
    without_future: float


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    rows, features : int
        Applications of the sample, and features of each that were compared.
    records, records_removed : int
        Records of the sampled applications, and how many of them became known, happen or fall due after `as_of`. With
        none removed the audit had nothing to find.
    differences : list of Difference
        In the order of the feature set; empty where nothing leaks.
    """

    rows: int
    features: int
    records: int
    records_removed: int
    differences: list[Difference]

    def to_dict(self) -> dict[str, Any]:
        """Plain facts, as JSON takes them; a missing value is None."""
        return asdict(self) | {"differences": [_plain(found) for found in self.differences]}


def audit(
    folder: TableFolder,
    feature_set: FeatureSet,
    *,
    sample: int = 500,
    seed: int = 0,
    compute: Compute = batch.compute,
    progress: Progress | None = None,
) -> Audit:
    """Look for features that use what the lender learned only after the decision.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables.
    feature_set : FeatureSet
        What to audit.
    sample : int, default 500
        Number of applications, one drawn from each of as many stretches of time.
    seed : int, default 0
        The same seed draws the same applications.
    compute : callable, default `features.batch.compute`
        The batch engine that is audited, called with a folder and the feature set.
    progress : callable, optional
        Called with a step and the share that is done.

    Returns
    -------
    Audit

    Raises
    ------
    SourceError
        The folder has no applications, or cannot be read.
    """
    tell = progress or (lambda step, share: None)
    tell("audit: sample", 0.0)
    applications, everything = _sample(folder, feature_set, sample, seed)
    times = _times(feature_set)
    known = [(row, _known(records, row, times)) for row, records in everything]
    tell("audit: batch on all records", 0.05)
    in_batch = _in_batch(folder, applications, feature_set, compute)
    tell("audit: batch on what was known", 0.5)
    without_future = replay(known, feature_set, compute=compute)
    tell("audit: online on all records", 0.9)
    plan = compile_plan(feature_set)
    online = np.stack([plan.compute(row, records, row["applied_at"]) for row, records in everything])
    ids = [row["application_id"] for row, _ in everything]
    differences = [
        *_differences("batch", in_batch, without_future, feature_set.names, ids),
        *_differences("online", online, without_future, feature_set.names, ids),
    ]
    place = {name: at for at, name in enumerate(feature_set.names)}
    return Audit(
        rows=len(ids),
        features=len(feature_set.names),
        records=_count(everything),
        records_removed=_count(everything) - _count(known),
        differences=sorted(differences, key=lambda found: place[found.feature]),
    )


def _sample(folder: TableFolder, feature_set: FeatureSet, sample: int, seed: int) -> tuple[pa.Table, list[Applicant]]:
    """Applications spread over time, as a table and each with all records of its customer, the future ones too."""
    try:
        with connect() as engine:
            ordered = engine.sql(
                f"SELECT * FROM {folder.scan('applications')} ORDER BY applied_at, application_id"
            ).to_arrow_table()
    except duckdb.Error as fault:
        raise SourceError(f"The tables in {folder.path} cannot be read ({fault}); run `lendwell validate`.") from fault
    if not ordered.num_rows:
        raise SourceError(f"{folder.path} has no applications, so there is nothing to audit.")
    edges = np.linspace(0, ordered.num_rows, min(sample, ordered.num_rows) + 1).astype(np.int64)
    drawn = ordered.take(np.random.default_rng(seed).integers(edges[:-1], edges[1:])).sort_by("application_id")
    return drawn, applicants(folder, event_tables(feature_set), drawn)


def _known(records: Any, application: Any, times: dict[str, str]) -> dict[str, list[Any]]:
    """Records that count at the application's `as_of`, in every version known by then.

    What was known to come, an instalment not yet due, goes too: it must not count any more than what was not known.
    """
    as_of, found = application["applied_at"], {}
    for name, rows in records.items():
        key, time = itemgetter(*TABLES[name].key), times[name]
        ahead = {key(row) for row in newest(rows, key, as_of) if row[time] > as_of}
        found[name] = [row for row in rows if row["known_at"] <= as_of and key(row) not in ahead]
    return found


def _times(feature_set: FeatureSet) -> dict[str, str]:
    """For each table the column that says when its records count."""
    children = {source.child.table.name: "occurred_at" for source in feature_set.sources if source.child}
    return children | {source.table.name: source.time for source in feature_set.sources}


def _in_batch(folder: TableFolder, applications: pa.Table, feature_set: FeatureSet, compute: Compute) -> Matrix:
    """Features of some applications of a folder, computed from its own files."""
    with TemporaryDirectory(prefix="lendwell-audit-") as place:
        asked = write_tables(Path(place) / "asked", {"applications": applications}, lender="audit", dates="relative")
        others = [replace(of, facts={**of.facts, "files": _but_applications(of)}) for of in folder.batches]
        matrix = compute(replace(folder, batches=(*others, *asked.batches)), feature_set)
    found: Matrix = matrix.loc[applications["application_id"].to_pylist(), list(feature_set.names)].to_numpy()
    return found


def _but_applications(of: Batch) -> dict[str, Any]:
    return {name: files for name, files in of.facts["files"].items() if name != "applications"}


def _differences(
    engine: Literal["batch", "online"], seen: Matrix, known: Matrix, names: tuple[str, ...], ids: list[str]
) -> list[Difference]:
    far = differ(seen, known)
    found = []
    for column in np.flatnonzero(far.any(axis=0)).tolist():
        row = int(np.argmax(far[:, column]))
        values = float(seen[row, column]), float(known[row, column])
        found.append(Difference(names[column], engine, int(far[:, column].sum()), ids[row], *values))
    return found


def _count(applicants: Iterable[Applicant]) -> int:
    return sum(len(rows or ()) for _, records in applicants for rows in records.values())


def _plain(found: Difference) -> dict[str, Any]:
    return {name: None if isinstance(v, float) and isnan(v) else v for name, v in asdict(found).items()}
