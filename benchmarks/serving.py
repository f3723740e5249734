"""The endpoint's promise: a request of 300 records answered, explained and durably logged in 8 ms, 20 ms at p99.

    python -m benchmarks.serving [--bundle FOLDER --data TABLES] [--customers N] [--requests N] [--full]

A bundle of the simulated experiment without its sequence net is trained on a small simulated lender, or the one that is
named is taken. It is served by `serving.launch` as `lendwell serve` does it, on loopback, with the decision log in
SQLite on disk. One client on the same machine sends requests of about 300 records in a closed loop; each is a new
application. Beside it, one after the other: an empty BentoML endpoint, and the same model behind `mlflow models serve`,
as training logs it, which is sent the features already computed and gives no reasons.

The last line on stdout is one JSON object: `p50_ms`, `p99_ms` and `longest_ms` at concurrency 1, `over_50_ms`, how many
took longer than that, `rps` of it and `rps_of_8` clients at once; `cpu_ms` of the worker's processor for a request,
which tells more on a machine in use; `echo_rps` and `share_of_echo`; `mlflow_rps` and `ratio_to_mlflow`;
`cold_start_seconds` from the start of the process to ready; `worker_mib`, the worker's memory after all requests;
`takeover_seconds` from the roster's change to the first answer of the other bundle, and back, as a rollback does.
`--full` sends 20,000.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle, repeat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

import records
from data_contracts.folder import TableFolder
from data_contracts.messages import ScoreRequest
from features.online import compile_plan
from serving.client import requests_from_tables
from serving.launch import running_service
from serving.roster import Named, Post, write_roster
from training import run
from training.bundle import Bundle, ScoreScale
from training.experiment import read_experiment

_ROOT = Path(__file__).resolve().parents[1]
_RECORDS, _BODIES, _LOOKED_AT, _WARM, _AT_ONCE = 300, 100, 2_000, 100, 8
_JSON = {"Content-Type": "application/json"}
_SCORE = "/v1/application/score"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency, throughput, start and memory of the score endpoint.")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle without a sequence net")
    parser.add_argument("--data", type=Path, help="tables from which the requests of --bundle come")
    parser.add_argument("--customers", type=int, default=3_000, help="of the simulated lender that is trained on")
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--full", action="store_true", help="20,000 requests")
    asked = parser.parse_args()
    wanted = 20_000 if asked.full else asked.requests
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as folder:
        place = Path(folder)
        bundle = asked.bundle or _trained(place, asked.customers)
        data = TableFolder.open(asked.data if asked.bundle else place / "tables")
        requests = _requests(data)
        _say(f"{len(requests)} requests of about {_RECORDS} records")
        measured = {"requests": wanted, "cores": len(os.sched_getaffinity(0)), **_size(requests)}
        measured |= _endpoint(place, bundle, requests, wanted)
        _say(str(measured))
        measured |= _echo(min(wanted, 3_000))
        measured |= _mlflow(place, bundle, requests)
    measured["share_of_echo"] = round(measured["rps"] / measured["echo_rps"], 3)
    measured["ratio_to_mlflow"] = round(measured["rps"] / measured["mlflow_rps"], 2)
    print(json.dumps(measured))


def _trained(place: Path, customers: int) -> Path:
    records.simulate(place / "tables", customers=customers, months=36, seed=7)
    folder = TableFolder.open(place / "tables")
    experiment = read_experiment("simulated").model_copy(update={"parts": ("boosted", "tabular_net")})
    rows = run.prepare_for(experiment, folder)
    _say(f"training on {len(rows.sample.train)} rows")
    run.train(experiment, folder, rows).save(place / "bundle")
    return place / "bundle"


def _count(request: ScoreRequest) -> int:
    return sum(len(rows or ()) for rows in request.records().values())


def _requests(folder: TableFolder) -> list[ScoreRequest]:
    """The requests whose number of records is nearest to what is promised for."""
    names = folder.read("applications", ["application_id"])["application_id"].tolist()[:_LOOKED_AT]
    found = requests_from_tables(folder, names)
    return sorted(found, key=lambda request: abs(_count(request) - _RECORDS))[:_BODIES]


def _size(requests: list[ScoreRequest]) -> dict[str, Any]:
    sizes = [len(request.model_dump_json(exclude_none=True)) for request in requests]
    return {"records": round(float(np.mean([_count(r) for r in requests])), 1), "body_bytes": round(np.mean(sizes))}


def _endpoint(place: Path, bundle: Path, requests: list[ScoreRequest], wanted: int) -> dict[str, Any]:
    other = place / "other"
    loaded = Bundle.load(bundle)
    replace(loaded, scale=ScoreScale(500.0, 20.0, 40.0), identity="").save(other)
    first, second = Named("1", str(bundle.resolve())), Named("2", str(other))
    roster = place / "roster.json"
    write_roster(roster, [Post("application", first)])
    texts = [request.model_dump_json(exclude_none=True) for request in requests]
    started = time.perf_counter()
    with running_service(roster, f"sqlite:///{place}/decisions.db") as url:
        cold = time.perf_counter() - started
        worker = _worker()
        bodies = _fresh(texts)
        _ask(url, _SCORE, bodies, _WARM)
        used = worker.cpu_times()
        took = _ask(url, _SCORE, bodies, wanted)
        used_by = worker.cpu_times()
        cpu = (used_by.user + used_by.system - used.user - used.system) / wanted
        many = _at_once(url, _SCORE, bodies, wanted // 2)
        takeovers = [_takeover(url, roster, bodies, version) for version in (second, first, second, first)]
        memory = worker.memory_info().rss
    milliseconds = np.array(took) * 1e3
    return {
        "p50_ms": round(float(np.median(milliseconds)), 2),
        "p99_ms": round(float(np.quantile(milliseconds, 0.99)), 2),
        "longest_ms": round(float(milliseconds.max()), 1),
        "over_50_ms": int((milliseconds > 50).sum()),
        "rps": round(len(took) / sum(took), 1),
        f"rps_of_{_AT_ONCE}": round(many, 1),
        "cpu_ms": round(cpu * 1e3, 2),
        "cold_start_seconds": round(cold, 2),
        "worker_mib": round(memory / 2**20),
        "takeover_seconds": [round(seconds, 3) for seconds in takeovers],
    }


def _fresh(texts: list[str]) -> Iterator[bytes]:
    """Bodies without end, each of an application that was never sent before."""
    number = 0
    while True:
        text = texts[number % len(texts)]
        yield text.replace('"application_id":"', f'"application_id":"{number}-', 1).encode()
        number += 1


def _worker() -> psutil.Process:
    """The process that answers: of all that this one has started, the one that holds most."""
    return max(psutil.Process().children(recursive=True), key=lambda process: process.memory_info().rss)


def _ask(url: str, path: str, bodies: Iterator[bytes], wanted: int) -> list[float]:
    """Seconds of each of so many requests, one after the other on one connection."""
    took = []
    with _connected(url) as line:
        for body, _ in zip(bodies, range(wanted), strict=False):
            started = time.perf_counter()
            line.request("POST", path, body, _JSON)
            reply = line.getresponse()
            told = reply.read()
            took.append(time.perf_counter() - started)
            if reply.status != 200:
                raise RuntimeError(f"{path} answers {reply.status}: {told[:500]!r}")
    return took


def _at_once(url: str, path: str, bodies: Iterator[bytes], wanted: int) -> float:
    """Requests a second of several clients."""
    shares = [[next(bodies) for _ in range(wanted // _AT_ONCE)] for _ in range(_AT_ONCE)]
    clients = [threading.Thread(target=_ask, args=(url, path, iter(share), len(share))) for share in shares]
    started = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(map(len, shares)) / (time.perf_counter() - started)


def _takeover(url: str, roster: Path, bodies: Iterator[bytes], version: Named) -> float:
    """Seconds until the first answer of another bundle, while requests go on."""
    started = time.perf_counter()
    write_roster(roster, [Post("application", version)])
    with _connected(url) as line:
        while True:
            line.request("POST", _SCORE, next(bodies), _JSON)
            if json.loads(line.getresponse().read())["bundle"]["version"] == version.version:
                return time.perf_counter() - started


def _echo(wanted: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks._echo:Echo", "--host", "127.0.0.1"]
    with _running(command, "--port", "/readyz") as url:
        nothing = repeat(b"{}")
        _ask(url, "/echo", nothing, _WARM)
        took = _ask(url, "/echo", nothing, wanted)
    return {"echo_rps": round(len(took) / sum(took), 1)}


def _mlflow(place: Path, bundle: Path, requests: list[ScoreRequest]) -> dict[str, Any]:
    from mlflow.models import Model

    from training.scoring_model import save

    save(bundle, place / "model", Model())
    loaded = Bundle.load(bundle)
    if loaded.sequence_length is not None:
        raise SystemExit("MLflow's server takes no raw events beside features: name a bundle without a sequence net.")
    names, plan = list(loaded.feature_set.names), compile_plan(loaded.feature_set)
    rows = [plan.compute(r.application_record(), r.records(), r.as_of).tolist() for r in requests]
    bodies = [
        json.dumps({"dataframe_split": {"columns": names, "data": [[None if v != v else v for v in row]]}}).encode()
        for row in rows
    ]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(place / "model"), "--env-manager", "local"]
    with _running([*command, "--host", "127.0.0.1"], "--port", "/ping") as url:
        without_end = cycle(bodies)
        _ask(url, "/invocations", without_end, 20)
        took = _ask(url, "/invocations", without_end, 300)
    return {"mlflow_rps": round(len(took) / sum(took), 1), "mlflow_p50_ms": round(float(np.median(took)) * 1e3, 1)}


@contextmanager
def _connected(url: str) -> Iterator[http.client.HTTPConnection]:
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        yield line
    finally:
        line.close()


@contextmanager
def _running(command: list[str], port_option: str, ready: str) -> Iterator[str]:
    """A server of another kind while the block lasts; its processes are ended with it."""
    from serving.launch import free_port

    port = free_port("127.0.0.1")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # mlflow calls uvicorn
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    process = subprocess.Popen(
        [*command, port_option, str(port)],
        cwd=_ROOT,
        env=environment,
        stdout=sys.stderr,
        stderr=sys.stderr,
        start_new_session=True,
    )
    try:
        _until(lambda: _is_ready(port, ready), process)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(process.pid).children(recursive=True):  # BentoML's worker has a group of its own
                one.kill()
        process.kill()
        process.wait()


def _is_ready(port: int, path: str) -> bool:
    try:
        with _connected(f"http://127.0.0.1:{port}") as line:
            line.request("GET", path)
            return line.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def _until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("a server beside the endpoint did not start; its output is above")
        time.sleep(0.1)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
