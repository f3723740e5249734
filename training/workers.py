"""Which process works on a trial or a run, and whether it is gone: what a killed one left is told from what goes on."""

from __future__ import annotations

import os
import socket


def this_process() -> str:
    """`host:process:start`; the start tells a process from a later one of the same number."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_gone(worker: str | None) -> bool:
    """Whether the process ran on this machine and has ended; of one on another machine, or unknown, nothing is said.

    Examples
    --------
    >>> is_gone(this_process()), is_gone(f"{socket.gethostname()}:{os.getpid()}:1.00"), is_gone(None)
    (False, True, False)
    """
    import psutil

    host, process, started = (worker or "::").rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        found = psutil.Process(int(process))
        return bool(abs(found.create_time() - float(started)) > 1.0 or found.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
