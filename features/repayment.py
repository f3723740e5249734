"""Features of the customer's own loans with the lender: what was granted, what fell due, what was paid and when."""

from __future__ import annotations

from typing import Literal

from data_contracts.tables import PAYMENTS
from features.algebra import (
    Aggregate,
    Child,
    Feature,
    Node,
    Reason,
    as_of,
    count,
    days_between,
    days_since,
    feature,
    first,
    latest,
    maximum,
    mean,
    slope,
    source,
    std,
    total,
    when,
)

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

PUNCTUALITY = Reason("R60", "Late payments on earlier loans", "历史贷款还款逾期")
UNPAID = Reason("R61", "Amounts due are unpaid", "存在未还清的到期款项")
REFUSALS = Reason("R62", "Earlier applications were refused or withdrawn", "此前申请被拒或取消")
RELATION = Reason("R63", "Short relation with the lender", "与本机构合作时间较短")
STRAIN = Reason("R64", "Instalments weigh heavily", "还款负担较重")
FIRST = Reason("R65", "The first instalments were paid late", "首期还款逾期")


def _feature(
    name: str, value: Aggregate | Node, en: str, zh: str, unit: str, reason: Reason, risk: Literal[-1, 0, 1] = 0
) -> Feature:
    return Feature(name, value, en, zh, unit, reason, "repayment", risk)


_granted = loans.status.isin(["granted", "closed"])
_refused = loans.status == "refused"

LOAN_FEATURES = (
    _feature("loans_count", count(loans), "Earlier requests for loans", "历史申请次数", "count", RELATION),
    _feature("loans_granted_count", count(loans, where=_granted), "Loans granted", "历史放款次数", "count", RELATION),
    _feature("loans_refused_count", count(loans, where=_refused), "Requests refused", "历史被拒次数", "count", REFUSALS, +1),
    _feature("loans_refused_share", mean(_refused), "Share of requests refused", "被拒比例", "ratio", REFUSALS, +1),
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
                 f"Share of instalments paid late in {days} days", f"近{days}天逾期期数占比", "ratio", PUNCTUALITY, +1)
        for days in (90, 365)
    ),
    _feature("instalments_late30_count", count(instalments, where=_days_late > 30), "Instalments over 30 days late",
             "逾期30天以上期数", "count", PUNCTUALITY, +1),
    _feature("instalments_early_days_mean", mean(_days_late, where=_settled), "Mean days from due date to payment",
             "平均还款偏移天数", "days", PUNCTUALITY),
    _feature("instalments_early_days_std", std(_days_late, where=_settled), "Volatility of the day of payment",
             "还款日波动", "days", PUNCTUALITY),
    _feature("instalments_early_days_slope_365d", slope(_days_late, where=_settled, days=365),
             "Trend of the day of payment over 365 days", "近365天还款日趋势", "days/month", PUNCTUALITY),
    _feature("instalments_dpd_last", latest(_late), "Days late of the last instalment", "最近一期逾期天数", "days",
             PUNCTUALITY, +1),
    _feature("instalments_dpd_last3_mean", mean(_late, last=3), "Mean days late of the last three instalments",
             "最近三期平均逾期天数", "days", PUNCTUALITY, +1),
    _feature("instalments_first_dpd", first(_late), "Days late of the very first instalment", "首期逾期天数", "days", FIRST,
             +1),
    _feature("instalments_first_late_count", count(instalments, where=(instalments.number == 1) & (_days_late > 3)),
             "Loans of which the first instalment was late", "首期逾期贷款数", "count", FIRST, +1),
    _feature("instalments_unpaid_count", count(instalments, where=~_settled), "Instalments due and unpaid",
             "到期未还期数", "count", UNPAID, +1),
    _feature("instalments_unpaid_sum", total(_unpaid), "Amount due and unpaid", "到期未还金额", "CNY", UNPAID, +1),
    _feature("instalments_paid_share_365d", mean((instalments.paid / instalments.amount_due).clip(0, 2), days=365),
             "Mean share paid of what was due, 365 days", "近365天还款比例", "ratio", UNPAID, -1),
    _feature("instalments_partial_share", mean((instalments.paid > 0) & ~_settled), "Share of instalments paid in part",
             "部分还款占比", "ratio", UNPAID),
    _feature("instalments_due_days_since", days_since(instalments), "Days since an instalment fell due",
             "距最近到期日天数", "days", RELATION),
    _feature("payments_count_180d", count(payments, days=180), "Payments in the last 180 days", "近180天还款次数", "count",
             RELATION),
    _feature("payments_amount_sum_365d", total(payments.amount, days=365), "Paid in the last 365 days",
             "近365天还款金额", "CNY", RELATION),
    _feature("payments_days_since", days_since(payments), "Days since the last payment", "距最近还款天数", "days",
             RELATION),
)

FEATURES: tuple[Feature, ...] = (*LOAN_FEATURES, *INSTALMENT_FEATURES)
