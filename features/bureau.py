"""Features of the credit bureau's records: accounts elsewhere, their months, and who asked."""

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
    decayed_sum,
    distinct,
    entropy,
    feature,
    gap_std,
    latest,
    longest_gap,
    longest_streak,
    maximum,
    mean,
    minimum,
    per_category,
    ratio,
    share,
    slope,
    source,
    std,
    streak,
    total,
    when,
)
from features.declaring import below, declaring

tradelines = source("tradelines", "tradelines", "bureau")
months = source("tradeline_months", "tradeline_months", "bureau")
inquiries = source("inquiries", "inquiries", "bureau")

# What speaks against an applicant may be much or little of a thing; where no direction is demanded the words fit both.
EXPOSURE = Reason("R20", "Debt and open accounts at other lenders", "其他机构的负债与未结清账户情况")
HISTORY = Reason("R21", "Length and extent of the credit history", "信用记录的长短与多少")
OVERDUE = Reason("R22", "Late payments at other lenders", "在其他机构有逾期")
SEEKING = Reason("R23", "Number and kind of credit inquiries", "征信查询的次数与类型")
NEW_CREDIT = Reason("R24", "Accounts opened recently", "近期新开账户情况")
MIX = Reason("R25", "Kinds of credit used", "信贷种类结构")
BURDEN = Reason("R26", "High debt for the income", "负债相对收入偏高")
LIMITS = Reason("R27", "Limits of cards at other lenders are largely used", "他行信用卡额度使用率较高")
RUSH = Reason("R28", "Many applications for credit in a short time", "短期内申请信贷频繁")
COURSE = Reason("R29", "Course of the payments at other lenders", "在其他机构还款状况的变化")
LATENESS = Reason("R30", "How long ago and how payments at other lenders were late, if ever", "在其他机构逾期（如有）的距今时间与程度")

_feature = declaring("bureau")

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
_granted = tradelines.amount.coalesce(tradelines.credit_limit)
_used = tradelines.balance / tradelines.amount
_limit_used = tradelines.balance / tradelines.credit_limit
_card = tradelines.kind == "card"
_open_card = _active & _card & (tradelines.credit_limit > 0)
_secured = tradelines.kind.isin(["mortgage", "car"])

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
    _feature("tradelines_balance_to_amount", ratio(feature("tradelines_balance_sum"), total(_granted, where=_active)),
             "Share of open credit that is still owed", "未偿余额占授信比例", "ratio", EXPOSURE),
    _feature("tradelines_used_mean", mean(_used.clip(0, 5), where=_active), "Mean share still owed per open account",
             "账户平均未偿比例", "ratio", EXPOSURE),
    _feature("tradelines_card_used_max", maximum(_limit_used.clip(0, 5), where=tradelines.kind == "card"),
             "Highest utilisation of a card elsewhere", "他行信用卡最高使用率", "ratio", LIMITS, +1),
    _feature("tradelines_card_balance_sum", total(tradelines.balance, where=tradelines.kind == "card"),
             "Card debt elsewhere", "他行信用卡余额", "CNY", EXPOSURE),
    _feature("tradelines_instalment_sum", total(tradelines.instalment_monthly, where=_active),
             "Monthly instalments elsewhere", "其他机构月供合计", "CNY", EXPOSURE),
    _feature("tradelines_balance_to_income",
             feature("tradelines_balance_sum") / feature("application_income_monthly"),
             "Debt elsewhere in monthly incomes", "负债收入比", "ratio", BURDEN, +1),
    _feature("tradelines_balance_to_requested",
             feature("tradelines_balance_sum") / feature("application_amount_requested"),
             "Debt elsewhere to the amount asked for", "未偿余额与申请金额之比", "ratio", EXPOSURE),
    _feature("tradelines_instalment_to_income",
             feature("tradelines_instalment_sum") / feature("application_income_monthly"),
             "Instalments elsewhere to monthly income", "他行月供收入比", "ratio", BURDEN, +1),
    _feature("tradelines_overdue_sum", total(tradelines.overdue_amount), "Overdue elsewhere", "当前逾期金额", "CNY",
             OVERDUE, +1),
    _feature("tradelines_overdue_max_max", maximum(tradelines.overdue_amount_max), "Highest overdue ever",
             "历史最高逾期金额", "CNY", OVERDUE, +1),
    _feature("tradelines_overdue_max_mean", mean(tradelines.overdue_amount_max), "Mean of the highest overdue per account",
             "账户最高逾期均值", "CNY", OVERDUE, +1),
    _feature("tradelines_overdue_days_max", maximum(tradelines.overdue_days), "Most days past due at the report",
             "当前最大逾期天数", "days", OVERDUE, +1),
    _feature("tradelines_overdue_count", count(tradelines, where=tradelines.overdue_days > 0), "Accounts past due",
             "当前逾期账户数", "count", OVERDUE, +1),
    _feature("tradelines_prolonged_sum", total(tradelines.prolonged_count), "Times credit was prolonged", "展期次数",
             "count", EXPOSURE),
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
    _feature("tradelines_card_limit_sum", total(tradelines.credit_limit, where=_open_card), "Limits of open cards elsewhere",
             "他行未销户信用卡总额度", "CNY", EXPOSURE),
    _feature("tradelines_card_used_share",
             ratio(total(tradelines.balance, where=_open_card), feature("tradelines_card_limit_sum")),
             "Utilisation of all open cards elsewhere together", "他行信用卡总使用率", "ratio", LIMITS, +1),
    _feature("tradelines_card_used_bucket", bucket(feature("tradelines_card_used_share"), 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
             "Bucket of the utilisation of cards elsewhere: 0 below 10 %, 6 from 100 % on", "他行信用卡使用率分档", "bucket",
             LIMITS, +1),
    _feature("tradelines_card_over90_count", count(tradelines, where=_open_card & (_limit_used > 0.9)),
             "Open cards elsewhere that are used over 90 %", "使用率超过90%的他行信用卡数", "count", LIMITS, +1),
    _feature("tradelines_card_unused_count", count(tradelines, where=_open_card & (tradelines.balance <= 0)),
             "Open cards elsewhere without debt", "无余额的他行信用卡数", "count", EXPOSURE),
    _feature("tradelines_card_age_days", days_since_first(tradelines, where=_card), "Age of the first card elsewhere",
             "首张他行信用卡时长", "days", HISTORY),
    *(
        _feature(f"tradelines_{kind}_balance_sum", total(tradelines.balance, where=met), f"Debt outstanding of kind {kind}",
                 f"{_KINDS[kind]}余额", "CNY", EXPOSURE)
        for kind, met in per_category(tradelines.kind, *_KINDS) if kind != "card"
    ),
    _feature("tradelines_secured_share", share(_secured, of=tradelines.balance, where=_active),
             "Share of the debt elsewhere that is secured by a home or car", "抵押类负债占比", "ratio", MIX),
    _feature("tradelines_unsecured_sum", total(tradelines.balance, where=_active & ~_secured), "Unsecured debt elsewhere",
             "其他机构无抵押负债", "CNY", EXPOSURE),
    _feature("tradelines_kind_entropy", entropy(tradelines.kind), "Variety of the kinds of credit used", "信贷种类多样性",
             "nats", MIX),
    _feature("tradelines_microloan_share", share(tradelines.kind == "microloan"), "Share of microloans among accounts",
             "小额贷款账户占比", "ratio", MIX),
    _feature("tradelines_opened_gap_max", longest_gap(tradelines), "Longest time without opening an account",
             "最长未新开户间隔", "days", NEW_CREDIT),
    _feature("tradelines_opened_per_year",
             ratio(feature("tradelines_count") * 365.0, feature("tradelines_age_days").clip(low=90)),
             "Accounts opened a year of the credit history", "信用历史年均开户数", "count/year", NEW_CREDIT),
    _feature("tradelines_granted_sum_365d", total(_granted, days=365), "Credit granted elsewhere in the last 365 days",
             "近365天其他机构新增授信", "CNY", NEW_CREDIT),
    _feature("tradelines_late_ever_share", share(tradelines.overdue_amount_max > 0), "Share of accounts that were ever late",
             "曾逾期账户占比", "ratio", OVERDUE, +1),
)

_late = months.overdue_bucket > 0
_BUCKETS = {1: ("1 to 30 days", "1至30天"), 2: ("31 to 60 days", "31至60天"), 3: ("61 to 90 days", "61至90天")}

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
                 f"Account months in overdue bucket {level} ({en}) or worse in the last {days} days",
                 f"近{days}天逾期{level}档（{zh}）及以上账户月数", "count", OVERDUE, +1)
        for level, (en, zh) in _BUCKETS.items()
        for days in (90, 180, 365, 730)
    ),
    *(
        _feature(f"tradeline_months_bucket_max_{days}d", maximum(months.overdue_bucket, days=days),
                 f"Worst overdue bucket in the last {days} days", f"近{days}天最差逾期档", "bucket", OVERDUE, +1)
        for days in (90, 180, 365, 1460)
    ),
    _feature("tradeline_months_bucket_mean_365d", mean(months.overdue_bucket, days=365),
             "Mean overdue bucket in the last 365 days", "近365天平均逾期档", "bucket", OVERDUE, +1),
    _feature("tradeline_months_late_days_since", days_since(months, where=_late), "Days since a month past due",
             "距最近逾期天数", "days", LATENESS),
    _feature("tradeline_months_bucket_slope_365d", slope(months.overdue_bucket, days=365),
             "Trend of the overdue bucket over 365 days", "近365天逾期档趋势", "bucket/month", COURSE),
    _feature("tradeline_months_balance_mean_90d", mean(months.balance, days=90), "Mean debt per account month, 90 days",
             "近90天账户月均余额", "CNY", EXPOSURE),
    _feature("tradeline_months_balance_slope_365d", slope(months.balance, days=365), "Trend of the debt over 365 days",
             "近365天余额趋势", "CNY/month", EXPOSURE),
    _feature("tradeline_months_balance_std_365d", std(months.balance, days=365), "Volatility of the debt over 365 days",
             "近365天余额波动", "CNY", EXPOSURE),
    _feature("tradeline_months_late_recent_share",
             ratio(feature("tradeline_months_late1_count_90d"), feature("tradeline_months_late1_count_365d")),
             "Share of the late account months of 365 days that fell into the last 90", "近90天逾期月数占近365天比例", "ratio",
             LATENESS, missing="never late in 365 days, or the source is absent"),
    _feature("tradeline_months_roll_share",
             ratio(feature("tradeline_months_late2_count_365d"), feature("tradeline_months_late1_count_365d")),
             f"Share of the late account months of 365 days that were in bucket 2 ({_BUCKETS[2][0]}) or worse",
             f"近365天逾期账户月中2档（{_BUCKETS[2][1]}）及以上占比", "ratio", LATENESS,
             missing="never late in 365 days, or the source is absent"),
    _feature("tradeline_months_bucket_change",
             feature("tradeline_months_bucket_max_90d") - feature("tradeline_months_bucket_max_365d"),
             "Worst overdue bucket of 90 days less that of 365", "近90天与近365天最差逾期档之差", "bucket", COURSE),
    _feature("tradeline_months_late_balance_share", share(_late, of=months.balance, days=365),
             "Share of the debt of 365 days' account months that was past due", "近365天逾期月余额占比", "ratio", OVERDUE, +1),
    _feature("tradeline_months_late_account_distinct_365d", distinct(months.tradeline_id, where=_late, days=365),
             "Accounts that were past due within 365 days", "近365天有逾期的账户数", "count", OVERDUE, +1),
    _feature("tradeline_months_late_streak", streak(_late), "Account months in a row past due, up to the latest",
             "截至最近连续逾期账户月数", "count", OVERDUE, +1),
    _feature("tradeline_months_late_streak_max_730d", longest_streak(_late, days=730),
             "Most account months in a row past due within 730 days", "近730天最长连续逾期账户月数", "count", OVERDUE, +1),
    _feature("tradeline_months_balance_mean_365d", mean(months.balance, days=365),
             "Mean debt per account month, 365 days", "近365天账户月均余额", "CNY", EXPOSURE),
    _feature("tradeline_months_balance_growth",
             ratio(feature("tradeline_months_balance_mean_90d"), feature("tradeline_months_balance_mean_365d")),
             "Mean debt per account month of 90 days to that of 365", "近90天与近365天账户月均余额之比", "ratio", EXPOSURE),
    _feature("tradeline_months_balance_variation",
             ratio(feature("tradeline_months_balance_std_365d"), feature("tradeline_months_balance_mean_365d")),
             "Volatility of the debt over 365 days to its mean", "近365天余额变异系数", "ratio", EXPOSURE),
)

_SOUGHT = inquiries.reason.isin(["loan_approval", "card_approval"])
_REASONS = {"loan_approval": "贷款审批", "card_approval": "信用卡审批", "post_loan": "贷后管理", "guarantee": "担保审查", "self": "本人查询"}
_ASKERS = {"bank": "银行", "consumer_finance": "消费金融", "microloan": "小贷机构"}
_NON_BANK = inquiries.institution_kind.isin(["consumer_finance", "microloan"])

INQUIRY_FEATURES = (
    *(
        _feature(f"inquiries_count_{days}d", count(inquiries, days=days), f"Credit inquiries in the last {days} days",
                 f"近{days}天征信查询次数", "count", SEEKING)
        for days in (7, 30, 90, 180, 365)
    ),
    *(
        _feature(f"inquiries_loan_count_{days}d",
                 count(inquiries, where=inquiries.reason == "loan_approval", days=days),
                 f"Loan inquiries in the last {days} days", f"近{days}天贷款审批查询次数", "count", RUSH, +1)
        for days in (30, 90, 180)
    ),
    *(
        _feature(f"inquiries_nonbank_count_{days}d", count(inquiries, where=_NON_BANK, days=days),
                 f"Inquiries by non-banks in the last {days} days", f"近{days}天非银机构查询次数", "count", SEEKING)
        for days in (30, 180)
    ),
    _feature("inquiries_institution_distinct_90d", distinct(inquiries.institution, days=90),
             "Institutions that asked in the last 90 days", "近90天查询机构数", "count", SEEKING),
    _feature("inquiries_institution_distinct_365d", distinct(inquiries.institution, days=365),
             "Institutions that asked in the last 365 days", "近365天查询机构数", "count", SEEKING),
    _feature("inquiries_days_since", days_since(inquiries), "Days since the last inquiry", "距最近查询天数", "days", SEEKING),
    _feature("inquiries_velocity", feature("inquiries_count_30d") / feature("inquiries_count_180d"),
             "Share of the inquiries of 180 days that fell into the last 30", "近30天查询占近180天比例", "ratio", SEEKING),
    _feature("inquiries_per_opened_365d", feature("inquiries_count_365d") / (feature("tradelines_opened_count_365d") + 1),
             "Inquiries per account opened in 365 days", "近365天每开户查询次数", "ratio", SEEKING),
    *(
        _feature(f"inquiries_sought_count_{days}d", count(inquiries, where=_SOUGHT, days=days),
                 f"Inquiries for a loan or card in the last {days} days", f"近{days}天贷款与信用卡审批查询次数", "count", RUSH, +1)
        for days in (30, 90, 365)
    ),
    *(
        _feature(f"inquiries_microloan_count_{days}d",
                 count(inquiries, where=_SOUGHT & (inquiries.institution_kind == "microloan"), days=days),
                 f"Inquiries by microloan lenders asked for credit in the last {days} days",
                 f"近{days}天小贷机构审批查询次数", "count", RUSH, +1)
        for days in (30, 90, 180)
    ),
    *(
        _feature(f"inquiries_{kind}_share_180d", mean(met, days=180),
                 f"Share of inquiries by institutions of kind {kind}, 180 days", f"近180天{_ASKERS[kind]}查询占比", "ratio", SEEKING)
        for kind, met in per_category(inquiries.institution_kind, *_ASKERS)
    ),
    *(
        _feature(f"inquiries_{reason}_share_365d", mean(met, days=365),
                 f"Share of inquiries for the reason {reason.replace('_', ' ')}, 365 days", f"近365天{_REASONS[reason]}查询占比",
                 "ratio", SEEKING)
        for reason, met in per_category(inquiries.reason, *_REASONS)
    ),
    _feature("inquiries_sought_days_since", days_since(inquiries, where=_SOUGHT), "Days since the last inquiry for a loan or card",
             "距最近审批查询天数", "days", SEEKING),
    _feature("inquiries_sought_decayed", decayed_sum(when(_SOUGHT, 1.0, 0.0), half_life=30),
             "Inquiries for a loan or card, halved in weight each 30 days", "时间衰减加权审批查询次数", "count", RUSH, +1),
    _feature("inquiries_acceleration", feature("inquiries_count_30d") - feature("inquiries_count_90d") / 3.0,
             "Inquiries in 30 days less the mean of 30 days within 90", "近30天查询次数与近90天月均之差", "count", SEEKING),
    _feature("inquiries_velocity_quarter", feature("inquiries_count_90d") / feature("inquiries_count_365d"),
             "Share of the inquiries of 365 days that fell into the last 90", "近90天查询占近365天比例", "ratio", SEEKING,
             missing="no inquiry in 365 days, or the source is absent"),
    _feature("inquiries_kind_entropy_365d", entropy(inquiries.institution_kind, days=365),
             "Variety of the kinds of institutions that asked in 365 days", "近365天查询机构类型多样性", "nats", SEEKING),
    _feature("inquiries_gap_max_365d", longest_gap(inquiries, days=365), "Longest time between inquiries within 365 days",
             "近365天查询最长间隔", "days", SEEKING),
    _feature("inquiries_gap_std_365d", gap_std(inquiries, days=365), "Volatility of the time between inquiries, 365 days",
             "近365天查询间隔波动", "days", SEEKING),
    _feature("inquiries_sought_per_opened",
             feature("inquiries_sought_count_90d") / (feature("tradelines_opened_count_90d") + 1),
             "Inquiries for a loan or card per account opened in 90 days", "近90天每开户审批查询次数", "ratio", SEEKING),
    _feature("inquiries_unanswered",
             (feature("inquiries_sought_count_365d") - feature("tradelines_opened_count_365d")).clip(low=0),
             "Inquiries for a loan or card in 365 days beyond the accounts opened", "近365天审批查询超出新开账户的次数", "count",
             SEEKING),
    _feature("bureau_thin_file",
             below(feature("tradelines_count"), 2), "Fewer than two accounts elsewhere", "征信薄档", "flag", HISTORY,
             missing="the source is absent"),
)

FEATURES: tuple[Feature, ...] = (*TRADELINE_FEATURES, *MONTH_FEATURES, *INQUIRY_FEATURES)
