"""The decision log's promise: what was answered is in the log after kill -9 under load, once, and its chain is whole.

    python -m benchmarks.durability [--kills N] [--callers N] [--log-url URL] [--folder FOLDER] [--seed S]

A small hybrid is trained on a simulated lender and served by the real process. Callers send requests until, at a random
moment, every process of it is killed with -9. Then the log is verified, every answer that a caller got is looked up
in it, and the service is started again on the same log, where the callers first repeat what they sent in the round
before, answered or not. A last round ends without a kill.

The last line on stdout is one JSON object: `kills`; `acknowledged`, answers that callers got; `lost`, those that are
not in the log with the same PD; `duplicated`, requests that are in the log twice or got another answer when they were
repeated; `chain_breaks`, over all verifications; `in_flight`, requests that were under way at a kill. Then what an
append costs: `append_ms` alone (p50), `append_per_second` with one thread and with eight, beside `sync_per_second` of
the same disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil

import records
from data_contracts.folder import TableFolder
from data_contracts.messages import ScoreRequest, parse_request
from serving.client import requests_from_tables
from serving.decision_log import Decision, DecisionLog, new_decision_id
from serving.launch import running_service
from serving.log_upkeep import verify
from training import run
from training.experiment import read_experiment

_SMALL = """
name = "small"
feature_set = "application_v1"
folds = 2
sequence_length = 16
target = { kind = "dpd", dpd = 30, months_on_book = 6 }
split = { method = "random", test_share = 0.3 }
boosted = { n_estimators = 20, min_child_weight = 2.0, max_depth = 2, n_seeds = 1, early_stopping_rounds = 0 }
tabular_net = { k = 2, d_block = 8, max_epochs = 3, n_seeds = 1 }
sequence_net = { hidden = 8, max_epochs = 2 }
"""
_ROUND = 400  # requests that are there to be sent in a round
_LEAST, _MOST = 20, 120  # answers after which a round is killed


@dataclass
class Sent:
    """What callers know: every request by its place, and the decision of each that was answered."""

    requests: dict[int, bytes] = field(default_factory=dict)
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    in_flight: set[int] = field(default_factory=set)
    answered_otherwise: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Answers lost or doubled by kill -9 under load.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--log-url", help="PostgreSQL, with LENDWELL_LOG_KEY; a SQLite file by default")
    parser.add_argument("--folder", type=Path, help="where tables, bundle and log are made, or found")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as draft:
        place = asked.folder or Path(draft)
        bundle, requests = _prepared(place)
        url = asked.log_url or f"sqlite:///{place}/decisions-{new_decision_id()}.db"
        found = _killed(bundle, url, requests, asked.kills, asked.callers, random.Random(asked.seed))
        print(json.dumps({**found, **_appends(place, requests)}))


def _killed(
    bundle: Path, url: str, requests: list[ScoreRequest], kills: int, callers: int, rng: random.Random
) -> dict[str, Any]:
    started, sent, breaks, repeated, in_flight = time.monotonic(), Sent(), 0, list[int](), 0
    for number in range(kills + 1):
        places = range(number * _ROUND, (number + 1) * _ROUND if number < kills else number * _ROUND)
        sent.requests |= {place: _body(requests, place) for place in places}
        todo, before = [*repeated, *places], set(sent.answers)
        sent.in_flight.clear()
        with running_service(bundle, url) as address:
            _round(address, sent, todo, callers, rng.randint(_LEAST, _MOST) if number < kills else None)
        repeated = sorted((set(sent.answers) - before) | sent.in_flight)
        in_flight += len(sent.in_flight)
        with DecisionLog.open(url) as log:
            breaks += len(verify(log).breaks)
        print(f"round {number}: {len(sent.answers)} answered, {len(sent.in_flight)} in flight", file=sys.stderr)
    return {
        "kills": kills,
        **_compared(url, sent),
        "chain_breaks": breaks,
        "in_flight": in_flight,
        "seconds": round(time.monotonic() - started),
    }


def _round(address: str, sent: Sent, todo: list[int], callers: int, kill_after: int | None) -> None:
    """Send requests with several callers; kill the service after so many new answers, if at all."""
    killed, lock, fresh = threading.Event(), threading.Lock(), 0
    family = _family(address)

    def ask(place: int) -> None:
        nonlocal fresh
        if killed.is_set():
            return
        try:
            reply = http.post("/v1/application/score", content=sent.requests[place])
        except httpx.HTTPError:
            with lock:
                if place not in sent.answers:
                    sent.in_flight.add(place)
            return
        reply.raise_for_status()
        told = {name: reply.json()[name] for name in ("decision_id", "pd")}
        with lock:
            sent.answered_otherwise += sent.answers.get(place, told) != told
            fresh += place not in sent.answers
            sent.answers[place] = told
            if fresh == kill_after:
                killed.set()
                for process in family:  # BentoML's worker is in a process group of its own
                    process.kill()

    headers = {"Content-Type": "application/json"}
    with (
        httpx.Client(base_url=address, timeout=30, headers=headers, trust_env=False) as http,
        ThreadPoolExecutor(callers) as pool,
    ):
        list(pool.map(ask, todo))


def _family(address: str) -> list[psutil.Process]:
    """The processes of the service at an address: the child that was told its port, and what it started."""
    port = str(httpx.URL(address).port)
    (server,) = [child for child in psutil.Process().children() if port in child.cmdline()]
    return [server, *server.children(recursive=True)]


def _compared(url: str, sent: Sent) -> dict[str, Any]:
    """Hold what callers know against what the log has."""
    with DecisionLog.open(url) as log:
        logged = log.read(columns=["decision_id", "pd", "application_key", "request_sha256"])
    known = dict(zip(logged["decision_id"], logged["pd"], strict=True))
    lost = [one for one in sent.answers.values() if known.get(one["decision_id"]) != one["pd"]]
    twice = int(logged.duplicated(["application_key", "request_sha256"]).sum())
    return {
        "acknowledged": len(sent.answers),
        "lost": len(lost),
        "duplicated": twice + sent.answered_otherwise,
    }


def _body(requests: list[ScoreRequest], place: int) -> bytes:
    """A request that was not sent before: an applicant under an application of their own."""
    request = json.loads(requests[place % len(requests)].model_dump_json(exclude_none=True))
    request["application"]["application_id"] = f"A-{place}"
    return json.dumps(request).encode()


def _appends(place: Path, requests: list[ScoreRequest]) -> dict[str, Any]:
    """What an append costs, alone and with others, in a log of its own."""
    largest = max((_body(requests, at) for at in range(min(200, len(requests)))), key=len)
    asked = parse_request(largest)
    name = place / f"appends-{new_decision_id()}"
    template = Decision(new_decision_id(), "r", asked.as_of, "application", {}, pd=0.1, score=600.0, log_odds=-2.2)
    with DecisionLog.open(f"sqlite:///{name}.db", key="a key of the benchmark") as log:

        def append(some: range) -> list[float]:
            took = []
            for at in some:
                application = asked.__dict__["application"].model_copy(update={"application_id": f"B-{at}"})
                request = asked.model_copy(update={"application": application})
                begun = time.perf_counter()
                log.append(request, replace(template, decision_id=new_decision_id()))
                took.append(time.perf_counter() - begun)
            return took

        alone = append(range(300))
        begun = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(append, [range(start, stop) for start, stop in pairwise(range(1000, 1901, 100))]))
        together = 900 / (time.perf_counter() - begun)
    return {
        "request_bytes": len(largest),
        "append_ms": round(statistics.median(alone) * 1e3, 2),
        "append_per_second": {"1": round(len(alone) / sum(alone)), "8": round(together)},
        "sync_per_second": round(1 / statistics.median(_syncs(name))),
    }


def _syncs(path: Path) -> list[float]:
    """Seconds that the disk takes to keep 16 KiB for good, again and again."""
    took = []
    with path.open("wb", buffering=0) as stream:
        for _ in range(200):
            stream.write(b"x" * 16_384)
            begun = time.perf_counter()
            os.fdatasync(stream.fileno())
            took.append(time.perf_counter() - begun)
    return took


def _prepared(place: Path) -> tuple[Path, list[ScoreRequest]]:
    """A small bundle and requests of its lender's applicants."""
    tables, bundle = place / "tables", place / "bundle"
    if not bundle.is_dir():
        records.simulate(tables, customers=1_000, months=24, seed=7)
        (place / "small.toml").write_text(_SMALL, encoding="utf-8")
        experiment, folder = read_experiment(str(place / "small.toml")), TableFolder.open(tables)
        run.train(experiment, folder, run.prepare_for(experiment, folder)).save(bundle)
    folder = TableFolder.open(tables)
    ids = folder.read("applications")["application_id"].to_list()
    return bundle, requests_from_tables(folder, ids[:500])


if __name__ == "__main__":
    main()
