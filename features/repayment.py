"""Features of the customer's own loans with the lender: what was granted, what fell due, what was paid and when."""

from __future__ import annotations

from data_contracts.tables import PAYMENTS
from features.algebra import (
    Child,
    Feature,
    Reason,
    as_of,
    bucket,
    count,
    days_between,
    days_since,
    decayed_sum,
    distinct,
    feature,
    first,
    gap_std,
    latest,
    longest_gap,
    longest_streak,
    maximum,
    mean,
    ratio,
    slope,
    source,
    std,
    streak,
    total,
    when,
)
from features.declaring import below, declaring, sum_of_known

loans = source("loans", "loans", "repayment")
loan_months = source("loan_months", "loan_months", "repayment")
instalments = source(
    "instalments",
    "instalments",
    "repayment",
    time="due_at",
    child=Child(PAYMENTS, "instalment_id", {"paid": ("sum", "amount"), "paid_at": ("max", "occurred_at")}),
)
payments = source("payments", "payments", "repayment")

# What speaks against an applicant may be much or little of a thing; where no direction is demanded the words fit both.
PUNCTUALITY = Reason("R60", "Late payments on earlier loans", "历史贷款还款逾期")
UNPAID = Reason("R61", "Amounts due are or were not paid in full", "到期款项未足额偿还")
REFUSALS = Reason("R62", "Earlier requests and how they were decided", "此前申请次数与审批结果")
RELATION = Reason("R63", "Length and extent of the relation with the lender", "与本机构合作的时间与规模")
STRAIN = Reason("R64", "Amounts and terms of loans with us", "本机构贷款的金额与条件")
FIRST = Reason("R65", "The first instalments were late", "首期还款逾期")
HABIT = Reason("R66", "Timing and manner of earlier repayments", "历史还款的时间与方式")
BURDEN = Reason("R67", "Instalments weigh heavily on the income", "还款负担相对收入较重")
REFUSED = Reason("R68", "Earlier requests were refused", "此前申请被拒")

_feature = declaring("repayment")

_granted = loans.status.isin(["granted", "closed"])
_refused = loans.status == "refused"
_running = loans.status == "granted"

LOAN_FEATURES = (
    _feature("loans_count", count(loans), "Earlier requests for loans", "历史申请次数", "count", RELATION),
    _feature("loans_granted_count", count(loans, where=_granted), "Loans granted", "历史放款次数", "count", RELATION),
    _feature("loans_refused_count", count(loans, where=_refused), "Requests refused", "历史被拒次数", "count", REFUSED, +1),
    _feature("loans_refused_share", mean(_refused), "Share of requests refused", "被拒比例", "ratio", REFUSED, +1),
    _feature("loans_cancelled_share", mean(loans.status.isin(["cancelled", "unused"])), "Share of requests withdrawn",
             "取消比例", "ratio", REFUSALS),
    _feature("loans_closed_count", count(loans, where=loans.status == "closed"), "Loans repaid", "已结清笔数", "count",
             RELATION),
    _feature("loans_days_since", days_since(loans), "Days since the last request", "距最近申请天数", "days", RELATION),
    _feature("loans_refused_days_since", days_since(loans, where=_refused), "Days since the last refusal",
             "距最近被拒天数", "days", REFUSALS),
    _feature("loans_count_365d", count(loans, days=365), "Requests in the last 365 days", "近365天申请次数", "count",
             REFUSALS),
    _feature("loans_principal_sum", total(loans.principal, where=_granted), "Principal granted so far", "累计放款金额",
             "CNY", RELATION),
    _feature("loans_principal_max", maximum(loans.principal, where=_granted), "Largest principal granted",
             "最大放款金额", "CNY", RELATION),
    _feature("loans_principal_last", latest(loans.principal, where=_granted), "Principal of the last loan",
             "最近放款金额", "CNY", RELATION),
    _feature("loans_granted_to_requested", mean((loans.principal / loans.amount_requested).clip(0, 5)),
             "Mean share granted of what was asked for", "批复金额比例", "ratio", REFUSALS),
    _feature("loans_down_payment_mean", mean(loans.down_payment), "Mean down payment", "平均首付", "CNY", STRAIN),
    _feature("loans_rate_mean", mean(loans.annual_rate), "Mean interest a year", "平均年利率", "ratio", STRAIN),
    _feature("loans_term_mean", mean(loans.term_months), "Mean term", "平均期限", "months", STRAIN),
    _feature("loans_requested_to_last", feature("application_amount_requested") / feature("loans_principal_last"),
             "Amount asked for to the last principal", "申请金额与上次放款之比", "ratio", STRAIN),
    _feature("loans_instalment_mean", mean(loans.instalment_monthly), "Mean monthly instalment", "平均月供", "CNY", STRAIN),
    _feature("loans_active_count", count(loans, where=_running), "Loans with us that run", "本机构未结清贷款笔数", "count", RELATION),
    _feature("loans_active_principal_sum", total(loans.principal, where=_running), "Principal of the loans that run",
             "本机构未结清贷款本金", "CNY", STRAIN),
    _feature("loans_instalment_sum", total(loans.instalment_monthly, where=_running), "Monthly instalments of the loans that run",
             "本机构未结清贷款月供合计", "CNY", STRAIN),
    _feature("loans_instalment_to_income", feature("loans_instalment_sum") / feature("application_income_monthly"),
             "Instalments of the loans that run to monthly income", "本机构月供收入比", "ratio", STRAIN),
    _feature("loans_service_to_income",
             ratio(sum_of_known(sum_of_known(feature("loans_instalment_sum"), feature("tradelines_instalment_sum")),
                                feature("application_instalment_monthly")), feature("application_income_monthly")),
             "All instalments, with us, elsewhere and the one asked for, to monthly income", "本机构、他行及本次月供合计收入比",
             "ratio", BURDEN, +1),
    _feature("loans_requested_to_mean",
             ratio(feature("application_amount_requested"), mean(loans.amount_requested)),
             "Amount asked for to the mean of earlier requests", "本次与历史平均申请金额之比", "ratio", STRAIN),
    _feature("loans_rate_last", latest(loans.annual_rate), "Interest a year of the last loan", "最近一笔年利率", "ratio", STRAIN),
    _feature("loans_gap_max", longest_gap(loans), "Longest time between requests", "最长申请间隔", "days", RELATION),
    _feature("loans_refused_count_180d", count(loans, where=_refused, days=180), "Requests refused in the last 180 days",
             "近180天被拒次数", "count", REFUSED, +1),
    _feature("loans_refused_share_180d", mean(_refused, days=180), "Share of the requests of 180 days that were refused",
             "近180天被拒比例", "ratio", REFUSED, +1),
    _feature("loans_refused_streak", streak(_refused), "Requests refused in a row, up to the latest", "截至最近连续被拒次数", "count",
             REFUSED, +1),
    _feature("loan_months_dpd_last", latest(loan_months.dpd), "Days past due in the last month", "最近一月逾期天数", "days",
             PUNCTUALITY, +1),
    _feature("loan_months_late30_count_365d", count(loan_months, where=loan_months.dpd >= 30, days=365),
             "Months 30 days past due or more within 365 days", "近365天逾期30天及以上月数", "count", PUNCTUALITY, +1),
    _feature("loan_months_late_streak", streak(loan_months.dpd > 0), "Months in a row past due, up to the latest",
             "截至最近连续逾期月数", "count", PUNCTUALITY, +1),
    _feature("loan_months_late_streak_max", longest_streak(loan_months.dpd > 0), "Most months in a row past due",
             "最长连续逾期月数", "count", PUNCTUALITY, +1),
    _feature("loan_months_dpd_max", maximum(loan_months.dpd), "Most days past due in a month", "月度最大逾期天数", "days",
             PUNCTUALITY, +1),
    _feature("loan_months_dpd_max_365d", maximum(loan_months.dpd, days=365), "Most days past due in a month of 365 days",
             "近365天月度最大逾期天数", "days", PUNCTUALITY, +1),
    _feature("loan_months_late_share", mean(loan_months.dpd > 0), "Share of months past due", "本机构贷款逾期月份占比", "ratio",
             PUNCTUALITY, +1),
    _feature("loan_months_left_last", latest(loan_months.instalments_left), "Instalments still to come",
             "剩余期数", "count", STRAIN),
    _feature("loan_months_count", count(loan_months), "Months on book", "在账月数", "count", RELATION),
)

_settled = instalments.paid >= instalments.amount_due
_days_late = days_between(instalments.due_at, when(_settled, instalments.paid_at, as_of))
_late = _days_late.clip(low=0)
_first = instalments.number == 1
_unpaid = (instalments.amount_due - instalments.paid).clip(low=0)

INSTALMENT_FEATURES = (
    _feature("instalments_count", count(instalments), "Instalments that fell due", "到期期数", "count", RELATION),
    _feature("instalments_amount_sum_365d", total(instalments.amount_due, days=365), "Due in the last 365 days",
             "近365天应还金额", "CNY", STRAIN),
    *(
        _feature(f"instalments_dpd_max_{days}d", maximum(_late, days=days), f"Most days late in {days} days",
                 f"近{days}天最大逾期天数", "days", PUNCTUALITY, +1)
        for days in (90, 180, 365)
    ),
    *(
        _feature(f"instalments_dpd_mean_{days}d", mean(_late, days=days), f"Mean days late in {days} days",
                 f"近{days}天平均逾期天数", "days", PUNCTUALITY, +1)
        for days in (180, 365)
    ),
    *(
        _feature(f"instalments_late_share_{days}d", mean(_days_late > 1, days=days),
                 f"Share of instalments late by more than a day in {days} days (unpaid counted by days so far)",
                 f"近{days}天逾期超过1天期数占比（未还按至今天数计）", "ratio", PUNCTUALITY, +1)
        for days in (90, 365)
    ),
    _feature("instalments_late30_count", count(instalments, where=_days_late > 30), "Instalments over 30 days late",
             "逾期30天以上期数", "count", PUNCTUALITY, +1),
    _feature("instalments_early_days_mean", mean(_days_late, where=_settled),
             "Mean days from due date to payment, negative when early",
             "还款日与到期日之差均值（提前为负）", "days", HABIT),
    _feature("instalments_early_days_std", std(_days_late, where=_settled),
             "Volatility of the days from due date to payment", "还款日与到期日之差的波动", "days", HABIT),
    _feature("instalments_early_days_slope_365d", slope(_days_late, where=_settled, days=365),
             "Trend of the days from due date to payment over 365 days, negative as payments come earlier",
             "近365天还款日与到期日之差的趋势（越来越早为负）", "days/month", HABIT),
    _feature("instalments_dpd_last", latest(_late), "Days late of the last instalment", "最近一期逾期天数", "days",
             PUNCTUALITY, +1),
    _feature("instalments_dpd_last3_mean", mean(_late, last=3), "Mean days late of the last three instalments",
             "最近三期平均逾期天数", "days", PUNCTUALITY, +1),
    _feature("instalments_first_dpd", first(_late), "Days late of the very first instalment", "首期逾期天数", "days", FIRST,
             +1),
    _feature("instalments_first_late_count", count(instalments, where=_first & (_days_late > 3)),
             "Loans of which the first instalment was late", "首期逾期贷款数", "count", FIRST, +1),
    _feature("instalments_unpaid_count", count(instalments, where=~_settled), "Instalments due and unpaid",
             "到期未还期数", "count", UNPAID, +1),
    _feature("instalments_unpaid_sum", total(_unpaid), "Amount due and unpaid", "到期未还金额", "CNY", UNPAID, +1),
    _feature("instalments_paid_share_365d", mean((instalments.paid / instalments.amount_due).clip(0, 2), days=365),
             "Mean share paid of what was due, 365 days", "近365天还款比例", "ratio", UNPAID, -1),
    _feature("instalments_partial_share", mean((instalments.paid > 0) & ~_settled), "Share of instalments paid in part",
             "部分还款占比", "ratio", HABIT),
    _feature("instalments_due_days_since", days_since(instalments), "Days since an instalment fell due",
             "距最近到期日天数", "days", RELATION),
    _feature("instalments_early_share_365d", mean(_days_late < -3, where=_settled, days=365),
             "Share of settled instalments paid over 3 days early, 365 days", "近365天提前3天以上还款占比", "ratio", HABIT),
    _feature("instalments_early_days_mean_90d", mean(_days_late, where=_settled, days=90),
             "Mean days from due date to payment, negative when early, 90 days",
             "近90天还款日与到期日之差均值（提前为负）", "days", HABIT),
    _feature("instalments_late30_share_365d", mean(_days_late > 30, days=365),
             "Share of instalments over 30 days late, 365 days", "近365天逾期30天以上期数占比", "ratio", PUNCTUALITY, +1),
    _feature("instalments_late60_count", count(instalments, where=_days_late > 60), "Instalments over 60 days late",
             "逾期60天以上期数", "count", PUNCTUALITY, +1),
    _feature("instalments_dpd_change", feature("instalments_dpd_last3_mean") - feature("instalments_dpd_mean_365d"),
             "Mean days late of the last three instalments less that of 365 days", "最近三期与近365天平均逾期天数之差", "days", HABIT),
    _feature("instalments_dpd_decayed", decayed_sum(_late, half_life=180),
             "Days late of all instalments, halved in weight each 180 days", "时间衰减加权逾期天数", "days", PUNCTUALITY, +1),
    _feature("instalments_late_streak", streak(_days_late > 1),
             "Instalments in a row late by more than a day, up to the latest (unpaid counted by days so far)",
             "截至最近连续逾期超过1天期数（未还按至今天数计）", "count", PUNCTUALITY, +1),
    _feature("instalments_late_streak_max_730d", longest_streak(_days_late > 1, days=730),
             "Most instalments in a row late by more than a day within 730 days (unpaid counted by days so far)",
             "近730天最长连续逾期超过1天期数（未还按至今天数计）", "count", PUNCTUALITY, +1),
    _feature("instalments_first_late_share", mean(_days_late > 3, where=_first),
             "Share of loans of which the first instalment was over 3 days late", "首期逾期3天以上贷款占比", "ratio", FIRST, +1),
    _feature("instalments_first_days_mean", mean(_days_late, where=_first & _settled),
             "Mean days from due date to payment of first instalments, negative when early",
             "首期还款日与到期日之差均值（提前为负）", "days", HABIT),
    _feature("instalments_first_unpaid_count", count(instalments, where=_first & ~_settled), "First instalments due and unpaid",
             "首期到期未还贷款数", "count", FIRST, +1),
    _feature("instalments_first3_late_share", mean(_days_late > 1, where=instalments.number <= 3),
             "Share of the first three instalments late by more than a day (unpaid counted by days so far)",
             "前三期逾期超过1天占比（未还按至今天数计）", "ratio", FIRST, +1),
    _feature("instalments_unpaid_dpd_max", maximum(_late, where=~_settled), "Most days past due of what is unpaid",
             "未还款项最大逾期天数", "days", UNPAID, +1, missing="nothing is due and unpaid, or the source is absent"),
    _feature("instalments_unpaid_bucket",
             bucket(when(feature("instalments_unpaid_count") == 0, 0.0, feature("instalments_unpaid_dpd_max")), 1, 30, 60, 90),
             "Ageing bucket of what is unpaid: 0 nothing, 1 from one day on, 4 from 90 days on", "未还款项逾期分档", "bucket", UNPAID, +1,
             missing="the source is absent"),
    _feature("instalments_unpaid_to_income", feature("instalments_unpaid_sum") / feature("application_income_monthly"),
             "Due and unpaid in monthly incomes", "到期未还金额收入比", "ratio", UNPAID, +1),
    _feature("instalments_due_to_income_90d",
             ratio(total(instalments.amount_due, days=90), feature("transactions_income_sum_90d")),
             "Due within 90 days to the money in of 90 days", "近90天应还与入账之比", "ratio", STRAIN),
    _feature("instalments_thin_file",
             below(feature("instalments_count"), 3), "Fewer than three instalments fell due", "还款薄档", "flag",
             RELATION, missing="the source is absent"),
    _feature("payments_amount_mean_365d", mean(payments.amount, days=365), "Mean payment of 365 days", "近365天平均还款金额", "CNY",
             HABIT),
    _feature("payments_gap_std_365d", gap_std(payments, days=365), "Irregularity of the time between payments, 365 days",
             "近365天还款间隔波动", "days", HABIT),
    _feature("payments_per_instalment",
             ratio(count(payments, where=~payments.instalment_id.is_missing(), days=365), distinct(payments.instalment_id, days=365)),
             "Payments per instalment paid in 365 days", "近365天每期还款笔数", "ratio", HABIT,
             missing="nothing was paid in 365 days, or the source is absent"),
    _feature("payments_to_due_365d", ratio(feature("payments_amount_sum_365d"), feature("instalments_amount_sum_365d")),
             "Paid to due over 365 days", "近365天还款与应还之比", "ratio", HABIT,
             missing="nothing fell due in 365 days, or a source is absent"),
    _feature("payments_count_180d", count(payments, days=180), "Payments in the last 180 days", "近180天还款次数", "count",
             RELATION),
    _feature("payments_amount_sum_365d", total(payments.amount, days=365), "Paid in the last 365 days",
             "近365天还款金额", "CNY", RELATION),
    _feature("payments_days_since", days_since(payments), "Days since the last payment", "距最近还款天数", "days",
             RELATION),
)

FEATURES: tuple[Feature, ...] = (*LOAN_FEATURES, *INSTALMENT_FEATURES)
