"""Who is scored when: one at a time in the order of arrival, and no more in line than can be answered soon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.wire import Limits, unavailable


class Turns:
    """The line in front of the processor.

    Scoring takes a few milliseconds of the processor and does not wait for anything, so it runs on the event loop: a
    thread of its own would only contend for the interpreter. Between two of them the loop reads and writes.

    Parameters
    ----------
    limits : Limits

    Attributes
    ----------
    taken : asyncio.Lock
        Held while it is one's turn; nothing is awaited in it.
    reading, waiting, batches : int
        Bodies that are arriving, requests that have arrived and are not answered, batches under way.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.taken = asyncio.Lock()
        self.reading = 0
        self.waiting = 0
        self.batches = 0

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """While a body arrives; refused where too many do."""
        if self.reading >= self._limits.most_reading:
            raise self._overloaded()
        self.reading += 1
        try:
            yield
        finally:
            self.reading -= 1

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """From the arrival of a request to its answer; refused where the line is full."""
        if self.waiting >= self._limits.most_waiting:
            raise self._overloaded()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    @contextmanager
    def batch(self) -> Iterator[None]:
        """While a batch is read and answered; refused where others are, for their bodies lie in memory."""
        if self.batches >= self._limits.most_batches:
            raise self._overloaded()
        self.batches += 1
        try:
            yield
        finally:
            self.batches -= 1

    @property
    def idle(self) -> bool:
        """Whether nobody is in line."""
        return self.waiting == 0

    def _overloaded(self) -> Exception:
        return unavailable("overloaded", "Too many requests are under way. Try again.", self._limits)
