"""Where alerts go: a file of JSON lines, a webhook, a file that Prometheus' node exporter reads.

A sink that fails is told and keeps no other sink from its alerts. What it did not take waits for the next look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx

from data_contracts.errors import LendwellError, SourceError
from serving.monitoring.alerts import Alert
from serving.monitoring.examination import Examination

TRIES = 4
FIRST_WAIT = 0.5
TIMEOUT = 5.0
_NAMING = ("kind", "name", "segment", "period", "measure")


class AlertError(LendwellError):
    """Alerts could not be handed over."""

    exit_code = 5


def append_lines(path: Path, alerts: Sequence[Alert]) -> None:
    """Append alerts to a file, one JSON object a line, on disk when this returns."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder; name a file for alerts.")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{alert.to_json()}\n" for alert in alerts)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)  # one write, so that lines of two monitors do not mix
        stream.flush()
        os.fsync(stream.fileno())


def post(
    url: str,
    alerts: Sequence[Alert],
    *,
    tries: int = TRIES,
    first_wait: float = FIRST_WAIT,
    timeout: float = TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Post `{"alerts": [...]}` to a webhook; nothing where there are none.

    Time-outs, lost connections, 429 and 5xx are tried again after twice as long each time, with the same
    `Idempotency-Key`.

    Raises
    ------
    AlertError
        The webhook did not take them; the message names its host, not the rest of its address, which may be a secret.
    """
    if not alerts:
        return
    body = {"alerts": [alert.to_dict() for alert in alerts]}
    key = {"Idempotency-Key": f"{alerts[0].bundle[:16]}-{alerts[0].at}"}
    fault = ""
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        for turn in range(tries):
            if turn:
                sleep(first_wait * 2 ** (turn - 1))
            try:
                reply = client.post(url, json=body, headers=key)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                fault = type(error).__name__
                if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
                    break
                continue
            if reply.is_success:
                return
            fault = f"status {reply.status_code}"
            if reply.status_code != 429 and reply.status_code < 500:
                break
    host = _host(url)
    raise AlertError(f"The webhook at {host} did not take {len(alerts)} alerts ({fault}); the report holds them.")


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host or "an address without a host"
    except httpx.InvalidURL:
        return "an address that is none"


def write_metrics(path: Path, found: Examination, alerts: Sequence[Alert], *, model: str, at: float) -> None:
    """Write gauges in the text format that node exporter's textfile collector reads, whole or not at all.

    Parameters
    ----------
    path : Path
        `*.prom` in the collector's folder.
    found, alerts
        Of the latest look.
    model : str
        Registered name, so that the series goes on with the next version.
    at : float
        Seconds since 1970.
    """
    of = {"model": model}
    approval, auc = found.approval, found.expected.auc.value
    gauges: list[tuple[str, str, list[tuple[dict[str, str], float]]]] = [
        ("drifted", "1 where the period drifted", [(of, float(found.verdict == "drifted"))]),
        ("decisions", "Decisions of the period", [(of, float(len(found.looked.log_odds)))]),
        ("score_psi", "PSI of the score", [(of, found.drift.score.psi)]),
        ("score_chance_psi", "PSI of the score without drift", [(of, found.drift.score.chance_psi)]),
        ("drifted_features", "Features that drifted", [(of, float(len(found.drift.drifted)))]),
        ("approval_ratio", "Share approved at the cut-off", [
            ({**of, "when": "training"}, approval.before), ({**of, "when": "now"}, approval.now),
        ]),
        ("expected_auc", "AUC that the PDs let expect", [] if auc is None else [(of, auc)]),
        ("alert", "Size of what drifted, by name and segment", [
            ({**of, **{name: getattr(one.change, name) for name in _NAMING}}, one.change.size) for one in alerts
        ]),
        ("last_look_timestamp_seconds", "When it was looked at last", [(of, at)]),
    ]  # fmt: skip
    lines = []
    for name, meaning, samples in gauges:
        lines += [f"# HELP lendwell_monitor_{name} {meaning}", f"# TYPE lendwell_monitor_{name} gauge"]
        lines += [f"lendwell_monitor_{name}{{{_labels(labels)}}} {value:.10g}" for labels, value in samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.replace(path)


def _labels(labels: dict[str, str]) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items())


@dataclass
class Outbox:
    """What one sink has taken, and what waits for it; an alert that goes on is handed over once a day."""

    _taken: set[tuple[str, ...]] = field(default_factory=set)
    _waiting: dict[tuple[str, ...], Alert] = field(default_factory=dict)

    def hand_over(self, alerts: Sequence[Alert], deliver: Callable[[list[Alert]], None]) -> list[Alert]:
        """Deliver what the sink lacks, in its latest form; it counts as taken only when `deliver` returns."""
        self._waiting |= {alert.key: alert for alert in alerts if _of_its_day(alert) not in self._taken}
        lacking = list(self._waiting.values())
        if lacking:
            deliver(lacking)
        self._taken |= {_of_its_day(alert) for alert in lacking}
        self._waiting.clear()
        return lacking


def _of_its_day(alert: Alert) -> tuple[str, ...]:
    return (*alert.key, alert.at[:10])


@dataclass(frozen=True)
class Sinks:
    """Where the alerts of a look go, each optional, and what earlier looks have handed to each.

    Parameters
    ----------
    file : Path, optional
        JSON lines to append to.
    webhook : str, optional
        Address to post to.
    metrics : Path, optional
        `*.prom` to write.
    """

    file: Path | None = None
    webhook: str | None = None
    metrics: Path | None = None
    _told: Outbox = field(default_factory=Outbox)
    _filed: Outbox = field(default_factory=Outbox)
    _posted: Outbox = field(default_factory=Outbox)

    def send(
        self, found: Examination, alerts: Sequence[Alert], *, model: str, at: datetime
    ) -> tuple[list[Alert], list[str]]:
        """Hand over what was found.

        File and webhook get what they have not had yet; the gauges show everything that holds now.

        Returns
        -------
        list of Alert
            What is new to whoever asks, whether or not the sinks took it.
        list of str
            What could not be handed over; the next look hands it over again.
        """
        undelivered = []
        deliveries: list[Callable[[], object]] = []
        if self.file is not None:
            deliveries.append(partial(self._filed.hand_over, alerts, partial(append_lines, self.file)))
        if self.webhook is not None:
            deliveries.append(partial(self._posted.hand_over, alerts, partial(post, self.webhook)))
        if self.metrics is not None:
            deliveries.append(partial(write_metrics, self.metrics, found, alerts, model=model, at=at.timestamp()))
        for deliver in deliveries:
            try:
                deliver()
            except LendwellError as fault:
                undelivered.append(str(fault))
            except OSError as fault:
                undelivered.append(f"{fault.filename}: {fault.strerror}")
        return self._told.hand_over(alerts, lambda _: None), undelivered
