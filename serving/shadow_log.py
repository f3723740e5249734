"""What challengers said of requests that champions answered: a table of its own beside the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from data_contracts.errors import ServiceError

SHADOWS = sa.Table(
    "shadows",
    sa.MetaData(),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("decision_id", sa.String),
    sa.Column("scored_at", sa.DateTime),
    sa.Column("bundle_name", sa.String),
    sa.Column("bundle_version", sa.String),
    sa.Column("bundle_identity", sa.String),
    sa.Column("log_odds", sa.Double),
    sa.Column("pd", sa.Double),
    sa.Column("score", sa.Double),
)


@dataclass(frozen=True)
class ShadowScore:
    """A challenger's score.

    Parameters
    ----------
    decision_id : str
        The champion's answer in the decision log, with the request and its features.
    scored_at : datetime
        UTC without a zone.
    bundle_name, bundle_version, bundle_identity : str
        The challenger.
    log_odds, pd, score : float
        What it says.
    """

    decision_id: str
    scored_at: datetime
    bundle_name: str
    bundle_version: str
    bundle_identity: str
    log_odds: float
    pd: float
    score: float


def append(engine: sa.Engine, rows: Sequence[ShadowScore]) -> None:
    """Write scores in one transaction; `ServiceError` where the database cannot be reached."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(SHADOWS), [asdict(row) for row in rows])
    except sa.exc.SQLAlchemyError as fault:
        cause = str(getattr(fault, "orig", None) or type(fault).__name__).strip().splitlines()[0]
        raise ServiceError(f"The decision log cannot be written ({cause}).") from None


def read(engine: sa.Engine, bundle: str | None = None) -> pd.DataFrame:
    """Scores in the order in which they were written, of one bundle's identity or of all: the columns of the table."""
    asked = sa.select(SHADOWS).order_by(SHADOWS.c.position)
    if bundle is not None:
        asked = asked.where(SHADOWS.c.bundle_identity == bundle)
    with engine.connect() as connection:
        rows = connection.execute(asked).mappings().all()
    return pd.DataFrame([dict(row) for row in rows], columns=list(SHADOWS.c.keys()))
