"""Commands with a champion at work: serve, score, score-batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.options import HOME, KEYS, Data, HomePath, KeysPath, LogUrl, Model, RequestLogPath, TrackingUri, home_at
from commands.terminal import progress_bar, tell

app = typer.Typer()

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        help="NAME (its champion, whoever that is) or NAME/VERSION (for good); once for each decision point.",
    ),
]


@app.command(epilog="Example: [bold]lendwell serve --model simulated --port 3000[/]")
def serve(
    model: Models,
    host: Annotated[str, typer.Option(help="An address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    sample_requests: Annotated[
        float,
        typer.Option(min=0, max=1, envvar="LENDWELL_REQUEST_SAMPLE", help="Share of raw requests to keep for 30 days."),
    ] = 0.0,
    keys: KeysPath = None,
    rate: Annotated[
        float, typer.Option(envvar="LENDWELL_RATE", help="Requests a second that each API key may send.")
    ] = 200.0,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate with its chain, PEM: HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="File of `lendwell snapshot`: requests may then name a customer_id alone.")
    ] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
    request_log: RequestLogPath = None,
) -> None:
    """Serve the champion: POST /v1/application/score. Every answer is in the decision log before it leaves.

    Callers need an API key (`lendwell keys add`); where none was ever made, this machine alone is answered. Who is
    promoted, restored or retired meanwhile takes over by itself, without a lost request; the challenger is scored in
    the shadow. With --sample-requests a share of raw requests is kept, for `lendwell monitor --parity`.
    """
    import pipeline
    from serving.access import Access

    place = home_at(home, tracking_uri, log_url)
    access = Access(keys or place.path / KEYS, rate, tls_cert, tls_key)
    raise typer.Exit(
        pipeline.serve(
            model,
            place,
            host=host,
            port=port,
            sample_requests=sample_requests,
            request_log=request_log,
            access=access,
            snapshot=snapshot,
        )
    )


@app.command(epilog="Example: [bold]lendwell snapshot --data tables --out snapshot.db[/]")
def snapshot(
    data: Data,
    out: Annotated[Path, typer.Option(help="File to write; for the service's own account, it holds persons' records.")],
) -> None:
    """Write the newest records of every customer into one file, so that requests may name a customer_id alone."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.snapshot(data, out, progress=progress)
    tell(facts)


@app.command(epilog="Example: [bold]lendwell bento --model simulated[/], then [bold]bentoml serve TAG[/]")
def bento(
    model: Model,
    out: Annotated[Path | None, typer.Option(help="Write the Bento here, too: one file, FILE.bento.")] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Make a Bento from a champion, for `bentoml serve` and `bentoml containerize`: it needs no registry."""
    import pipeline

    tell(pipeline.bento(model, home_at(home, tracking_uri), out=out))


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
