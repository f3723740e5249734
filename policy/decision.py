"""The decision: rules, then score, then price and limit; approve, refer to a person, or decline.

Pure and deterministic: the same application, features, score, rules, products and strategy give the same decision,
each time and on each machine, for one applicant and for a frame of them. `docs/decision.md` tells the order and
the rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from data_contracts.errors import DeclarationError
from policy.decided import Decision, DecisionReason, Scored, merged_reasons, schedule_record
from policy.judgement import Judgement, judge
from policy.products import FEN, Products
from policy.reasons import OUTCOMES, told
from policy.replay import Difference, replay_differences
from policy.schedule.instalments import schedule
from policy.strategy import Strategy
from policy.terms import COLUMNS, FEATURES, Asked, Flags, Floats, Ints, RateTables, strategy_arrays

if TYPE_CHECKING:
    from policy.rules import RuleBook
    from policy.rules.ruleset import RuleSet, Verdict

__all__ = [
    "Decision", "DecisionReason", "Difference", "Policy", "Scored", "decide", "local_day", "replay_differences",
    "schedule_record",
]  # fmt: skip

CHINA = timedelta(hours=8)


class Policy:
    """Products, a strategy and the rules of a day, laid out once and ready to decide.

    Parameters
    ----------
    products : Products
    strategy : Strategy
    rules : RuleSet
        In force on the day: `RuleBook.on(day)`.
    tables : RateTables, optional
        Of these products, where they were laid out before.

    Examples
    --------
    >>> from policy.products import read_products
    >>> from policy.rules import RuleBook
    >>> from policy.strategy import read_strategy
    >>> policy = Policy(read_products(), read_strategy(), RuleBook.load().on(date(2026, 7, 1)))
    >>> applicants = pd.DataFrame({
    ...     "product": ["emergency_cash", "business"], "amount_requested": [300_000, 60_000_000],
    ...     "term_months": [3, 12], "age_years": [25.0, 41.0], "income_monthly": [800_000, 3_000_000],
    ...     "loans_instalment_sum": 0.0,
    ...     "tradelines_instalment_sum": 0.0, "loans_active_principal_sum": 0.0, "pd": [0.02, 0.3]})
    >>> policy.decide_frame(applicants)[["outcome", "amount", "rate_ppm"]].values.tolist()
    [['approve', 300000, 300], ['decline', 0, 90000]]
    """

    def __init__(
        self, products: Products, strategy: Strategy, rules: RuleSet, *, tables: RateTables | None = None
    ) -> None:
        self.products, self.strategy, self.rules = products, strategy, rules
        self.tables = tables or RateTables.of(products)
        self._strategy = strategy_arrays(strategy, self.tables.names)

    def with_strategy(self, strategy: Strategy) -> Policy:
        """The same products and rules under another strategy; for a search over strategies."""
        return Policy(self.products, strategy, self.rules, tables=self.tables)

    @property
    def identities(self) -> dict[str, str]:
        """Identities of rules, products, strategy and the parts of the strategy."""
        return {
            "rules": self.rules.identity,
            "products": self.products.identity,
            "strategy": self.strategy.identity,
            **self.strategy.parts,
        }

    def decide(
        self,
        application: Mapping[str, Any],
        features: Mapping[str, float],
        scored: Scored,
        as_of: datetime,
        provenance: Mapping[str, str] | None = None,
    ) -> Decision:
        """Decide one application.

        Parameters
        ----------
        application : mapping of str to value
            Columns of the contract; amounts in fen.
        features : mapping of str to float
            CNY, NaN where missing.
        scored : Scored
        as_of : datetime
            Moment of the decision, UTC without a zone; the schedule starts on its day in China.
        provenance : mapping of str to str, optional
            Identities of `data`, `features`, `model` and `calibrator`, kept in the decision.
        """
        facts = {**features, **application, "pd": scored.pd, "score": scored.score}
        verdict = self.rules.decide(facts)
        one = {name: [np.nan if facts.get(name) is None else facts[name]] for name in COLUMNS}
        judged = judge(Asked.of(one, self.tables.names), self.tables, self._strategy)
        worst = np.array([_severity_code(verdict)])
        code, amount = _final(judged, worst)
        outcome, fen = OUTCOMES[int(code[0])], int(amount[0])
        name, term = str(facts["product"]), facts.get("term_months")
        rate = self.products[name].quoted(int(judged.price.ppm[0])) if fen else None
        plan = None
        if rate is not None:
            plan = schedule(self.products[name].form, fen, rate, local_day(as_of), int(facts["term_months"]))
        return Decision(
            outcome=outcome,
            product=name,
            amount=fen,
            term_months=None if term is None else int(term),
            rate=rate,
            schedule=plan,
            reasons=merged_reasons(outcome, verdict, int(judged.reasons[0]), scored.reasons),
            trace=self._trace(one, verdict, judged, scored),
            identities={**self.identities, **(provenance or {})},
            verdict=verdict,
        )

    def decide_frame(self, frame: pd.DataFrame, fired: Flags | None = None) -> pd.DataFrame:
        """Decide many applications, as `decide` does one.

        Parameters
        ----------
        frame : DataFrame
            One row an application: `COLUMNS`, and the fields that the rules read; amounts of applications in fen, those
            of features in CNY, `pd` calibrated.
        fired : ndarray of bool, shape (rows, rules), optional
            What `rules.fire` found, where it is known: a search over strategies asks the rules once.

        Returns
        -------
        DataFrame
            By the frame's index: `outcome` (category), `amount` (fen, granted or proposed), `rate_ppm`, `annual_rate`
            (a year, without interest on interest), `limit` (fen), `reasons` (bits of `policy.reasons.REASONS`),
            `rule_severity` (0 nothing, 1 flag, 2 refer, 3 decline), `expected_loss` and `expected_profit` (CNY, of the
            amount).
        """
        asked = Asked.of(frame, self.tables.names)
        judged = judge(asked, self.tables, self._strategy)
        worst = self.rules.worst(self.rules.fire(frame) if fired is None else fired)
        code, amount = _final(judged, worst)
        lgd = self._strategy["lgd"][np.maximum(asked.product, 0)]
        return pd.DataFrame(
            {
                "outcome": pd.Categorical.from_codes(code, pd.Index(OUTCOMES)),
                "amount": amount,
                "rate_ppm": judged.price.ppm,
                "annual_rate": judged.price.year,
                "limit": judged.limit.fen,
                "reasons": judged.reasons,
                "rule_severity": worst,
                "expected_loss": _money(amount, asked.pd * lgd),
                "expected_profit": _money(amount, judged.price.profit),
            },
            index=frame.index,
        )

    def _trace(
        self, asked: dict[str, list[Any]], verdict: Verdict, judged: Judgement, scored: Scored
    ) -> dict[str, Any]:
        price, limit = judged.price, judged.limit
        facts = {name: _plain(values[0]) for name, values in asked.items() if name != "pd"}
        return {
            "facts": {
                "application": {name: value for name, value in facts.items() if name not in FEATURES},
                "features": {name: facts[name] for name in FEATURES},
            },
            "rules": verdict.record(),
            "score": {"pd": _known(scored.pd), "score": _known(scored.score)},
            "policy": [reason.code for reason in told(int(judged.reasons[0]))],
            "price": {
                "needed": _known(price.needed[0]),
                "ppm": int(price.ppm[0]),
                "year": float(price.year[0]),
                "profit": _known(price.profit[0]),
            },
            "limit": {
                "fen": int(limit.fen[0]),
                "bounds": {name: _known(values[0]) for name, values in limit.bounds.items()},
            },
        }


def decide(
    application: Mapping[str, Any],
    features: Mapping[str, float],
    scored: Scored,
    book: RuleBook,
    products: Products,
    strategy: Strategy,
    as_of: datetime,
) -> Decision:
    """Decide one application from declarations; whoever decides many keeps a `Policy` for each day."""
    policy = Policy(products, strategy, book.on(local_day(as_of)))
    return policy.decide(application, features, scored, as_of)


def local_day(as_of: datetime) -> date:
    """Day in China of a moment in UTC.

    Examples
    --------
    >>> local_day(datetime(2026, 7, 1, 16)).isoformat()
    '2026-07-02'
    """
    try:
        return (as_of + CHINA).date()
    except OverflowError:
        raise DeclarationError(f"{as_of} UTC lies beyond the calendar of China.") from None


def _final(judged: Judgement, worst: Any) -> tuple[Ints, Ints]:
    """Outcome and amount when the rules have been heard: the worse of both counts, a decline offers nothing."""
    by_rules = np.maximum(np.asarray(worst, dtype=np.int64) - 1, 0)  # a flag changes nothing
    code = np.maximum(judged.outcome, by_rules)
    return code, np.where(code == 2, 0, judged.amount)


def _severity_code(verdict: Verdict) -> int:
    return 0 if verdict.severity is None else 1 + ("flag", "refer", "decline").index(verdict.severity)


def _money(amount: Ints, share: Floats) -> Floats:
    """CNY of a share of fen; nothing of nothing, also where the share is not known."""
    return np.where(amount > 0, amount * share / FEN, 0.0)


def _plain(value: Any) -> Any:
    """A fact as a JSON value; what is missing is None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


def _known(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
