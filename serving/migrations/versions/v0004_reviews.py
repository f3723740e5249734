"""A review may be removed when its decision was: its guards are set anew, where there is a table of reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serving.reviews import REVIEWS, guard_reviews

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

UNGUARDED = {
    "sqlite": [f"DROP TRIGGER reviews_{name}" for name in ("update", "delete", "replace")],
    "postgresql": [f"DROP TRIGGER reviews_{name} ON reviews" for name in ("change", "truncate")],
}


def upgrade() -> None:
    """Take the guards away and set those of today."""
    connection = op.get_bind()
    if sa.inspect(connection).has_table(REVIEWS.name):
        for statement in UNGUARDED[connection.dialect.name]:
            op.execute(statement)
        guard_reviews(connection)


def downgrade() -> None:
    """A decision log is never taken back."""
    raise NotImplementedError("The decision log is append-only; restore a backup to go back.")
