"""Entries of the decision log: a decision as the service has it, as a row has it, and the chain of the rows."""

from __future__ import annotations

import hashlib
import hmac
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from data_contracts.append_only import Link
from data_contracts.messages import ScoreRequest

SCORE, DECISION, SHADOW, PRUNED = KINDS = "score", "decision", "shadow_decision", "pruned"  # of entries
_DENSITY = 1  # of zlib: a request of 300 records shrinks to a tenth in 0.2 ms, more effort gains little

metadata = sa.MetaData()
FACTS = sa.Table("log_facts", metadata, sa.Column("name", sa.String), sa.Column("value", sa.Text))
HEAD = sa.Table(
    "log_head",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger),
    sa.Column("mac", sa.String),
    sa.Column("pruned_position", sa.BigInteger),
    sa.Column("pruned_mac", sa.String),
    sa.Column("seal", sa.String),
)
DECISIONS = sa.Table(
    "decisions",
    metadata,
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.String),
    sa.Column("decision_id", sa.String),
    sa.Column("request_id", sa.String),
    sa.Column("decided_at", sa.DateTime),
    sa.Column("decision_point", sa.String),
    sa.Column("application_key", sa.String),
    sa.Column("customer_key", sa.String),
    sa.Column("bundle_name", sa.String),
    sa.Column("bundle_version", sa.String),
    sa.Column("bundle_identity", sa.String),
    sa.Column("feature_set_identity", sa.String),
    sa.Column("request", sa.LargeBinary),
    sa.Column("request_sha256", sa.String),
    sa.Column("request_key", sa.String),
    sa.Column("features", sa.LargeBinary),
    sa.Column("parts", sa.Text),
    sa.Column("log_odds", sa.Double),
    sa.Column("pd", sa.Double),
    sa.Column("score", sa.Double),
    sa.Column("response", sa.Text),
    sa.Column("previous_mac", sa.String),
    sa.Column("mac", sa.String),
)
COLUMNS = tuple(str(column.name) for column in DECISIONS.columns)  # plain text, not SQLAlchemy's own


@dataclass(frozen=True)
class Decision:
    """One answer as it stands in the log.

    Parameters
    ----------
    decision_id, request_id : str
        The answer's own id and that of the call that led to it.
    decided_at : datetime
        UTC without a zone.
    decision_point : str
        Such as `application`.
    response : dict
        The answer, without the application's id, which the log knows only as a hash.
    kind : str, default "score"
        Any other kind of answer has its own word.
    bundle_name, bundle_version, bundle_identity, feature_set_identity : str
        What answered; empty where no bundle was asked.
    features : ndarray of float64, shape (n_features,)
        In the order of the feature set, NaN where missing.
    parts : dict of str to float
        Log-odds of each part of the hybrid and of their `blend`, before the calibrator.
    log_odds, pd, score : float or None
        The result; None where no bundle was asked.
    """

    decision_id: str
    request_id: str
    decided_at: datetime
    decision_point: str
    response: dict[str, Any]
    kind: str = SCORE
    bundle_name: str = ""
    bundle_version: str = ""
    bundle_identity: str = ""
    feature_set_identity: str = ""
    features: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    parts: dict[str, float] = field(default_factory=dict)
    log_odds: float | None = None
    pd: float | None = None
    score: float | None = None


def new_decision_id() -> str:
    """A fresh id for a decision, 32 hexadecimal digits."""
    return uuid.uuid4().hex


_WRITTEN_OTHERWISE = frozenset({"response", "features", "parts"})
_AS_THEY_ARE = tuple(name for name in Decision.__dataclass_fields__ if name not in _WRITTEN_OTHERWISE)


def row_of(decision: Decision, request: ScoreRequest | None, pseudonym: Callable[[str], str]) -> dict[str, Any]:
    """A decision as a row without its place in the chain.

    `request_key` is what a retry is known by: kind, decision point, application and request. What answers nobody comes
    without a request and has none.
    """
    row: dict[str, Any] = {name: getattr(decision, name) for name in _AS_THEY_ARE}
    for name in ("log_odds", "pd", "score"):
        if row[name] is not None:
            row[name] += 0.0  # SQLite reads -0.0 back as 0.0
    row |= {
        "features": decision.features.astype("<f8").tobytes(),
        "parts": msgspec.json.encode(decision.parts).decode(),
        "response": msgspec.json.encode(decision.response).decode(),
        **dict.fromkeys(("application_key", "customer_key", "request", "request_sha256", "request_key")),
    }
    if request is None:
        return row
    text = request.logged_text(pseudonym).encode()
    application = request.application_record()
    row |= {
        "application_key": pseudonym(application["application_id"]),
        "customer_key": pseudonym(application["customer_id"]),
        "request": zlib.compress(text, _DENSITY),
        "request_sha256": hashlib.sha256(text).hexdigest(),
    }
    return {**row, "request_key": request_key(row)}


def request_key(row: Mapping[str, Any]) -> str:
    """What a retry of the row's request is known by."""
    told = [row[name] for name in ("kind", "decision_point", "application_key", "request_sha256")]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def decision_of(row: Mapping[str, Any]) -> Decision:
    """A row as a decision, the same to the bit."""
    facts = {name: row[name] for name in _AS_THEY_ARE}
    written = {name: msgspec.json.decode(row[name]) for name in ("parts", "response")}
    return Decision(**facts, **written, features=features_of(row["features"]))


def features_of(content: bytes) -> npt.NDArray[np.float64]:
    """A row's features, shape (n_features,)."""
    return np.frombuffer(content, "<f8").astype(np.float64)


def text_of(content: bytes | None) -> str:
    """A row's request as JSON text; empty where the row has none."""
    return "" if content is None else zlib.decompress(content).decode()


class Chain:
    """Links entries by HMAC-SHA256 under a key, so that nobody without the key can write a chain anew.

    Parameters
    ----------
    key : bytes
        The log's key; the chain uses one of its own that is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"the chain of the decision log", "sha256")

    def mac(self, row: Mapping[str, Any]) -> str:
        """Keyed hash of all that a row holds but `mac` itself: of its request by `request_sha256`.

        What is null is left out, so that a column that comes later changes no earlier entry.
        """
        told = [(str(name), row[name]) for name in sorted(row) if name != "mac" and row[name] is not None]
        plain = [(name, True if name == "request" else value) for name, value in told]
        return hmac.digest(self._key, msgspec.json.encode(plain), "sha256").hex()

    def link(self, row: Mapping[str, Any]) -> Link:
        """A row as a link: its hash computed anew, none where its request is not the one that was hashed."""
        computed = self.mac(row)
        if row["request"] is not None:
            try:
                text = zlib.decompress(row["request"])
            except zlib.error:
                text = b""
            if hashlib.sha256(text).hexdigest() != row["request_sha256"]:
                computed = ""
        return Link(row["position"], row["previous_mac"], row["mac"], computed)

    def seal(self, head: Mapping[str, Any]) -> str:
        """Keyed hash of the head: which entry is the last, and which the last that was pruned."""
        told = [head[name] for name in ("position", "mac", "pruned_position", "pruned_mac")]
        return hmac.digest(self._key, msgspec.json.encode(["head", *told]), "sha256").hex()
