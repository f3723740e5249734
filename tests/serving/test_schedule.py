"""A watch goes on after a round that failed, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import threading

from data_contracts.errors import ServiceError
from serving.monitoring.schedule import ended_by_signal, rounds


def test_a_round_that_fails_does_not_end_the_watch() -> None:
    looks = iter([ServiceError("The log is away."), ValueError("odd"), None])

    def look() -> dict[str, str]:
        fault = next(looks)
        if fault is not None:
            raise fault
        return {"verdict": "stable"}

    told = list(rounds(look, every=0.001, stop=threading.Event(), times=3))
    assert told == [
        {"round": 1, "error": "The log is away."},
        {"round": 2, "error": "ValueError: odd"},
        {"round": 3, "verdict": "stable"},
    ]


def test_sigterm_ends_the_waiting_and_the_round_is_whole() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signal() as stop:

        def look() -> dict[str, str]:
            os.kill(os.getpid(), signal.SIGTERM)
            return {"verdict": "stable"}

        assert list(rounds(look, every=600.0, stop=stop)) == [{"round": 1, "verdict": "stable"}]
    assert signal.getsignal(signal.SIGTERM) is before
