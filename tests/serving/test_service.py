"""The real BentoML process over HTTP, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from data_contracts.errors import BundleError, DeclarationError, RequestError, ServiceError
from serving.client import ScoreClient, request_from_tables
from serving.decision_log import DecisionLog
from serving.launch import running_service
from tests.serving.calls import PATH
from tests.serving.conftest import Running

ROOT = Path(__file__).resolve().parents[2]


def test_the_answer_equals_batch_scoring_and_is_logged(service: Running, champion: Any) -> None:
    for body in champion.requests[:5]:
        with ScoreClient(service.url) as client:
            answer = client.score(body)
            tables = client.score(request_from_tables(champion.folder, body["application"]["application_id"]))
        assert tables.decision_id == answer.decision_id
        assert answer.bundle.version == "7"
        assert answer.bundle.identity == champion.identity
        assert answer.pd == pytest.approx(champion.pd[answer.application_id], abs=1e-9)
        with DecisionLog.open(service.log_url) as log:
            assert log.get(answer.decision_id)[0].pd == answer.pd


def test_a_retry_gives_the_same_decision(service: Running, request_body: dict) -> None:
    with ScoreClient(service.url) as client:
        assert client.score(request_body) == client.score(request_body)


def test_what_bentoml_keeps_of_each_request_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    from serving.service import ScoringService, _Answering

    passed: list[str] = []

    class OfBentoML:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            passed.append(scope["type"])
            await self._app(scope, receive, send)

    assert [kind for kind, _ in ScoringService.middlewares] == [_Answering]
    monkeypatch.setattr(_Answering, "ours", PlainTextResponse("ours"))
    app = Starlette(middleware=[Middleware(OfBentoML), Middleware(_Answering)])

    async def served() -> httpx.Response:
        came = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, str]:
            return {"type": next(came)}

        async def send(_: Any) -> None:
            pass

        await app({"type": "lifespan"}, receive, send)  # a server's first call
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/")

    assert asyncio.run(served()).text == "ours"
    assert passed == ["lifespan"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda body: body.update(salary=1), "salary"),
        (lambda body: body["application"].update(age_years=float("nan")), "application.age_years"),
        (lambda body: body["transactions"][0].update(amount=-1), "transactions[0].amount"),
        (lambda body: body["inquiries"].append(_LATE), "inquiries["),
    ],
    ids=["unknown field", "NaN", "negative amount", "after as_of"],
)
def test_bad_input_names_its_field(service: Running, request_body: dict, change: Any, field: str) -> None:
    change(request_body)
    with ScoreClient(service.url) as client, pytest.raises(RequestError, match="422") as caught:
        client.score(request_body)
    assert field in str(caught.value)


_LATE = {
    "inquiry_id": "late",
    "occurred_at": "2031-01-01",
    "known_at": "2031-01-02",
    "reason": "other",
    "institution_kind": "bank",
}


def test_a_hundred_megabytes_are_refused_unread(service: Running, served: httpx.Client) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1_000_000
            yield b" " * 1_000_000

    for headers in ({}, {"Content-Length": "100000000"}):
        sent = 0
        reply = served.post(PATH, content=body(), headers={"Content-Type": "application/json", **headers})
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_long")
        assert sent < 50_000_000
    assert served.get("/readyz").status_code == 200


def test_another_decision_point_and_another_path(served: httpx.Client, request_body: dict) -> None:
    assert served.post("/v1/collection/score", json=request_body).status_code == 404
    assert served.get("/").json()["error"]["code"] == "not_found"


def test_health_metrics_and_champions(served: httpx.Client) -> None:
    assert [served.get(path).status_code for path in ("/healthz", "/readyz", "/metrics", "/v1/champions")] == [200] * 4
    assert served.get("/v1/champions").json()["champions"][0]["bundle"]["version"] == "7"


def test_a_port_in_use_is_told_before_anything_starts(champion: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServiceError, match=f"cannot listen at 127.0.0.1:{port}"),
            running_service(champion.bundle, f"sqlite:///{tmp_path}/decisions.db", port=port),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_with_one_byte_changed_is_refused(champion: Any, tmp_path: Path) -> None:
    changed = tmp_path / "bundle"
    shutil.copytree(champion.bundle, changed)
    victim = max((path for path in changed.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with (
        pytest.raises(BundleError, match=victim.name),
        running_service(changed, f"sqlite:///{tmp_path}/decisions.db"),
    ):
        pass


def test_a_client_without_a_service_is_told_how_to_start_one(champion: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    body = copy.deepcopy(champion.requests[0])
    with (
        ScoreClient(f"http://127.0.0.1:{port}", timeout=2) as client,
        pytest.raises(ServiceError, match="lendwell serve"),
    ):
        client.score(json.dumps(body))


def test_an_application_is_decided_and_logged_over_http(service: Running, served: httpx.Client, champion: Any) -> None:
    body = champion.requests[0]
    reply = served.post("/v1/application/decide", json=body)
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["outcome"] == "decline"  # its product is none of those that are offered
    assert "P01" in [reason["code"] for reason in answer["reasons"]]
    assert served.post("/v1/application/decide", json=body).json() == answer
    with DecisionLog.open(service.log_url) as log:
        assert log.get(answer["decision_id"])[0].kind == "decision"


def test_products_that_are_declared_wrongly_are_told_before_anything_starts(
    champion: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products.toml").write_text('cap = 0.9\n[car]\nzh = "车贷"\n', encoding="utf-8")
    monkeypatch.setenv("LENDWELL_PRODUCTS", str(tmp_path / "products.toml"))
    told = r"(?s)car: applications know no such.*car\.en: is missing.*cap: Input should be less than or equal to 0\.36"
    with (
        pytest.raises(DeclarationError, match=told),
        running_service(champion.bundle, f"sqlite:///{tmp_path}/decisions.db"),
    ):
        pass
