"""What Prometheus reads at `/metrics`: counts and times of the service, without anything of an applicant."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.lineup import Lineup
from serving.turns import Turns

_SECONDS = (0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.020, 0.030, 0.050, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class Metrics:
    """The metrics of one service.

    Parameters
    ----------
    lineup : Lineup
        Whose casts are told as they are when Prometheus asks.
    turns : Turns
        Whose line is told.
    """

    def __init__(self, lineup: Lineup, turns: Turns) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Present(lineup, turns))
        self.requests = self._counter("requests", "Requests by endpoint and status.", "endpoint", "status")
        self.seconds = Histogram(
            "lendwell_request_seconds",
            "Seconds from the arrival of a request's head to its reply.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refusals = self._counter("refusals", "Replies that are no answer, by their code.", "code")
        self.answers = self._counter(
            "answers", "Applicants answered, by the bundle that answered.", "decision_point", "model", "version"
        )
        self.warnings = self._counter("warnings", "Warnings in answers, by their code.", "code")
        self.shadows = self._counter(
            "shadows", "Requests offered to the challenger: scored, dropped or failed.", "decision_point", "result"
        )

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"lendwell_{name}", documentation, labels, registry=self.registry)


class _Present(Collector):
    """Gauges that are read where they lie when Prometheus asks."""

    def __init__(self, lineup: Lineup, turns: Turns) -> None:
        self._lineup = lineup
        self._turns = turns

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("lendwell_waiting", "Requests that have arrived and are not answered yet.")
        waiting.add_metric([], self._turns.waiting)
        reading = GaugeMetricFamily("lendwell_reading", "Requests whose body is arriving.")
        reading.add_metric([], self._turns.reading)
        at_work = GaugeMetricFamily(
            "lendwell_bundle",
            "1 for each bundle at work.",
            labels=["decision_point", "role", "model", "version", "identity"],
        )
        faulty = GaugeMetricFamily(
            "lendwell_succession_fault", "1 where the last succession failed.", labels=["decision_point"]
        )
        for point, cast in self._lineup.casts.items():
            for role, scorer in (("champion", cast.champion), ("challenger", cast.challenger)):
                if scorer is not None:
                    name = scorer.bundle_name
                    at_work.add_metric([point, role, name.name, name.version, name.identity], 1)
            faulty.add_metric([point], point in self._lineup.faults)
        succeeded = CounterMetricFamily(
            "lendwell_successions",
            "Champions and challengers taken over, or not: done or failed.",
            labels=["decision_point", "result"],
        )
        for (point, result), times in list(self._lineup.successions.items()):
            succeeded.add_metric([point, result], times)
        yield from (waiting, reading, at_work, faulty, succeeded)
