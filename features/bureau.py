"""Features of the credit bureau's records: accounts elsewhere, their months, and who asked."""

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
    days_since_first,
    distinct,
    feature,
    latest,
    maximum,
    mean,
    minimum,
    slope,
    source,
    std,
    total,
    when,
)

tradelines = source("tradelines", "tradelines", "bureau")
months = source("tradeline_months", "tradeline_months", "bureau")
inquiries = source("inquiries", "inquiries", "bureau")

EXPOSURE = Reason("R20", "High debt at other lenders", "其他机构负债较高")
HISTORY = Reason("R21", "Short or thin credit history", "信用记录较短或较少")
OVERDUE = Reason("R22", "Late payments at other lenders", "在其他机构有逾期")
SEEKING = Reason("R23", "Many credit inquiries in a short time", "短期内征信查询频繁")
NEW_CREDIT = Reason("R24", "Several accounts opened recently", "近期新开账户较多")
MIX = Reason("R25", "Kinds of credit used", "信贷种类结构")


def _feature(
    name: str, value: Aggregate | Node, en: str, zh: str, unit: str, reason: Reason, risk: Literal[-1, 0, 1] = 0
) -> Feature:
    return Feature(name, value, en, zh, unit, reason, "bureau", risk)


_active = tradelines.status == "active"
_closed = tradelines.status == "closed"
_KINDS = {
    "mortgage": "住房贷款",
    "car": "汽车贷款",
    "card": "信用卡",
    "consumer": "消费贷款",
    "cash": "现金贷款",
    "business": "经营贷款",
    "microloan": "小额贷款",
}
_left = days_between(as_of, tradelines.due_at)
_used = tradelines.balance / tradelines.amount
_limit_used = tradelines.balance / tradelines.credit_limit

TRADELINE_FEATURES = (
    _feature("tradelines_count", count(tradelines), "Accounts at other lenders", "其他机构账户数", "count", HISTORY),
    _feature("tradelines_active_count", count(tradelines, where=_active), "Open accounts", "未结清账户数", "count", EXPOSURE),
    _feature("tradelines_closed_count", count(tradelines, where=_closed), "Closed accounts", "已结清账户数", "count", HISTORY),
    _feature("tradelines_bad_count", count(tradelines, where=tradelines.status.isin(["bad", "sold"])),
             "Accounts sold or written off", "呆账或转让账户数", "count", OVERDUE, +1),
    _feature("tradelines_active_share", mean(_active), "Share of accounts that are open", "未结清账户占比", "ratio", EXPOSURE),
    _feature("tradelines_kind_distinct", distinct(tradelines.kind), "Kinds of credit used", "信贷种类数", "count", MIX),
    *(
        _feature(f"tradelines_{kind}_count", count(tradelines, where=tradelines.kind == kind),
                 f"Accounts of kind {kind}", f"{zh}账户数", "count", MIX)
        for kind, zh in _KINDS.items()
    ),
    *(
        _feature(f"tradelines_opened_count_{days}d", count(tradelines, days=days),
                 f"Accounts opened in the last {days} days", f"近{days}天新开账户数", "count", NEW_CREDIT)
        for days in (90, 180, 365, 730)
    ),
    _feature("tradelines_microloan_count_365d", count(tradelines, where=tradelines.kind == "microloan", days=365),
             "Microloans opened in the last 365 days", "近365天小额贷款开户数", "count", NEW_CREDIT),
    _feature("tradelines_opened_days_since", days_since(tradelines), "Days since an account was opened",
             "距最近开户天数", "days", NEW_CREDIT),
    _feature("tradelines_age_days", days_since_first(tradelines), "Age of the credit history", "信用历史长度", "days",
             HISTORY),
    _feature("tradelines_active_age_days", days_since_first(tradelines, where=_active), "Age of the oldest open account",
             "最早未结清账户时长", "days", HISTORY),
    _feature("tradelines_age_mean", mean(days_between(tradelines.occurred_at, as_of)), "Mean age of the accounts",
             "账户平均时长", "days", HISTORY),
    _feature("tradelines_amount_sum", total(tradelines.amount), "Credit granted elsewhere", "其他机构授信总额", "CNY",
             EXPOSURE),
    _feature("tradelines_amount_max", maximum(tradelines.amount), "Largest credit granted", "最大单笔授信", "CNY", MIX),
    _feature("tradelines_amount_mean", mean(tradelines.amount), "Mean credit granted", "平均授信金额", "CNY", MIX),
    _feature("tradelines_active_amount_sum", total(tradelines.amount, where=_active), "Credit granted on open accounts",
             "未结清账户授信总额", "CNY", EXPOSURE),
    _feature("tradelines_balance_sum", total(tradelines.balance, where=_active), "Debt outstanding elsewhere",
             "其他机构未偿余额", "CNY", EXPOSURE),
    _feature("tradelines_balance_max", maximum(tradelines.balance), "Largest debt outstanding", "最大单笔未偿余额", "CNY",
             EXPOSURE),
    _feature("tradelines_balance_to_amount", feature("tradelines_balance_sum") / feature("tradelines_active_amount_sum"),
             "Share of open credit that is still owed", "未偿余额占授信比例", "ratio", EXPOSURE, +1),
    _feature("tradelines_used_mean", mean(_used.clip(0, 5), where=_active), "Mean share still owed per open account",
             "账户平均未偿比例", "ratio", EXPOSURE),
    _feature("tradelines_card_used_max", maximum(_limit_used.clip(0, 5), where=tradelines.kind == "card"),
             "Highest utilisation of a card elsewhere", "他行信用卡最高使用率", "ratio", EXPOSURE),
    _feature("tradelines_card_balance_sum", total(tradelines.balance, where=tradelines.kind == "card"),
             "Card debt elsewhere", "他行信用卡余额", "CNY", EXPOSURE),
    _feature("tradelines_instalment_sum", total(tradelines.instalment_monthly, where=_active),
             "Monthly instalments elsewhere", "其他机构月供合计", "CNY", EXPOSURE),
    _feature("tradelines_balance_to_income",
             feature("tradelines_balance_sum") / feature("application_income_monthly"),
             "Debt elsewhere in monthly incomes", "负债收入比", "ratio", EXPOSURE, +1),
    _feature("tradelines_balance_to_requested",
             feature("tradelines_balance_sum") / feature("application_amount_requested"),
             "Debt elsewhere to the amount asked for", "未偿余额与申请金额之比", "ratio", EXPOSURE),
    _feature("tradelines_instalment_to_income",
             feature("tradelines_instalment_sum") / feature("application_income_monthly"),
             "Instalments elsewhere to monthly income", "他行月供收入比", "ratio", EXPOSURE, +1),
    _feature("tradelines_overdue_sum", total(tradelines.overdue_amount), "Overdue elsewhere", "当前逾期金额", "CNY",
             OVERDUE, +1),
    _feature("tradelines_overdue_max_max", maximum(tradelines.overdue_amount_max), "Highest overdue ever",
             "历史最高逾期金额", "CNY", OVERDUE, +1),
    _feature("tradelines_overdue_max_mean", mean(tradelines.overdue_amount_max), "Mean of the highest overdue per account",
             "账户最高逾期均值", "CNY", OVERDUE),
    _feature("tradelines_overdue_days_max", maximum(tradelines.overdue_days), "Most days past due at the report",
             "当前最大逾期天数", "days", OVERDUE, +1),
    _feature("tradelines_overdue_count", count(tradelines, where=tradelines.overdue_days > 0), "Accounts past due",
             "当前逾期账户数", "count", OVERDUE, +1),
    _feature("tradelines_prolonged_sum", total(tradelines.prolonged_count), "Times credit was prolonged", "展期次数",
             "count", OVERDUE),
    _feature("tradelines_left_days_mean", mean(_left, where=_active), "Mean days left on open accounts",
             "未结清账户平均剩余天数", "days", EXPOSURE),
    _feature("tradelines_left_days_max", maximum(_left, where=_active), "Most days left on an open account",
             "未结清账户最长剩余天数", "days", EXPOSURE),
    _feature("tradelines_closed_days_min", minimum(days_between(tradelines.closed_at, as_of), where=_closed),
             "Days since an account was closed", "距最近结清天数", "days", HISTORY),
    _feature("tradelines_closed_early_days_mean",
             mean(days_between(tradelines.closed_at, tradelines.due_at), where=_closed),
             "Mean days closed before the due date", "平均提前结清天数", "days", HISTORY),
    _feature("tradelines_duration_days_mean",
             mean(days_between(tradelines.occurred_at, tradelines.closed_at), where=_closed),
             "Mean days from opening to closing", "平均用信天数", "days", HISTORY),
    _feature("tradelines_amount_slope", slope(tradelines.amount), "Trend of the credit granted a month", "授信金额月趋势",
             "CNY/month", NEW_CREDIT),
    _feature("tradelines_amount_last", latest(tradelines.amount), "Credit granted by the newest account",
             "最近账户授信金额", "CNY", NEW_CREDIT),
)

_late = months.overdue_bucket > 0
_BUCKETS = {1: "逾期", 2: "逾期30天以上"}

MONTH_FEATURES = (
    _feature("tradeline_months_count", count(months), "Account months reported", "账户月记录数", "count", HISTORY),
    _feature("tradeline_months_account_distinct", distinct(months.tradeline_id), "Accounts with monthly records",
             "有月度记录的账户数", "count", HISTORY),
    _feature("tradeline_months_closed_share", mean(months.status == "closed"), "Share of months after closing",
             "结清后月份占比", "ratio", HISTORY),
    _feature("tradeline_months_unknown_share", mean(months.status == "unknown"), "Share of months of unknown state",
             "状态未知月份占比", "ratio", HISTORY),
    _feature("tradeline_months_late_share", mean(_late, where=months.status == "open"), "Share of open months past due",
             "未结清月份逾期占比", "ratio", OVERDUE, +1),
    *(
        _feature(f"tradeline_months_late{level}_count_{days}d",
                 count(months, where=months.overdue_bucket >= level, days=days),
                 f"Account months in overdue bucket {level} or worse in the last {days} days",
                 f"近{days}天{zh}月数", "count", OVERDUE, +1)
        for level, zh in _BUCKETS.items()
        for days in (90, 180, 365, 730)
    ),
    *(
        _feature(f"tradeline_months_bucket_max_{days}d", maximum(months.overdue_bucket, days=days),
                 f"Worst overdue bucket in the last {days} days", f"近{days}天最差逾期档", "bucket", OVERDUE, +1)
        for days in (180, 365, 1460)
    ),
    _feature("tradeline_months_bucket_mean_365d", mean(months.overdue_bucket, days=365),
             "Mean overdue bucket in the last 365 days", "近365天平均逾期档", "bucket", OVERDUE, +1),
    _feature("tradeline_months_late_days_since", days_since(months, where=_late), "Days since a month past due",
             "距最近逾期天数", "days", OVERDUE),
    _feature("tradeline_months_bucket_slope_365d", slope(months.overdue_bucket, days=365),
             "Trend of the overdue bucket over 365 days", "近365天逾期档趋势", "bucket/month", OVERDUE),
    _feature("tradeline_months_balance_mean_90d", mean(months.balance, days=90), "Mean debt per account month, 90 days",
             "近90天账户月均余额", "CNY", EXPOSURE),
    _feature("tradeline_months_balance_slope_365d", slope(months.balance, days=365), "Trend of the debt over 365 days",
             "近365天余额趋势", "CNY/month", EXPOSURE),
    _feature("tradeline_months_balance_std_365d", std(months.balance, days=365), "Volatility of the debt over 365 days",
             "近365天余额波动", "CNY", EXPOSURE),
)

_NON_BANK = inquiries.institution_kind.isin(["consumer_finance", "microloan"])

INQUIRY_FEATURES = (
    *(
        _feature(f"inquiries_count_{days}d", count(inquiries, days=days), f"Credit inquiries in the last {days} days",
                 f"近{days}天征信查询次数", "count", SEEKING, +1)
        for days in (7, 30, 90, 180, 365)
    ),
    *(
        _feature(f"inquiries_loan_count_{days}d",
                 count(inquiries, where=inquiries.reason == "loan_approval", days=days),
                 f"Loan inquiries in the last {days} days", f"近{days}天贷款审批查询次数", "count", SEEKING, +1)
        for days in (30, 90, 180)
    ),
    *(
        _feature(f"inquiries_nonbank_count_{days}d", count(inquiries, where=_NON_BANK, days=days),
                 f"Inquiries by non-banks in the last {days} days", f"近{days}天非银机构查询次数", "count", SEEKING, +1)
        for days in (30, 180)
    ),
    _feature("inquiries_institution_distinct_90d", distinct(inquiries.institution, days=90),
             "Institutions that asked in the last 90 days", "近90天查询机构数", "count", SEEKING, +1),
    _feature("inquiries_institution_distinct_365d", distinct(inquiries.institution, days=365),
             "Institutions that asked in the last 365 days", "近365天查询机构数", "count", SEEKING, +1),
    _feature("inquiries_days_since", days_since(inquiries), "Days since the last inquiry", "距最近查询天数", "days", SEEKING),
    _feature("inquiries_velocity", feature("inquiries_count_30d") / feature("inquiries_count_180d"),
             "Share of the inquiries of 180 days that fell into the last 30", "近30天查询占近180天比例", "ratio", SEEKING),
    _feature("inquiries_per_opened_365d", feature("inquiries_count_365d") / (feature("tradelines_opened_count_365d") + 1),
             "Inquiries per account opened in 365 days", "近365天每开户查询次数", "ratio", SEEKING),
    _feature("bureau_thin_file",
             when(feature("tradelines_count").is_missing(), feature("tradelines_count"),
                  when(feature("tradelines_count") < 2, 1.0, 0.0)), "Fewer than two accounts elsewhere",
             "征信薄档", "flag", HISTORY),
)

FEATURES: tuple[Feature, ...] = (*TRADELINE_FEATURES, *MONTH_FEATURES, *INQUIRY_FEATURES)
