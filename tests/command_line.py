"""The command line as a person uses it: words in, exit code and what was printed out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lendwell

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """What it printed with --json."""
        return json.loads(self.out)


def run(*words: Any) -> Ran:
    """Run a command in this process, as the entry point does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            lendwell.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
    return Ran(int(code), out.getvalue(), err.getvalue())


def refused(*words: Any, code: int) -> str:
    """Run a command that must be refused: its exit code, one message on stderr, and nothing that looks like a crash."""
    ran = run(*words)
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.startswith("Error: ")
    assert ran.err.count("Error: ") == 1
    assert "Traceback" not in ran.err
    return ran.err


COMMAND = [sys.executable, "-m", "lendwell"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # wherever it is started, and installed or not


def start(*words: Any, cwd: Path, seconds: float = 240.0) -> Ran:
    """Run a command in a process of its own."""
    command = [*COMMAND, *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=seconds, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)
