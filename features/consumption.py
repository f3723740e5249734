"""Features of income and consumption: transactions on the account and card statements."""

from __future__ import annotations

from features.algebra import (
    Feature,
    Reason,
    as_of,
    bucket,
    count,
    days_between,
    days_since,
    days_since_first,
    distinct,
    entropy,
    feature,
    first,
    gap_std,
    latest,
    local_hour,
    log1p,
    longest_gap,
    longest_streak,
    maximum,
    mean,
    nth_latest,
    quantile,
    ratio,
    slope,
    source,
    std,
    streak,
    total,
)
from features.declaring import below, declaring, sum_of_known

transactions = source("transactions", "transactions", "consumption")
cards = source("card_months", "card_months", "consumption")

# What speaks against an applicant may be much or little of a thing; where no direction is demanded the words fit both.
INCOME = Reason("R40", "Low or irregular income on the account", "账户收入较低或不规律")
SPENDING = Reason("R41", "Amount and kind of spending", "支出的金额与结构")
CASH = Reason("R42", "Cash advances and cash drawings", "取现情况")
RISKY = Reason("R43", "Spending of a risky kind", "高风险消费")
LIQUIDITY = Reason("R44", "Repayments, borrowing, fees and transfers on the account", "还贷、借款、手续费与转账情况")
CARD_USE = Reason("R45", "Use of the card's limit", "信用卡额度使用情况")
CARD_LATE = Reason("R46", "Late or low payments on the card", "信用卡还款逾期或还款偏少")
ACTIVITY = Reason("R47", "Activity on the account", "账户活动情况")
CARD_PAID = Reason("R49", "How the card's debt is paid back", "信用卡还款方式与变化")
TIGHT = Reason("R48", "Money going out is high for the money coming in", "支出与还款相对收入偏高")
EARNINGS = Reason("R50", "Level and regularity of income on the account", "账户收入的金额与规律性")
DAYTIME = Reason("R51", "Time of day of spending", "消费时段")

_feature = declaring("consumption")

_in = transactions.direction == "in"
_out = transactions.direction == "out"
_salary = transactions.category == "salary"
_hour = local_hour(transactions.occurred_at)
_night = (_hour >= 23) | (_hour < 5)
_CATEGORIES = {
    "gambling": ("博彩类", RISKY),
    "cash_advance": ("取现", CASH),
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
_BASKETS = {
    "essentials": ("必需", ["groceries", "housing", "utilities", "telecom", "transport", "health", "education"]),
    "discretionary": ("非必需", ["dining", "shopping", "travel", "entertainment"]),
    "business": ("经营", ["business"]),
}
_WATCHED = {"gambling": "博彩类", "cash_advance": "取现"}

TRANSACTION_FEATURES = (
    *(
        _feature(f"transactions_count_{days}d", count(transactions, days=days),
                 f"Transactions in the last {days} days", f"近{days}天交易笔数", "count", ACTIVITY)
        for days in (30, 90)
    ),
    *(
        _feature(f"transactions_income_sum_{days}d", total(transactions.amount, where=_in, days=days),
                 f"Money in during the last {days} days", f"近{days}天入账金额", "CNY", EARNINGS)
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
                 f"Money out to money in over {days} days", f"近{days}天收支比", "ratio", TIGHT, +1)
        for days in (30, 90)
    ),
    _feature("transactions_income_trend",
             feature("transactions_income_sum_30d") * 3.0 / feature("transactions_income_sum_90d"),
             "Money in during 30 days to the mean of 90", "近30天入账与近90天均值之比", "ratio", EARNINGS),
    _feature("transactions_spending_trend",
             feature("transactions_spending_sum_30d") * 3.0 / feature("transactions_spending_sum_90d"),
             "Money out during 30 days to the mean of 90", "近30天出账与近90天均值之比", "ratio", SPENDING),
    _feature("transactions_salary_count_180d", count(transactions, where=_salary, days=180),
             "Salaries in the last 180 days", "近180天工资笔数", "count", EARNINGS),
    _feature("transactions_salary_mean_180d", mean(transactions.amount, where=_salary, days=180),
             "Mean salary in the last 180 days", "近180天平均工资", "CNY", EARNINGS),
    _feature("transactions_salary_std_180d", std(transactions.amount, where=_salary, days=180),
             "Volatility of the salary over 180 days", "近180天工资波动", "CNY", EARNINGS),
    _feature("transactions_salary_variation_180d",
             feature("transactions_salary_std_180d") / feature("transactions_salary_mean_180d"),
             "Volatility of the salary to its mean", "工资变异系数", "ratio", EARNINGS),
    _feature("transactions_salary_days_since", days_since(transactions, where=_salary), "Days since the last salary",
             "距最近工资天数", "days", INCOME, +1),
    _feature("transactions_salary_slope_180d", slope(transactions.amount, where=_salary, days=180),
             "Trend of the salary over 180 days", "近180天工资趋势", "CNY/month", EARNINGS),
    _feature("transactions_salary_to_declared",
             feature("transactions_salary_mean_180d") / feature("application_income_monthly"),
             "Salary received to the income declared", "实际工资与申报收入之比", "ratio", EARNINGS),
    *(
        _feature(f"transactions_{category}_sum_90d",
                 total(transactions.amount, where=transactions.category == category, days=90),
                 f"Amount of {category.replace('_', ' ')} in the last 90 days", f"近90天{zh}金额", "CNY", reason,
                 +1 if category in _WATCHED else 0)
        for category, (zh, reason) in _CATEGORIES.items()
    ),
    *(
        _feature(f"transactions_{category}_share_90d", mean(transactions.category == category, days=90),
                 f"Share of {category.replace('_', ' ')} among transactions of 90 days", f"近90天{zh}笔数占比", "ratio",
                 reason, +1 if category in _WATCHED else 0)
        for category, (zh, reason) in _CATEGORIES.items()
    ),
    *(
        _feature(f"transactions_{category}_count_{days}d",
                 count(transactions, where=transactions.category == category, days=days),
                 f"Transactions of {category.replace('_', ' ')} in the last {days} days", f"近{days}天{zh}笔数", "count",
                 _CATEGORIES[category][1], +1)
        for category, zh in _WATCHED.items()
        for days in (30, 180)
    ),
    _feature("transactions_cash_advance_days_since", days_since(transactions, where=transactions.category == "cash_advance"),
             "Days since the last cash advance", "距最近取现天数", "days", CASH),
    _feature("transactions_repayment_to_income",
             feature("transactions_loan_repayment_sum_90d") / feature("transactions_income_sum_90d"),
             "Repayments of loans to money in, 90 days", "近90天还贷占入账比例", "ratio", TIGHT, +1),
    _feature("transactions_night_share_90d", mean(_night, where=_out, days=90), "Share of payments at night, 90 days",
             "近90天夜间消费占比", "ratio", DAYTIME),
    _feature("transactions_atm_share_90d", mean(transactions.channel == "atm", where=_out, days=90),
             "Share of payments in cash, 90 days", "近90天现金交易占比", "ratio", CASH),
    _feature("transactions_online_share_90d", mean(transactions.channel == "online", where=_out, days=90),
             "Share of payments online, 90 days", "近90天线上交易占比", "ratio", ACTIVITY),
    _feature("transactions_person_share_90d", mean(transactions.counterparty_kind == "person", days=90),
             "Share of all transactions of 90 days with a person as counterparty", "近90天对手方为个人的交易笔数占比", "ratio",
             LIQUIDITY),
    _feature("transactions_category_distinct_90d", distinct(transactions.category, days=90),
             "Kinds of transactions in 90 days", "近90天交易类别数", "count", ACTIVITY),
    _feature("transactions_amount_max_90d", maximum(transactions.amount, where=_out, days=90),
             "Largest payment in 90 days", "近90天最大支出", "CNY", SPENDING),
    _feature("transactions_amount_std_90d", std(transactions.amount, where=_out, days=90),
             "Volatility of payments in 90 days", "近90天支出波动", "CNY", SPENDING),
    _feature("transactions_salary_gap_std_180d", gap_std(transactions, where=_salary, days=180),
             "Irregularity of the time between salaries, 180 days", "近180天发薪间隔波动", "days", EARNINGS),
    _feature("transactions_salary_gap_max_180d", longest_gap(transactions, where=_salary, days=180),
             "Longest time between salaries within 180 days", "近180天最长发薪间隔", "days", EARNINGS),
    _feature("transactions_salary_share_180d",
             ratio(total(transactions.amount, where=_in & _salary, days=180), feature("transactions_income_sum_180d")),
             "Share of the money in during 180 days that is salary", "近180天工资占入账比例", "ratio", EARNINGS),
    _feature("transactions_salary_last_to_mean",
             ratio(latest(transactions.amount, where=_salary, days=180), feature("transactions_salary_mean_180d")),
             "Last salary to the mean of 180 days", "最近工资与近180天均值之比", "ratio", EARNINGS),
    *(
        _feature(f"transactions_{basket}_sum_90d",
                 total(transactions.amount, where=_out & transactions.category.isin(categories), days=90),
                 f"Spending on {basket} in the last 90 days", f"近90天{zh}支出", "CNY", SPENDING)
        for basket, (zh, categories) in _BASKETS.items()
    ),
    *(
        _feature(f"transactions_{basket}_of_spending_90d",
                 feature(f"transactions_{basket}_sum_90d") / feature("transactions_spending_sum_90d"),
                 f"Share of the money out during 90 days that went to {basket}", f"近90天{zh}支出金额占比", "ratio", SPENDING)
        for basket, (zh, _) in _BASKETS.items()
    ),
    *(
        _feature(f"transactions_{category}_sum_{days}d",
                 total(transactions.amount, where=transactions.category == category, days=days),
                 f"Amount of {category.replace('_', ' ')} in the last {days} days", f"近{days}天{zh}金额", "CNY",
                 _CATEGORIES[category][1], +1)
        for category, zh in _WATCHED.items() for days in (30, 180)
    ),
    *(
        _feature(f"transactions_{category}_of_spending_{days}d",
                 ratio(feature(f"transactions_{category}_sum_{days}d"), feature(f"transactions_spending_sum_{days}d")),
                 f"Amount of {category.replace('_', ' ')} to the money out, {days} days", f"近{days}天{zh}占支出金额比例", "ratio",
                 _CATEGORIES[category][1], +1)
        for category, zh in _WATCHED.items() for days in (30, 90, 180)
    ),
    *(
        _feature(f"transactions_{category}_of_spending_90d",
                 ratio(feature(f"transactions_{category}_sum_90d"), feature("transactions_spending_sum_90d")),
                 f"Amount of {category.replace('_', ' ')} to the money out, 90 days", f"近90天{_CATEGORIES[category][0]}占支出金额比例",
                 "ratio", _CATEGORIES[category][1])
        for category in ("fees", "loan_repayment")
    ),
    _feature("transactions_risky_log_180d",
             log1p(feature("transactions_gambling_sum_180d") + feature("transactions_cash_advance_sum_180d")),
             "Logarithm of the amount of gambling and cash advances in 180 days", "近180天博彩与取现金额对数", "ln CNY", RISKY, +1),
    *(
        _feature(f"transactions_night_of_spending_{days}d",
                 ratio(total(transactions.amount, where=_out & _night, days=days), feature(f"transactions_spending_sum_{days}d")),
                 f"Share of the money out during {days} days that was spent at night", f"近{days}天夜间支出金额占比", "ratio",
                 DAYTIME)
        for days in (30, 90, 180)
    ),
    _feature("transactions_amount_q90_90d", quantile(transactions.amount, 0.9, where=_out, days=90),
             "Payment that one in ten of 90 days exceeds", "近90天支出金额九分位数", "CNY", SPENDING),
    _feature("transactions_amount_median_90d", quantile(transactions.amount, 0.5, where=_out, days=90),
             "Median payment in 90 days", "近90天支出金额中位数", "CNY", SPENDING),
    _feature("transactions_amount_variation_90d",
             ratio(feature("transactions_amount_std_90d"), mean(transactions.amount, where=_out, days=90)),
             "Volatility of payments in 90 days to their mean", "近90天支出变异系数", "ratio", SPENDING),
    _feature("transactions_category_entropy_90d", entropy(transactions.category, days=90), "Variety of transactions in 90 days",
             "近90天交易类别多样性", "nats", ACTIVITY),
    _feature("transactions_gap_max_90d", longest_gap(transactions, days=90), "Longest time without a transaction within 90 days",
             "近90天最长无交易间隔", "days", ACTIVITY),
    _feature("transactions_age_days", days_since_first(transactions), "Time over which transactions are known", "交易记录时长",
             "days", ACTIVITY),
    _feature("transactions_count_trend", ratio(feature("transactions_count_30d") * 3.0, feature("transactions_count_90d")),
             "Transactions in 30 days to the mean of 90", "近30天交易笔数与近90天均值之比", "ratio", ACTIVITY),
    *(
        _feature(f"transactions_net_{days}d",
                 feature(f"transactions_income_sum_{days}d") - feature(f"transactions_spending_sum_{days}d"),
                 f"Money in less money out over {days} days", f"近{days}天净流入", "CNY", LIQUIDITY)
        for days in (30, 90, 180)
    ),
    _feature("transactions_spending_to_income_180d",
             feature("transactions_spending_sum_180d") / feature("transactions_income_sum_180d"),
             "Money out to money in over 180 days", "近180天收支比", "ratio", TIGHT, +1),
    _feature("transactions_income_trend_180d",
             ratio(feature("transactions_income_sum_90d") * 2.0, feature("transactions_income_sum_180d")),
             "Money in during 90 days to the mean of 180", "近90天入账与近180天均值之比", "ratio", EARNINGS),
    _feature("transactions_income_to_declared",
             feature("transactions_income_sum_90d") / 3.0 / feature("application_income_monthly"),
             "Money in a month over 90 days to the income declared", "近90天月均入账与申报收入之比", "ratio", EARNINGS),
    _feature("transactions_drawdown_to_repayment",
             ratio(feature("transactions_loan_drawdown_sum_90d"), feature("transactions_loan_repayment_sum_90d")),
             "Loans taken up to loans repaid, 90 days", "近90天借款与还贷之比", "ratio", LIQUIDITY,
             missing="no loan was repaid, or the source is absent"),
    _feature("transactions_requested_to_income",
             ratio(feature("application_amount_requested"), feature("transactions_income_sum_180d")),
             "Amount asked for to the money in during 180 days", "申请金额与近180天入账之比", "ratio", TIGHT, +1),
    _feature("transactions_instalment_to_salary",
             ratio(feature("application_instalment_monthly"), feature("transactions_salary_mean_180d")),
             "Monthly instalment asked for to the mean salary", "月供与平均工资之比", "ratio", TIGHT, +1),
    _feature("transactions_debt_to_salary",
             ratio(feature("tradelines_balance_sum"), feature("transactions_salary_mean_180d")),
             "Debt elsewhere in mean salaries", "征信负债与平均工资之比", "ratio", TIGHT, +1),
    _feature("transactions_debt_service_to_salary",
             ratio(sum_of_known(feature("tradelines_instalment_sum"), feature("application_instalment_monthly")),
                   feature("transactions_salary_mean_180d")),
             "Instalments elsewhere and the one asked for to the mean salary", "他行月供加本次月供与平均工资之比", "ratio", TIGHT, +1),
    _feature("transactions_thin_file",
             below(feature("transactions_count_90d"), 5), "Fewer than five transactions in 90 days",
             "消费薄档", "flag", ACTIVITY, missing="the source is absent"),
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
             "Share of statements of 370 days on which no more than the minimum was paid", "近370天仅还最低额占比", "ratio", CARD_PAID),
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
    _feature("card_months_used_bucket", bucket(feature("card_months_used_last"), 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
             "Bucket of the utilisation at the last statement: 0 below 10 %, 6 from 100 % on", "最近一期使用率分档", "bucket",
             CARD_USE, +1),
    _feature("card_months_used_change", feature("card_months_used_mean_95d") - feature("card_months_used_mean_370d"),
             "Mean utilisation of 95 days less that of 370", "近95天与近370天平均使用率之差", "ratio", CARD_USE),
    _feature("card_months_used90_share_370d", mean(_used > 0.9, days=370),
             "Share of statements of 370 days with over 90 % of the limit used", "近370天使用率超90%账单占比", "ratio", CARD_USE, +1),
    _feature("card_months_balance_max_370d", maximum(cards.balance, days=370), "Highest debt on a statement of 370 days",
             "近370天最高账单余额", "CNY", CARD_USE),
    _feature("card_months_balance_variation", ratio(std(cards.balance, days=370), mean(cards.balance, days=370)),
             "Volatility of the debt over 370 days to its mean", "近370天账单余额变异系数", "ratio", CARD_USE),
    _feature("card_months_limit_change", ratio(feature("card_months_limit_last"), first(cards.credit_limit)),
             "Limit now to the first limit", "当前额度与初始额度之比", "ratio", CARD_USE),
    _feature("card_months_idle_share_370d", mean(cards.drawn <= 0, days=370), "Share of months without drawings, 370 days",
             "近370天无用款月份占比", "ratio", ACTIVITY),
    _feature("card_months_paid_to_drawn", ratio(total(cards.paid, days=190), total(cards.drawn, days=190)),
             "Paid to drawn over 190 days", "近190天还款与用款之比", "ratio", CARD_PAID),
    _feature("card_months_cash_of_drawn", ratio(feature("card_months_cash_sum_190d"), total(cards.drawn, days=190)),
             "Share of the drawn of 190 days that was cash", "近190天取现占用款金额比例", "ratio", CASH, +1),
    _feature("card_months_paid_full_share_370d", mean(cards.paid >= cards.balance, where=cards.balance > 0, days=370),
             "Share of statements of 370 days paid in full", "近370天全额还款占比", "ratio", CARD_PAID),
    _feature("card_months_paid_short_share_370d", mean(cards.paid < cards.minimum_due, where=cards.minimum_due > 0, days=370),
             "Share of statements of 370 days on which less than the minimum was paid", "近370天还款低于最低额占比", "ratio",
             CARD_LATE, +1),
    _feature("card_months_dpd_nth2", nth_latest(cards.dpd, 2), "Days past due at the statement before the last",
             "倒数第二期账单逾期天数", "days", CARD_PAID),
    _feature("card_months_dpd_nth3", nth_latest(cards.dpd, 3), "Days past due at the third last statement",
             "倒数第三期账单逾期天数", "days", CARD_PAID),
    _feature("card_months_dpd_change", feature("card_months_dpd_last") - feature("card_months_dpd_nth3"),
             "Days past due at the last statement less those at the third last", "最近一期与倒数第三期逾期天数之差", "days", CARD_PAID),
    *(
        _feature(f"card_months_late{level}_count_370d", count(cards, where=cards.dpd >= level, days=370),
                 f"Statements {level} days past due or more within 370 days", f"近370天逾期{level}天及以上账单数", "count", CARD_LATE, +1)
        for level in (30, 60, 90)
    ),
    _feature("card_months_late_streak", streak(cards.dpd > 0), "Statements in a row past due, up to the latest",
             "截至最近连续逾期账单数", "count", CARD_LATE, +1),
    _feature("card_months_late_streak_max", longest_streak(cards.dpd > 0), "Most statements in a row past due", "最长连续逾期账单数",
             "count", CARD_LATE, +1),
    _feature("card_months_late_days_since", days_since(cards, where=cards.dpd > 0), "Days since a statement past due",
             "距最近逾期账单天数", "days", CARD_PAID, missing="no statement past due, or the source is absent"),
    _feature("card_months_and_bureau_to_income",
             ratio(sum_of_known(feature("card_months_balance_last"), feature("tradelines_unsecured_sum")),
                   feature("application_income_monthly")),
             "Debt on the card and unsecured debt elsewhere, in monthly incomes", "信用卡与征信无抵押负债合计收入比", "ratio", TIGHT, +1),
)

FEATURES: tuple[Feature, ...] = (*TRANSACTION_FEATURES, *CARD_FEATURES)
