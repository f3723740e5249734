"""Features of the customer's own card, statement by statement: what a limit review and an early warning look at.

`nth1` is the latest statement, `nth2` the one before. A month of 30 days past due or more is called late here: feeds
that say less of a month than that do not tell a payment on its day from one three weeks after it. Directions are
demanded of lateness alone; how much of a limit is used, and how, speaks both for and against a customer.
"""

from __future__ import annotations

from features.algebra import (
    Feature,
    Node,
    Reason,
    count,
    days_since,
    days_since_first,
    decayed_sum,
    entropy,
    feature,
    latest,
    longest_streak,
    maximum,
    mean,
    minimum,
    missing,
    nth_latest,
    ratio,
    slope,
    std,
    streak,
    total,
    when,
)
from features.consumption import CARD_LATE, CARD_PAID, CARD_USE, cards
from features.declaring import declaring

COURSE = Reason(
    "R52", "Months without debt, paid in full or with debt carried on", "各月无欠款、全额还款或滚动欠款的情况"
)
LENGTH = Reason("R53", "How long the card's statements reach back", "信用卡账单记录的时长")
EARLIER = Reason("R55", "How the earlier card statements were paid", "以往各期信用卡账单的还款情况")
SPENT = Reason("R54", "What was spent with the card", "信用卡消费金额")

_feature = declaring("consumption")

_ORDINALS = ("latest", "2nd latest", "3rd latest", "4th latest", "5th latest", "6th latest")
_STATES = {
    "unused": ("without debt", "无欠款"),
    "paid_in_full": ("paid in full", "全额还款"),
    "carried": ("of debt carried on", "滚动欠款"),
}
_WINDOWS = (95, 190, 370, 730)

_dpd = cards.dpd.coalesce(0)  # where a month ended without debt nothing was late
_late = cards.dpd >= 30
_used = cards.balance / cards.credit_limit
_paid_of_limit = cards.paid / cards.credit_limit


def _said(k: int) -> str:
    return "最近一期" if k == 1 else f"倒数第{k}期"


def _bill_before(k: int) -> Node:
    """Debt on the statement before the k-th latest, missing where there was none to pay."""
    bill = feature(f"card_months_bill_nth{k + 1}")
    return when(bill > 0, bill, missing)


LATENESS_FEATURES = (
    *(
        _feature(
            f"card_months_late_days_nth{k}",
            nth_latest(_dpd, k),
            f"Days past due at the {said} statement, 0 without debt",
            f"{_said(k)}账单逾期天数（无欠款计0）",
            "days",
            CARD_LATE,
            +1,
        )
        for k, said in enumerate(_ORDINALS, start=1)
    ),
    *(
        _feature(
            f"card_months_late_days_max_{days}d",
            maximum(_dpd, days=days),
            f"Most days past due in {days} days, 0 without debt",
            f"近{days}天最大逾期天数（无欠款计0）",
            "days",
            CARD_LATE,
            +1,
        )
        for days in _WINDOWS
    ),
    *(
        _feature(
            f"card_months_late_days_sum_{days}d",
            total(_dpd, days=days),
            f"Days past due of all statements of {days} days, added up",
            f"近{days}天各期逾期天数合计",
            "days",
            CARD_LATE,
            +1,
        )
        for days in _WINDOWS
    ),
    *(
        _feature(
            f"card_months_late30_share_{days}d",
            mean(_late, days=days),
            f"Share of statements of {days} days 30 days past due or more",
            f"近{days}天逾期30天及以上账单占比",
            "ratio",
            CARD_LATE,
            +1,
        )
        for days in _WINDOWS
    ),
    _feature(
        "card_months_late30_count",
        count(cards, where=_late),
        "Statements 30 days past due or more",
        "逾期30天及以上账单数",
        "count",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late60_count",
        count(cards, where=cards.dpd >= 60),
        "Statements 60 days past due or more",
        "逾期60天及以上账单数",
        "count",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late_days_max",
        maximum(_dpd),
        "Most days past due ever, 0 without debt",
        "历史最大逾期天数（无欠款计0）",
        "days",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late_days_decayed",
        decayed_sum(_dpd, half_life=180),
        "Days past due, those of half a year ago counted half",
        "逾期天数衰减合计（半衰期180天）",
        "days",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late30_streak",
        streak(_late),
        "Statements in a row 30 days past due or more, up to the latest",
        "截至最近连续逾期30天及以上账单数",
        "count",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late30_streak_max",
        longest_streak(_late),
        "Most statements in a row 30 days past due or more",
        "最长连续逾期30天及以上账单数",
        "count",
        CARD_LATE,
        +1,
    ),
    _feature(
        "card_months_late30_days_since",
        days_since(cards, where=_late),
        "Days since a statement 30 days past due or more",
        "距最近逾期30天及以上账单天数",
        "days",
        CARD_PAID,
        missing="no such statement, or the source is absent",
    ),
    _feature(
        "card_months_late_days_slope_190d",
        slope(_dpd, days=190),
        "Trend of the days past due over 190 days",
        "近190天逾期天数趋势",
        "days/month",
        CARD_PAID,
    ),
)

COURSE_FEATURES = (
    *(
        _feature(
            f"card_months_{state}_nth{k}",
            nth_latest(cards.status == state, k),
            f"Whether the {said} statement was one {en}",
            f"{_said(k)}账单是否为{zh}",
            "flag",
            COURSE,
        )
        for k, said in enumerate(_ORDINALS, start=1)
        for state, (en, zh) in _STATES.items()
    ),
    *(
        _feature(
            f"card_months_{state}_share_{days}d",
            mean(cards.status == state, days=days),
            f"Share of statements of {days} days that were {en}",
            f"近{days}天{zh}账单占比",
            "ratio",
            COURSE,
        )
        for days in _WINDOWS
        for state, (en, zh) in _STATES.items()
    ),
    *(
        _feature(
            f"card_months_{state}_streak",
            streak(cards.status == state),
            f"Statements in a row {en}, up to the latest",
            f"截至最近连续{zh}账单数",
            "count",
            COURSE,
        )
        for state, (en, zh) in _STATES.items()
    ),
    *(
        _feature(
            f"card_months_{state}_streak_max",
            longest_streak(cards.status == state),
            f"Most statements in a row {en}",
            f"最长连续{zh}账单数",
            "count",
            COURSE,
        )
        for state, (en, zh) in _STATES.items()
    ),
    *(
        _feature(
            f"card_months_{state}_days_since",
            days_since(cards, where=cards.status == state),
            f"Days since a statement {en}",
            f"距最近{zh}账单天数",
            "days",
            COURSE,
        )
        for state, (en, zh) in _STATES.items()
    ),
    *(
        _feature(
            f"card_months_status_entropy_{days}d",
            entropy(cards.status, days=days),
            f"Variety of how the months of {days} days ended",
            f"近{days}天账单状态多样性",
            "nats",
            COURSE,
        )
        for days in (190, 370, 730)
    ),
    _feature("card_months_number", count(cards), "Number of statements", "账单期数", "count", LENGTH),
    _feature(
        "card_months_age_days",
        days_since_first(cards),
        "Days since the first statement",
        "距首期账单天数",
        "days",
        LENGTH,
    ),
)

AMOUNT_FEATURES = (
    _feature(
        "card_months_limit",
        latest(cards.credit_limit),
        "Limit on the latest statement",
        "最近一期账单额度",
        "CNY",
        CARD_USE,
    ),
    *(
        _feature(
            f"card_months_bill_nth{k}",
            nth_latest(cards.balance, k),
            f"Debt on the {said} statement",
            f"{_said(k)}账单欠款",
            "CNY",
            CARD_USE,
        )
        for k, said in enumerate(_ORDINALS, start=1)
    ),
    *(
        _feature(
            f"card_months_paid_nth{k}",
            nth_latest(cards.paid, k),
            f"Paid in the month of the {said} statement",
            f"{_said(k)}账单月还款",
            "CNY",
            CARD_PAID,
        )
        for k, said in enumerate(_ORDINALS, start=1)
    ),
    *(
        _feature(
            f"card_months_utilisation_nth{k}",
            nth_latest(_used, k),
            f"Debt on the {said} statement to the limit",
            f"{_said(k)}账单欠款占额度比例",
            "ratio",
            CARD_USE,
        )
        for k, said in enumerate(_ORDINALS, start=1)
    ),
    *(
        _feature(
            f"card_months_paid_to_limit_nth{k}",
            nth_latest(_paid_of_limit, k),
            f"Paid in the month of the {said} statement to the limit",
            f"{_said(k)}账单月还款占额度比例",
            "ratio",
            CARD_PAID,
        )
        for k, said in enumerate(_ORDINALS, start=1)
    ),
    *(
        _feature(
            f"card_months_paid_of_bill_nth{k}",
            ratio(feature(f"card_months_paid_nth{k}"), _bill_before(k)),
            f"Share of the bill before that was paid in the month of the {said} statement",
            f"{_said(k)}账单月还款占上期账单比例",
            "ratio",
            CARD_PAID,
            missing="one of the two statements is lacking, or the one before showed no debt",
        )
        for k, said in enumerate(_ORDINALS[:-1], start=1)
    ),
    *(
        _feature(
            f"card_months_spent_to_limit_nth{k}",
            ratio(
                feature(f"card_months_bill_nth{k}")
                - feature(f"card_months_bill_nth{k + 1}")
                + feature(f"card_months_paid_nth{k}"),
                feature("card_months_limit"),
            ),
            f"Rise of the debt and what was paid until the {said} statement, to the limit",
            f"{_said(k)}账单欠款增加额加还款额占额度比例",
            "ratio",
            SPENT,
        )
        for k, said in enumerate(_ORDINALS[:-1], start=1)
    ),
    *(
        found
        for days in (95, 190, 370)
        for found in (
            _feature(
                f"card_months_utilisation_mean_{days}d",
                mean(_used, days=days),
                f"Mean of debt to limit over {days} days",
                f"近{days}天平均欠款占额度比例",
                "ratio",
                CARD_USE,
            ),
            _feature(
                f"card_months_utilisation_max_{days}d",
                maximum(_used, days=days),
                f"Highest of debt to limit over {days} days",
                f"近{days}天最高欠款占额度比例",
                "ratio",
                CARD_USE,
            ),
            _feature(
                f"card_months_bill_mean_{days}d",
                mean(cards.balance, days=days),
                f"Mean debt on the statements of {days} days",
                f"近{days}天平均账单欠款",
                "CNY",
                CARD_USE,
            ),
            _feature(
                f"card_months_paid_mean_{days}d",
                mean(cards.paid, days=days),
                f"Mean paid a month over {days} days",
                f"近{days}天月均还款",
                "CNY",
                CARD_PAID,
            ),
            _feature(
                f"card_months_payment_share_{days}d",
                mean(cards.paid > 0, days=days),
                f"Share of months of {days} days with a payment",
                f"近{days}天有还款月份占比",
                "ratio",
                CARD_PAID,
            ),
            _feature(
                f"card_months_paid_to_bills_{days}d",
                ratio(total(cards.paid, days=days), total(cards.balance, days=days)),
                f"All that was paid to all debts stated, {days} days",
                f"近{days}天还款合计与账单欠款合计之比",
                "ratio",
                CARD_PAID,
            ),
        )
    ),
    _feature(
        "card_months_utilisation_min_190d",
        minimum(_used, days=190),
        "Lowest of debt to limit over 190 days",
        "近190天最低欠款占额度比例",
        "ratio",
        CARD_USE,
    ),
    _feature(
        "card_months_utilisation_slope_190d",
        slope(_used, days=190),
        "Trend of debt to limit over 190 days",
        "近190天欠款占额度比例趋势",
        "ratio/month",
        CARD_USE,
    ),
    _feature(
        "card_months_utilisation_std_190d",
        std(_used, days=190),
        "Volatility of debt to limit over 190 days",
        "近190天欠款占额度比例波动",
        "ratio",
        CARD_USE,
    ),
    _feature(
        "card_months_bill_max_190d",
        maximum(cards.balance, days=190),
        "Highest debt on a statement of 190 days",
        "近190天最高账单欠款",
        "CNY",
        CARD_USE,
    ),
    _feature(
        "card_months_bill_slope_190d",
        slope(cards.balance, days=190),
        "Trend of the debt on the statements of 190 days",
        "近190天账单欠款趋势",
        "CNY/month",
        CARD_USE,
    ),
    _feature(
        "card_months_paid_sum_190d",
        total(cards.paid, days=190),
        "Paid in 190 days",
        "近190天还款合计",
        "CNY",
        CARD_PAID,
    ),
    _feature(
        "card_months_paid_min_190d",
        minimum(cards.paid, days=190),
        "Least paid in a month of 190 days",
        "近190天最低月还款",
        "CNY",
        CARD_PAID,
    ),
    _feature(
        "card_months_paid_max_190d",
        maximum(cards.paid, days=190),
        "Most paid in a month of 190 days",
        "近190天最高月还款",
        "CNY",
        CARD_PAID,
    ),
    _feature(
        "card_months_paid_std_190d",
        std(cards.paid, days=190),
        "Volatility of what was paid a month over 190 days",
        "近190天月还款波动",
        "CNY",
        CARD_PAID,
    ),
    _feature(
        "card_months_paid_sum_to_limit_190d",
        ratio(feature("card_months_paid_sum_190d"), feature("card_months_limit")),
        "Paid in 190 days to the limit",
        "近190天还款合计占额度比例",
        "ratio",
        CARD_PAID,
    ),
    _feature(
        "card_months_spent_sum_to_limit_190d",
        ratio(
            feature("card_months_bill_nth1") - feature("card_months_bill_nth6") + feature("card_months_paid_sum_190d"),
            feature("card_months_limit"),
        ),
        "Rise of the debt over six statements and what was paid in 190 days, to the limit",
        "六期欠款增加额加近190天还款额占额度比例",
        "ratio",
        SPENT,
    ),
)

FEATURES: tuple[Feature, ...] = (*LATENESS_FEATURES, *COURSE_FEATURES, *AMOUNT_FEATURES)
