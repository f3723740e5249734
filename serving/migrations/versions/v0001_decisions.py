"""The decisions, and the facts about the log itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "log_facts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.String(32), nullable=False, unique=True),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=False, index=True),
        sa.Column("decision_point", sa.String(64), nullable=False),
        sa.Column("application_key", sa.String(64), nullable=False),
        sa.Column("customer_key", sa.String(64), nullable=False, index=True),
        sa.Column("bundle_name", sa.String(256), nullable=False),
        sa.Column("bundle_version", sa.String(256), nullable=False),
        sa.Column("bundle_identity", sa.String(64), nullable=False),
        sa.Column("feature_set_identity", sa.String(64), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("features", sa.Text, nullable=False),
        sa.Column("log_odds", sa.Double, nullable=False),
        sa.Column("pd", sa.Double, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.UniqueConstraint("application_key", "request_sha256", "bundle_identity", name="one_answer_to_a_request"),
    )


def downgrade() -> None:
    """A decision log is never taken back."""
    raise NotImplementedError("The decision log is append-only; restore a backup to go back.")
