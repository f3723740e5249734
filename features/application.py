"""Features of the application itself: what is asked for and what was declared."""

from __future__ import annotations

from data_contracts.tables import APPLICATIONS
from features.algebra import Feature, Node, Reason, as_of, feature, local_hour

AFFORDABILITY = Reason(
    "R01", "The amount asked for is high for the declared income", "申请金额相对申报收入偏高"
)
TERMS = Reason("R02", "Terms of the loan asked for", "所申请贷款的金额与期限")
EMPLOYMENT = Reason("R03", "Short or unstable employment", "就业时间较短或不稳定")
EXTERNAL = Reason("R04", "Low score from an outside source", "外部评分偏低")
STABILITY = Reason("R05", "Short time at the present address, telephone or document", "居住、电话或证件信息变更较近")
SITUATION = Reason("R06", "Housing, education and region", "居住、教育与地区情况")
CIRCLE = Reason("R07", "Overdue loans among contacts", "联系人存在逾期")
QUERIES = Reason("R08", "Many recent credit inquiries", "近期征信查询较多")
CONTACT = Reason("R09", "Incomplete contact details or documents", "联系方式或资料不完整")
CHANNEL = Reason("R10", "Product and time of the application", "申请产品与申请时间")

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
    _derived("external_score_count", _scores_given, "Number of outside scores there are", "外部评分个数", "count", EXTERNAL,
             missing="never missing"),
    _derived("external_score_mean", _scores_sum / feature("application_external_score_count"),
             "Mean of the outside scores there are", "外部评分均值", "ratio", EXTERNAL, -1, "no outside score"),
    _derived("external_score_product", _scores[1] * _scores[2], "Product of the second and third outside score",
             "外部评分二与三之积", "ratio", EXTERNAL, -1),
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
    _is("housing", "rented", "Lives in a rented home", "租房居住", SITUATION),
    _is("housing", "parents", "Lives with parents", "与父母同住", SITUATION),
    _is("housing", "mortgaged", "Lives in a mortgaged home", "按揭住房", SITUATION),
    _is("employment", "self_employed", "Self-employed", "自雇", EMPLOYMENT),
    _is("employment", "public", "Employed by the state", "公共部门就业", EMPLOYMENT),
    _is("employment", "pensioner", "Pensioner", "退休", EMPLOYMENT),
    _is("employment", "employee", "Employee", "受雇", EMPLOYMENT),
    _is("employment", "business_owner", "Business owner", "企业主", EMPLOYMENT),
)
