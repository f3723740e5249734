"""Steps over what is lent: products, schedules, and the applications that a person decides."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import DeclarationError
from records import Facts
from workspace import Home

if TYPE_CHECKING:
    from serving.reviews import Referred, ReviewOutcome


def list_products(products: Path | None = None) -> Facts:
    """What is lent, to whom and at what price."""
    from policy.products import read_products

    declared = read_products(products)
    return {
        "cap": float(declared.cap),
        "identity": declared.identity,
        "products": {name: product.model_dump(mode="json") for name, product in declared.products.items()},
    }


def product_schedule(
    product: str,
    *,
    amount: int,
    term: int,
    rate: str,
    start: date,
    form: str | None = None,
    products: Path | None = None,
) -> Facts:
    """Instalments of a loan of a product, with what it costs a year.

    Parameters
    ----------
    amount : int
        CNY.
    rate : str
        A ratio in the product's period, such as 0.0625 or 0.0003.
    form : str, optional
        Of repayment; the product's usual one by default.
    """
    from policy.decision import schedule_record
    from policy.products import FEN, read_products
    from policy.schedule.instalments import schedule

    declared = read_products(products)
    sold = declared[product]
    quoted = _ratio(rate)
    chosen = sold.form if form is None else form
    faults = []
    if not sold.amount.holds(amount):
        faults.append(_outside("--amount", amount, "CNY", sold.amount))
    if not sold.term_months.holds(term):
        faults.append(_outside("--term", term, "months", sold.term_months))
    if quoted is None or not sold.rate.least <= quoted <= sold.rate.most or (quoted - sold.rate.least) % sold.rate.step:
        band = sold.rate
        faults.append(f"--rate {rate}: {product} has {band.least:f} to {band.most:f} a {band.per}, by {band.step:f}")
    if chosen not in sold.repayment:
        faults.append(f"--form {form}: {product} is repaid by {', '.join(sold.repayment)}")
    if faults or quoted is None:
        raise DeclarationError("No schedule. " + "; ".join(faults) + ".")
    at = sold.quoted(int(quoted * 1_000_000))
    fee = sold.bill_fee if chosen == "bill_instalments" else Decimal(0)
    plan = schedule(chosen, amount * FEN, at, start, term, fee_a_month=fee)  # type: ignore[arg-type]
    annual = plan.annual_rate
    return {
        "product": product,
        "form": chosen,
        "amount": plan.principal,
        "term_months": term,
        "rate": float(quoted),
        "per": at.per,
        "drawn_on": start.isoformat(),
        "interest": plan.interest,
        "fees": plan.fees,
        "annual_nominal": annual.nominal,
        "annual_effective": annual.effective,
        "cap": float(declared.cap),
        "instalments": schedule_record(plan),
    }


def decide(
    home: Home,
    *,
    model: str,
    data: Path,
    application: str,
    rules: Path | None = None,
    products: Path | None = None,
    strategy: Path | None = None,
) -> Facts:
    """Score and decide an application out of tables, as the endpoint would; nothing is logged."""
    from data_contracts.folder import TableFolder
    from policy.products import read_products
    from policy.rules import RuleBook
    from policy.strategy import read_strategy
    from serving.client import request_from_tables
    from serving.decide import Decider
    from serving.scorer import Scorer

    offered = read_products(products)
    decider = Decider(RuleBook.load(rules), offered, read_strategy(strategy, offered), _now)
    asked = request_from_tables(TableFolder.open(data), application)
    bundle, registered = home.registry().load(model)
    registered.require_in_use()
    _, decision = decider.decide(Scorer(bundle, registered.version), asked)
    return {"model": registered.label, "application_id": application, **decision.record()}


def list_reviews(home: Home, *, since: datetime | None = None, decided: bool = False) -> Facts:
    """Applications that were referred to a person, the longest waiting first; with `decided` also those decided."""
    from serving.decision_log import DecisionLog
    from serving.reviews import ReviewQueue

    with DecisionLog.open(home.log) as log:
        found = ReviewQueue(log).list(since, waiting=not decided)
    waiting = sum(one.review is None for one in found)
    return {"waiting": waiting, "referred": [_referred(one) for one in found]}


def show_review(decision_id: str, home: Home) -> Facts:
    """A referred application with its whole decision and trace, and what a person decided."""
    from serving.decision_log import DecisionLog
    from serving.reviews import ReviewQueue

    with DecisionLog.open(home.log) as log:
        one = ReviewQueue(log).get(decision_id)
    return {**_referred(one), "decision": one.response}


def decide_review(decision_id: str, home: Home, *, outcome: ReviewOutcome, by: str, reason: str) -> Facts:
    """Record what a person decided, once."""
    from serving.decision_log import DecisionLog
    from serving.reviews import Review, ReviewQueue

    with DecisionLog.open(home.log) as log:
        return _referred(ReviewQueue(log).decide(Review(decision_id, outcome, by, reason, _now())))


def _referred(one: Referred) -> dict[str, Any]:
    told = one.response
    review = one.review
    return {
        "decision_id": one.decision_id,
        "referred_at": one.referred_at.isoformat(),
        "product": told["product"],
        "amount": told["amount"],
        "pd": told["pd"],
        "reasons": [f"{reason['code']} {reason['en']} {reason['zh']}" for reason in told["reasons"]],
        "outcome": None if review is None else review.outcome,
        "by": None if review is None else review.by,
        "reason": None if review is None else review.reason,
        "at": None if review is None else review.at.isoformat(),
    }


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


def _outside(option: str, value: int, unit: str, grid: Any) -> str:
    return f"{option} {value}: the product has {grid.least} to {grid.most} {unit}, by {grid.step}"


def _ratio(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
