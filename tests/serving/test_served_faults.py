"""The real service when things go wrong: no database, a full disk, kill -9; keys, HTTPS, and what it says."""

from __future__ import annotations

import copy
import ipaddress
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from data_contracts.errors import ServiceError
from serving.access import Access
from serving.client import ScoreClient
from serving.decision_log import DecisionLog
from serving.keys import KeyFile
from serving.launch import running_service
from serving.log_upkeep import verify
from tests.postgres import running_postgres

ROOT = Path(__file__).resolve().parents[2]
PATH = "/v1/application/score"
KEY = "a key of the log"


@dataclass(frozen=True)
class Running:
    """A service on PostgreSQL behind HTTPS and keys, and all that it says."""

    url: str
    log_url: str
    keys: KeyFile
    certificate: Path
    output: Path
    database: Any

    def http(self, key: str = "") -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self.certificate)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, timeout=30.0, trust_env=False, verify=trusted, headers=headers)

    def key(self, role: str) -> str:
        return self.keys.add("caller", [role], datetime.now(UTC).replace(tzinfo=None))


@pytest.fixture(scope="module")
def service(champion: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("served")
    keys = KeyFile(home / "keys.json")
    keys.add("first", ["admin"], datetime(2026, 7, 1))
    certificate, private = self_signed(home)
    access = Access(keys.path, per_second=10, tls_cert=certificate, tls_key=private)
    output = home / "output"
    with running_postgres() as database, pytest.MonkeyPatch.context() as environment:
        log_url = database.get_uri()
        environment.setenv("LENDWELL_LOG_KEY", KEY)
        with running_service(champion.bundle, log_url, home=home / "bentoml", access=access, output=output) as url:
            yield Running(url, log_url, keys, certificate, output, database)
            server, *workers = family(url)
            server.kill()  # as by a machine that is out of memory: its worker must not stay behind with the port
            assert workers
            assert psutil.wait_procs(workers, timeout=30)[1] == []


def family(url: str) -> list[psutil.Process]:
    """The processes of the service at an address, BentoML's own first."""
    port = str(httpx.URL(url).port)
    (server,) = [child for child in psutil.Process().children() if port in child.cmdline()]
    return [server, *server.children(recursive=True)]


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 for a day, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lendwell")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(address, critical=False)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def test_https_answers_who_has_a_key_and_the_plain_port_does_not(service: Running, request_body: dict) -> None:
    headers = {"Authorization": f"Bearer {service.key('score')}"}
    with ScoreClient(service.url, headers=headers, authority=service.certificate) as client:
        assert client.score(request_body).decision_id
    with ScoreClient(service.url, headers=headers) as client, pytest.raises(ServiceError, match=r"(?i)certificate"):
        client.score(request_body)
    with ScoreClient(service.url.replace("https", "http"), headers=headers) as client, pytest.raises(ServiceError):
        client.score(request_body)


def test_keys_are_asked_for_and_changes_count_at_once(service: Running, request_body: dict) -> None:
    old, new = service.key("score"), service.key("score")
    with service.http() as http:
        assert http.post(PATH, json=request_body).status_code == 401
        assert http.get("/readyz").status_code == 200
    with service.http(old) as http:
        assert http.post(PATH, json=request_body).status_code == 200
        assert http.post("/v1/application/explain", json=request_body).status_code == 403
        service.keys.revoke(old.split("_")[1], datetime(2026, 7, 1))
        assert http.post(PATH, json=request_body).status_code == 401
    with service.http(new) as http:
        assert http.post(PATH, json=request_body).status_code == 200


def test_one_key_cannot_take_all_of_the_service(service: Running, request_body: dict) -> None:
    with service.http(service.key("score")) as hasty:
        replies = (hasty.get("/v1/champions") for _ in range(1000))
        refused = next(reply for reply in replies if reply.status_code != 200)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    with service.http(service.key("score")) as calm:
        assert calm.post(PATH, json=request_body).status_code == 200


def test_a_database_that_is_gone_costs_no_answer(service: Running, champion: Any) -> None:
    bodies = champion.requests[30:36]
    with service.http(service.key("score")) as http:
        before = [http.post(PATH, json=body).json()["decision_id"] for body in bodies[:3]]
        service.database.stop()
        gone = [http.post(PATH, json=body) for body in bodies[2:5]]
        assert [reply.status_code for reply in gone] == [503] * 3
        assert all("Retry-After" in reply.headers and "pd" not in reply.json() for reply in gone)
        assert http.get("/readyz").status_code == 503
        service.database.start()
        after = [http.post(PATH, json=body).json()["decision_id"] for body in bodies]
        assert http.get("/readyz").status_code == 200
    assert after[:3] == before
    with DecisionLog.open(service.log_url, key=KEY) as log:
        assert set(after) <= set(log.read(columns=["decision_id"])["decision_id"])
        assert verify(log).breaks == []


def test_nothing_it_says_names_a_person_an_amount_or_a_key(service: Running, champion: Any) -> None:
    key = service.key("score")
    secrets = [key.split("_", 2)[2], "wrong-key-13579", "C-4711-secret", "A-4711-secret", "77777123", "88888123"]
    body = copy.deepcopy(champion.requests[40])
    body["application"] |= {"customer_id": "C-4711-secret", "application_id": "A-4711-secret"}
    body["application"]["amount_requested"] = 77_777_123
    broken = copy.deepcopy(body)
    broken["transactions"][0]["amount"] = "88888123"
    with service.http(key) as http:
        assert http.post(PATH, json=body).status_code == 200
        assert http.post(PATH, json=broken).status_code == 422
        assert http.post(PATH, content=json.dumps(body)[:-9]).status_code in (400, 415)
        assert http.post("/v1/C-4711-secret/score?customer_id=C-4711-secret", json=body).status_code == 404
        assert http.get("/A-4711-secret").status_code in (403, 404)
        assert http.request("PUT", PATH, json=body).status_code == 405
        service.database.stop()
        body["application"]["income_monthly"] = 88_888_123
        assert http.post(PATH, json=body).status_code == 503
        service.database.start()
    with service.http("lendwell_wrong-key-13579") as http:
        assert http.post(PATH, json=body).status_code == 401
    lines = service.output.read_text().splitlines()
    assert any("decision log" in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_a_full_disk_refuses_and_room_heals_and_kill_9_loses_nothing(champion: Any, small_disk: Path) -> None:
    log_url = f"sqlite:///{small_disk}/decisions.db"
    bodies, answered = iter(champion.requests), {}
    with running_service(champion.bundle, log_url) as url, httpx.Client(base_url=url, timeout=30) as http:
        for body in bodies:
            reply = http.post(PATH, json=body)
            if reply.status_code != 200:
                break
            answered[reply.json()["decision_id"]] = body
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "decision_log_unavailable")
        assert len(answered) >= 1
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        healed = http.post(PATH, json=body)
        assert healed.status_code == 200
        answered[healed.json()["decision_id"]] = body

        away = small_disk / "moved away"
        (small_disk / "decisions.db").rename(away)
        assert http.post(PATH, json=body).status_code == 503
        assert http.get("/readyz").status_code == 503
        away.rename(small_disk / "decisions.db")
        assert http.post(PATH, json=body).json()["decision_id"] == healed.json()["decision_id"]

        answered |= _under_fire(http, url, log_url, list(bodies)[:60])
    with DecisionLog.open(log_url) as log:
        decisions = log.read(columns=["decision_id"])["decision_id"]
        assert set(answered) <= set(decisions)
        assert decisions.is_unique
        assert verify(log).breaks == []


_OTHER_WRITER = """
import sys
from tests.serving.decisions import asked, decided
from serving.decision_log import DecisionLog

with DecisionLog.open(sys.argv[1]) as log:
    for at in range(30):
        log.append(asked(f"other-{at}"), decided())
"""


def _under_fire(http: httpx.Client, url: str, log_url: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Four callers and another process that writes, until the service is killed; what was answered by then."""
    processes = family(url)
    answered: dict[str, Any] = {}

    def ask(body: dict[str, Any]) -> None:
        try:
            reply = http.post(PATH, json=body)
        except httpx.HTTPError:
            return
        if reply.status_code == 200:
            answered[reply.json()["decision_id"]] = body
        if len(answered) == 20:
            for process in processes:
                process.kill()

    other = subprocess.Popen([sys.executable, "-c", _OTHER_WRITER, log_url], cwd=ROOT)
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(ask, bodies))
    assert other.wait() == 0
    assert 20 <= len(answered) < len(bodies)
    return answered
