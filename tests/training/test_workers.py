"""Workers: a process that has ended is told from one that goes on, also before its parent has asked for its end."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from training.workers import is_gone, this_process

TELL = "from training.workers import this_process; print(this_process(), flush=True); input()"


def test_a_process_is_gone_when_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", TELL], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        worker = child.stdout.readline().strip()
        assert worker.split(":")[1] == str(child.pid)
        assert not is_gone(worker)
        child.kill()
        deadline = time.monotonic() + 60
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
        assert is_gone(worker)  # nobody has waited for it yet
        child.wait()
        assert is_gone(worker)


def test_of_other_machines_nothing_is_said() -> None:
    assert not is_gone("elsewhere:1:1.00")
    assert not is_gone(None)
    assert not is_gone(this_process())
