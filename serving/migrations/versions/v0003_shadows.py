"""What challengers said of requests that champions answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "shadows",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.String(32), nullable=False, index=True),
        sa.Column("scored_at", sa.DateTime, nullable=False),
        sa.Column("bundle_name", sa.String(256), nullable=False),
        sa.Column("bundle_version", sa.String(256), nullable=False),
        sa.Column("bundle_identity", sa.String(64), nullable=False, index=True),
        sa.Column("log_odds", sa.Double, nullable=False),
        sa.Column("pd", sa.Double, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
    )


def downgrade() -> None:
    """A decision log is never taken back."""
    raise NotImplementedError("The decision log is append-only; restore a backup to go back.")
