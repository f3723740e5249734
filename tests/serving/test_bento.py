"""A Bento of the champion, served by BentoML's own command, answers as the champion does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bento import build
from serving.client import ScoreClient
from serving.scorer import Scorer

BUILD = "import sys; from pathlib import Path; from serving.bento import build; "
BUILD += "print(build(Path(sys.argv[1]), 'tiny', '4').folder)"


def test_a_served_bento_answers_as_the_champion_and_needs_nothing_else(
    champion: Any, scorer: Scorer, tmp_path: Path
) -> None:
    """The environment names neither this checkout nor a registry; the bundle and the rooms come with the Bento."""
    root = Path(build.__code__.co_filename).resolve().parents[1]
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(champion.bundle)],
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    folder = Path(built.stdout.strip().splitlines()[-1])
    assert (folder / "src" / "bundle" / "manifest.json").is_file()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment.pop("PYTHONPATH", None)
    environment |= {"LENDWELL_LOG_URL": f"sqlite:///{tmp_path}/decisions.db", "OMP_NUM_THREADS": "1"}
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bentoml", "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _until_ready(url, process, tmp_path / "output")
        with ScoreClient(url) as client:
            for body in champion.requests[:3]:
                answer = client.score(body)
                assert (answer.bundle.identity, answer.bundle.version) == (champion.identity, "4")
                assert answer.pd == pytest.approx(champion.pd[answer.application_id], abs=1e-9)
    finally:
        process.terminate()
        process.wait(60)


def _until_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(output.read_text())
