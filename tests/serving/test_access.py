"""API keys and the guard in front of the application: who gets through, who does not, and what is kept of a key."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from data_contracts.errors import ServiceError
from serving.access import Access, Guard
from serving.keys import KeyFile, Keyring
from tests.command_line import refused, run

NOON = datetime(2026, 7, 1, 12)
HERE, ELSEWHERE = ("127.0.0.1", 40_000), ("10.0.0.9", 40_000)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


class Door:
    """A small application behind the guard, and a clock and a stop watch that the test turns."""

    def __init__(self, file: KeyFile, per_second: float = 5.0) -> None:
        self.now, self.seconds = NOON, 0.0
        routes = [Route("/{path:path}", self._answer, methods=["GET", "POST"])]
        app = Starlette(routes=routes)
        self.guard = Guard(app, Keyring(file.path), lambda: self.now, per_second, lambda: self.seconds)

    async def _answer(self, request: Request) -> Response:
        return PlainTextResponse("answered")

    def knock(self, path: str, key: str = "", client: tuple[str, int] = HERE, **headers: str) -> httpx.Response:
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return asyncio.run(self._ask(path, client, headers))

    async def _ask(self, path: str, client: tuple[str, int], headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.guard, client=client)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
            return await http.get(path, headers=headers)


SCORE, EXPLAIN, BATCH = "/v1/application/score", "/v1/application/explain", "/v1/application/score-batch"


def test_a_key_opens_what_its_role_is_for(file: KeyFile) -> None:
    keys = {role: file.add(role, [role], NOON) for role in ("score", "explain", "review", "admin")}
    door = Door(file, per_second=1000)
    opened = {
        role: [
            path
            for path in (SCORE, BATCH, EXPLAIN, "/v1/application/decide", "/v1/review/17", "/v1/champions", "/v1/new")
            if door.knock(path, key).status_code == 200
        ]
        for role, key in keys.items()
    }
    assert opened == {
        "score": [SCORE, BATCH, "/v1/application/decide", "/v1/champions"],
        "explain": [EXPLAIN, "/v1/champions"],
        "review": ["/v1/review/17", "/v1/champions"],
        "admin": [SCORE, BATCH, EXPLAIN, "/v1/application/decide", "/v1/review/17", "/v1/champions", "/v1/new"],
    }
    missing = door.knock(EXPLAIN, keys["score"])
    assert (missing.status_code, missing.json()["error"]["code"]) == (403, "role_missing")


def test_several_roles_and_another_header(file: KeyFile) -> None:
    key = file.add("both", ["score", "explain"], NOON)
    door = Door(file)
    assert [door.knock(path, key).status_code for path in (SCORE, EXPLAIN)] == [200, 200]
    assert door.knock(SCORE, **{"X-API-Key": key}).status_code == 200


def test_health_and_metrics_need_no_key(file: KeyFile) -> None:
    file.add("approval", ["score"], NOON)
    door = Door(file)
    assert [door.knock(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


def test_what_is_no_key_is_refused_alike(file: KeyFile) -> None:
    key = file.add("approval", ["score"], NOON)
    number = key.split("_")[1]
    wrong = ["", "x", key[:-1], key + "x", key.swapcase(), f"lendwell_{number}_", f"other{key[8:]}", "é" * 300]
    door = Door(file)
    replies = [door.knock(SCORE, one) for one in wrong if one.isascii()]
    assert {reply.status_code for reply in replies} == {401}
    assert len({reply.text for reply in replies}) == 1
    assert replies[0].headers["WWW-Authenticate"] == "Bearer"
    assert door.knock(SCORE, Authorization=f"Basic {key}").status_code == 401
    assert door.knock(SCORE, key).status_code == 200


def test_two_keys_are_valid_at_once_until_one_is_revoked_or_expires(file: KeyFile) -> None:
    old = file.add("approval", ["score"], NOON)
    door = Door(file)
    new = file.add("approval", ["score"], NOON, expires_at=NOON + timedelta(days=1))
    assert [door.knock(SCORE, key).status_code for key in (old, new)] == [200, 200]
    file.revoke(old.split("_")[1], NOON)
    assert [door.knock(SCORE, key).status_code for key in (old, new)] == [401, 200]
    door.now += timedelta(days=1)
    assert door.knock(SCORE, new).status_code == 401
    assert [key.state(door.now) for key in file.read()] == ["revoked", "expired"]


def test_a_key_that_asks_too_often_waits_and_others_do_not(file: KeyFile) -> None:
    hasty, calm = file.add("hasty", ["score"], NOON), file.add("calm", ["score"], NOON)
    door = Door(file, per_second=0.5)
    assert [door.knock(SCORE, hasty).status_code for _ in range(2)] == [200, 429]
    reply = door.knock(SCORE, hasty)
    assert (reply.json()["error"]["code"], reply.headers["Retry-After"]) == ("too_many_requests", "2")
    assert door.knock(SCORE, calm).status_code == 200
    door.seconds += 2
    door.now -= timedelta(days=365)  # a clock that jumps changes nothing
    assert [door.knock(SCORE, hasty).status_code for _ in range(2)] == [200, 429]


def test_as_long_as_no_key_was_made_this_machine_alone_is_answered(
    file: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(file)
    assert "no API key was made" in caplog.text
    assert door.knock(SCORE).status_code == 200
    reply = door.knock(SCORE, client=ELSEWHERE)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "no_keys")
    key = file.add("approval", ["score"], NOON)
    assert door.knock(SCORE).status_code == 401
    assert door.knock(SCORE, key, client=ELSEWHERE).status_code == 200


def test_keys_that_went_away_or_cannot_be_read_let_nobody_in(file: KeyFile) -> None:
    key = file.add("approval", ["score"], NOON)
    door = Door(file)
    content = file.path.read_bytes()
    file.path.unlink()
    assert [door.knock(SCORE, sent).status_code for sent in ("", key)] == [503, 503]
    with pytest.raises(ServiceError, match="are gone"):
        Keyring(file.path)  # nor does a service that starts anew let everybody in
    file.path.write_bytes(b"{")
    file.path.chmod(0o600)
    assert door.knock(SCORE, key).status_code == 503
    draft = file.path.with_name("draft")
    draft.write_bytes(content)
    draft.chmod(0o600)
    draft.replace(file.path)
    assert door.knock(SCORE, key).status_code == 200


def test_who_revokes_a_key_that_was_never_made_makes_no_file(file: KeyFile) -> None:
    with pytest.raises(ServiceError, match="no key"):
        file.revoke("0123456789ab", NOON)
    assert list(file.path.parent.iterdir()) == []
    assert Keyring(file.path).is_empty


def test_what_is_kept_is_a_salted_hash_for_the_owner_only(file: KeyFile) -> None:
    keys = [file.add("approval", ["score"], NOON) for _ in range(2)]
    kept = file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert not any(key.split("_", 2)[2] in kept for key in keys)
    assert len({one["salt"] for one in json.loads(kept)["keys"]}) == 2
    file.path.chmod(0o644)
    with pytest.raises(ServiceError, match="open to other accounts"):
        file.read()


@pytest.mark.parametrize(
    ("name", "roles", "expires_at", "told"),
    [
        ("approval", ["scores"], None, "'scores' is no role; roles are score, explain, review, admin"),
        ("approval", [], None, "opens nothing"),
        ("", ["score"], None, "1 to 64 printable characters"),
        ("a\nb", ["score"], None, "1 to 64 printable characters"),
        ("approval", ["score"], NOON, "expired already"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    file: KeyFile, name: str, roles: list[str], expires_at: datetime | None, told: str
) -> None:
    with pytest.raises(ServiceError, match=told):
        file.add(name, roles, NOON, expires_at)
    assert not file.path.exists()


def test_commands_make_list_and_revoke(tmp_path: Path) -> None:
    at = ("--home", tmp_path / "home")
    made = run("--json", "keys", "add", "approval", "--role", "score", "--role", "explain", "--expires-in", 30, *at)
    assert made.facts["roles"] == ["score", "explain"]
    (listed,) = run("--json", "keys", "list", *at).facts["keys"]
    assert listed == {name: value for name, value in made.facts.items() if name != "key"}
    assert run("--json", "keys", "revoke", listed["id"], *at).facts["state"] == "revoked"
    assert "There is no key 17" in refused("keys", "revoke", "17", *at, code=5)
    assert run("keys", "add", "x", "--role", "score", "--expires-in", 3_000_000, *at).code == 2


def test_where_others_can_reach_it_the_service_needs_keys(file: KeyFile) -> None:
    for host in ("0.0.0.0", "10.0.0.5", "::"):  # noqa: S104
        with pytest.raises(ServiceError, match="no API key was made yet"):
            Access(file.path).check(host)
    Access(file.path).check("127.0.0.1")
    Access().check("::1")
    told = refused("serve", "--model", "simulated", "--host", "0.0.0.0", "--keys", file.path, code=5)  # noqa: S104
    assert "lendwell keys add NAME --role score" in told
    file.add("approval", ["score"], NOON)
    Access(file.path).check("0.0.0.0")  # noqa: S104


def test_what_is_no_certificate_or_rate_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    for access, told in [
        (Access(tls_cert=tmp_path / "cert.pem"), "TLS needs both"),
        (Access(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "cert.pem"), "are no certificate with its key"),
        (Access(tls_cert=tmp_path / "none", tls_key=tmp_path / "none"), "are no certificate with its key"),
        (Access(per_second=0), "give more than 0"),
        (Access(per_second=float("nan")), "give more than 0"),
    ]:
        with pytest.raises(ServiceError, match=told):
            access.check("127.0.0.1")


def test_two_commands_at_once_lose_no_key(file: KeyFile) -> None:
    import fcntl

    file.add("first", ["score"], NOON)
    held: Any = os.open(file.path.with_name("keys.json.lock"), os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(ServiceError, match="try again"):
        file.add("second", ["score"], NOON)
    os.close(held)
    file.add("second", ["score"], NOON)
    assert [key.name for key in file.read()] == ["first", "second"]
