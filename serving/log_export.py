"""Decisions as a file for analysts and auditors: Parquet or JSON lines, page by page, whatever their number."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import SourceError
from serving.decision_log import DecisionLog
from serving.log_entries import COLUMNS, features_of, text_of
from serving.log_reading import Wanted, count, pages

Progress = Callable[[str, float], None]
Form = Literal["parquet", "jsonl"]
Page = list[dict[str, Any]]
_TYPES = {"position": pa.int64(), "decided_at": pa.timestamp("us"), "features": pa.list_(pa.float64())}
_TYPES |= dict.fromkeys(("log_odds", "pd", "score"), pa.float64())
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])


def form_of(out: Path) -> Form:
    """What a file is written as, by its name; `SourceError` where that is neither.

    Examples
    --------
    >>> form_of(Path("july.parquet")), form_of(Path("july.jsonl"))
    ('parquet', 'jsonl')
    """
    if out.suffix == ".parquet":
        return "parquet"
    if out.suffix == ".jsonl":
        return "jsonl"
    raise SourceError(f"{out} is neither .parquet nor .jsonl; name such a file.")


def export(log: DecisionLog, out: Path, form: Form, wanted: Wanted, progress: Progress | None = None) -> int:
    """Write entries to a file, which is for its owner only: they are a person's records. Returns how many.

    Parameters
    ----------
    log : DecisionLog
    out : Path
    form : str
        `parquet` has a column for each of the log's, request, parts and response as JSON text; `jsonl` has an object a
        line with all of it as JSON. A missing feature is NaN in the one and null in the other.
    wanted : Wanted
        Which entries.
    progress : callable, optional
        Called with what is done and the share of the whole.
    """
    os.close(os.open(out, os.O_CREAT | os.O_WRONLY, 0o600))
    total, written = count(log.engine, wanted), 0
    writer: Any = pq.ParquetWriter(out, _SCHEMA, compression="zstd") if form == "parquet" else out.open("wb")
    with writer:
        for page in pages(log.engine, wanted):
            if form == "parquet":
                writer.write_table(_table(page))
            else:
                writer.writelines(map(_line, page))
            written += len(page)
            if progress:
                progress("decisions", min(1.0, written / total))
    return written


def _table(page: Page) -> pa.Table:
    read = [
        {**row, "features": features_of(row["features"]), "request": text_of(row["request"]) or None} for row in page
    ]
    return pa.Table.from_pylist(read, _SCHEMA)


def _line(row: dict[str, Any]) -> bytes:
    texts = {"request": text_of(row["request"]) or "null", "parts": row["parts"], "response": row["response"]}
    plain = {name: msgspec.Raw(text.encode()) for name, text in texts.items()}
    return msgspec.json.encode({**row, "features": features_of(row["features"]).tolist(), **plain}) + b"\n"
