"""Commands that make and judge models: tune, train, evaluate, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commands.options import HOME, Data, HomePath, Model, RegisterUrl, TrackingUri, TuningUrl, home_at
from commands.terminal import goes_on, progress_bar, tell

app = typer.Typer()


@app.command(epilog="Example: [bold]lendwell tune simulated --data tables --trials 20[/]")
def tune(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or path of its TOML.")],
    data: Data,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials wanted, earlier ones counted.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Time budget of this call.")] = None,
    home: HomePath = HOME,
    storage: TuningUrl = None,
) -> None:
    """Search an experiment's parameters; interrupted, it goes on from its trials, and `train` starts from them.

    Several processes may search at once: with --storage on PostgreSQL, on as many machines.
    """
    import pipeline

    with progress_bar() as progress:
        place = home_at(home, tuning_url=storage)
        with goes_on():
            facts = pipeline.tune(experiment, data, place, trials=trials, seconds=seconds, progress=progress)
    tell(facts)


@app.command(epilog="Example: [bold]lendwell train simulated --data tables --report report.html[/]")
def train(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or path of its TOML.")],
    data: Data,
    report: Annotated[Path | None, typer.Option(help="Write the reviewer's report here, too.")] = None,
    author: Annotated[
        str | None,
        typer.Option(envvar="LENDWELL_AUTHOR", help="Who answers for it, if not the account that runs this."),
    ] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    storage: TuningUrl = None,
    register_url: RegisterUrl = None,
) -> None:
    """Train, measure and register a bundle: the first of its name is provisional champion, a later one challenger."""
    import pipeline

    with progress_bar() as progress:
        place = home_at(home, tracking_uri, tuning_url=storage, register_url=register_url)
        with goes_on():
            facts = pipeline.train(experiment, data, place, report=report, author=author, progress=progress)
    tell(facts)


@app.command(epilog="Example: [bold]lendwell evaluate --model simulated --data newer_tables --out report.html[/]")
def evaluate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="HTML file of the reviewer's report.")] = Path("model_risk_report.html"),
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Measure a registered bundle on a folder with outcomes and write the reviewer's report."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.evaluate_model(model, data, out, home_at(home, tracking_uri), progress=progress)
    tell(facts)


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
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Compare two registered bundles on the same applications: ranking, PD, swap set; by the truth on refused ones."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.compare(
            champion, challenger, data, out, home_at(home, tracking_uri), truth=truth, approval_rate=approval_rate,
            progress=progress,
        )  # fmt: skip
    tell(facts)
