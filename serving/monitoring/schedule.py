"""A look again and again: on a schedule, until it was done often enough or somebody ends it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from data_contracts.errors import LendwellError


@contextmanager
def ended_by_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a round ends whole before its process does."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def rounds(
    look: Callable[[], dict[str, Any]], *, every: float, stop: threading.Event, times: int | None = None
) -> Iterator[dict[str, Any]]:
    """Facts of each look; a look that fails is told as `{"error": ...}` and the next one comes all the same.

    Parameters
    ----------
    look : callable
    every : float
        Seconds from the start of a look to that of the next; one that takes longer is followed at once, none is made up
        for.
    stop : Event
        Ends the waiting; a look that has begun goes to its end.
    times : int, optional
        How many looks; without it, until `stop`.

    Examples
    --------
    >>> looks = iter([{"verdict": "stable"}])
    >>> list(rounds(lambda: next(looks), every=0.0, stop=threading.Event(), times=2))
    [{'round': 1, 'verdict': 'stable'}, {'round': 2, 'error': 'StopIteration'}]
    """
    done = 0
    while not stop.is_set() and (times is None or done < times):
        started = time.monotonic()
        done += 1
        try:
            facts = look()
        except LendwellError as fault:
            facts = {"error": str(fault)}
        except Exception as fault:  # whatever it is, the next round may go well
            facts = {"error": f"{type(fault).__name__}: {fault}".removesuffix(": ")}
        yield {"round": done, **facts}
        if times is None or done < times:
            stop.wait(max(0.0, every - (time.monotonic() - started)))
