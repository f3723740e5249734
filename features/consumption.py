"""Features of income and consumption: transactions on the account and card statements."""

from __future__ import annotations

from typing import Literal

from features.algebra import (
    Aggregate,
    Feature,
    Node,
    Reason,
    as_of,
    count,
    days_between,
    days_since,
    distinct,
    feature,
    latest,
    local_hour,
    maximum,
    mean,
    slope,
    source,
    std,
    total,
)

transactions = source("transactions", "transactions", "consumption")
cards = source("card_months", "card_months", "consumption")

INCOME = Reason("R40", "Low or irregular income on the account", "账户收入较低或不规律")
SPENDING = Reason("R41", "Spending is high for the income", "支出相对收入偏高")
CASH = Reason("R42", "Frequent cash advances", "取现较多")
RISKY = Reason("R43", "Spending of a risky kind", "高风险消费")
LIQUIDITY = Reason("R44", "Money is tight: repayments, fees and transfers weigh heavily", "资金紧张，还款与转账占比较高")
CARD_USE = Reason("R45", "High utilisation of the card", "信用卡使用率较高")
CARD_LATE = Reason("R46", "Late payments on the card", "信用卡还款逾期")
ACTIVITY = Reason("R47", "Little or unsteady activity on the account", "账户活动较少或不稳定")


def _feature(
    name: str, value: Aggregate | Node, en: str, zh: str, unit: str, reason: Reason, risk: Literal[-1, 0, 1] = 0
) -> Feature:
    return Feature(name, value, en, zh, unit, reason, "consumption", risk)


_in = transactions.direction == "in"
_out = transactions.direction == "out"
_salary = transactions.category == "salary"
_hour = local_hour(transactions.occurred_at)
_night = (_hour >= 23) | (_hour < 5)
_CATEGORIES = {
    "gambling": ("博彩类", RISKY),
    "cash_advance": ("取现套现", CASH),
    "loan_repayment": ("还贷", LIQUIDITY),
    "loan_drawdown": ("借款入账", LIQUIDITY),
    "transfer": ("转账", LIQUIDITY),
    "fees": ("手续费", LIQUIDITY),
    "groceries": ("食品杂货", SPENDING),
    "entertainment": ("娱乐", SPENDING),
    "travel": ("旅行", SPENDING),
    "shopping": ("购物", SPENDING),
    "housing": ("住房", SPENDING),
}

TRANSACTION_FEATURES = (
    *(
        _feature(f"transactions_count_{days}d", count(transactions, days=days),
                 f"Transactions in the last {days} days", f"近{days}天交易笔数", "count", ACTIVITY)
        for days in (30, 90)
    ),
    *(
        _feature(f"transactions_income_sum_{days}d", total(transactions.amount, where=_in, days=days),
                 f"Money in during the last {days} days", f"近{days}天入账金额", "CNY", INCOME)
        for days in (30, 90, 180)
    ),
    *(
        _feature(f"transactions_spending_sum_{days}d", total(transactions.amount, where=_out, days=days),
                 f"Money out during the last {days} days", f"近{days}天出账金额", "CNY", SPENDING)
        for days in (30, 90, 180)
    ),
    *(
        _feature(f"transactions_spending_to_income_{days}d",
                 feature(f"transactions_spending_sum_{days}d") / feature(f"transactions_income_sum_{days}d"),
                 f"Money out to money in over {days} days", f"近{days}天收支比", "ratio", SPENDING, +1)
        for days in (30, 90)
    ),
    _feature("transactions_income_trend",
             feature("transactions_income_sum_30d") * 3.0 / feature("transactions_income_sum_90d"),
             "Money in during 30 days to the mean of 90", "近30天入账与近90天均值之比", "ratio", INCOME),
    _feature("transactions_spending_trend",
             feature("transactions_spending_sum_30d") * 3.0 / feature("transactions_spending_sum_90d"),
             "Money out during 30 days to the mean of 90", "近30天出账与近90天均值之比", "ratio", SPENDING),
    _feature("transactions_salary_count_180d", count(transactions, where=_salary, days=180),
             "Salaries in the last 180 days", "近180天工资笔数", "count", INCOME, -1),
    _feature("transactions_salary_mean_180d", mean(transactions.amount, where=_salary, days=180),
             "Mean salary in the last 180 days", "近180天平均工资", "CNY", INCOME),
    _feature("transactions_salary_std_180d", std(transactions.amount, where=_salary, days=180),
             "Volatility of the salary over 180 days", "近180天工资波动", "CNY", INCOME),
    _feature("transactions_salary_variation_180d",
             feature("transactions_salary_std_180d") / feature("transactions_salary_mean_180d"),
             "Volatility of the salary to its mean", "工资变异系数", "ratio", INCOME, +1),
    _feature("transactions_salary_days_since", days_since(transactions, where=_salary), "Days since the last salary",
             "距最近工资天数", "days", INCOME, +1),
    _feature("transactions_salary_slope_180d", slope(transactions.amount, where=_salary, days=180),
             "Trend of the salary over 180 days", "近180天工资趋势", "CNY/month", INCOME),
    _feature("transactions_salary_to_declared",
             feature("transactions_salary_mean_180d") / feature("application_income_monthly"),
             "Salary received to the income declared", "实际工资与申报收入之比", "ratio", INCOME),
    *(
        _feature(f"transactions_{category}_sum_90d",
                 total(transactions.amount, where=transactions.category == category, days=90),
                 f"Amount of {category.replace('_', ' ')} in the last 90 days", f"近90天{zh}金额", "CNY", reason)
        for category, (zh, reason) in _CATEGORIES.items()
    ),
    *(
        _feature(f"transactions_{category}_share_90d", mean(transactions.category == category, days=90),
                 f"Share of {category.replace('_', ' ')} among transactions of 90 days", f"近90天{zh}笔数占比", "ratio",
                 reason)
        for category, (zh, reason) in _CATEGORIES.items()
    ),
    *(
        _feature(f"transactions_{category}_count_{days}d",
                 count(transactions, where=transactions.category == category, days=days),
                 f"Transactions of {category.replace('_', ' ')} in the last {days} days", f"近{days}天{zh}笔数", "count",
                 _CATEGORIES[category][1], +1)
        for category, zh in (("gambling", "博彩类"), ("cash_advance", "取现套现"))
        for days in (30, 180)
    ),
    _feature("transactions_cash_advance_days_since", days_since(transactions, where=transactions.category == "cash_advance"),
             "Days since the last cash advance", "距最近取现天数", "days", CASH),
    _feature("transactions_repayment_to_income",
             feature("transactions_loan_repayment_sum_90d") / feature("transactions_income_sum_90d"),
             "Repayments of loans to money in, 90 days", "近90天还贷占入账比例", "ratio", LIQUIDITY, +1),
    _feature("transactions_night_share_90d", mean(_night, where=_out, days=90), "Share of payments at night, 90 days",
             "近90天夜间消费占比", "ratio", RISKY),
    _feature("transactions_atm_share_90d", mean(transactions.channel == "atm", where=_out, days=90),
             "Share of payments in cash, 90 days", "近90天现金交易占比", "ratio", CASH),
    _feature("transactions_online_share_90d", mean(transactions.channel == "online", where=_out, days=90),
             "Share of payments online, 90 days", "近90天线上交易占比", "ratio", ACTIVITY),
    _feature("transactions_person_share_90d", mean(transactions.counterparty_kind == "person", days=90),
             "Share of transfers between persons, 90 days", "近90天个人转账占比", "ratio", LIQUIDITY),
    _feature("transactions_category_distinct_90d", distinct(transactions.category, days=90),
             "Kinds of transactions in 90 days", "近90天交易类别数", "count", ACTIVITY),
    _feature("transactions_amount_max_90d", maximum(transactions.amount, where=_out, days=90),
             "Largest payment in 90 days", "近90天最大支出", "CNY", SPENDING),
    _feature("transactions_amount_std_90d", std(transactions.amount, where=_out, days=90),
             "Volatility of payments in 90 days", "近90天支出波动", "CNY", SPENDING),
    _feature("transactions_days_since", days_since(transactions), "Days since the last transaction", "距最近交易天数",
             "days", ACTIVITY),
)

_used = cards.balance / cards.credit_limit
_paid = cards.paid / cards.balance

CARD_FEATURES = (
    _feature("card_months_count", count(cards), "Card statements", "信用卡账单数", "count", ACTIVITY),
    _feature("card_months_card_distinct", distinct(cards.card_id), "Cards with statements", "有账单的卡数", "count", ACTIVITY),
    *(
        _feature(f"card_months_used_mean_{days}d", mean(_used, days=days), f"Mean utilisation over {days} days",
                 f"近{days}天平均使用率", "ratio", CARD_USE, +1)
        for days in (95, 190, 370)
    ),
    _feature("card_months_used_last", latest(_used), "Utilisation at the last statement", "最近一期使用率", "ratio", CARD_USE,
             +1),
    _feature("card_months_used_max_370d", maximum(_used, days=370), "Highest utilisation over 370 days",
             "近370天最高使用率", "ratio", CARD_USE, +1),
    _feature("card_months_used_slope_190d", slope(_used, days=190), "Trend of the utilisation over 190 days",
             "近190天使用率趋势", "ratio/month", CARD_USE),
    _feature("card_months_used_std_370d", std(_used, days=370), "Volatility of the utilisation over 370 days", "近370天使用率波动", "ratio",
             CARD_USE),
    _feature("card_months_balance_last", latest(cards.balance), "Debt on the last statement", "最近一期账单余额", "CNY",
             CARD_USE),
    _feature("card_months_balance_mean_190d", mean(cards.balance, days=190), "Mean debt over 190 days",
             "近190天平均账单余额", "CNY", CARD_USE),
    _feature("card_months_balance_slope_190d", slope(cards.balance, days=190), "Trend of the debt over 190 days",
             "近190天余额趋势", "CNY/month", CARD_USE),
    _feature("card_months_limit_last", latest(cards.credit_limit), "Credit limit", "信用额度", "CNY", CARD_USE),
    _feature("card_months_paid_share_190d", mean(_paid.clip(0, 5), where=cards.balance > 0, days=190),
             "Mean share of the debt paid in the month, 190 days", "近190天还款占余额比例", "ratio", CARD_LATE, -1),
    _feature("card_months_paid_least_share_370d", mean(cards.paid <= cards.minimum_due, where=cards.balance > 0, days=370),
             "Share of statements of 370 days on which no more than the minimum was paid", "近370天仅还最低额占比", "ratio", CARD_LATE),
    _feature("card_months_drawn_mean_190d", mean(cards.drawn, days=190), "Mean drawn a month, 190 days", "近190天月均用款", "CNY",
             CARD_USE),
    _feature("card_months_cash_share_370d", mean(cards.drawings_cash > 0, days=370), "Share of months with cash drawings, 370 days",
             "近370天有取现月份占比", "ratio", CASH, +1),
    _feature("card_months_cash_sum_190d", total(cards.drawn_cash, days=190), "Cash drawn in 190 days", "近190天取现金额",
             "CNY", CASH),
    _feature("card_months_drawings_mean_190d", mean(cards.drawings, days=190), "Mean drawings a month, 190 days", "近190天月均用款笔数",
             "count", CARD_USE),
    _feature("card_months_dpd_max_370d", maximum(cards.dpd, days=370), "Most days past due in 370 days",
             "近370天最大逾期天数", "days", CARD_LATE, +1),
    _feature("card_months_dpd_last", latest(cards.dpd), "Days past due at the last statement", "最近一期账单逾期天数", "days",
             CARD_LATE, +1),
    _feature("card_months_late_count", count(cards, where=cards.dpd > 0), "Statements past due", "逾期账单数", "count",
             CARD_LATE, +1),
    _feature("card_months_late_share_190d", mean(cards.dpd > 0, days=190), "Share of statements past due in 190 days",
             "近190天逾期账单占比", "ratio", CARD_LATE, +1),
    _feature("card_months_age_mean", mean(days_between(cards.occurred_at, as_of)), "Mean age of the statements",
             "账单平均时长", "days", ACTIVITY),
)

FEATURES: tuple[Feature, ...] = (*TRANSACTION_FEATURES, *CARD_FEATURES)
