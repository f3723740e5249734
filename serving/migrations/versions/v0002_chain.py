"""Entries of any kind in a chain: keyed hashes, a head, guards; requests compressed, features as bytes.

Decisions of before are linked in the order in which they were written. Where several bundles had answered one request,
the first answer is the one that a retry gets from now on.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from alembic import context, op

from data_contracts.append_only import FIRST, guard
from serving.log_entries import request_key

revision = "0002"
down_revision = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_NEW = "decisions_linked"
_PAGE = 500
_POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the new table, take over what the old one holds, and put guards around it."""
    made = op.create_table(
        _NEW,
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
        ),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("decision_id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=False),
        sa.Column("decision_point", sa.String(64), nullable=False),
        sa.Column("application_key", sa.String(64)),
        sa.Column("customer_key", sa.String(64)),
        sa.Column("bundle_name", sa.String(256), nullable=False),
        sa.Column("bundle_version", sa.String(256), nullable=False),
        sa.Column("bundle_identity", sa.String(64), nullable=False),
        sa.Column("feature_set_identity", sa.String(64), nullable=False),
        sa.Column("request", sa.LargeBinary),
        sa.Column("request_sha256", sa.String(64)),
        sa.Column("request_key", sa.String(64)),
        sa.Column("features", sa.LargeBinary, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        sa.Column("log_odds", sa.Double),
        sa.Column("pd", sa.Double),
        sa.Column("score", sa.Double),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("previous_mac", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    head = op.create_table(
        "log_head",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.Column("pruned_position", sa.BigInteger, nullable=False),
        sa.Column("pruned_mac", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    if made is None or head is None:
        raise RuntimeError("migrations of the decision log need a database")
    connection, chain = op.get_bind(), context.config.attributes["chain"]
    position, mac = _take_over(connection, made, chain)
    facts = {"one": 1, "position": position, "mac": mac, "pruned_position": 0, "pruned_mac": FIRST}
    connection.execute(sa.insert(head).values(**facts, seal=chain.seal(facts)))
    op.drop_table("decisions")
    op.rename_table(_NEW, "decisions")
    for name in ("decision_id", "request_key"):
        op.create_index(f"decisions_{name}", "decisions", [name], unique=True)
    for name in ("decided_at", "customer_key"):
        op.create_index(f"decisions_{name}", "decisions", [name])
    guard(connection, "decisions", "the decision log is append-only", removable="SELECT pruned_position FROM log_head")


def _take_over(connection: sa.Connection, made: sa.Table, chain: Any) -> tuple[int, str]:
    """Link the old decisions into the new table; position and hash of the last one."""
    old = sa.Table("decisions", sa.MetaData(), autoload_with=connection)
    position, mac, last, answered = 0, FIRST, 0, set()
    asked = sa.select(old).order_by(old.c.position).limit(_PAGE)
    while page := connection.execute(asked.where(old.c.position > last)).mappings().all():
        last = page[-1]["position"]
        linked = []
        for was in page:
            position += 1
            features = np.array(msgspec.json.decode(was["features"], type=list[float | None]), dtype="<f8")
            row: dict[str, Any] = {
                **was,
                "position": position,
                "kind": "score",
                "features": features.tobytes(),
                "parts": "{}",
                "request": zlib.compress(was["request"].encode(), 1),
                "previous_mac": mac,
            }
            key = request_key(row)
            row["request_key"] = None if key in answered else key
            answered.add(key)
            mac = row["mac"] = chain.mac(row)
            linked.append(row)
        connection.execute(sa.insert(made), linked)
    return position, mac


def downgrade() -> None:
    """A decision log is never taken back."""
    raise NotImplementedError("The decision log is append-only; restore a backup to go back.")
