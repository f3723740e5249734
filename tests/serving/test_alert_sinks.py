"""Alerts reach a file, a real HTTP server and Prometheus' text format; what fails is told and stops nothing else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_contracts.errors import SourceError
from serving.monitoring.alerts import Alert, Change
from serving.monitoring.examination import Examination, examine
from serving.monitoring.sinks import AlertError, Sinks, append_lines, post, write_metrics
from tests.serving.monitored import made_up
from training.bundle import Bundle

TEXTS = ("It drifted.", "已漂移。")
CHANGE = Change("feature", 'a"b', "product=cash", "period", "psi", 0.3, 0.02, 1e-9, *TEXTS, 0.7, 0.6, -0.1)
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
ALERTS = [Alert("2026-03-09T00:00:00Z", "tiny/1", "f" * 64, CHANGE)]


@dataclass
class Webhook:
    """A server that answers with the statuses it is given, then with 200; None hangs up."""

    url: str
    statuses: list[int | None] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.bodies.append(json.loads(body))
            hook.keys.append(self.headers["Idempotency-Key"])
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(f"http://127.0.0.1:{server.server_port}/secret-token")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def found(champion: Any) -> Examination:
    bundle = Bundle.load(champion.bundle)
    return examine(bundle, *made_up(bundle, np.random.default_rng(2), 1, 150))


def test_a_webhook_gets_the_alerts_once(webhook: Webhook) -> None:
    post(webhook.url, ALERTS)
    assert webhook.bodies == [{"alerts": [ALERTS[0].to_dict()]}]
    post(webhook.url, [])
    assert len(webhook.bodies) == 1


@pytest.mark.parametrize("statuses", [[503, 429, 500], [None, 503]])
def test_a_webhook_that_fails_for_a_moment_is_asked_again(webhook: Webhook, statuses: list[int | None]) -> None:
    webhook.statuses = list(statuses)
    waits: list[float] = []
    post(webhook.url, ALERTS, sleep=waits.append)
    assert len(webhook.bodies) == len(statuses) + 1
    assert len(set(webhook.keys)) == 1
    assert waits == [0.5 * 2**at for at in range(len(statuses))]


@pytest.mark.parametrize(("statuses", "asked"), [([500] * 9, 4), ([403], 1)])
def test_a_webhook_that_refuses_is_told_without_its_address(webhook: Webhook, statuses: list[int], asked: int) -> None:
    webhook.statuses = list(statuses)
    with pytest.raises(AlertError, match=rf"127\.0\.0\.1 did not take 1 alerts \(status {statuses[0]}\)") as fault:
        post(webhook.url, ALERTS, sleep=lambda _: None)
    assert "secret-token" not in str(fault.value)
    assert len(webhook.bodies) == asked


def test_a_server_that_never_answers_is_given_up(webhook: Webhook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(AlertError, match="ReadTimeout"):
            post(url, ALERTS, tries=2, timeout=0.05, sleep=lambda _: None)
    for address in ("ftp://127.0.0.1/x", "http://[::1", "nothing"):
        with pytest.raises(AlertError, match="did not take"):
            post(address, ALERTS, sleep=lambda _: None)


def test_lines_are_appended(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "alerts.jsonl"
    append_lines(file, ALERTS)
    append_lines(file, ALERTS)
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [ALERTS[0].to_dict()] * 2
    with pytest.raises(SourceError, match="is a folder"):
        append_lines(tmp_path, ALERTS)


def test_gauges_are_what_prometheus_reads(found: Examination, tmp_path: Path) -> None:
    file = tmp_path / "lendwell.prom"
    write_metrics(file, found, ALERTS, model="tiny", at=1.5e9)
    families = {one.name: one for one in text_string_to_metric_families(file.read_text(encoding="utf-8"))}
    (alert,) = families["lendwell_monitor_alert"].samples
    assert alert.value == 0.3
    assert alert.labels["name"] == 'a"b'
    assert families["lendwell_monitor_decisions"].samples[0].value == 150
    assert {one.labels["when"] for one in families["lendwell_monitor_approval_ratio"].samples} == {"training", "now"}
    assert families["lendwell_monitor_last_look_timestamp_seconds"].samples[0].value == 1.5e9
    assert [path.name for path in tmp_path.iterdir()] == ["lendwell.prom"]


def test_a_sink_that_fails_keeps_no_other_from_its_alerts(found: Examination, tmp_path: Path, webhook: Webhook) -> None:
    webhook.statuses = [400]
    sinks = Sinks(file=tmp_path, webhook=webhook.url, metrics=tmp_path / "lendwell.prom")
    fresh, undelivered = sinks.send(found, ALERTS, model="tiny", at=NOON)
    assert [text.split(" ")[-1] for text in undelivered] == ["alerts.", "them."]
    assert fresh == ALERTS
    assert (tmp_path / "lendwell.prom").is_file()


def test_what_a_sink_did_not_take_is_handed_to_it_at_the_next_look(
    found: Examination, tmp_path: Path, webhook: Webhook
) -> None:
    webhook.statuses = [400]
    file = tmp_path / "alerts.jsonl"
    sinks = Sinks(file=file, webhook=webhook.url)

    def look(*alerts: Alert) -> tuple[int, int]:
        fresh, undelivered = sinks.send(found, alerts, model="tiny", at=NOON)
        return len(fresh), len(undelivered)

    again = replace(ALERTS[0], at="2026-03-09T01:00:00Z")
    tomorrow = replace(ALERTS[0], at="2026-03-10T00:00:00Z")
    assert look(*ALERTS) == (1, 1)
    assert look() == (0, 0)  # it does not hold any more, and is posted all the same
    assert look(again) == (0, 0)
    assert look(tomorrow) == (1, 0)
    refused, *posted = [body["alerts"] for body in webhook.bodies]
    assert refused == [ALERTS[0].to_dict()]
    assert posted == [[ALERTS[0].to_dict()], [tomorrow.to_dict()]]
    written = [json.loads(line)["at"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert written == [ALERTS[0].at, tomorrow.at]  # who had it gets it no second time
