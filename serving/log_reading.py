"""Reading the decision log: rows page by page, decisions as a frame, their features as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import sqlalchemy as sa

from data_contracts.errors import ServiceError
from serving.log_database import reaching
from serving.log_entries import COLUMNS, DECISIONS, features_of, text_of

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
        `score` or another; by default every entry, also what tells of pruning.
    after : int, default 0
        Only entries of a later position.
    """

    since: datetime | None = None
    until: datetime | None = None
    bundle: str | None = None
    kind: str | None = None
    after: int = 0

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As the database is asked."""
        found = [DECISIONS.c.position > self.after]
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


def pages(engine: sa.Engine, wanted: Wanted, columns: Sequence[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Entries in the order in which they were written, some hundred at a time, so that no transaction lasts.

    Parameters
    ----------
    engine : Engine
    wanted : Wanted
    columns : sequence of str, optional
        All by default; `position` is there always.
    """
    names = list(dict.fromkeys(("position", *(columns or COLUMNS))))
    asked = (
        sa.select(*(DECISIONS.c[name] for name in names))
        .where(*wanted.conditions)
        .order_by(DECISIONS.c.position)
        .limit(_PAGE)
    )
    last = wanted.after
    while True:
        with reaching(engine.url), engine.connect() as connection:
            found = connection.execute(asked.where(DECISIONS.c.position > last)).all()
        page = [dict(zip(names, row, strict=True)) for row in found]
        if page:
            yield page
        if len(page) < _PAGE:
            return
        last = page[-1]["position"]


def rows(engine: sa.Engine, wanted: Wanted, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The entries of `pages` one by one."""
    for page in pages(engine, wanted, columns):
        yield from page


def frame(engine: sa.Engine, wanted: Wanted, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Entries as a frame; `features` holds arrays, `response` and `parts` dicts, `request` JSON text."""
    names = list(columns or COLUMNS)
    found = [{name: _read(name, row[name]) for name in names} for row in rows(engine, wanted, names)]
    made = pd.DataFrame(found, columns=names)
    for name in _READ.keys() & set(names):
        made[name] = made[name].astype(object)
    if "decided_at" in names:
        made["decided_at"] = made["decided_at"].astype("datetime64[us]")
    return made


_READ: dict[str, Callable[[Any], Any]] = {
    "features": features_of,
    "request": text_of,
    "response": msgspec.json.decode,
    "parts": msgspec.json.decode,
}


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
