"""Whether the features that were served are those that batch computes from the same raw records, months later too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.algebra import FeatureSet
from features.replay import Applicant, differ, event_tables, relative_difference, replay
from serving.request_log import LoggedRequest, read_requests

Progress = Callable[[str, float], None]

_AT_ONCE = 1_000  # requests that are held in memory and computed together


@dataclass(frozen=True)
class Mismatch:
    """A feature that was served as another number than batch computes.

    Parameters
    ----------
    feature : str
        Its name.
    requests : int
        In how many requests it differs.
    decision_id : str
        One of them in the decision log.
    served, recomputed : float
        Its values there, NaN where missing.
    """

    feature: str
    requests: int
    decision_id: str
    served: float
    recomputed: float


@dataclass(frozen=True)
class Parity:
    """What a check of logged requests found.

    Parameters
    ----------
    feature_set, feature_set_identity : str
        What was recomputed.
    requests, features : int
        Requests that were recomputed, and features of each that were compared.
    other_feature_set, unreadable : int
        Logged requests that were left out: answered on another feature set, or no longer to be read.
    first, last : datetime or None
        Between which answers, UTC without a zone.
    mismatches : list of Mismatch
        In the order of the feature set.
    max_abs_relative_difference : float
        Largest distance of two values as a share of the value (of 1, where it is smaller), where neither is missing.
    """

    feature_set: str
    feature_set_identity: str
    requests: int
    features: int
    other_feature_set: int
    unreadable: int
    first: datetime | None
    last: datetime | None
    mismatches: list[Mismatch]
    max_abs_relative_difference: float

    def to_dict(self) -> dict[str, Any]:
        """Plain facts; a missing value is None, an infinite one a word."""
        times = {name: moment and moment.isoformat() for name, moment in (("first", self.first), ("last", self.last))}
        return _plain(asdict(self)) | times | {"mismatches": [_plain(asdict(found)) for found in self.mismatches]}

    def to_json(self) -> str:
        """The same facts as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def check_parity(
    request_log: Path,
    feature_set: FeatureSet,
    since: datetime | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Recompute logged requests in batch and compare each feature with what was served.

    Parameters
    ----------
    request_log : Path
        Folder of `serving.request_log`.
    feature_set : FeatureSet
        The one that was served; requests answered on another are counted and left out.
    since : datetime, optional
        Only answers from then on, UTC without a zone.
    progress : callable, optional
        Called with a step and the share that is done, which is not known beforehand and creeps towards 1.

    Returns
    -------
    Parity

    Raises
    ------
    SourceError
        There is no such folder.
    """
    found = _Comparison(feature_set)
    # Who lacks a source is recomputed apart, so they are gathered by what they lack.
    waiting: dict[tuple[bool, ...], list[LoggedRequest]] = {}
    other = unreadable = 0
    for logged in read_requests(request_log, since):
        if logged is None:
            unreadable += 1
        elif logged.feature_set_identity != feature_set.identity:
            other += 1
        else:
            records = logged.request.records()
            alike = waiting.setdefault(tuple(records[name] is None for name in event_tables(feature_set)), [])
            alike.append(logged)
            if len(alike) == _AT_ONCE:
                found.add(alike)
                alike.clear()
                if progress:
                    progress("recomputing requests", found.requests / (found.requests + 10 * _AT_ONCE))
    for alike in waiting.values():
        found.add(alike)
    return Parity(
        feature_set=feature_set.name,
        feature_set_identity=feature_set.identity,
        requests=found.requests,
        features=len(feature_set.names),
        other_feature_set=other,
        unreadable=unreadable,
        first=found.first,
        last=found.last,
        mismatches=[found.mismatches[name] for name in feature_set.names if name in found.mismatches],
        max_abs_relative_difference=found.largest,
    )


class _Comparison:
    """What was found so far."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.requests = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.largest = 0.0
        self.mismatches: dict[str, Mismatch] = {}
        self._feature_set = feature_set

    def add(self, logged: list[LoggedRequest]) -> None:
        """Recompute some requests and compare."""
        if not logged:
            return
        served = np.stack([one.features for one in logged])
        recomputed = replay([_applicant(one) for one in logged], self._feature_set)
        times = [one.decided_at for one in logged]
        self.requests += len(logged)
        self.first = min(times) if self.first is None else min(self.first, *times)
        self.last = max(times) if self.last is None else max(self.last, *times)
        distances = np.nan_to_num(relative_difference(served, recomputed), posinf=np.inf)
        self.largest = max(self.largest, float(distances.max(initial=0.0)))
        self._compare(logged, served, recomputed)

    def _compare(
        self, logged: list[LoggedRequest], served: npt.NDArray[np.float64], recomputed: npt.NDArray[np.float64]
    ) -> None:
        far = differ(served, recomputed)
        for column in np.flatnonzero(far.any(axis=0)).tolist():
            name, rows, row = self._feature_set.names[column], int(far[:, column].sum()), int(np.argmax(far[:, column]))
            values = float(served[row, column]), float(recomputed[row, column])
            found = self.mismatches.get(name) or Mismatch(name, 0, logged[row].decision_id, *values)
            self.mismatches[name] = replace(found, requests=found.requests + rows)


def _applicant(logged: LoggedRequest) -> Applicant:
    return logged.request.application_record(), logged.request.records()


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """NaN as None, infinities as words."""
    shown = {}
    for name, value in facts.items():
        odd = isinstance(value, float) and not isfinite(value)
        shown[name] = (None if value != value else str(value)) if odd else value
    return shown
