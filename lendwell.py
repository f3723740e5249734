"""The command line: one thin function per step of the way, from raw records to a monitored champion."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from data_contracts.declare import DecisionPoint
from data_contracts.errors import LendwellError, SourceError

if TYPE_CHECKING:
    from records import Progress
    from workspace import Home

app = typer.Typer(
    name="lendwell",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The model lifecycle of a consumer lender: raw credit-bureau, consumption and repayment records in; a "
    "trained, explained, served and monitored champion out.",
    epilog="The way, step by step: [bold]simulate[/] or [bold]import[/] → validate → features → tune → train → "
    "evaluate → promote → serve → score → monitor. All of it at once: [bold]lendwell demo[/]. Every command takes "
    "--json (facts for machines on stdout) and --debug (tracebacks).",
)

OutDir = Annotated[Path, typer.Option(help="Folder to write, whole or not at all; tables that lie there are replaced.")]
Tolerance = Annotated[
    float, typer.Option(min=0, max=1, help="Share of a table's new rows that may be held before all are refused.")
]
Data = Annotated[Path, typer.Option(help="Folder of canonical tables, from `simulate` or `import`.")]
Model = Annotated[str, typer.Option(help="NAME (its champion), NAME@ALIAS or NAME/VERSION.")]
HomePath = Annotated[
    Path, typer.Option("--home", envvar="LENDWELL_HOME", help="Folder of runs, registry and decision log.")
]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="LENDWELL_TRACKING_URI", help="MLflow's store, if not SQLite in --home: postgresql://..."),
]
LogUrl = Annotated[
    str | None,
    typer.Option(envvar="LENDWELL_LOG_URL", help="Decision log, if not SQLite in --home: postgresql://..."),
]
TuningUrl = Annotated[
    str | None,
    typer.Option(
        "--storage", envvar="LENDWELL_TUNING_URL", help="Studies of searches, if not SQLite in --home: postgresql://..."
    ),
]
RequestLogPath = Annotated[
    Path | None,
    typer.Option("--request-log", envvar="LENDWELL_REQUEST_LOG", help="Folder of kept requests, if not in --home."),
]
_HOME = Path(".lendwell")
_DIFFERS = 3  # exit code of a check that found features that differ
_UsageError: Any = typer.BadParameter.__mro__[2]  # the root of its usage errors, which Typer does not export
_flags = {"json": False, "debug": False}


@app.callback()
def _options(
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    _flags.update(json=as_json, debug=debug)


@app.command(epilog="Example: [bold]lendwell simulate --out tables --customers 5000 --scenario downturn[/]")
def simulate(
    out: OutDir,
    customers: Annotated[int, typer.Option(help="Number of customers.")] = 20_000,
    months: Annotated[int, typer.Option(help="Months of history.")] = 36,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    scenario: Annotated[
        str, typer.Option(help="baseline, downturn, channel_shift, bureau_outage, unit_break or fraud_ring.")
    ] = "baseline",
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m", "%Y-%m-%d"], help="First month, 2021-01.")] = None,
    report: Annotated[Path | None, typer.Option(help="Measure how real it looks and write this HTML file.")] = None,
) -> None:
    """Write a simulated lender: bureau, consumption and repayment records, outcomes, and the truth beside them."""
    import records

    with _progress() as progress:
        facts = records.simulate(
            out, customers=customers, months=months, seed=seed, scenario=scenario, start=start, report=report,
            progress=progress,
        )  # fmt: skip
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell lenders[/]")
def lenders() -> None:
    """List the lenders whose files can be imported, and what each needs."""
    import records

    _tell(records.lenders())


@app.command("import", epilog="Example: [bold]lendwell import home-credit kaggle_files --out tables[/]")
def import_(
    lender: Annotated[str, typer.Argument(help="Whose files they are, such as home-credit; or ./your_module.py.")],
    source: Annotated[Path, typer.Argument(help="Folder of the lender's raw files (CSV or Parquet).")],
    out: Annotated[Path, typer.Option(help="Folder of tables that the delivery is added to, whole or not at all.")],
    tolerance: Tolerance = 0.01,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Volume and distributions may differ from the last batch's.")
    ] = False,
    monthly: Annotated[
        bool,
        typer.Option("--monthly", help="Take the records in month by month, as they came; a refused month stays out."),
    ] = False,
) -> None:
    """Take a lender's raw files in as a batch: good rows pass, bad ones go to quarantine with their reasons.

    A delivery that was taken in before is not taken again. One that breaks its contract beyond the tolerance is refused
    whole and leaves the tables as they were (exit code 2; with --monthly also when some months were refused).
    """
    import records

    with _progress() as progress:
        facts = records.import_lender(
            lender, source, out, tolerance=tolerance, accept_changes=accept_changes, monthly=monthly, progress=progress
        )
    _tell(facts)
    if facts.get("refused"):
        raise typer.Exit(2)


@app.command(epilog="Example: [bold]lendwell validate tables --report quality.html[/]")
def validate(
    data: Annotated[Path, typer.Argument(help="Folder of canonical tables, or of files that are to be imported.")],
    report: Annotated[Path | None, typer.Option(help="Write the data-quality report as this HTML file.")] = None,
    docs: Annotated[Path | None, typer.Option(help="Write Great Expectations' Data Docs into this folder.")] = None,
    decision_point: Annotated[
        DecisionPoint, typer.Option(help="Coverage counts sources that may be used there.")
    ] = "application",
    tolerance: Tolerance = 0.01,
) -> None:
    """Check every table against its contract: types, ranges, categories, keys, references, order in time, freshness.

    On files named after tables (applications.csv, ...) it tells what an import would do, and writes nothing.
    """
    import records

    with _progress("contracts"):
        facts = records.validate(data, tolerance=tolerance, report=report, docs=docs, decision_point=decision_point)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell observe --experiment card-monthly-status --data tables --out observed[/]")
def observe(
    experiment: Annotated[str, typer.Option(help="An experiment with a target of card_dpd, or path of its TOML.")],
    data: Data,
    out: OutDir,
) -> None:
    """Look at cards in use at the end of each period: folders of card statements become ones to train or score on.

    Each look is an application, the months after it are its outcome; train, evaluate, score-batch take the new folder.
    """
    import pipeline

    with _progress("looks at cards"):
        facts = pipeline.observe(experiment, data, out)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell features --data tables --out features.parquet[/]")
def features(
    data: Annotated[Path | None, typer.Option(help="Folder of canonical tables.")] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Parquet file to write; a folder or URI with --engine spark, HTML with --catalog."),
    ] = None,
    feature_set: Annotated[str, typer.Option("--set", help="Feature set.")] = "application_v1",
    engine: Annotated[
        Literal["duckdb", "spark"], typer.Option(help="duckdb; or spark, for tables that one machine cannot hold.")
    ] = "duckdb",
    catalog: Annotated[bool, typer.Option("--catalog", help="Write the catalogue of the set instead.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead; needs --data.")] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Look for leaks from the future instead; needs --data.")
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="Applications to audit.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Which applications to audit.")] = 0,
) -> None:
    """Compute a feature set for every application, describe it (--catalog, --explain), or look for leaks (--audit).

    The audit computes a sample again without the records that the lender learned after the decision, in both engines,
    and names every feature that differs (exit code 3).
    """
    import pipeline

    if sum((catalog, explain, audit)) > 1 or (engine == "spark" and (catalog or explain or audit)):
        raise SourceError("Give one of --catalog, --explain and --audit, and none of them with --engine spark.")
    if catalog:
        _tell(pipeline.write_catalogue(feature_set, Path(out or f"{feature_set}.html")))
        return
    if data is None:
        raise SourceError("Give --data, the folder of canonical tables.")
    if explain:
        queries = pipeline.explain_features(data, feature_set)
        if _flags["json"]:
            _tell({"sql": queries})
        else:
            typer.echo("\n".join(f"-- {name}\n{sql};\n" for name, sql in queries.items()))
        return
    with _progress() as progress:
        if audit:
            report = None if out is None else Path(out)
            facts = pipeline.audit_features(data, feature_set, sample=sample, seed=seed, out=report, progress=progress)
        elif out is None:
            raise SourceError("Give --out: the Parquet file to write, with --engine spark the folder.")
        else:
            facts = pipeline.write_features(data, feature_set, out, engine=engine, progress=progress)
    _tell(facts)
    if facts.get("differences"):
        raise typer.Exit(_DIFFERS)


@app.command(epilog="Example: [bold]lendwell tune simulated --data tables --trials 20[/]")
def tune(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or path of its TOML.")],
    data: Data,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials wanted, earlier ones counted.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Time budget of this call.")] = None,
    home: HomePath = _HOME,
    storage: TuningUrl = None,
) -> None:
    """Search an experiment's parameters; interrupted, it goes on from its trials, and `train` starts from them.

    Several processes may search at once: with --storage on PostgreSQL, on as many machines.
    """
    import pipeline

    with _progress() as progress:
        place = _home(home, tuning_url=storage)
        with _goes_on():
            facts = pipeline.tune(experiment, data, place, trials=trials, seconds=seconds, progress=progress)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell train simulated --data tables --report report.html[/]")
def train(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or path of its TOML.")],
    data: Data,
    report: Annotated[Path | None, typer.Option(help="Write the reviewer's report here, too.")] = None,
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
    storage: TuningUrl = None,
) -> None:
    """Train, measure and register a bundle: the first of its name becomes champion, a later one challenger."""
    import pipeline

    with _progress() as progress:
        place = _home(home, tracking_uri, tuning_url=storage)
        with _goes_on():
            facts = pipeline.train(experiment, data, place, report=report, progress=progress)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell evaluate --model simulated --data newer_tables --out report.html[/]")
def evaluate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="HTML file of the reviewer's report.")] = Path("model_risk_report.html"),
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Measure a registered bundle on a folder with outcomes and write the reviewer's report."""
    import pipeline

    with _progress() as progress:
        facts = pipeline.evaluate_model(model, data, out, _home(home, tracking_uri), progress=progress)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell compare simulated simulated/2 --data tables --out compare.html[/]")
def compare(
    champion: Annotated[str, typer.Argument(help="NAME (its champion), NAME@ALIAS or NAME/VERSION.")],
    challenger: Annotated[str, typer.Argument(help="The one it is compared with.")],
    data: Data,
    truth: Annotated[
        Path | None, typer.Option(help="What would have become of refused applications, such as truth/truth.parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file of the comparison.")] = Path("compare.html"),
    approval_rate: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Of the swap set, if not the share that was granted.")
    ] = None,
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Compare two registered bundles on the same applications: ranking, PD, swap set; by the truth on refused ones."""
    import pipeline

    with _progress() as progress:
        facts = pipeline.compare(
            champion, challenger, data, out, _home(home, tracking_uri), truth=truth, approval_rate=approval_rate,
            progress=progress,
        )  # fmt: skip
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell promote simulated/2[/]")
def promote(
    model: Annotated[str, typer.Argument(help="NAME/VERSION or NAME@ALIAS.")],
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Make a version the champion, after checking every byte of its bundle."""
    import pipeline

    _tell(pipeline.promote(model, _home(home, tracking_uri)))


@app.command(epilog="Example: [bold]lendwell serve --model simulated --port 3000[/]")
def serve(
    model: Model,
    host: Annotated[str, typer.Option(help="An address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    sample_requests: Annotated[
        float,
        typer.Option(min=0, max=1, envvar="LENDWELL_REQUEST_SAMPLE", help="Share of raw requests to keep for 30 days."),
    ] = 0.0,
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
    request_log: RequestLogPath = None,
) -> None:
    """Serve the champion: POST /v1/application/score. Every answer is in the decision log before it leaves.

    With --sample-requests a share of raw requests is kept, for `lendwell monitor --parity`.
    """
    import pipeline

    place = _home(home, tracking_uri, log_url)
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
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Score one applicant: PD, points and the four strongest reasons in Chinese and English."""
    import pipeline

    place = _home(home, tracking_uri)
    _tell(pipeline.score(place, model=model, request=request, data=data, application=application, url=url))


@app.command(
    "score-batch", epilog="Example: [bold]lendwell score-batch --model simulated --data tables --out scores.parquet[/]"
)
def score_batch(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="Parquet file to write: application_id, pd, score.")],
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Score every application of a folder: application_id, pd and score, as Parquet."""
    import pipeline

    with _progress() as progress:
        facts = pipeline.score_batch(model, data, out, _home(home, tracking_uri), progress=progress)
    _tell(facts)


@app.command(epilog="Example: [bold]lendwell monitor --model simulated --out drift[/]")
def monitor(
    model: Model,
    out: Annotated[Path | None, typer.Option(help="Folder of what is written: drift, or parity with --parity.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only answers from this moment on (UTC).")] = None,
    parity: Annotated[
        bool,
        typer.Option("--parity", help="Recompute the kept raw requests in batch instead (exit code 3: they differ)."),
    ] = False,
    home: HomePath = _HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
    request_log: RequestLogPath = None,
) -> None:
    """Compare the scored requests in the decision log with the bundle's reference: PSI per feature and of the score.

    With --parity, compare the features that were served with what batch computes from the same raw requests; see
    `lendwell serve --sample-requests`.
    """
    import pipeline

    place = _home(home, tracking_uri, log_url)
    if not parity:
        _tell(pipeline.monitor(model, out or Path("drift"), place, since=since))
        return
    with _progress() as progress:
        facts = pipeline.monitor_parity(
            model, out or Path("parity"), place, since=since, request_log=request_log, progress=progress
        )
    _tell(facts)
    if facts["mismatches"]:
        raise typer.Exit(_DIFFERS)


@app.command(epilog="Example: [bold]lendwell demo --lender home-credit --source kaggle_files[/]")
def demo(
    lender: Annotated[str, typer.Option(help="simulated, or a lender of `import` with --source.")] = "simulated",
    source: Annotated[Path | None, typer.Option(help="Folder of the lender's raw files.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of everything the demo writes.")] = Path("demo"),
    customers: Annotated[int, typer.Option(help="Customers of the simulated lender.")] = 20_000,
    experiment: Annotated[str | None, typer.Option(help="Name or TOML, if not the lender's own.")] = None,
) -> None:
    """Go the whole way: records, contracts, features, training, report, registry, endpoint, score, drift."""
    import demonstration

    with _progress() as progress:
        summary = demonstration.run(
            out, lender=lender, source=source, customers=customers, experiment=experiment, progress=progress
        )
    _tell(summary)


def main(words: Sequence[str] | None = None) -> None:
    """Entry point: a user's mistake is one message and an exit code, never a traceback."""
    # The two flags may stand anywhere on the line, as people write them.
    given = sys.argv[1:] if words is None else list(words)
    flags = [word for word in given if word in ("--json", "--debug")]
    rest = [word for word in given if word not in ("--json", "--debug")]
    _flags.update(json="--json" in flags, debug="--debug" in flags)
    try:
        sys.exit(app(args=[*flags, *rest], prog_name="lendwell", standalone_mode=not _flags["json"]))
    except _UsageError as fault:  # with --json only; otherwise Typer prints it in its own form
        _fail(LendwellError(fault.format_message()), fault.exit_code)
    except LendwellError as fault:
        _fail(fault, fault.exit_code)
    except OSError as fault:
        place = f" ({fault.filename})" if fault.filename else ""
        _fail(
            LendwellError(f"{fault.strerror or fault}{place}. Nothing was left half-written; mend it and try again."), 1
        )


def _fail(fault: LendwellError, code: int) -> None:
    if _flags["debug"]:
        raise fault
    if _flags["json"]:
        error = {"type": type(fault).__name__, "message": str(fault), "exit_code": code}
        typer.echo(json.dumps({"error": error}, ensure_ascii=False))
    else:
        typer.secho(f"Error: {fault}", fg="red", err=True)
    sys.exit(code)


@contextmanager
def _goes_on() -> Iterator[None]:
    """Tell who interrupts a long step that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        told = "Interrupted. Nothing was registered; the same command goes on from what is done."
        typer.secho(told, fg="yellow", err=True)
        raise


def _home(
    path: Path, tracking_uri: str | None = None, log_url: str | None = None, tuning_url: str | None = None
) -> Home:
    from workspace import Home

    return Home(path, tracking_uri, log_url, tuning_url)


def _tell(facts: dict[str, Any]) -> None:
    """Facts as JSON, or as lines that people read."""
    if _flags["json"]:
        typer.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    lines = list(_lines(facts))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        typer.echo(f"{name:<{width}}  {value}")


def _lines(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for at, item in enumerate(value, start=1):
                yield from _lines(item, f"{prefix}{name}.{at}.")
        else:
            value = "none" if value == [] else value
            shown = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else value
            yield f"{prefix}{name}", ", ".join(map(str, shown)) if isinstance(shown, list) else str(shown)


@contextmanager
def _progress(step: str = "starting") -> Iterator[Progress | None]:
    """A bar on stderr while a person looks; nothing where nobody does."""
    if _flags["json"] or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(step, total=1.0)
        yield lambda text, share: bar.update(task, description=text[:44], completed=share)


if __name__ == "__main__":
    main()
