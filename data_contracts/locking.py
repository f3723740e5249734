"""One writer at a time in a folder, first of all one of canonical tables, and nothing left of one that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data_contracts.errors import LendwellError, SourceError

LOCK = ".lock"
MANIFEST = "lender.json"
BATCHES = "batches"
REFUSED = "refused.jsonl"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder of tables, made where there is none, so that nobody else writes into it meanwhile.

    The lock falls with the process that holds it, however that ends. A folder that was made here and has no tables in
    the end is taken away again.

    Raises
    ------
    SourceError
        Where another process holds the folder.
    """
    made = not folder.exists()
    busy = SourceError(
        f"Something else is being written into {folder} right now. Wait until it has ended, then try again."
    )
    held = hold(folder / LOCK, busy)
    try:
        yield
    finally:
        if not (folder / MANIFEST).is_file():
            clear_drafts(folder, ())
            with suppress(OSError):
                (folder / LOCK).unlink()
                (folder / BATCHES).rmdir()
            if made:
                with suppress(OSError):
                    folder.rmdir()
        os.close(held)


def clear_drafts(folder: Path, listed: Iterable[str]) -> None:
    """Remove what writers left that were killed: batches that are not `listed`, and files begun. Needs the lock."""
    keep = set(listed)
    for place in (folder / BATCHES).glob("*"):
        if place.name not in keep:
            shutil.rmtree(place, ignore_errors=True)
    for draft in folder.glob(".*.draft"):
        draft.unlink(missing_ok=True)


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed first intake may have left."""
    return all(place.name in (LOCK, BATCHES) or place.name.endswith(".draft") for place in folder.iterdir())


def hold(lock: Path, busy: LendwellError) -> int:
    """Lock a file, made where there is none; raises `busy` where another process holds it.

    The lock falls with the process, or when the descriptor that is returned is closed. Remove the file before that.
    """
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the one before took the folder or its lock away just now
            held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(held), lock.stat()):
                    return held
            except BlockingIOError as fault:
                os.close(held)
                raise busy from fault
            except BaseException:
                os.close(held)
                raise
            os.close(held)
