"""DuckDB without a progress bar of its own: Lendwell shows one bar for the whole of a step."""

from __future__ import annotations

from typing import Any

import duckdb


def connect(**config: Any) -> duckdb.DuckDBPyConnection:
    """Open DuckDB in memory, silent.

    In a notebook without ipywidgets DuckDB has no bar and refuses even to switch it off, hence the question first.

    Examples
    --------
    >>> with connect(threads=1) as engine:
    ...     engine.sql("select 1 + 1").fetchall()
    [(2,)]
    """
    engine = duckdb.connect(config=config)
    if engine.sql("select current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        engine.execute("set enable_progress_bar = false")
    return engine
