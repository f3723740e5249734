"""Faults of a file's bytes: a transfer that broke off, a disk that turned bits, a file that is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_contracts.errors import SourceError
from lenders.simulated.faults.case import Fault


def _cut(path: Path, rng: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * rng.uniform(0.2, 0.95))])


def _turn(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(rng.integers(4, len(content) - 8))] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(bytes(content))


def _lose(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


_DAMAGE: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "truncated_file": _cut,
    "altered_file": _turn,
    "lost_file": _lose,
}

FILE_FAULTS = (
    Fault("truncated_file", "a file cut short", "文件被截断", "always", "file", ()),
    Fault("altered_file", "one bit of a file turned", "文件内容被改动", "always", "file", ()),
    Fault("lost_file", "a file that is listed is gone", "文件丢失", "always", "file", ()),
)


def damage(folder: Path, kind: str, *, seed: int) -> Path:
    """Damage one of the Parquet files in a folder of canonical tables, and say which.

    Raises
    ------
    SourceError
        Where there is no such fault of files, or no file.
    """
    if kind not in _DAMAGE:
        raise SourceError(f"No fault {kind!r} damages files. Choose one of: {', '.join(sorted(_DAMAGE))}.")
    files = sorted(folder.glob("batches/*/*/*.parquet"))
    if not files:
        raise SourceError(f"{folder} holds no Parquet file to damage; write canonical tables into it first.")
    rng = np.random.default_rng(seed)
    chosen = files[int(rng.integers(0, len(files)))]
    _DAMAGE[kind](chosen, rng)
    return chosen
