"""Commands that watch a champion at work: monitor, outcomes import."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from commands.options import (
    HOME,
    HomePath,
    LogUrl,
    Model,
    RegisterUrl,
    RequestLogPath,
    TrackingUri,
    TuningUrl,
    home_at,
)
from commands.terminal import DIFFERS, flags, progress_bar, tell
from data_contracts.errors import LendwellError

app = typer.Typer()
outcomes = typer.Typer(no_args_is_help=True, help="Outcomes of scored applications, as they become known.")
app.add_typer(outcomes, name="outcomes")


@outcomes.command("import", epilog="Example: [bold]lendwell outcomes import matured_2026_05.csv[/]")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: application_id, defaulted (0 or 1), observed_at.")],
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """Take outcomes in under the decision log's pseudonyms; of corrections the one observed last counts."""
    import pipeline

    tell(pipeline.import_outcomes(file, home_at(home, log_url=log_url)))


@app.command(epilog="Example: [bold]lendwell monitor --model simulated --out drift --watch --every 3600[/]")
def monitor(
    model: Model,
    out: Annotated[Path | None, typer.Option(help="Folder of what is written: drift, or parity with --parity.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only answers from this moment on (UTC).")] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Without --since: only answers of these last days.")] = 30,
    approval_rate: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of training applicants approved at the cut-off.")
    ] = 0.7,
    cutoff_pd: Annotated[
        float | None, typer.Option(min=0.0001, max=0.9999, help="Or: the largest PD that is approved.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(help="Append alerts to this file, one JSON object a line.")] = None,
    webhook: Annotated[
        str | None, typer.Option(envvar="LENDWELL_ALERT_WEBHOOK", help="Post alerts to this address.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write gauges for Prometheus' node exporter into this *.prom file.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until SIGTERM or Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=604_800, help="Seconds from look to look.")] = 3600.0,
    times: Annotated[int | None, typer.Option(min=1, help="With --watch: so many looks.")] = None,
    on_drift: Annotated[
        Literal["tell", "retrain"], typer.Option(help="retrain opens a challenger; a person promotes it, or not.")
    ] = "tell",
    data: Annotated[Path | None, typer.Option(help="Of retrain: fresh tables to train on.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Of retrain: its experiment, by name or TOML.")] = None,
    author: Annotated[
        str | None, typer.Option(envvar="LENDWELL_AUTHOR", help="Of retrain: who answers for the challenger.")
    ] = None,
    parity: Annotated[
        bool,
        typer.Option("--parity", help="Recompute the kept raw requests in batch instead (exit code 3: they differ)."),
    ] = False,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
    register_url: RegisterUrl = None,
    tuning_url: TuningUrl = None,
    request_log: RequestLogPath = None,
) -> None:
    """Compare the scored requests in the decision log with the bundle's reference, and outcomes with its PDs.

    Drift of features, score, reasons and request mix, by day and segment, with error rates that hold for any number of
    requests. With --parity, compare the features that were served with what batch computes from the same raw requests;
    see `lendwell serve --sample-requests`.
    """
    import pipeline

    place = home_at(home, tracking_uri, log_url, tuning_url, register_url)
    if parity:
        _parity(model, out or Path("parity"), place, since, request_log)
        return
    from serving.monitoring.schedule import ended_by_signal, rounds
    from serving.monitoring.sinks import AlertError, Sinks

    asked = pipeline.Watch(
        model=model, out=out or Path("drift"), since=since, days=days, approval_rate=approval_rate,
        cutoff_pd=cutoff_pd, sinks=Sinks(alerts, webhook, metrics),
    )  # fmt: skip
    retraining = None
    if on_drift == "retrain":
        if data is None or experiment is None:
            raise LendwellError("--on-drift retrain needs --data, fresh tables, and --experiment.")
        retraining = pipeline.Retraining(experiment, data, author)
    look = pipeline.look(asked, place, retraining)
    if not watch:
        facts = look()
        tell(facts if flags["json"] else {name: fact for name, fact in facts.items() if name != "alerts"})
        if not flags["json"]:
            for alert in facts["alerts"]:
                typer.secho(f"Alert: {alert['en']}", fg="yellow")
        if undelivered := facts.get("undelivered"):
            raise AlertError(" ".join(undelivered))
        return
    with ended_by_signal() as stop:
        for facts in rounds(look, every=every, stop=stop, times=times):
            _tell_round(facts)


def _tell_round(facts: dict[str, Any]) -> None:
    """A round as one line of JSON, or as a few lines that people read."""
    import sys

    if flags["json"]:
        tell(facts)
    elif "error" in facts:
        typer.secho(f"Round {facts['round']} failed: {facts['error']}", fg="red", err=True)
    else:
        told = [f"Round {facts['round']}: {facts['model']} {facts['verdict']}, {facts['rows']:,} decisions compared."]
        told += [f"  {alert['en']}" for alert in facts["alerts"]]
        told += [f"  Undelivered: {text}" for text in facts.get("undelivered", [])]
        if "retrained" in facts:
            told.append(f"  Challenger: {facts['retrained']}")
        typer.echo("\n".join(told))
    sys.stdout.flush()


def _parity(model: str, out: Path, place: Any, since: datetime | None, request_log: Path | None) -> None:
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.monitor_parity(model, out, place, since=since, request_log=request_log, progress=progress)
    tell(facts)
    if facts["mismatches"]:
        raise typer.Exit(DIFFERS)
