"""What arrives over a real connection in a bad state: the served process refuses it, and answers the next."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from serving.decision_log import DecisionLog
from tests.serving.calls import JSON, PATH
from tests.serving.conftest import Running

ENDPOINTS = ("score", "score-batch", "explain")


@pytest.fixture(autouse=True)
def alive(served: httpx.Client) -> Any:
    """Whatever was sent, the next caller is answered."""
    yield
    assert served.get("/readyz").status_code == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"null", {422}),
        (b"true", {422}),
        (b"0", {422}),
        (b'"text"', {422}),
        (b"1e999", {400, 422}),
        (b"9" * 5_000, {400, 422}),
        (b"NaN", {400, 422}),
        (b"-Infinity", {400, 422}),
        (b"\x00" * 100, {400}),
        ('{"application": "\N{SNOWMAN}"}'.encode("utf-16"), {400}),
        ('{"application": "逾期"}'.encode("gb18030"), {400, 422}),
        (b'\xef\xbb\xbf{"application": 1}', {400, 422}),
        (b'{"application": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400, 422}),
        (b'{"application": ' * 5_000 + b"1" + b"}" * 5_000, {400, 422}),
        (b'{"application": {"application_id": "\\ud800"}}', {400, 422}),
        (b'{"application": {}, "application": {}}', {422}),
        (b"{" + b",".join(b'"f%d": 1' % at for at in range(20_000)) + b"}", {422}),
    ],
    ids=[
        "null", "true", "number", "text", "huge float", "huge integer", "NaN", "infinity", "zeros", "UTF-16",
        "GB 18030", "byte order mark", "deep lists", "deep objects", "half a character", "twice", "many fields",
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused(
    served: httpx.Client, endpoint: str, body: bytes, statuses: set[int]
) -> None:
    reply = served.post(f"/v1/application/{endpoint}", content=body, headers=JSON)
    assert reply.status_code in statuses
    assert reply.json()["error"]["code"] in {"invalid_json", "contract_broken"}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["application"].update(amount_requested=10**30),
        lambda body: body["application"].update(amount_requested=1e300),
        lambda body: body["application"].update(amount_requested="1"),
        lambda body: body["application"].update(amount_requested=[1]),
        lambda body: body["application"].update(amount_requested={"$gt": 0}),
        lambda body: body["application"].update(applied_at="9999-12-31T23:59:59-23:59"),
        lambda body: body["application"].update(applied_at="0001-01-01T00:00:00+23:59"),
        lambda body: body["application"].update(customer_id="x" * 100_000),
        lambda body: body["transactions"][0].update(amount=2**63),
        lambda body: body.update(transactions="no list"),
        lambda body: body.update(transactions=[[]] * 100),
        lambda body: body.update(inquiries=[None]),
    ],
)
def test_a_value_that_is_none_of_its_field_is_refused(
    served: httpx.Client, request_body: dict, change: Callable[[dict], Any]
) -> None:
    change(request_body)
    for endpoint in ("score", "explain"):
        reply = served.post(f"/v1/application/{endpoint}", json=request_body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "contract_broken")
    told = served.post("/v1/application/score-batch", json={"requests": [request_body]}).json()
    assert (told["answers"], told["faults"][0]["error"]["code"]) == ([], "contract_broken")


@pytest.mark.parametrize("kind", ["text/json", "application/json; charset=gb18030", "multipart/form-data", "", "é"])
def test_another_kind_of_body_is_refused(service: Running, kind: str) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: {kind}\r\n\r\n{{}}"
    assert spoken(service, head.encode("latin-1")).startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Content-Length: -1", b"400"),
        ("Content-Length: 99999999999999999999", b"413"),
        ("Content-Length: abc", b"400"),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
    ids=["negative", "huge", "word", "no chunk"],
)
def test_a_length_that_is_none_is_refused(service: Running, head: str, status: bytes) -> None:
    told = spoken(
        service, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n".encode()
    )
    assert told.split(b" ")[1] == status


def test_a_slow_client_holds_nobody_up_and_is_sent_away(
    service: Running, served: httpx.Client, request_body: dict
) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with connected(service) as slow:
        slow.sendall(head.encode() + b"{")
        assert served.post(PATH, json=request_body).status_code == 200
        slow.settimeout(20)
        told = b"".join(iter(lambda: slow.recv(4096), b""))  # until the service closes
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in told


def test_a_connection_that_was_idle_for_as_long_as_callers_keep_one_is_still_open(service: Running) -> None:
    address = urlsplit(service.url)
    line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    line.request("GET", "/healthz")
    assert line.getresponse().read()
    opened = line.sock
    time.sleep(6)  # httpx and uvicorn both give up an idle connection after 5 seconds
    line.request("GET", "/healthz")
    assert line.getresponse().status == 200
    assert line.sock is opened
    line.close()


def test_a_connection_that_ends_before_its_body_is_left(service: Running, served: httpx.Client) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(20):
        with connected(service) as gone:
            gone.sendall(head.encode() + b'{"application": ')
    deadline = time.monotonic() + 10
    while "lendwell_reading 0.0" not in served.get("/metrics").text:
        assert time.monotonic() < deadline, "bodies of closed connections are still waited for"
        time.sleep(0.05)


def test_a_half_closed_connection_is_left_and_a_retry_finds_the_one_answer(
    service: Running, served: httpx.Client, request_body: dict
) -> None:
    """Uvicorn takes a caller that has closed its side for one that is gone; it never answers in halves."""
    request_body["application"]["application_id"] = "half-closed"
    body = json.dumps(request_body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with connected(service) as half:
        half.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        half.shutdown(socket.SHUT_WR)
        half.settimeout(20)
        told = b"".join(iter(lambda: half.recv(65536), b""))
    assert told == b"" or told.startswith(b"HTTP/1.1 200 ")
    again = served.post(PATH, json=request_body)
    assert again.status_code == 200
    with DecisionLog.open(service.log_url) as log:
        logged = log.read()
        assert (logged["application_key"] == log.pseudonym("half-closed")).sum() == 1


def connected(service: Running) -> socket.socket:
    address = urlsplit(service.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=10)


def spoken(service: Running, text: bytes) -> bytes:
    with connected(service) as line:
        line.sendall(text)
        return line.recv(65536)
