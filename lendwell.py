"""The command line: one thin function per step of the way, from raw records to a monitored champion."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from commands import (
    decision_log,
    demo,
    features,
    governance,
    keys,
    monitoring,
    policy,
    policy_products,
    records,
    review,
    serving,
    training,
)
from commands.terminal import flags
from data_contracts.errors import LendwellError, LendwellWarning

app = typer.Typer(
    name="lendwell",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The model lifecycle of a consumer lender: raw credit-bureau, consumption and repayment records in; a "
    "trained, explained, served and monitored champion out.",
    epilog="The way, step by step: [bold]simulate[/] or [bold]import[/] → validate → features → tune → train → "
    "evaluate → gate → promote → serve → score → monitor. All of it at once: [bold]lendwell demo[/]. Every command "
    "takes --json (facts for machines on stdout) and --debug (tracebacks).",
)
for room in (records, features, training, governance, serving, decision_log, keys, monitoring, demo):
    app.add_typer(room.app)
policy.app.add_typer(policy_products.app)
app.add_typer(policy.app, name="policy")
app.add_typer(review.app, name="review")

_formatwarning = warnings.formatwarning
_UsageError: Any = typer.BadParameter.__mro__[2]  # the root of its usage errors, which Typer does not export


@app.callback()
def _options(
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    flags.update(json=as_json, debug=debug)


def main(words: Sequence[str] | None = None) -> None:
    """Entry point: a user's mistake is one message and an exit code, never a traceback."""
    # The two flags may stand anywhere on the line, as people write them.
    given = sys.argv[1:] if words is None else list(words)
    asked = [word for word in given if word in ("--json", "--debug")]
    rest = [word for word in given if word not in ("--json", "--debug")]
    flags.update(json="--json" in asked, debug="--debug" in asked)
    warnings.formatwarning = _formatted
    try:
        sys.exit(app(args=[*asked, *rest], prog_name="lendwell", standalone_mode=not flags["json"]))
    except _UsageError as fault:  # with --json only; otherwise Typer prints it in its own form
        _fail(LendwellError(fault.format_message()), fault.exit_code)
    except LendwellError as fault:
        _fail(fault, fault.exit_code)
    except OSError as fault:
        place = f" ({fault.filename})" if fault.filename else ""
        _fail(
            LendwellError(f"{fault.strerror or fault}{place}. Nothing was left half-written; mend it and try again."), 1
        )


def _formatted(message: Warning | str, category: type[Warning], *place: Any, **line: Any) -> str:
    """A warning of ours as people read it; where it was raised is told of others only."""
    if issubclass(category, LendwellWarning):
        return f"Warning: {message}\n"
    return _formatwarning(message, category, *place, **line)


def _fail(fault: LendwellError, code: int) -> None:
    if flags["debug"]:
        raise fault
    if flags["json"]:
        error = {"type": type(fault).__name__, "message": str(fault), "exit_code": code}
        typer.echo(json.dumps({"error": error}, ensure_ascii=False))
    else:
        typer.secho(f"Error: {fault}", fg="red", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
