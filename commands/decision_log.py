"""Commands with the decision log: log verify, log export, log prune, replay."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.options import HOME, MOST_DAYS, HomePath, LogUrl, TrackingUri, home_at
from commands.terminal import DIFFERS, flags, progress_bar, tell

app = typer.Typer()
_log = typer.Typer(no_args_is_help=True, help="Verify, export or prune the decision log.")
app.add_typer(_log, name="log")

Since = Annotated[datetime | None, typer.Option(help="Only what was decided from this moment on (UTC).")]
Until = Annotated[datetime | None, typer.Option(help="Only what was decided before this moment (UTC).")]
Bundle = Annotated[str | None, typer.Option(help="Only answers of the bundle of this identity.")]


@_log.command(epilog="Example: [bold]lendwell log verify[/]")
def verify(
    head: Annotated[
        str | None, typer.Option(help="POSITION:HASH that an earlier verification told: it must still be in the chain.")
    ] = None,
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """Look for decisions that were changed, removed or put in (exit code 3: there are).

    Keep the head that it tells where the owner of the database cannot write, and give it the next time.
    """
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.verify_log(home_at(home, log_url=log_url), head=head, progress=progress)
    tell(facts)
    if not facts["whole"]:
        raise typer.Exit(DIFFERS)


@_log.command(epilog="Example: [bold]lendwell log export --out july.parquet --since 2026-07-01 --until 2026-08-01[/]")
def export(
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .jsonl. It is readable for its owner only.")],
    since: Since = None,
    until: Until = None,
    bundle: Bundle = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Only one kind of entry: score, decision, shadow_decision or pruned; all by default."),
    ] = None,
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """Write decisions with their requests, features and answers to a file; people appear as keyed hashes."""
    import pipeline
    from serving.log_entries import KINDS

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"--kind {kind}: an entry is one of {', '.join(KINDS)}")
    place = home_at(home, log_url=log_url)
    with progress_bar() as progress:
        facts = pipeline.export_log(place, out, since=since, until=until, bundle=bundle, kind=kind, progress=progress)
    tell(facts)


@_log.command(epilog="Example: [bold]lendwell log prune --older-than 1825[/]")
def prune(
    older_than: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="Days that decisions are kept.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before they are removed.")] = False,
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """Remove the oldest decisions for good; the chain of those that stay can still be verified."""
    import pipeline

    if not yes and flags["json"]:
        raise typer.BadParameter("with --json nobody is asked: add --yes to remove decisions for good")
    if not yes:
        typer.confirm(f"Remove every decision older than {older_than:,} days for good?", abort=True)
    with progress_bar() as progress:
        facts = pipeline.prune_log(home_at(home, log_url=log_url), days=older_than, progress=progress)
    tell(facts)


@app.command(epilog="Example: [bold]lendwell replay 3f0c...[/] or [bold]lendwell replay --all --since 2026-07-01[/]")
def replay(
    decision_id: Annotated[str | None, typer.Argument(help="Of an answer.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every decision of the log instead.")] = False,
    since: Since = None,
    until: Until = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the bundle, if the registry does not have it any more.")
    ] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    log_url: LogUrl = None,
) -> None:
    """Compute a logged decision again by the bundle that took it: every bit is the same, or it tells what differs.

    Exit code 3: something differs. The cause is the first of data, features, model, calibrator, points, reasons and
    answer; of a whole decision also of score, rules, products, cut_offs, price, limit and decision.
    """
    import pipeline

    several = everything or since is not None or until is not None
    if several == (decision_id is not None):
        raise typer.BadParameter("give the id of a decision, or --all, --since or --until")
    place = home_at(home, tracking_uri, log_url)
    if decision_id is not None:
        facts = pipeline.replay(place, decision_id, bundle=bundle)
    else:
        with progress_bar() as progress:
            facts = pipeline.replay_many(place, since=since, until=until, bundle=bundle, progress=progress)
    tell(facts)
    if not facts["same"]:
        raise typer.Exit(DIFFERS)
