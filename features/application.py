"""Features of the application itself: what is asked for and what was declared."""

from __future__ import annotations

from data_contracts.tables import APPLICATIONS
from features.algebra import Feature, Node, Reason, as_of, bucket, feature, local_hour, ratio, when

# What speaks against an applicant may be much or little of a thing; where no direction is demanded the words fit both.
AFFORDABILITY = Reason("R01", "The amount or instalment asked for, measured by the declared income", "申请金额、月供与申报收入不相称")
TERMS = Reason("R02", "Terms of the loan asked for", "所申请贷款的金额与期限")
EMPLOYMENT = Reason("R03", "Kind and length of the employment", "就业类型与工作时长")
EXTERNAL = Reason("R04", "Score from outside sources is low or lacking", "外部评分偏低或缺少")
SCORES = Reason("R15", "Scores from outside sources", "外部评分的个数与水平")
STABILITY = Reason("R05", "Time at the present address, telephone or document", "居住、电话或证件信息的使用时间")
SITUATION = Reason("R06", "Housing, education and region", "居住、教育与地区情况")
CIRCLE = Reason("R07", "Credit of contacts", "联系人的信用情况")
QUERIES = Reason("R08", "Number of recent credit inquiries", "近期征信查询次数")
CONTACT = Reason("R09", "Completeness of contact details and documents", "联系方式与资料的完整程度")
CHANNEL = Reason("R10", "Product and time of the application", "申请产品与申请时间")
DEVICE = Reason("R11", "The device was used by several applicants", "同一设备有多人申请")
BUREAU_LATE = Reason("R12", "Late payments in the credit bureau's summary", "征信概要显示有逾期")
BUREAU_DEBT = Reason("R13", "Debt and accounts in the credit bureau's summary", "征信概要显示的负债与账户情况")
RECORDS = Reason("R14", "Number of sources with enough records to judge by", "可供评估的记录多少")

_NOT_DECLARED = "not declared"


def _column(name: str) -> Node:
    return Node("column", "applications", name)


def _declared(name: str, zh: str, unit: str, reason: Reason, risk: int = 0) -> Feature:
    """A declared column as it is."""
    return Feature(
        f"application_{name}",
        _column(name),
        APPLICATIONS.column(name).meaning,
        zh,
        unit,
        reason,
        "application",
        risk,  # type: ignore[arg-type]
        _NOT_DECLARED,
    )


def _derived(
    name: str, value: Node, en: str, zh: str, unit: str, reason: Reason, risk: int = 0, missing: str = _NOT_DECLARED
) -> Feature:
    return Feature(f"application_{name}", value, en, zh, unit, reason, "application", risk, missing)  # type: ignore[arg-type]


def _is(column: str, value: str, en: str, zh: str, reason: Reason) -> Feature:
    """Whether a declared category is `value`."""
    name = f"{column}_is_{value}"
    return _derived(name, _column(column) == value, en, zh, "flag", reason, missing="never missing")


_requested, _income = _column("amount_requested"), _column("income_monthly")
_instalment, _goods = _column("instalment_monthly"), _column("goods_price")
_scores = [_column(f"external_score_{k}") for k in (1, 2, 3)]
_scores_given = (~_scores[0].is_missing() + ~_scores[1].is_missing()) + ~_scores[2].is_missing()
_late_30, _late_60, _late_90 = _column("bureau_late_30_59"), _column("bureau_late_60_89"), _column("bureau_late_90")
_worth_declaring = ("income_monthly", "employed_months", "instalment_monthly", "phone_age_days")


def _undeclared(*names: str) -> Node:
    """How many of the columns are missing."""
    flags: list[Node] = [_column(name).is_missing() for name in names]
    found = flags[0] + flags[1]
    for flag in flags[2:]:
        found = found + flag
    return found


def _thin_files(*sources: str) -> Node:
    """How many sources have few records; one that is absent has none."""
    first, *others = (feature(f"{source}_thin_file").coalesce(1.0) for source in sources)
    found: Node = first
    for other in others:
        found = found + other
    return found


def _least(*values: Node) -> Node:
    """The least of the values there are; missing where all are. They lie between 0 and 1."""
    least = values[0].coalesce(2.0)
    for value in values[1:]:
        given = value.coalesce(2.0)
        least = when(given < least, given, least)
    return when(least < 2.0, least, values[0])


_scores_sum = _scores[0].coalesce(0.0) + _scores[1].coalesce(0.0) + _scores[2].coalesce(0.0)

FEATURES: tuple[Feature, ...] = (
    _declared("amount_requested", "申请金额", "CNY", TERMS),
    _declared("term_months", "申请期限", "months", TERMS),
    _declared("instalment_monthly", "每月应还", "CNY", AFFORDABILITY),
    _declared("goods_price", "所购商品价格", "CNY", TERMS),
    _declared("income_monthly", "申报月收入", "CNY", AFFORDABILITY),
    _declared("employed_months", "现职工作时间", "months", EMPLOYMENT),
    _declared("children_count", "子女数", "count", SITUATION),
    _declared("household_size", "家庭人数", "count", SITUATION),
    _declared("city_tier", "城市等级", "tier", SITUATION),
    _declared("region_rating", "地区风险评级", "rating", SITUATION),
    _declared("region_density", "地区人口密度", "ratio", SITUATION),
    _declared("owns_car", "有车", "flag", SITUATION),
    _declared("car_age_years", "车龄", "years", SITUATION),
    _declared("owns_home", "有房", "flag", SITUATION),
    _declared("works_elsewhere", "工作地与居住地不同", "flag", SITUATION),
    _declared("lives_elsewhere", "居住地与登记地不同", "flag", SITUATION),
    _declared("has_work_phone", "提供工作电话", "flag", CONTACT),
    _declared("has_email", "提供电子邮箱", "flag", CONTACT),
    _declared("documents_provided", "提交资料数", "count", CONTACT),
    _declared("identity_document_provided", "提交主要身份证件", "flag", CONTACT),
    _declared("identity_age_days", "证件变更距今天数", "days", STABILITY),
    _declared("registration_age_days", "登记变更距今天数", "days", STABILITY),
    _declared("phone_age_days", "电话变更距今天数", "days", STABILITY),
    _declared("external_score_1", "外部评分一", "ratio", EXTERNAL, -1),
    _declared("external_score_2", "外部评分二", "ratio", EXTERNAL, -1),
    _declared("external_score_3", "外部评分三", "ratio", EXTERNAL, -1),
    _declared("circle_observed_30d", "可观察联系人数", "count", CIRCLE),
    _declared("circle_defaults_30d", "逾期30天的联系人数", "count", CIRCLE),
    _declared("circle_defaults_60d", "逾期60天的联系人数", "count", CIRCLE),
    _declared("bureau_queries_week", "征信近一周查询次数", "count", QUERIES),
    _declared("bureau_queries_month", "征信近一月查询次数", "count", QUERIES),
    _declared("bureau_queries_quarter", "征信近一季查询次数", "count", QUERIES),
    _declared("bureau_queries_year", "征信近一年查询次数", "count", QUERIES),
    _declared("dwelling_area", "住所面积指数", "ratio", SITUATION),
    _declared("dwelling_floors", "楼层指数", "ratio", SITUATION),
    _declared("dwelling_age", "建造年份指数", "ratio", SITUATION),
    _derived("requested_to_income", _requested / _income, "Amount asked for in monthly incomes", "申请金额与月收入之比",
             "ratio", AFFORDABILITY),
    _derived("instalment_to_income", _instalment / _income, "Monthly instalment to monthly income", "月供收入比",
             "ratio", AFFORDABILITY, +1),
    _derived("requested_to_instalment", _requested / _instalment, "Amount asked for in monthly instalments",
             "申请金额与月供之比", "ratio", TERMS),
    _derived("requested_to_goods", _requested / _goods, "Amount asked for to the price of the goods",
             "申请金额与商品价格之比", "ratio", TERMS),
    _derived("requested_per_month", _requested / _column("term_months"), "Amount asked for a month of term",
             "每月期限申请金额", "CNY", TERMS),
    _derived("income_per_head", _income / _column("household_size"), "Monthly income per person of the household",
             "家庭人均月收入", "CNY", AFFORDABILITY),
    _derived("external_score_count", _scores_given, "Number of outside scores there are", "外部评分个数", "count", SCORES,
             missing="never missing"),
    _derived("external_score_mean", _scores_sum / feature("application_external_score_count"),
             "Mean of the outside scores there are", "外部评分均值", "ratio", EXTERNAL, -1, "no outside score"),
    _derived("external_score_product", _scores[1] * _scores[2], "Product of the second and third outside score",
             "外部评分二与三之积", "ratio", EXTERNAL, -1),
    _derived("external_score_min", _least(*_scores), "Lowest of the outside scores there are", "外部评分最低值", "ratio",
             EXTERNAL, -1, "no outside score"),
    _declared("device_customers", "同一设备申请人数", "count", DEVICE, +1),
    _declared("bureau_utilisation", "征信概要额度使用率", "ratio", BUREAU_DEBT, +1),
    _derived("bureau_utilisation_bucket", bucket(_column("bureau_utilisation"), 0.3, 0.5, 0.7, 0.9, 1.0),
             "Bucket of the share used of all revolving limits: 0 below 30 %, 5 from 100 % on", "征信概要额度使用率分档",
             "bucket", BUREAU_DEBT, +1),
    _declared("debt_ratio", "月债务支出收入比", "ratio", BUREAU_DEBT),
    _declared("bureau_late_30_59", "两年内逾期30至59天次数", "count", BUREAU_LATE, +1),
    _declared("bureau_late_60_89", "两年内逾期60至89天次数", "count", BUREAU_LATE, +1),
    _declared("bureau_late_90", "逾期90天及以上次数", "count", BUREAU_LATE, +1),
    _derived("bureau_late_sum", (_late_30 + _late_60) + _late_90, "Times 30 days past due or more, by the bureau's summary",
             "征信概要逾期30天及以上次数", "count", BUREAU_LATE, +1),
    _declared("bureau_accounts_open", "征信概要未结清账户数", "count", BUREAU_DEBT),
    _declared("bureau_mortgages", "征信概要房贷笔数", "count", BUREAU_DEBT),
    _derived("circle_defaults_share", ratio(_column("circle_defaults_30d"), _column("circle_observed_30d")),
             "Share of the observable acquaintances who were 30 days past due", "逾期30天联系人占比", "ratio", CIRCLE,
             missing="not declared, or no observable acquaintance"),
    _derived("repaid_to_requested", _instalment * _column("term_months") / _requested,
             "All instalments asked for to the amount asked for", "总还款额与申请金额之比", "ratio", TERMS),
    _derived("free_income", _income - _instalment, "Monthly income after the instalment asked for", "月收入扣除月供后余额", "CNY",
             AFFORDABILITY),
    _derived("undeclared_count", _undeclared(*_worth_declaring), "Important details that were not declared", "未填写的重要信息数",
             "count", CONTACT, missing="never missing"),
    _derived("thin_file_count", _thin_files("bureau", "transactions", "instalments"),
             "Of bureau, consumption and repayment, how many have few records or none", "征信、消费、还款中记录较少的来源数", "count",
             RECORDS, missing="never missing"),
    _derived("hour", local_hour(as_of), "Hour of the day of the application", "申请时刻（小时）", "hour", CHANNEL,
             missing="never missing"),
    _is("product", "emergency_cash", "Emergency cash is asked for", "申请应急贷", CHANNEL),
    _is("product", "renovation", "Renovation loan is asked for", "申请装修贷", CHANNEL),
    _is("product", "education", "Education loan is asked for", "申请教育贷", CHANNEL),
    _is("product", "business", "Business loan is asked for", "申请经营贷", CHANNEL),
    _is("product", "revolving", "Revolving credit is asked for", "申请循环额度", CHANNEL),
    _is("education", "lower_secondary", "Lower secondary education", "初中及以下学历", SITUATION),
    _is("education", "secondary", "Secondary education", "高中学历", SITUATION),
    _is("education", "bachelor", "Bachelor's degree", "本科学历", SITUATION),
    _is("education", "postgraduate", "Postgraduate degree", "研究生学历", SITUATION),
    _is("education", "vocational", "Vocational education", "大专或职业学历", SITUATION),
    _is("housing", "own", "Lives in an own home without a mortgage", "自有住房", SITUATION),
    _is("housing", "employer", "Lives in a home of the employer", "单位住房", SITUATION),
    _is("housing", "rented", "Lives in a rented home", "租房居住", SITUATION),
    _is("housing", "parents", "Lives with parents", "与父母同住", SITUATION),
    _is("housing", "mortgaged", "Lives in a mortgaged home", "按揭住房", SITUATION),
    _is("employment", "self_employed", "Self-employed", "自雇", EMPLOYMENT),
    _is("employment", "public", "Employed by the state", "公共部门就业", EMPLOYMENT),
    _is("employment", "pensioner", "Pensioner", "退休", EMPLOYMENT),
    _is("employment", "employee", "Employee", "受雇", EMPLOYMENT),
    _is("employment", "business_owner", "Business owner", "企业主", EMPLOYMENT),
)
