"""Commands by which a version becomes champion and ceases to be: gate, promote, rollback, retire, register."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import HOME, Data, HomePath, RegisterUrl, TrackingUri, home_at
from commands.terminal import DIFFERS, flags, progress_bar, tell

app = typer.Typer()

Version = Annotated[str, typer.Argument(help="NAME/VERSION or NAME@ALIAS.")]
By = Annotated[str | None, typer.Option(help="Who does it, if not the account that runs this.")]
_RESULTS = {
    "passed": "passed 通过",
    "failed": "failed 未通过",
    "not_computable": "not computable, so not passed 无法计算，视为未通过",
    "not_asked": "not asked 未要求",
}
Reason = Annotated[str, typer.Option(help="Why; it stands in the model register.")]


@app.command(epilog="Example: [bold]lendwell gate simulated@challenger --data tables --out verdict.json[/]")
def gate(
    model: Version,
    data: Data,
    gate: Annotated[str | None, typer.Option(help="Name or TOML of a gate, if not the experiment's own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the verdict with its evidence here, too: JSON.")] = None,
    by: By = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    register_url: RegisterUrl = None,
) -> None:
    """Judge by its gate whether a version may become champion (exit code 3: it may not).

    The verdict with its evidence is logged to the version's MLflow run and written into the model register.
    """
    import pipeline

    place = home_at(home, tracking_uri, register_url=register_url)
    with progress_bar() as progress:
        facts = pipeline.gate(model, data, place, gate=gate, out=out, by=by, progress=progress)
    tell(facts if flags["json"] else _for_people(facts))
    if not facts["passed"]:
        raise typer.Exit(DIFFERS)


@app.command(epilog="Example: [bold]lendwell promote simulated/2 --approver 'NAME OF THE REVIEWER'[/]")
def promote(
    model: Version,
    approver: Annotated[str, typer.Option(help="Who answers for it; another person than its author.")],
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    register_url: RegisterUrl = None,
) -> None:
    """Make a version the champion: it needs a passing verdict against the present one, and every byte of its bundle."""
    import pipeline

    tell(pipeline.promote(model, home_at(home, tracking_uri, register_url=register_url), approver=approver))


@app.command(epilog="Example: [bold]lendwell rollback simulated --reason 'approvals fell by a third'[/]")
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    reason: Reason,
    by: By = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    register_url: RegisterUrl = None,
) -> None:
    """Make the champion before the present one champion again, without a gate; a running endpoint follows."""
    import pipeline

    tell(pipeline.rollback(name, home_at(home, tracking_uri, register_url=register_url), reason=reason, by=by))


@app.command(epilog="Example: [bold]lendwell retire simulated/1 --reason 'its bureau feed has ended'[/]")
def retire(
    model: Version,
    reason: Reason,
    by: By = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    register_url: RegisterUrl = None,
) -> None:
    """Take a version out of use for good: it is neither promoted nor served any more."""
    import pipeline

    tell(pipeline.retire(model, home_at(home, tracking_uri, register_url=register_url), reason=reason, by=by))


@app.command(epilog="Example: [bold]lendwell register simulated --verify[/]")
def register(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Look for entries that were changed or removed (exit code 3: there are).")
    ] = False,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
    register_url: RegisterUrl = None,
) -> None:
    """Tell who did what with each version of a model, when and why: the append-only model register."""
    import pipeline

    facts = pipeline.register(name, home_at(home, tracking_uri, register_url=register_url), verify=verify)
    tell(facts)
    if facts.get("faults"):
        raise typer.Exit(DIFFERS)


def _for_people(facts: dict[str, Any]) -> dict[str, Any]:
    """A verdict as a reviewer reads it: a line a criterion, with its reason in both languages."""
    criteria = {
        one["criterion"]: f"{_RESULTS[one['result']]} · {one['reason']['en']} {one['reason']['zh']}"
        for one in facts["criteria"]
    }
    against = facts["champion"]["model"] if facts["champion"] else "–"
    told = {"model": facts["candidate"]["model"], "champion": against, "gate": facts["gate"]["name"], **criteria}
    told |= {name: facts[name] for name in ("verdict_sha256", "register_entry", "file") if name in facts}
    return {**told, "verdict": _RESULTS["passed" if facts["passed"] else "failed"]}
