"""Commands over the applications that a person decides: `lendwell review list`, `show`, `decide`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from commands.options import HOME, HomePath, LogUrl, home_at
from commands.terminal import tell

app = typer.Typer(
    no_args_is_help=True, help="Applications that were referred to a person, and what the person decided."
)

DecisionId = Annotated[
    str, typer.Argument(help="The decision that referred the application; `review list` shows them.")
]


class Outcome(StrEnum):
    """What a person may decide."""

    approve = "approve"
    decline = "decline"


@app.command("list", epilog="Example: [bold]lendwell review list --decided[/]")
def list_(
    since: Annotated[datetime | None, typer.Option(help="Only those referred from this moment on (UTC).")] = None,
    decided: Annotated[bool, typer.Option("--decided", help="Also those that a person has decided.")] = False,
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """List what waits for a person, the longest waiting first; amounts in fen."""
    import pipeline

    tell(pipeline.list_reviews(home_at(home, log_url=log_url), since=since, decided=decided))


@app.command(epilog="Example: [bold]lendwell review show 0f3c...[/]")
def show(decision_id: DecisionId, home: HomePath = HOME, log_url: LogUrl = None) -> None:
    """Show a referred application: the proposal, its reasons, and every figure that led to it."""
    import pipeline

    tell(pipeline.show_review(decision_id, home_at(home, log_url=log_url)))


@app.command(
    epilog="Example: [bold]lendwell review decide 0f3c... --outcome approve --by 'credit officer' "
    "--reason 'income verified by pay slips'[/]"
)
def decide(
    decision_id: DecisionId,
    outcome: Annotated[Outcome, typer.Option(help="What was decided.")],
    by: Annotated[str, typer.Option(help="Who decides, in which role.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the outcome.")],
    home: HomePath = HOME,
    log_url: LogUrl = None,
) -> None:
    """Record what a person decided: once, kept for good."""
    import pipeline

    place = home_at(home, log_url=log_url)
    tell(pipeline.decide_review(decision_id, place, outcome=outcome.value, by=by, reason=reason))
