"""Alembic migrations of the decision log; `DecisionLog.open` runs them."""
