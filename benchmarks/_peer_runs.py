"""Peers in environments of their own: made on first use, given rows as Parquet, answering with Parquet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
_HERE = Path(__file__).resolve().parent
_FEWEST = {"peers": "import catboost, lightgbm, optbinning, pyarrow", "autogluon": "import autogluon.tabular, pyarrow"}


@dataclass(frozen=True)
class PeerRun:
    """Out-of-fold PDs of one peer on one input, processor seconds of each fold's fit, and the peer's version."""

    pd: Floats
    fit_cpu_seconds: list[float]
    version: str


class PeerError(RuntimeError):
    """A peer cannot be installed or run; says why."""


def peer_python(environment: str) -> Path:
    """Python of a peers' environment, `peers` or `autogluon`; installs what its requirements pin if it is not there.

    They lie in `.peers` and `.peers-autogluon` of the repository, or where `LENDWELL_PEERS` and `LENDWELL_AUTOGLUON`
    point.
    """
    named = {"peers": ("LENDWELL_PEERS", ".peers"), "autogluon": ("LENDWELL_AUTOGLUON", ".peers-autogluon")}
    variable, usual = named[environment]
    place = Path(os.environ.get(variable, _HERE.parent / usual))
    python = place / "bin" / "python"
    if _imports(python, _FEWEST[environment]):
        return python
    say(f"making {place} from benchmarks/{environment}.txt: some minutes, once")
    venv.create(place, with_pip=True)
    wanted = ["-r", str(_HERE / f"{environment}.txt")]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted],
        stdout=sys.stderr, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    sys.stderr.write(done.stderr)
    if done.returncode or not _imports(python, _FEWEST[environment]):
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["its packages do not import"]
        raise PeerError(f"benchmarks/{environment}.txt cannot be installed in {place}: {told[0]}")
    return python


def write_rows(path: Path, features: pd.DataFrame, defaulted: Any, customers: Any, fold: Any) -> None:
    """Rows as the peers read them."""
    marks = pd.DataFrame({"__defaulted": defaulted, "__customer": customers, "__fold": fold})
    pd.concat([features.reset_index(drop=True), marks], axis=1).to_parquet(path)


def run_peer(python: Path, model: str, rows: Path, seconds: float = 120.0) -> PeerRun:
    """Fit a peer fold by fold in a process of its own."""
    out = rows.with_name(f"{rows.stem}-{model}.parquet")
    command = [str(python), str(_HERE / "_peers.py"), model, str(rows), str(out), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=_environment())
    if done.returncode:
        raise PeerError(f"{model} on {rows.stem} ended with exit code {done.returncode}; its own words are above")
    told: Mapping[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return PeerRun(pd.read_parquet(out)["pd"].to_numpy(), told["fit_cpu_seconds"], told["version"])


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _imports(python: Path, statement: str) -> bool:
    return (
        python.is_file()
        and not subprocess.run([str(python), "-c", statement], capture_output=True, env=_environment()).returncode
    )


def _environment() -> dict[str, str]:
    """Ours, but for what would lead the peers' Python to our packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
