"""A lender's raw files, written as small as a test needs them, and the findings of the contracts on what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from data_contracts.judge import judge

Row = dict[str, Any]


def raw_folder(path: Path, files: dict[str, list[Row]], *, ending: str = "parquet") -> Path:
    """Write raw files by name into a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        frame = pd.DataFrame(rows)
        if ending == "csv":
            frame.to_csv(path / f"{name}.csv", index=False)
        else:
            frame.to_parquet(path / f"{name}.parquet", index=False)
    return path


def rows_of(tables: dict[str, Any]) -> dict[str, list[Row]]:
    """Canonical tables as lists of rows."""
    return {name: table.to_pylist() for name, table in tables.items()}


def found(tables: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    """How many rows break which rule: {(table, rule, level): rows}."""
    return {(one.table, one.rule, one.level): one.rows for one in judge(tables).findings}
