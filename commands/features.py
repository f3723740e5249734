"""Commands over looks and features: observe, features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from commands.options import Data, OutDir
from commands.terminal import DIFFERS, flags, progress_bar, tell
from data_contracts.errors import SourceError

app = typer.Typer()


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

    with progress_bar("looks at cards"):
        facts = pipeline.observe(experiment, data, out)
    tell(facts)


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
        tell(pipeline.write_catalogue(feature_set, Path(out or f"{feature_set}.html")))
        return
    if data is None:
        raise SourceError("Give --data, the folder of canonical tables.")
    if explain:
        queries = pipeline.explain_features(data, feature_set)
        if flags["json"]:
            tell({"sql": queries})
        else:
            typer.echo("\n".join(f"-- {name}\n{sql};\n" for name, sql in queries.items()))
        return
    with progress_bar() as progress:
        if audit:
            report = None if out is None else Path(out)
            facts = pipeline.audit_features(data, feature_set, sample=sample, seed=seed, out=report, progress=progress)
        elif out is None:
            raise SourceError("Give --out: the Parquet file to write, with --engine spark the folder.")
        else:
            facts = pipeline.write_features(data, feature_set, out, engine=engine, progress=progress)
    tell(facts)
    if facts.get("differences"):
        raise typer.Exit(DIFFERS)
