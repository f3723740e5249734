"""A sample of raw requests as they were answered, by which `lendwell monitor --parity` checks the features served.

    requests/2025-07-01.jsonl    one request a line, by the day of its answer (UTC)

A line holds the request in its normal form, the feature vector that was served, bit by bit, and whose it is. Customers
and applications appear only as the decision log's keyed hashes, but the records are a person's: the folder is for the
service's own account (mode 0700, files 0600), days older than `keep_days` are deleted, and at `most_bytes` it stops.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from data_contracts.errors import ServiceError, SourceError
from data_contracts.messages import ScoreRequest, parse_request
from serving.decision_log import Decision

logger = logging.getLogger("lendwell.serving")

KEEP_DAYS = 30
MOST_BYTES = 2**30


@dataclass(frozen=True)
class LoggedRequest:
    """A request of the sample, and what was served for it.

    Parameters
    ----------
    decision_id : str
        Its answer in the decision log.
    decided_at : datetime
        UTC without a zone.
    bundle_identity, feature_set_identity : str
        What answered.
    features : ndarray of float64, shape (n_features,)
        As served, in the order of the feature set.
    request : ScoreRequest
        Raw records, with hashes for identifiers of customer and applications.
    """

    decision_id: str
    decided_at: datetime
    bundle_identity: str
    feature_set_identity: str
    features: npt.NDArray[np.float64]
    request: ScoreRequest


class _Line(msgspec.Struct):
    """A line of the log; `features` are the bytes of the vector (float64, little-endian) in hexadecimal."""

    decision_id: str
    decided_at: datetime
    bundle_identity: str
    feature_set_identity: str
    features: str
    request: msgspec.Raw


class RequestLog:
    """Writes the sample. It never fails an answer: what it cannot write it counts in `dropped`, and tells once a day.

    Parameters
    ----------
    folder : Path
        Where it lies; made with mode 0700.
    share : float
        Share of requests that is kept, from 0 to 1. A hash of the request decides, so that a retry is treated alike.
    pseudonym : callable
        From an identifier to its keyed hash: `DecisionLog.pseudonym`.
    keep_days : int, default 30
        Days that are kept besides the present one; older files are deleted when a day begins.
    most_bytes : int, default 1 GiB
        Size of the folder at which no more is written until old days make room.

    Raises
    ------
    ServiceError
        The folder cannot be made, or is open to other accounts.
    """

    def __init__(
        self,
        folder: Path,
        share: float,
        pseudonym: Callable[[str], str],
        *,
        keep_days: int = KEEP_DAYS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = folder.stat().st_mode & 0o777
        except OSError as fault:
            raise ServiceError(
                f"The folder of logged requests {folder} cannot be made ({fault}); name another in "
                "LENDWELL_REQUEST_LOG."
            ) from None
        if mode & 0o077:
            raise ServiceError(
                f"The folder of logged requests {folder} is open to other accounts (mode {mode:o}), and they are a "
                "person's records. Run `chmod 700` on it, or name another in LENDWELL_REQUEST_LOG."
            )
        self.dropped = 0
        self._folder = folder
        self._share = share
        self._pseudonym = pseudonym
        self._keep_days = keep_days
        self._most_bytes = most_bytes
        self._line = threading.Lock()
        self._day: date | None = None
        self._size = 0
        self._told = False

    def append(self, request: ScoreRequest, decision: Decision) -> None:
        """Keep a request, when it is of the sample, with what was served for it."""
        try:
            text = request.logged_text(self._pseudonym).encode()
            if sampled(text, self._share):
                with self._line:
                    self._write(_encoded(text, decision), decision.decided_at.date())
        except Exception as fault:
            # of any kind, for the answer has gone already; without the text, which may hold what was sent
            self._drop(type(fault).__name__)

    def _write(self, line: bytes, day: date) -> None:
        if day != self._day:
            self._begin(day)
        if self._size + len(line) > self._most_bytes:
            self._drop(f"its folder has reached {self._most_bytes:,} bytes")
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.open(self._folder / f"{day}.jsonl", flags, 0o600)
        try:
            written = os.write(file, line)
        finally:
            os.close(file)
        self._size += written
        if written < len(line):
            self._drop("the disk is full")

    def _begin(self, day: date) -> None:
        """Delete the days that are too old and see how much there is."""
        for file in _days(self._folder):
            if date.fromisoformat(file.stem) < day - timedelta(days=self._keep_days):
                file.unlink(missing_ok=True)
        self._size = sum(file.stat().st_size for file in _days(self._folder))
        self._day, self._told = day, False

    def _drop(self, cause: str) -> None:
        self.dropped += 1
        if not self._told:
            self._told = True
            logger.warning("a sampled request was not logged: %s; answers are not affected", cause)


def open_request_log(folder: Path | None, share: float, pseudonym: Callable[[str], str]) -> RequestLog | None:
    """Open the log for a share of requests; None where none are to be kept.

    Raises
    ------
    ServiceError
        The share is none, or there is no folder to keep it in.
    """
    if not 0.0 <= share <= 1.0:
        raise ServiceError(f"The share of requests to keep is {share:g}; give one from 0 to 1, such as 0.05.")
    if share == 0.0:
        return None
    if folder is None:
        raise ServiceError("Say where sampled requests are kept: LENDWELL_REQUEST_LOG=FOLDER.")
    return RequestLog(folder, share, pseudonym)


def sampled(text: bytes, share: float) -> bool:
    """Whether a request in its normal form is of the sample.

    Examples
    --------
    >>> sum(sampled(b"request %d" % number, 0.05) for number in range(10_000))
    475
    """
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) < share * 2**64


def read_requests(folder: Path, since: datetime | None = None) -> Iterator[LoggedRequest | None]:
    """Requests of the sample by day, in the order in which they were written.

    Parameters
    ----------
    folder : Path
        Where a `RequestLog` writes.
    since : datetime, optional
        Only answers from then on, UTC without a zone.

    Yields
    ------
    LoggedRequest or None
        None for a line that cannot be read: half written when the service was killed, or under an older contract.

    Raises
    ------
    SourceError
        There is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(
            f"There is no folder of logged requests {folder}. Let the service keep some: "
            "`lendwell serve --sample-requests 0.05`."
        )
    for file in _days(folder):
        if since is None or date.fromisoformat(file.stem) >= since.date():
            with file.open("rb") as lines:
                found = (_decoded(line) for line in lines if line.strip())
                yield from (one for one in found if one is None or since is None or one.decided_at >= since)


def _days(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].jsonl"))


def _encoded(text: bytes, decision: Decision) -> bytes:
    """A line; it starts a new one, so that one that was half written before it spoils nothing but itself."""
    line = _Line(
        decision_id=decision.decision_id,
        decided_at=decision.decided_at,
        bundle_identity=decision.bundle_identity,
        feature_set_identity=decision.feature_set_identity,
        features=decision.features.astype("<f8").tobytes().hex(),
        request=msgspec.Raw(text),
    )
    return b"\n" + msgspec.json.encode(line) + b"\n"


def _decoded(line: bytes) -> LoggedRequest | None:
    try:
        read = msgspec.json.decode(line, type=_Line)
        return LoggedRequest(
            decision_id=read.decision_id,
            decided_at=read.decided_at,
            bundle_identity=read.bundle_identity,
            feature_set_identity=read.feature_set_identity,
            features=np.frombuffer(bytes.fromhex(read.features), "<f8").astype(np.float64),
            request=parse_request(bytes(read.request)),
        )
    except (msgspec.MsgspecError, ValidationError, ValueError):
        return None
