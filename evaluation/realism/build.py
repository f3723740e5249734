"""The realism report: a simulated lender beside public data, and whether it keeps what it promises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.folder import TableFolder
from evaluation.realism import drawings, figures
from evaluation.realism.checks import SINGLE_FEATURE_LIMIT, Check, judge
from evaluation.realism.measure import TARGET, Measured, Progress, measure
from evaluation.realism.public_figures import PublicFigures, public_figures
from reporting.page import Plot, Text, render

__all__ = ["Check", "Realism", "build_realism_report"]

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("promises", Text("承诺", "Promises")),
    ("records", Text("记录与覆盖", "Records and coverage")),
    ("defaults", Text("违约", "Defaults")),
    ("vintages", Text("账龄与时间", "Vintages and time")),
    ("arrears", Text("逾期滚动", "Roll rates")),
    ("behaviour", Text("用信、查询、还款", "Utilisation, inquiries, payments")),
    ("signal", Text("可预测性", "What can be told")),
    ("sources", Text("口径与来源", "Definitions and sources")),
)

PROVIDERS = {
    "bureau": Text("征信", "credit bureau"),
    "consumption": Text("消费流水", "consumption"),
    "repayment": Text("本机构还款", "own repayment history"),
    "business": Text("经营发票", "business invoices"),
}
PRODUCTS = {
    "business": Text("经营贷", "business"),
    "emergency_cash": Text("应急贷", "emergency cash"),
    "renovation": Text("场景贷：装修", "renovation"),
    "education": Text("场景贷：教育", "education"),
}


@dataclass(frozen=True)
class Realism:
    """How real a simulated lender looks.

    Parameters
    ----------
    html : str
        The report, one self-contained page.
    figures : dict
        Everything that was measured, as plain values for JSON.
    checks : list of Check
        The promises.
    """

    html: str
    figures: dict[str, Any]
    checks: list[Check]


def build_realism_report(
    folder: TableFolder, truth: pd.DataFrame, *, created: str, progress: Progress | None = None
) -> Realism:
    """Measure a simulated lender and write the report; the same tables give the same bytes.

    Parameters
    ----------
    folder : TableFolder
        Its canonical tables; what is measured of a table that it lacks is left out.
    truth : DataFrame
        One row an application: `application_id`, `true_pd`, `defaults`, `granted`.
    created : str
        Printed in the report; empty prints none.
    progress : callable, optional
        Called with the step that begins and the share that is done.
    """
    tell = progress or (lambda step, share: None)
    public = public_figures()
    measured = measure(folder, truth, tell)
    tell("realism: report", 0.95)
    checks = judge(measured, truth, public)
    context: dict[str, Any] = {
        "title": Text("模拟机构真实性报告", "Realism of the simulated lender"),
        "sections": SECTIONS,
        "created": created,
        "lender": folder.lender,
        "data_identity": folder.identity,
        "checks": checks,
        "measured": measured,
        "products": _products(measured),
        "heat": _heat(measured),
        "plots": _plots(measured, truth, public),
        "matrices": _matrices(measured, public),
        "public": public,
        "states": figures.STATES,
        "policy": _policy(truth),
        "target": TARGET,
        "providers": PROVIDERS,
        "product_names": PRODUCTS,
    }
    tell("done", 1.0)
    return Realism(render("realism.html.j2", context, "evaluation.realism"), _plain(measured, truth), checks)


def _products(measured: Measured) -> list[dict[str, Any]]:
    """A row a product: loans with an outcome, default rate, first-payment default."""
    table = figures.rates(measured.outcomes, ["product"])
    if len(measured.first_payment):
        table = table.join(measured.first_payment.set_index("product").add_suffix("_first"))
    return [
        {
            "product": str(row["product"]),
            "loans": int(row["loans"]),
            "bad": int(row["bad"]),
            "rate": float(row["rate"]),
            "first": _known(row.get("rate_first")),
            "first_loans": _known(row.get("loans_first")),
        }
        for row in table.reset_index().to_dict("records")
    ]


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _heat(measured: Measured) -> dict[str, Any]:
    """Default rate by product and quarter, with the highest of them for the shades."""
    rows = measured.outcomes.assign(quarter=figures.quarters(measured.outcomes["month"]))
    table = figures.rates(rows, ["product", "quarter"])["rate"].unstack("quarter")
    return {
        "quarters": list(table.columns),
        "rows": [(name, [None if math.isnan(rate) else rate for rate in row]) for name, row in _rows(table)],
        "highest": float(np.nanmax(table.to_numpy())) if table.size else 1.0,
    }


def _rows(table: pd.DataFrame) -> list[tuple[str, list[float]]]:
    return [
        (str(name), [float(v) for v in row])
        for name, row in zip(table.index, table.to_numpy(dtype=np.float64), strict=True)
    ]


def _matrices(measured: Measured, public: PublicFigures) -> list[tuple[Text, list[tuple[str, list[float]]]]]:
    others = [(drawings.CARDS[1], "card_monthly_status"), (drawings.HOME_CREDIT[1], "home_credit")]
    named = [(drawings.OURS[1], measured.rolls), *((name, public.roll_counts[key]) for name, key in others)]
    return [(name, _rows(figures.roll_rates(counts))) for name, counts in named if counts is not None]


def _policy(truth: pd.DataFrame) -> list[dict[str, Any]]:
    """What the legacy policy did with the applicants."""
    rows = []
    for name, chosen in ((Text("批准", "granted"), True), (Text("拒绝", "refused"), False)):
        part = truth[truth["granted"].astype(bool) == chosen]
        rows.append(
            {
                "name": name,
                "applications": len(part),
                "share": len(part) / max(len(truth), 1),
                "true_pd": float(part["true_pd"].mean()) if len(part) else None,
                "defaults": float(part["defaults"].mean()) if len(part) else None,
            }
        )
    return rows


def _plots(measured: Measured, truth: pd.DataFrame, public: PublicFigures) -> dict[str, list[Plot]]:
    """Drawings by section; what there is nothing to draw of is left out."""
    plots: dict[str, list[Plot]] = {key: [] for key in (*dict(SECTIONS), "time", "policy")}
    if len(measured.outcomes):
        by_product = figures.rates(measured.outcomes, ["product"])
        plots["defaults"].append(drawings.default_rates(by_product, measured.default_rate, public))
        plots["vintages"] += [drawings.vintages(measured.by_quarter), *_maturity(measured)]
        plots["time"] = [drawings.by_month(figures.rates(measured.outcomes, ["month"]), measured.expected)]
    if measured.rolls is not None:
        cards, home_credit = public.roll_counts["card_monthly_status"], public.roll_counts["home_credit"]
        tables = [(*drawings.OURS, measured.rolls), (*drawings.HOME_CREDIT, home_credit), (*drawings.CARDS, cards)]
        plots["arrears"] = drawings.arrears(tables)
    plots["behaviour"] = _behaviour(measured, public)
    if len(measured.singles):
        plots["signal"].append(drawings.single_features(measured.singles, SINGLE_FEATURE_LIMIT))
    if truth["granted"].nunique() == 2:
        plots["policy"] = [drawings.decisions(truth)]
    return plots


def _maturity(measured: Measured) -> list[Plot]:
    found = []
    products, quarters = measured.curves["product"], measured.curves["quarter"]
    if len(products):
        legend = [(colour, Text(name, name)) for colour, name in zip(("a", "b", "c", "muted"), products.index)]  # noqa: B905
        title = Text("各产品的账龄曲线", "By months on book: products")
        found.append(drawings.maturity("maturity-products", products, title, legend))
    if len(quarters):
        title = Text("各申请季度的账龄曲线", "By months on book: quarters of application")
        shades = [("a", Text("越深越新", "the darker, the later"))]
        found.append(drawings.maturity("maturity-quarters", quarters, title, shades))
    return found


def _behaviour(measured: Measured, public: PublicFigures) -> list[Plot]:
    use, (ours, ours_text) = public.utilisation, drawings.OURS
    found = []
    if measured.utilisation["cards"]:
        curves = [
            (ours, ours_text, measured.utilisation["cards"]),
            ("b", Text("Home Credit征信信用卡", "Home Credit, bureau cards"), use["home_credit_bureau_cards"]),
            ("c", Text("台湾信用卡账单", "Taiwan, bills"), use["taiwan_bills"]),
        ]
        title = Text("他行信用卡的额度使用率", "Utilisation of cards at other lenders")
        found.append(drawings.utilisation("utilisation-cards", curves, title))
    if measured.utilisation["lines"]:
        curves = [
            (ours, ours_text, measured.utilisation["lines"]),
            ("b", Text("Home Credit信用卡账单", "Home Credit, card statements"), use["home_credit_statements"]),
            ("c", Text("台湾信用卡账单", "Taiwan, bills"), use["taiwan_bills"]),
        ]
        title = Text("本机构循环额度的使用率", "Utilisation of this lender's own lines")
        found.append(drawings.utilisation("utilisation-lines", curves, title))
    for name, others, title in (
        ("inquiries", public.inquiries, Text("一年内征信查询次数", "Bureau inquiries in a year")),
        ("tradelines", public.tradelines, Text("征信账户数", "Accounts in the bureau's file")),
    ):
        if measured.counts[name]:
            found.append(drawings.counts(name, measured.counts[name], others, title))
    if measured.payments:
        found.append(drawings.payments(measured.payments, public.payments))
    return found


def _plain(measured: Measured, truth: pd.DataFrame) -> dict[str, Any]:
    """The figures as plain values."""
    return {
        "records": measured.records,
        "records_total": sum(measured.records.values()),
        "coverage": measured.coverage,
        "default_rate": measured.default_rate,
        "default_rate_by_product": {row["product"]: row["rate"] for row in _products(measured)},
        "default_rate_by_quarter": measured.by_quarter["rate"].to_dict(),
        "first_payment_default": {row["product"]: row["first"] for row in _products(measured)},
        "roll_counts": None if measured.rolls is None else measured.rolls.to_numpy().tolist(),
        "utilisation": measured.utilisation,
        **measured.counts,
        "payments": measured.payments,
        "single_auc": {str(name): round(float(auc), 6) for name, auc in measured.singles["auc"].head(20).items()},
        "oracle_auc": {name: metric.value for name, metric in measured.oracle.items()},
        "approval_rate": float(truth["granted"].mean()) if len(truth) else None,
        "policy": [{**row, "name": row["name"].en} for row in _policy(truth)],
    }
