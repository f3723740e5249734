"""Commands with a champion at work: serve, score, score-batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.options import HOME, Data, HomePath, LogUrl, Model, RequestLogPath, TrackingUri, home_at
from commands.terminal import progress_bar, tell

app = typer.Typer()


@app.command(epilog="Example: [bold]lendwell serve --model simulated --port 3000[/]")
def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="An address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    sample_requests: Annotated[
        float,
        typer.Option(min=0, max=1, envvar="LENDWELL_REQUEST_SAMPLE", help="Share of raw requests to keep for 30 days."),
    ] = 0.0,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
    request_log: RequestLogPath = None,
) -> None:
    """Serve the champion: POST /v1/application/score. Every answer is in the decision log before it leaves.

    With --sample-requests a share of raw requests is kept, for `lendwell monitor --parity`.
    """
    import pipeline

    place = home_at(home, tracking_uri, log_url)
    raise typer.Exit(
        pipeline.serve(model, place, host=host, port=port, sample_requests=sample_requests, request_log=request_log)
    )


@app.command(epilog="Example: [bold]lendwell score request.json --url http://127.0.0.1:3000[/]")
def score(
    request: Annotated[Path | None, typer.Argument(help="A score request as JSON.")] = None,
    data: Annotated[Path | None, typer.Option(help="Or: the folder of tables an application is taken from.")] = None,
    application: Annotated[str | None, typer.Option(help="Its application_id.")] = None,
    model: Annotated[str, typer.Option(help="NAME, NAME@ALIAS or NAME/VERSION; not with --url.")] = "simulated",
    url: Annotated[
        str | None, typer.Option(help="Ask this endpoint (http://127.0.0.1:3000); it logs the answer.")
    ] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Score one applicant: PD, points and the four strongest reasons in Chinese and English."""
    import pipeline

    place = home_at(home, tracking_uri)
    tell(pipeline.score(place, model=model, request=request, data=data, application=application, url=url))


@app.command(
    "score-batch", epilog="Example: [bold]lendwell score-batch --model simulated --data tables --out scores.parquet[/]"
)
def score_batch(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="Parquet file to write: application_id, pd, score.")],
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Score every application of a folder: application_id, pd and score, as Parquet."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.score_batch(model, data, out, home_at(home, tracking_uri), progress=progress)
    tell(facts)
