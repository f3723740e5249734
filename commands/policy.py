"""Commands over the policy of a lender: `lendwell policy rules`, `lint`, `test`, `diff`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands import strategy
from commands.terminal import DIFFERS, flags, tell

if TYPE_CHECKING:
    from datetime import date

app = typer.Typer(no_args_is_help=True, help="What a lender does with a score: rules in tables, and what follows.")
app.add_typer(strategy.app)

Rules = Annotated[Path | None, typer.Option("--rules", help="Folder of rule tables, if not Lendwell's own.")]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day on which rules are in force; today.")
]


@app.command("rules", epilog="Example: [bold]lendwell policy rules --jdm rules.json[/]")
def show_rules(
    rules: Rules = None,
    on: On = None,
    jdm: Annotated[Path | None, typer.Option(help="Write the rules as a GoRules decision (JDM) instead.")] = None,
    fields: Annotated[bool, typer.Option("--fields", help="List what rules may ask about instead.")] = False,
) -> None:
    """List the rules in force on a day, what each asks and what follows."""
    import pipeline

    if fields:
        facts = pipeline.list_fields()
        tell(facts if flags["json"] else {name: _field(field) for name, field in facts["fields"].items()})
        return
    facts = pipeline.list_rules(rules, _day(on), jdm=jdm)
    if not flags["json"]:
        facts |= {rule["id"]: _rule(rule) for rule in facts.pop("in_force", [])}
    tell(facts)


@app.command(epilog="Example: [bold]lendwell policy lint --data tables[/]")
def lint(
    rules: Rules = None,
    on: On = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of canonical tables, to look for rules that never fire on them.")
    ] = None,
) -> None:
    """Look for rules that make no sense: unreachable, contradictory, duplicate, untested, with gaps (exit code 3)."""
    import pipeline

    facts = pipeline.lint_rules(rules, _day(on), data=data)
    if flags["json"]:
        tell(facts)
    else:
        for one in facts["findings"]:
            typer.echo(f"{one['level']:<8} {one['kind']:<14} {one['rules'][0]}  {one['place']}: {one['problem']}")
        tell({"rules": facts["rules"], **facts["levels"]})
    if facts["levels"]["error"]:
        raise typer.Exit(DIFFERS)


@app.command("test", epilog="Example: [bold]lendwell policy test --rules rules --propose rules/cases/new.csv[/]")
def try_cases(
    rules: Rules = None,
    propose: Annotated[
        Path | None, typer.Option(help="Write cases at the bounds of the rules that lack them: for you to read.")
    ] = None,
) -> None:
    """Try the rules on their test cases (exit code 3: one does otherwise, or a rule has none)."""
    import pipeline

    facts = pipeline.try_rules(rules, propose=propose)
    tell(facts)
    if facts["failed"] or facts["untested"]:
        raise typer.Exit(DIFFERS)


@app.command(epilog="Example: [bold]lendwell policy diff rules_2025 rules_2026[/]")
def diff(
    old: Annotated[Path, typer.Argument(help="Folder of rule tables.")],
    new: Annotated[Path, typer.Argument(help="Folder of rule tables.")],
) -> None:
    """Tell what one folder of rules says otherwise than another, rule by rule."""
    import pipeline

    tell(pipeline.diff_rules(old, new))


def _day(given: datetime | None) -> date:
    """The day in China."""
    return (given or datetime.now(UTC) + timedelta(hours=8)).date()


def _rule(rule: dict[str, Any]) -> str:
    asked = " & ".join(rule["conditions"])
    return f"{rule['severity']} · {asked} · {rule['en']} {rule['zh']}"


def _field(field: dict[str, Any]) -> str:
    values = f": {', '.join(field['values'])}" if field["values"] else ""
    return f"{field['unit']} · {field['meaning']}{values}"
