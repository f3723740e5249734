"""Reading the decision log: rows page by page, decisions as a frame, their features as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import sqlalchemy as sa

from data_contracts.errors import ServiceError
from serving.log_database import reaching
from serving.log_entries import DECISIONS, features_of, text_of

_PAGE = 500


@dataclass(frozen=True)
class Wanted:
    """Which entries are read.

    Parameters
    ----------
    since, until : datetime, optional
        `since <= decided_at < until`, UTC without a zone.
    bundle : str, optional
        Identity of the bundle that answered.
    kind : str, optional
        `score`, `shadow` or another; by default every entry, also what tells of pruning.
    """

    since: datetime | None = None
    until: datetime | None = None
    bundle: str | None = None
    kind: str | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As the database is asked."""
        found: list[sa.ColumnElement[bool]] = []
        if self.since is not None:
            found.append(DECISIONS.c.decided_at >= self.since)
        if self.until is not None:
            found.append(DECISIONS.c.decided_at < self.until)
        if self.bundle is not None:
            found.append(DECISIONS.c.bundle_identity == self.bundle)
        if self.kind is not None:
            found.append(DECISIONS.c.kind == self.kind)
        return found


def count(engine: sa.Engine, wanted: Wanted) -> int:
    """How many entries there are."""
    with reaching(engine.url), engine.connect() as connection:
        asked = sa.select(sa.func.count()).select_from(DECISIONS).where(*wanted.conditions)
        return int(connection.execute(asked).scalar_one())


def rows(engine: sa.Engine, wanted: Wanted, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Entries in the order in which they were written, read page by page, so that none is held for long.

    Parameters
    ----------
    engine : Engine
    wanted : Wanted
    columns : sequence of str, optional
        All by default; `position` is there always.
    """
    chosen = [DECISIONS.c[name] for name in dict.fromkeys(("position", *(columns or DECISIONS.c.keys())))]
    asked = sa.select(*chosen).where(*wanted.conditions).order_by(DECISIONS.c.position).limit(_PAGE)
    last = 0
    while True:
        with reaching(engine.url), engine.connect() as connection:
            page = connection.execute(asked.where(DECISIONS.c.position > last)).mappings().all()
        yield from map(dict, page)
        if len(page) < _PAGE:
            return
        last = page[-1]["position"]


def frame(engine: sa.Engine, wanted: Wanted, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Entries as a frame; `features` holds arrays, `response` and `parts` dicts, `request` JSON text."""
    names = list(columns or DECISIONS.c.keys())
    found = [{name: _read(name, row[name]) for name in names} for row in rows(engine, wanted, names)]
    made = pd.DataFrame(found, columns=names)
    for name in _READ.keys() & set(names):
        made[name] = made[name].astype(object)
    if "decided_at" in names:
        made["decided_at"] = made["decided_at"].astype("datetime64[us]")
    return made


_READ = {"features": features_of, "request": text_of, "response": msgspec.json.decode, "parts": msgspec.json.decode}


def _read(name: str, value: Any) -> Any:
    return _READ[name](value) if name in _READ else value


def feature_matrix(decisions: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Features of decisions of one bundle as a frame: one row a decision, float64, NaN where missing.

    Raises
    ------
    ServiceError
        Where the decisions hold other than `len(names)` features: they come from another feature set.
    """
    lengths = {len(features) for features in decisions["features"]} - {len(names)}
    if lengths:
        raise ServiceError(
            f"The decisions hold {sorted(lengths)} features, not {len(names)}; read one bundle's: read(bundle=...)."
        )
    values = np.stack(decisions["features"].to_list()) if len(decisions) else np.empty((0, len(names)))
    return pd.DataFrame(values, index=pd.Index(decisions["decision_id"], name="decision_id"), columns=list(names))
