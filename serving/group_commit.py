"""Commits of several callers in one: whoever gets to write takes along what waits meanwhile."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from data_contracts.errors import ServiceError

Row = TypeVar("Row")
Answer = TypeVar("Answer")


class _Waiting(Generic[Row, Answer]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.answers: Sequence[Answer] | None = None
        self.fault: BaseException | None = None

    @property
    def is_over(self) -> bool:
        return self.answers is not None or self.fault is not None


class GroupCommit(Generic[Row, Answer]):
    """Lets threads write together: nobody waits for company, but who had to wait is written with the others.

    Parameters
    ----------
    write : callable
        Writes rows in one transaction, all or none, and returns an answer to each.
    most : int
        Rows in a transaction; a single caller's rows are never split.
    patience : float
        Seconds that a caller waits for the one who writes.
    shared : tuple of exception types
        Faults that are nobody's own, such as a database that is gone. After any other one the callers are written one
        by one, so that only who is to blame gets it.

    Examples
    --------
    >>> GroupCommit(lambda rows: [row * 2 for row in rows], 100, 1.0, ()).submit([1, 2])
    [2, 4]
    """

    def __init__(
        self,
        write: Callable[[list[Row]], list[Answer]],
        most: int,
        patience: float,
        shared: tuple[type[BaseException], ...],
    ) -> None:
        self._write = write
        self._most = most
        self._patience = patience
        self._shared = shared
        self._line = threading.Lock()
        self._waiting: deque[_Waiting[Row, Answer]] = deque()

    def submit(self, rows: Sequence[Row]) -> Sequence[Answer]:
        """Write rows, in one transaction, and return the answers when they are on disk.

        Raises
        ------
        ServiceError
            Where the one who writes did not get ready in time. The rows may have been written nevertheless.
        """
        own: _Waiting[Row, Answer] = _Waiting(rows)
        self._waiting.append(own)
        while not own.is_over:  # once as a rule; again where so many waited that one transaction did not take them
            if not self._line.acquire(timeout=self._patience):
                with suppress(ValueError):
                    self._waiting.remove(own)
                raise ServiceError("The decision log is slower than its callers; this one was not answered. Try again.")
            try:
                if not own.is_over:
                    self._commit(self._next())
            finally:
                self._line.release()
        if own.fault is not None:
            raise own.fault
        return own.answers or ()

    def _next(self) -> list[_Waiting[Row, Answer]]:
        group = [self._waiting.popleft()]
        rows = len(group[0].rows)
        while self._waiting and rows + len(self._waiting[0].rows) <= self._most:
            group.append(self._waiting.popleft())
            rows += len(group[-1].rows)
        return group

    def _commit(self, group: list[_Waiting[Row, Answer]]) -> None:
        try:
            answers = self._write([row for one in group for row in one.rows])
        except BaseException as fault:
            if len(group) > 1 and not isinstance(fault, self._shared):
                for one in group:
                    self._commit([one])
                return
            for one in group:
                one.fault = fault
        else:
            for one in group:
                one.answers, answers = answers[: len(one.rows)], answers[len(one.rows) :]
