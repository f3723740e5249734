"""The command that goes the whole way at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.terminal import progress_bar, tell

app = typer.Typer()


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

    with progress_bar() as progress:
        summary = demonstration.run(
            out, lender=lender, source=source, customers=customers, experiment=experiment, progress=progress
        )
    tell(summary)
