"""Commands that bring records in and check them: simulate, lenders, import, validate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from commands.options import OutDir, Tolerance
from commands.terminal import progress_bar, tell
from data_contracts.declare import DecisionPoint

app = typer.Typer()


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

    with progress_bar() as progress:
        facts = records.simulate(
            out, customers=customers, months=months, seed=seed, scenario=scenario, start=start, report=report,
            progress=progress,
        )  # fmt: skip
    tell(facts)


@app.command(epilog="Example: [bold]lendwell lenders[/]")
def lenders() -> None:
    """List the lenders whose files can be imported, and what each needs."""
    import records

    tell(records.lenders())


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

    with progress_bar() as progress:
        facts = records.import_lender(
            lender, source, out, tolerance=tolerance, accept_changes=accept_changes, monthly=monthly, progress=progress
        )
    tell(facts)
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

    with progress_bar("contracts"):
        facts = records.validate(data, tolerance=tolerance, report=report, docs=docs, decision_point=decision_point)
    tell(facts)
