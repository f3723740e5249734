"""The course of time: Gini and PSI by period of the test, vintages and roll rates of the lender's book."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_contracts.folder import TableFolder
from evaluation.account_months import (
    AccountMonths,
    observed_until,
    of_cards,
    of_instalments,
    of_loan_months,
    of_outcomes,
)
from evaluation.measuring.subject import Subject
from evaluation.segments import months, weeks
from evaluation.stability import GiniStability, PeriodDrift, drift_over_time, gini_stability
from evaluation.vintages import roll_rates, vintage_curves
from reporting.page import Text, Unknown

RELATIVE = Unknown(
    Text(
        "机构的日期是虚构的相对日期，无法考察随时间的变化。",
        "The lender's dates are made up to count from; there is no course of time to look at.",
    )
)


@dataclass(frozen=True)
class Course:
    """How model and book fared over time.

    Parameters
    ----------
    gini : GiniStability
        By week of the test.
    drift : list of PeriodDrift
        By month of the test, against the bundle's reference.
    book : str
        From which tables vintages and roll rates come.
    vintages, rolls : DataFrame or Unknown
        See `evaluation.vintages`.
    """

    gini: GiniStability
    drift: list[PeriodDrift]
    book: str
    vintages: pd.DataFrame | Unknown
    rolls: pd.DataFrame | Unknown


def course_of(subject: Subject) -> Course | Unknown:
    """Measure the course of time, where the lender's dates are real."""
    if subject.folder.dates != "calendar":
        return RELATIVE
    at, seed, test = subject.tested, subject.experiment.seed, subject.test
    applied_at = subject.rows.applied_at.iloc[at]
    log_odds = subject.log_odds
    book, accounts = account_months(subject.folder)
    rolls = roll_rates(accounts)
    return Course(
        gini=gini_stability(test.y, log_odds, weeks(applied_at).to_numpy(), seed=seed),
        drift=drift_over_time(
            subject.bundle.reference,
            subject.rows.features.iloc[at],
            log_odds,
            months(applied_at).to_numpy(),
            seed=seed,
        ),
        book=book,
        vintages=_or_unknown(
            vintage_curves(accounts, dpd=[subject.experiment.target.dpd], every="quarter"),
            Text("没有可计入账龄的账户。", "There is no account whose months on book could be counted."),
        ),
        rolls=_or_unknown(
            rolls,
            Text(
                "数据只给出截至某时的最高逾期天数，或没有相邻两月的状态，无法计算滚动率。",
                "The records tell only the highest days past due so far, or no two months in a row: no roll rates.",
            ),
        ),
    )


def account_months(folder: TableFolder) -> tuple[str, AccountMonths]:
    """Monthly states of the lender's own loans, from the tables that tell most: schedules, states, cards, outcomes."""
    there = set(folder.tables)
    applications = folder.read("applications", ["application_id", "customer_id", "applied_at"])

    def read(*names: str) -> list[pd.DataFrame]:
        return [folder.read(name) for name in names]

    if {"loans", "instalments", "payments"} <= there:
        loans, instalments, payments = read("loans", "instalments", "payments")
        until = observed_until([loans, instalments, payments], applications)
        return "loans, instalments, payments", of_instalments(loans, instalments, payments, until)
    if "loan_months" in there:
        states, *loans_ = read("loan_months", *(["loans"] if "loans" in there else []))
        until = observed_until([states, *loans_], applications)
        return "loan_months", of_loan_months(states, loans_[0] if loans_ else None, until)
    if "card_months" in there:
        (cards,) = read("card_months")
        return "card_months", of_cards(cards, observed_until([cards], applications))
    (outcomes,) = read("outcomes")
    return "outcomes", of_outcomes(outcomes, applications, observed_until([outcomes], applications))


def _or_unknown(table: pd.DataFrame, reason: Text) -> pd.DataFrame | Unknown:
    return table if len(table) and np.isfinite(table["rate"]).any() else Unknown(reason)
