"""What an applicant is told: literal attributions of five features and two sources, reasons worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.attribution import Attributions
from evaluation.reasons import ReasonWriter
from features.algebra import FeatureSet, feature
from features.application import BUREAU_DEBT
from features.declaration import Feature
from features.sequences import EventSequences
from features.sets import feature_set
from training.bundle import ScoreScale

UTILISATION, DEBT, INCOME = "application_bureau_utilisation", "application_debt_monthly", "application_income_monthly"
AGE, LATE = "application_age_years", "application_bureau_late_90"
BY_NAME = {declared.name: declared for declared in feature_set("bureau_summary_v1").features}
OLD = Feature(
    "application_age_doubled", feature(AGE) * 2, "Twice the age", "两倍年龄", "years", BUREAU_DEBT, "application"
)
DECLARED = FeatureSet(
    "told", 1, (*(BY_NAME[name] for name in (UTILISATION, DEBT, INCOME, AGE, LATE)), OLD), ("age_years",)
)
SOURCES = ("inquiries", "transactions")
SCALE = ScoreScale(600.0, 20.0, 40.0)
KNOWN = [0.9, 3000.0, 5000.0, 30.0, 0.0, 60.0]


def events(*numbers: int) -> EventSequences:
    tokens = np.array([numbers], dtype=np.int64)
    return EventSequences(tokens, tokens, np.zeros((1, len(numbers), 3), dtype=np.float32), SOURCES, SOURCES)


def told(
    shares: list[float], of_events: tuple[float, float] = (0.0, 0.0), known=KNOWN, log_odds: float = -1.0, had=(1, 2)
):
    given = Attributions(-2.0, np.array([shares]), np.array([of_events]), SOURCES, np.array([log_odds]), 0.0)
    return ReasonWriter(DECLARED, SOURCES, SCALE).write(given, [known], events(*had))[0]


def texts(*names: str) -> list[str]:
    return [BY_NAME[name].reason.code for name in names]


@pytest.mark.parametrize(
    ("shares", "codes", "members", "log_odds"),
    [
        # the strongest first
        (
            [0.1, 0.0, 0.3, 0.0, 0.2, 0.0],
            texts(INCOME, LATE, UTILISATION),
            [[INCOME], [LATE], [UTILISATION]],
            [0.3, 0.2, 0.1],
        ),
        # one text, one reason: the sum counts, the stronger feature is named first
        ([0.1, 0.2, 0.25, 0.0, 0.0, 0.0], texts(DEBT, INCOME), [[DEBT, UTILISATION], [INCOME]], [0.3, 0.25]),
        # a feature that lowers the risk is never named, and takes its part from its text
        ([0.3, -0.1, 0.25, 0.0, 0.0, 0.0], texts(INCOME, UTILISATION), [[INCOME], [UTILISATION]], [0.25, 0.2]),
        ([0.3, -0.3, -0.1, 0.0, -0.1, 0.0], [], [], []),
        # age is protected, permitted or not, and so is what is made of it
        ([0.1, 0.0, 0.0, 5.0, 0.0, 5.0], texts(UTILISATION), [[UTILISATION]], [0.1]),
        ([0.1, 0.0, 0.0, -5.0, 0.0, -5.0], texts(UTILISATION), [[UTILISATION]], [0.1]),
    ],
)
def test_adverse_texts_strongest_first(shares, codes, members, log_odds):
    reasons = told(shares)
    assert [reason.code for reason in reasons] == codes
    assert [reason.features for reason in reasons] == members
    assert [reason.log_odds for reason in reasons] == pytest.approx(log_odds)


def test_in_two_languages_with_points():
    (reason,) = told([0.0, 0.0, 0.0, 0.0, np.log(2.0), 0.0])
    assert (reason.en, reason.zh) == (BY_NAME[LATE].reason_en, BY_NAME[LATE].reason_zh)
    assert reason.points == pytest.approx(40.0)  # the odds were doubled, that is `pdo` points


def test_at_most_four_and_ties_by_code():
    reasons = told([0.1, 0.0, 0.1, 0.0, 0.1, 0.0], (0.1, 0.1))
    assert [reason.code for reason in reasons] == sorted(
        [*texts(UTILISATION, INCOME, LATE), "events_inquiries", "events_transactions"]
    )[:4]


def test_of_what_is_unknown_only_its_absence_is_told():
    known = [np.nan, 3000.0, np.nan, np.nan, 0.0, np.nan]
    reasons = told([0.2, 0.1, 0.3, 9.0, 0.0, 9.0], (0.7, 0.6), known, had=(0, 2))
    assert [(reason.code, reason.features) for reason in reasons] == [
        ("N02", ["events:inquiries"]),
        ("events_transactions", ["events:transactions"]),
        ("N01", [INCOME, UTILISATION]),
        (BUREAU_DEBT.code, [DEBT]),
    ]


def test_shares_by_group_hold_features_and_events():
    given = Attributions(
        -2.0, np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), np.array([[0.7, -0.2]]), SOURCES, np.array([0.6]), 0.0
    )
    groups = given.by_group(DECLARED)
    assert {name: float(share[0]) for name, share in groups.items()} == pytest.approx(
        {"application": 2.1, "bureau": 0.7, "consumption": -0.2, "repayment": 0.0, "business": 0.0}
    )
    assert given.base + sum(groups.values()) == pytest.approx(given.log_odds)
