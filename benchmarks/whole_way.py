"""The whole way's promise: `lendwell demo` under 5 minutes and 4 GiB on 2 cores, `lendwell --help` under half a second.

    python -m benchmarks.whole_way [--customers N]

The last line on stdout is one JSON object: `seconds` of the demo, `peak_gib` of its process and all that it starts,
`help_seconds` (median of 5), `auc` of the model, and `steps` with the seconds of each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

_ROOT = Path(__file__).resolve().parents[1]
_COMMAND = [sys.executable, "-m", "lendwell"]
_SAMPLE_SECONDS = 0.25


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds and memory of the whole way, from records to drift report.")
    parser.add_argument("--customers", type=int, default=20_000, help="size of the simulated lender")
    customers = parser.parse_args().customers
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as folder:
        words = ["demo", "--customers", str(customers), "--out", "demo"]
        seconds, peak = run_and_watch([*_COMMAND, *words], Path(folder), environment)
        summary = json.loads((Path(folder) / "demo" / "summary.json").read_text(encoding="utf-8"))
    measured = {
        "customers": customers,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak / 2**30, 3),
        "help_seconds": round(help_seconds(environment), 3),
        "auc": summary["model"]["auc"],
        "steps": {step["step"]: step["seconds"] for step in summary["steps"]},
    }
    print(json.dumps(measured))


def run_and_watch(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Run a command to its end; wall seconds, and the most bytes that it and its descendants held at one time."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        watch = _Watch(process.pid)
        watch.start()
        code = process.wait()
        watch.ended.set()
        watch.join()
    if code:
        raise SystemExit(f"{' '.join(command[2:])} ended with exit code {code}")
    return time.perf_counter() - started, watch.peak


def help_seconds(environment: dict[str, str], times: int = 5) -> float:
    """Median wall seconds of `lendwell --help`."""
    measured = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run([*_COMMAND, "--help"], env=environment, stdout=subprocess.DEVNULL, check=True)
        measured.append(time.perf_counter() - started)
    return statistics.median(measured)


class _Watch(threading.Thread):
    """Samples the memory of a process tree; pages that its processes share count once where the system tells."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.ended = threading.Event()
        self._root = psutil.Process(pid)

    def run(self) -> None:
        while not self.ended.wait(_SAMPLE_SECONDS):
            with suppress(psutil.NoSuchProcess):
                tree = [self._root, *self._root.children(recursive=True)]
                self.peak = max(self.peak, sum(map(_held, tree)))


def _held(process: Any) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        found = process.memory_full_info()
        return int(getattr(found, "pss", found.rss))
    return 0


if __name__ == "__main__":
    main()
