"""Commands over what is lent: `lendwell policy products`, `schedule` and `decide`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import HOME, Data, HomePath, TrackingUri, home_at
from commands.terminal import flags, tell

app = typer.Typer()

Products = Annotated[
    Path | None, typer.Option("--products", envvar="LENDWELL_PRODUCTS", help="TOML of products, if not Lendwell's own.")
]
_COLUMNS = ("number", "due_on", "amount", "principal", "interest", "fee", "balance")
_TITLES = ("期 No.", "应还日 due", "应还 amount", "本金 principal", "利息 interest", "费用 fee", "剩余本金 balance")


@app.command("products", epilog="Example: [bold]lendwell policy products[/]")
def show_products(products: Products = None) -> None:
    """List what is lent: to whom, how much, for how long, at what rate, and the cap on what it may cost a year."""
    import pipeline

    facts = pipeline.list_products(products)
    if flags["json"]:
        tell(facts)
        return
    rows = [
        (
            f"{name} {one['zh']}",
            f"{one['age']['least']}-{one['age']['most']}",
            f"{one['amount']['least']:,}-{one['amount']['most']:,}",
            f"{one['term_months']['least']}-{one['term_months']['most']}",
            f"{_percent(one['rate']['least'])}-{_percent(one['rate']['most'])} a {one['rate']['per']}",
            ", ".join(one["repayment"]),
            _percent(one["prepayment_fee"]),
            one["paid_to"],
        )
        for name, one in facts["products"].items()
    ]
    _table(
        ("产品 product", "年龄 age", "金额 CNY", "月 months", "利率 rate", "还款 repayment", "提前还款费 fee", "付给"),
        rows,
    )
    tell({"cap": f"{facts['cap']:.2%} a year, all in 综合年化上限", "identity": facts["identity"]})


@app.command(
    "schedule",
    epilog="Example: [bold]lendwell policy schedule renovation --amount 80000 --term 36 --rate 0.065 "
    "--start 2026-07-31[/]",
)
def show_schedule(
    product: Annotated[str, typer.Argument(help="Name of a product.")],
    amount: Annotated[int, typer.Option(help="CNY.")],
    term: Annotated[int, typer.Option(help="Months.")],
    rate: Annotated[str, typer.Option(help="A ratio in the product's period: 0.065 a year, 0.0003 a day.")],
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day of drawing.")],
    form: Annotated[str | None, typer.Option(help="Form of repayment, if not the product's usual one.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout; amounts in CNY.")] = False,
    products: Products = None,
) -> None:
    """Print the schedule of a loan, and what it costs a year in both readings: nominal and effective."""
    import pipeline

    facts = pipeline.product_schedule(
        product, amount=amount, term=term, rate=rate, start=start.date(), form=form, products=products
    )
    if flags["json"]:
        tell(facts)
        return
    rows = [_cny(row) for row in facts.pop("instalments")]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
        return
    _table(_TITLES, rows)
    for name in ("amount", "interest", "fees"):
        facts[name] = _money(facts[name])
    for name in ("annual_nominal", "annual_effective", "cap"):
        facts[name] = f"{facts[name]:.2%}"
    facts["rate"] = f"{rate} a {facts.pop('per')}"
    tell(facts)


@app.command(epilog="Example: [bold]lendwell policy decide --data tables --application A00000001[/]")
def decide(
    data: Data,
    application: Annotated[str, typer.Option(help="Its application_id.")],
    model: Annotated[str, typer.Option(help="NAME (its champion), NAME@ALIAS or NAME/VERSION.")] = "simulated",
    rules: Annotated[Path | None, typer.Option(envvar="LENDWELL_RULES", help="Folder of rule tables.")] = None,
    products: Products = None,
    strategy: Annotated[Path | None, typer.Option(envvar="LENDWELL_STRATEGY", help="TOML of a strategy.")] = None,
    home: HomePath = HOME,
    tracking_uri: TrackingUri = None,
) -> None:
    """Decide one application as the endpoint would, with every figure on the way (--json); nothing is logged."""
    import pipeline

    facts = pipeline.decide(
        home_at(home, tracking_uri),
        model=model,
        data=data,
        application=application,
        rules=rules,
        products=products,
        strategy=strategy,
    )
    tell(facts if flags["json"] else _decided(facts))


def _decided(facts: dict[str, Any]) -> dict[str, Any]:
    """A decision as people read it: without the trace, amounts in CNY."""
    rate, trace = facts["rate"], facts["trace"]
    told = {name: facts[name] for name in ("model", "application_id", "outcome", "product", "term_months")}
    told |= {"amount": _money(facts["amount"]), "pd": trace["score"]["pd"], "score": trace["score"]["score"]}
    if rate is not None:
        told["rate"] = f"{rate['ppm'] / 10_000:.4g}% a {rate['per']}"
        told["annual_effective"] = f"{facts['annual_effective']:.2%}"
        told["first_instalment"] = f"{_money(facts['schedule'][0]['amount'])} on {facts['schedule'][0]['due_on']}"
    told["reasons"] = [f"{one['severity']} {one['code']} {one['en']} {one['zh']}" for one in facts["reasons"]]
    return told


def _cny(row: dict[str, Any]) -> list[str]:
    return [str(row[name]) if name in ("number", "due_on") else _money(row[name]) for name in _COLUMNS]


def _money(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _percent(ratio: str) -> str:
    return f"{100 * float(ratio):.3g}%"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
