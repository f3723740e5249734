"""Who waits is written with the others; whose row is to blame gets the fault alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from data_contracts.errors import ServiceError
from serving.group_commit import GroupCommit


class Disk:
    """Writes when it is let; refuses the row `bad`, and everything while it is `gone`."""

    def __init__(self, most: int = 100, patience: float = 30.0) -> None:
        self.transactions: list[list[str]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.gone = False
        self.group: GroupCommit[str, str] = GroupCommit(self._write, most, patience, (OSError,))

    def _write(self, rows: list[str]) -> list[str]:
        self.begun.set()
        assert self.may_go_on.wait(30)
        self.transactions.append(rows)
        if self.gone:
            raise OSError("no disk")
        if "bad" in rows:
            raise ValueError("a bad row")
        return [row.upper() for row in rows]

    def submit_while_busy(self, *several: Sequence[str]) -> list[Future[Any]]:
        """Hold the first transaction until all have come."""
        with ThreadPoolExecutor(len(several) + 1) as pool:
            first = pool.submit(self.group.submit, ["first"])
            assert self.begun.wait(30)
            rest = []
            for number, rows in enumerate(several, start=1):
                rest.append(pool.submit(self.group.submit, rows))
                while len(self.group._waiting) < number:  # so that they come in their order
                    pass
            self.may_go_on.set()
        return [first, *rest]


def test_one_alone_is_written_at_once() -> None:
    disk = Disk()
    disk.may_go_on.set()
    assert disk.group.submit(["a", "b"]) == ["A", "B"]
    assert disk.transactions == [["a", "b"]]


def test_those_that_waited_share_a_transaction_and_each_gets_its_own_answers() -> None:
    disk = Disk()
    answers = [future.result() for future in disk.submit_while_busy(["a"], ["b", "c"], ["d"])]
    assert answers == [["FIRST"], ["A"], ["B", "C"], ["D"]]
    assert disk.transactions == [["first"], ["a", "b", "c", "d"]]


def test_a_transaction_has_its_limit_and_a_caller_is_never_split() -> None:
    disk = Disk(most=3)
    answers = [future.result() for future in disk.submit_while_busy(["a", "b"], ["c", "d"], ["e", "f", "g", "h"])]
    assert answers[1:] == [["A", "B"], ["C", "D"], ["E", "F", "G", "H"]]
    assert disk.transactions[1:] == [["a", "b"], ["c", "d"], ["e", "f", "g", "h"]]


def test_a_bad_row_harms_its_own_caller_only() -> None:
    disk = Disk()
    first, good, bad, other = disk.submit_while_busy(["a"], ["bad"], ["b"])
    assert (good.result(), other.result()) == (["A"], ["B"])
    assert isinstance(bad.exception(), ValueError)
    assert disk.transactions == [["first"], ["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert first.result() == ["FIRST"]


def test_a_disk_that_is_gone_is_everybodys_fault_and_asked_once() -> None:
    disk = Disk()
    disk.gone = True
    faults = [future.exception() for future in disk.submit_while_busy(["a"], ["b"])]
    assert all(isinstance(fault, OSError) for fault in faults)
    assert disk.transactions == [["first"], ["a", "b"]]


def test_who_waits_too_long_is_told_and_not_written() -> None:
    disk = Disk(patience=0.01)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(disk.group.submit, ["first"])
        assert disk.begun.wait(30)
        with pytest.raises(ServiceError, match="slower than its callers"):
            disk.group.submit(["late"])
        disk.may_go_on.set()
        assert first.result() == ["FIRST"]
    assert disk.group.submit(["next"]) == ["NEXT"]
    assert disk.transactions == [["first"], ["next"]]
