"""`lendwell serve` while the registry moves: promotion, return, retirement, a challenger, a corrupt bundle, the end."""

from __future__ import annotations

import copy
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_contracts.errors import RegistryError, ServiceError
from serving.client import ScoreClient
from serving.decision_log import DecisionLog
from serving.follow import Follower
from serving.roster import read_roster
from serving.shadow_log import read
from tests.command_line import COMMAND, ENVIRONMENT
from training.bundle import Bundle, ScoreScale
from training.registry import Registry
from workspace import Home


@dataclass(frozen=True)
class Live:
    """A home with three versions of a model, and the service over it."""

    home: Home
    registry: Registry
    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def name_champion(self, version: str | None, challenger: str | None = None) -> None:
        """Set the aliases as a promotion, a rollback or a retirement does at its end."""
        self.registry.follow("tiny", version, {})
        if version is None:
            with suppress(Exception):
                self.registry.client.delete_registered_model_alias("tiny", "champion")
        if challenger:
            self.registry.client.set_registered_model_alias("tiny", "challenger", challenger)

    def ready(self) -> dict[str, Any]:
        reply = httpx.get(f"{self.url}/readyz", trust_env=False)
        return {"status": reply.status_code, **reply.json()}

    def answering(self) -> str:
        return str(self.ready()["champions"]["application"]["version"])

    def metrics(self) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(httpx.get(f"{self.url}/metrics", trust_env=False).text)
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what must come; long, for the machine may be busy."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@contextmanager
def served(home: Home, output: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The real command, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*COMMAND, "serve", "--model", "tiny", "--home", str(home.path), "--port", str(port), *words]
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=file, stderr=file)
    try:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert process.poll() is None, output.read_text()
            with suppress(httpx.HTTPError):
                return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
            return False

        until(ready, "the service did not get ready")
        yield url, process
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def live(champion: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = tmp_path_factory.mktemp("live")
    home = Home(place / "home")
    registry = home.registry()
    first = Bundle.load(champion.bundle)
    folders = [champion.bundle]
    for points in (500.0, 400.0):
        folders.append(place / str(points))
        replace(first, scale=ScoreScale(points, 20.0, 40.0), identity="").save(folders[-1])
    for folder in folders:
        identity = Bundle.load(folder).identity
        run_id = registry.log_run("tiny", params={}, metrics={}, tags={"bundle_identity": identity}, bundle=folder)
        registry.register("tiny", run_id)
    registry.follow("tiny", "1", {})
    registry.client.delete_registered_model_alias("tiny", "challenger")
    with served(home, place / "output") as (url, process):
        yield Live(home, registry, url, process, place / "output")
        _ends_when_all_are_answered(url, process, champion)
    assert "Traceback" not in (place / "output").read_text()


def _ends_when_all_are_answered(url: str, process: subprocess.Popen[bytes], champion: Any) -> None:
    """The service is ended once, after the other tests: requests under way are answered, no process is left."""
    family = psutil.Process(process.pid).children(recursive=True)
    batch = {"requests": [fresh(champion, number) for number in range(150)]}
    told: list[httpx.Response] = []

    def ask() -> None:
        told.append(httpx.post(f"{url}/v1/application/score-batch", json=batch, timeout=60, trust_env=False))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: "lendwell_waiting 1.0" in httpx.get(f"{url}/metrics", trust_env=False).text, "nothing is asked")
    process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert process.wait(60) == 0
    assert [reply.status_code for reply in told] == [200]
    assert len(told[0].json()["answers"]) == 150
    assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=5)[1] == []


@pytest.fixture(autouse=True)
def first_again(live: Live) -> None:
    """Each test begins with version 1 alone."""
    live.name_champion("1")
    with suppress(Exception):
        live.registry.client.delete_registered_model_alias("tiny", "challenger")
    until(lambda: live.ready()["status"] == 200 and live.answering() == "1", "version 1 does not answer")


def fresh(champion: Any, number: int) -> dict[str, Any]:
    """A request that was never sent before."""
    body = copy.deepcopy(champion.requests[number % len(champion.requests)])
    body["application"]["application_id"] = f"live-{number}-{time.time_ns()}"
    return body


def test_a_champion_takes_over_under_load_without_a_lost_or_mixed_answer(live: Live, champion: Any) -> None:
    points = {"1": 600.0, "2": 500.0}
    answers: list[Any] = []
    faults: list[Exception] = []
    over = threading.Event()

    def ask(worker: int) -> None:
        with ScoreClient(live.url, retries=0) as client:
            number = worker
            while not over.is_set():
                try:
                    answers.append(client.score(fresh(champion, number)))
                except Exception as fault:
                    faults.append(fault)
                number += 3

    workers = [threading.Thread(target=ask, args=(at,)) for at in range(3)]
    for worker in workers:
        worker.start()
    for version in ("2", "1", "2", "1"):
        live.name_champion(version)
        until(lambda version=version: live.answering() == version, f"version {version} does not take over")
        seen = len(answers)
        until(lambda seen=seen: len(answers) > seen + 10, "no answers")
    over.set()
    for worker in workers:
        worker.join()
    assert faults == []
    identities = {version: Bundle.load(_folder(live, version)).identity for version in points}
    assert {answer.bundle.version for answer in answers} == {"1", "2"}
    for answer in answers:
        version = answer.bundle.version
        assert answer.bundle.identity == identities[version]
        assert answer.score == pytest.approx(
            float(ScoreScale(points[version], 20.0, 40.0).points(answer.log_odds)), abs=1e-9
        )
    with DecisionLog.open(live.home.log) as log:
        logged = log.read()
    for answer in answers:
        row = logged[logged["decision_id"] == answer.decision_id].iloc[0]
        assert (row["bundle_version"], row["score"]) == (answer.bundle.version, answer.score)


def _folder(live: Live, version: str) -> Path:
    source = live.registry.client.get_model_version("tiny", version).source
    return Path(source.removeprefix("file://")) / "artifacts" / "bundle"


def test_a_challenger_is_scored_in_the_shadow_logged_and_never_returned(live: Live, champion: Any) -> None:
    live.name_champion("1", challenger="3")
    with ScoreClient(live.url) as client:
        until(lambda: client.champions()[0].challenger is not None, "no challenger")
        assert client.champions()[0].challenger.version == "3"
        answers = [client.score(fresh(champion, number)) for number in range(10)]
    assert {answer.bundle.version for answer in answers} == {"1"}
    until(lambda: live.metrics().get(("lendwell_shadows_total", "application", "scored"), 0) >= 10, "no shadow scores")
    with DecisionLog.open(live.home.log) as log:
        rows = read(log.engine).set_index("decision_id")
    for answer in answers:
        row = rows.loc[answer.decision_id]
        assert row["bundle_version"] == "3"
        assert row["log_odds"] == pytest.approx(answer.log_odds, abs=1e-12)
        assert row["score"] == pytest.approx(answer.score - 200.0)


def test_a_corrupt_bundle_leaves_the_champion_at_work_and_is_told(live: Live, champion: Any, tmp_path: Path) -> None:
    sound = Bundle.load(champion.bundle)
    other = replace(sound, scale=ScoreScale(450.0, 20.0, 40.0), identity="")  # who has answered is not read again
    other.save(tmp_path / "bundle")
    again = _registered_again(live, tmp_path / "bundle")
    files = (path for path in _folder(live, again).rglob("*") if path.is_file())
    victim = max(files, key=lambda path: path.stat().st_size)
    broken = bytearray(victim.read_bytes())
    broken[len(broken) // 2] ^= 1
    victim.write_bytes(broken)
    failures = live.metrics().get(("lendwell_successions_total", "application", "failed"), 0)
    live.name_champion(again)
    until(lambda: bool(live.ready()["faults"]), "the fault is not told")
    told = live.ready()
    assert told["status"] == 200
    assert f"tiny/{again} is not taken over" in told["faults"]["application"]
    assert victim.name in told["faults"]["application"]
    with ScoreClient(live.url) as client:
        assert client.score(fresh(champion, 1)).bundle.version == "1"
    assert live.metrics()["lendwell_successions_total", "application", "failed"] > failures
    assert live.metrics()["lendwell_succession_fault", "application"] == 1
    assert victim.name in live.output.read_text()
    live.name_champion("3")
    until(lambda: live.answering() == "3", "the next champion does not take over")
    assert live.ready()["faults"] == {}


def _registered_again(live: Live, folder: Path) -> str:
    identity = Bundle.load(folder).identity
    run_id = live.registry.log_run("tiny", params={}, metrics={}, tags={"bundle_identity": identity}, bundle=folder)
    return live.registry.register("tiny", run_id).version


def test_a_retired_champion_answers_nobody_until_another_follows(live: Live, champion: Any) -> None:
    live.registry.client.delete_registered_model_alias("tiny", "champion")
    until(lambda: live.ready()["status"] == 503, "the retired champion still answers")
    reply = httpx.post(f"{live.url}/v1/application/score", json=fresh(champion, 2), trust_env=False)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "no_champion")
    live.name_champion("2")
    until(lambda: live.ready()["status"] == 200, "nobody follows")
    assert live.answering() == "2"


def test_a_number_stays_whoever_is_champion_and_one_answers_at_a_decision_point(live: Live, tmp_path: Path) -> None:
    stays = Follower(live.registry, ["tiny/2"], tmp_path)
    live.name_champion("3", challenger="1")
    stays.look()
    post = read_roster(stays.roster)[0]
    assert (post.champion and post.champion.version, post.challenger) == ("2", None)
    with pytest.raises(ServiceError, match="Several models answer for one decision point"):
        Follower(live.registry, ["tiny", "tiny/2"], tmp_path)
    with pytest.raises(RegistryError, match="has no version 99"):
        Follower(live.registry, ["tiny/99"], tmp_path)
