"""Commands over strategies: `lendwell policy backtest`, `optimise`, `explain-change`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import HOME, Data, HomePath, Model, TrackingUri, home_at
from commands.terminal import flags, progress_bar, tell

if TYPE_CHECKING:
    from datetime import date

app = typer.Typer()
_MONEY = ("amount", "expected_profit")

Strategy = Annotated[
    Path | None, typer.Option(envvar="LENDWELL_STRATEGY", help="TOML of the strategy, if not Lendwell's own.")
]
Rules = Annotated[
    Path | None, typer.Option(envvar="LENDWELL_RULES", help="Folder of rule tables, if not Lendwell's own.")
]
Products = Annotated[
    Path | None, typer.Option(envvar="LENDWELL_PRODUCTS", help="TOML of the products, if not Lendwell's own.")
]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Day on which rules are in force; today.")
]
Truth = Annotated[
    Path | None,
    typer.Option(
        help="What would have become of every application; a simulated lender's own is found beside its tables."
    ),
]
Observed = Annotated[
    bool, typer.Option("--observed", help="Go by what the lender has observed, even where there is a truth.")
]


@app.command(epilog="Example: [bold]lendwell policy backtest --data tables --model simulated --out strategy.html[/]")
def backtest(
    data: Data,
    model: Model,
    strategy: Strategy = None,
    rules: Rules = None,
    products: Products = None,
    against: Annotated[
        str, typer.Option(help="legacy: what was decided then; or the TOML of another strategy.")
    ] = "legacy",
    against_rules: Annotated[
        Path | None, typer.Option(help="Folder of rule tables of the other, if not the same.")
    ] = None,
    on: On = None,
    truth: Truth = None,
    observed: Observed = False,
    out: Annotated[Path | None, typer.Option(help="HTML file of the strategy report.")] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Decide past applications anew: approvals, reviews, bad loans, profit and swap set, beside another version."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.backtest(
            model, data, home_at(home, tracking_uri), _day(on), strategy=strategy, rules=rules, products=products,
            against=against, against_rules=against_rules, truth=truth, observed=observed, out=out, progress=progress,
        )  # fmt: skip
    if flags["json"]:
        tell(facts)
        return
    typer.echo(facts["sample"])
    for note in facts["outcomes"]:
        typer.echo(note)
    _versions([facts["backtest"], facts["against"]], facts["contrast"]["difference"])
    _by_segment(facts["backtest"], facts["against"], ("product", "amount_band"))
    swaps = facts["contrast"]["swap_set"]
    tell({"swapped in": swaps["into"], "bad rate in": swaps["bad_rate_in"], "swapped out": swaps["out"],
          "bad rate out": swaps["bad_rate_out"]})  # fmt: skip
    _targets(facts["targets"])
    tell({name: facts[name] for name in ("decision_ms", "model", "report") if name in facts})


@app.command(
    epilog="Example: [bold]lendwell policy optimise --data tables --model simulated --max-bad-rate 0.03 "
    "--min-approval emergency_cash=0.5[/]"
)
def optimise(
    data: Data,
    model: Model,
    strategy: Strategy = None,
    rules: Rules = None,
    products: Products = None,
    max_bad_rate: Annotated[
        float | None, typer.Option(help="Bad rate at most, of all approved loans together.")
    ] = None,
    max_referral_rate: Annotated[float | None, typer.Option(help="Share of each product that may be referred.")] = None,
    min_approval: Annotated[
        list[str] | None, typer.Option(help="PRODUCT=SHARE that must be approved; may be given for each product.")
    ] = None,
    on: On = None,
    truth: Truth = None,
    observed: Observed = False,
    out: Annotated[Path, typer.Option(help="TOML file of the strategy that was found.")] = Path("strategy.toml"),
    report: Annotated[Path | None, typer.Option(help="HTML file with the efficient frontier.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which customers it is chosen on.")] = 0,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Search cut-offs and limits under constraints; chosen on one half of the customers, told on the other.

    Exit code 1 where nothing keeps the constraints; the message tells how near one comes.
    """
    import pipeline
    from data_contracts.errors import LendwellError

    with progress_bar() as progress:
        facts = pipeline.optimise(
            model, data, home_at(home, tracking_uri), _day(on), out, strategy=strategy, rules=rules, products=products,
            bad_rate_most=max_bad_rate, referral_rate_most=max_referral_rate, approval_rate_least=_shares(min_approval),
            truth=truth, observed=observed, report=report, seed=seed, progress=progress,
        )  # fmt: skip
    if not facts["kept"]:
        shown = f" {report} shows what can be reached." if report else ""
        raise LendwellError(f"No strategy keeps the constraints: {facts['why_not']}.{shown} Loosen one of them.")
    if flags["json"]:
        tell(facts)
        return
    typer.echo(facts["sample"])
    kinds = {"chosen on one half": "chosen_on_one_half", "told on the other": "told_on_the_other",
             "present, on the other": "present_on_the_other"}  # fmt: skip
    _versions([{"name": name, "overall": facts[key]} for name, key in kinds.items()])
    tell({name: facts[name] for name in ("file", "report") if name in facts})


@app.command(
    "explain-change",
    epilog="Example: [bold]lendwell policy explain-change --data tables --model simulated/1 --to-model simulated/2 "
    "--to-strategy strategy.toml[/]",
)
def explain_change(
    data: Data,
    model: Model,
    to_model: Annotated[str | None, typer.Option(help="Model of the second version.")] = None,
    to_data: Annotated[Path | None, typer.Option(help="Tables of the second version.")] = None,
    strategy: Strategy = None,
    to_strategy: Annotated[Path | None, typer.Option(help="Strategy of the second version.")] = None,
    rules: Rules = None,
    to_rules: Annotated[Path | None, typer.Option(help="Rules of the second version.")] = None,
    products: Products = None,
    to_products: Annotated[Path | None, typer.Option(help="Products of the second version.")] = None,
    on: On = None,
    to_on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of the second's rules.")] = None,
    application: Annotated[str | None, typer.Option(help="One application; all that both have, if not given.")] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Tell why two versions decide differently: data, features, model, calibrator, rules, cut-offs, limit or price."""
    import pipeline

    with progress_bar() as progress:
        facts = pipeline.explain_change(
            model, data, home_at(home, tracking_uri), _day(on), to_model=to_model, to_data=to_data,
            to_on=None if to_on is None else to_on.date(), strategy=strategy, to_strategy=to_strategy, rules=rules,
            to_rules=to_rules, products=products, to_products=to_products, application=application, progress=progress,
        )  # fmt: skip
    if flags["json"]:
        tell(facts)
    else:
        _change(facts)


def _change(facts: dict[str, Any]) -> None:
    """A line a component, a column a measure: of one application, or means over all."""
    if "steps" in facts:
        moved = {step["component"]: {name: step.get(name, 0.0) for name in facts["before"]} for step in facts["steps"]}
    else:
        moved = {
            component: {name: metric["value"] for name, metric in shares.items()}
            for component, shares in facts["by_component"].items()
        }
        typer.echo(f"{facts['applications']:,} applications, means; {facts['changed']:,} approved by only one version")
    rows = {"before": facts["before"], **moved, "after": facts["after"]}
    lines = []
    for name, values in rows.items():
        in_cny = {**values, "amount": values["amount"] / 100}
        cells = (f"{value:,.1f}" if measure in _MONEY else f"{value:.4f}" for measure, value in in_cny.items())
        lines.append([name, *cells])
    _table(["", *facts["before"]], lines)


def _versions(versions: list[dict[str, Any]], difference: dict[str, Any] | None = None) -> None:
    """A line a figure, a column a version."""
    lines = []
    for figure in versions[0]["overall"]:
        row = [version["overall"][figure] for version in versions]
        if difference:
            row.append(difference.get(figure))
        lines.append([figure, *(_cell(figure, one) for one in row)])
    _table(["", *(version["name"] for version in versions), *(["difference"] if difference else [])], lines)


def _by_segment(first: dict[str, Any], second: dict[str, Any], dimensions: tuple[str, ...]) -> None:
    shown = ("approval_rate", "referral_rate", "bad_rate", "realised_profit")
    others = {(one["dimension"], one["level"]): one for one in second["segments"]}
    lines = []
    for one in first["segments"]:
        if one["dimension"] in dimensions:
            other = others.get((one["dimension"], one["level"]), {})
            cells = (f"{_cell(f, one[f], False)} / {_cell(f, other.get(f), False)}" for f in shown)
            lines.append([one["level"], *cells])
    _table([f"{first['name']} / {second['name']}", *shown], lines)


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A table as people read it, underscores as spaces."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*(title.replace("_", " ") for title in titles), box=None, pad_edge=False)
    for first, *rest in lines:
        table.add_row(first.replace("_", " "), *rest)
    Console().print(table)


def _targets(targets: dict[str, Any]) -> None:
    for one in targets.values():
        if one["bound"] is not None:
            sign, said = "≥" if one["at_least"] else "≤", "met" if one["met"] else "NOT met"
            typer.echo(f"{one['name']}: {_cell('rate', one['figure'])}, {sign} {one['bound']:.0%}: {said}")


def _cell(figure: str, metric: dict[str, Any] | None, interval: bool = True) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    form = "{:.2%}" if figure.endswith("rate") else "{:,.1f}"
    told = form.format(metric["value"])
    if not interval or metric["low"] is None:
        return told
    return f"{told} [{form.format(metric['low'])}, {form.format(metric['high'])}]"


def _shares(given: list[str] | None) -> dict[str, float]:
    found = {}
    for one in given or ():
        name, _, share = one.partition("=")
        try:
            found[name] = float(share)
        except ValueError:
            raise typer.BadParameter(f"{one!r} is no PRODUCT=SHARE, such as emergency_cash=0.5") from None
    return found


def _day(given: datetime | None) -> date:
    """The day in China."""
    return (given or datetime.now(UTC) + timedelta(hours=8)).date()
