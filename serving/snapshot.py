"""The lender's records by customer, so that a customer can be asked for by id alone.

A snapshot is one SQLite file that holds, for each customer, the very request that the lender would send for their
newest application. What is looked up is scored and logged as if it had been sent: an answer replays from the log, and
the snapshot may be gone by then.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from data_contracts.messages import ScoreRequest
from serving.client import requests_from_tables

_FORMAT = "1"
_AT_ONCE = 2_000  # applications whose records are held in memory while the file is written


class Snapshot:
    """Reads a snapshot.

    Parameters
    ----------
    path : Path
        File that `write_snapshot` has written.

    Raises
    ------
    SourceError
        The file is none, or is open to other accounts.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SourceError(
                f"There is no snapshot {path}. Make it with `lendwell snapshot --data TABLES --out {path}`."
            )
        if path.stat().st_mode & 0o077:
            raise SourceError(f"The snapshot {path} is open to other accounts, and it is persons' records: chmod 600.")
        try:
            self._file = sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True, check_same_thread=False)
            self.facts = dict(self._file.execute("select name, value from facts").fetchall())
        except sqlite3.Error as fault:
            raise SourceError(f"{path} is no snapshot ({fault}). Make it anew with `lendwell snapshot`.") from None
        if self.facts.get("format") != _FORMAT:
            raise SourceError(f"The snapshot {path} is of another Lendwell. Make it anew with `lendwell snapshot`.")

    def get(self, customer_id: str) -> bytes | None:
        """The request of a customer's newest application as JSON; None where there is no such customer."""
        found = self._file.execute("select request from requests where customer_id = ?", (customer_id,)).fetchone()
        return None if found is None else zlib.decompress(found[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_snapshot(folder: TableFolder, path: Path, progress: Callable[[str, float], None] | None = None) -> int:
    """Write a snapshot of the customers of canonical tables into a new file, mode 0600; returns how many there are."""
    newest = _newest_applications(folder)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with sqlite3.connect(path) as file:
        file.execute("create table facts (name text primary key, value text not null)")
        file.execute("create table requests (customer_id text primary key, request blob not null) without rowid")
        file.executemany("insert into facts values (?, ?)", [("format", _FORMAT), ("tables", folder.identity)])
        for at, some in enumerate(_pieces(newest)):
            if progress:
                progress("snapshot", at * _AT_ONCE / max(len(newest), 1))
            made = requests_from_tables(folder, some)
            file.executemany("insert into requests values (?, ?)", [_row(request) for request in made])
    file.close()
    return len(newest)


def _newest_applications(folder: TableFolder) -> list[str]:
    applications = folder.read("applications", ["application_id", "customer_id", "applied_at"])
    ordered = applications.sort_values(["applied_at", "application_id"])
    return [str(name) for name in ordered.drop_duplicates("customer_id", keep="last")["application_id"]]


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _row(request: ScoreRequest) -> tuple[str, bytes]:
    text = request.model_dump_json(exclude_none=True).encode()
    return request.application_record()["customer_id"], zlib.compress(text, 1)
