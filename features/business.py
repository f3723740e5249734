"""Features of the customer's business: what its tax invoices tell of sales, purchases and customers."""

from __future__ import annotations

from features.algebra import (
    Feature,
    Reason,
    count,
    days_since,
    days_since_first,
    distinct,
    entropy,
    feature,
    gap_std,
    longest_gap,
    maximum,
    mean,
    quantile,
    ratio,
    source,
    std,
    total,
)
from features.declaring import declaring

invoices = source("invoices", "invoices", "business")

# What speaks against an applicant may be much or little of a thing; where no direction is demanded the words fit both.
REVENUE = Reason("R70", "Size and course of the business's sales", "经营收入的规模与变化")
CONCENTRATION = Reason(
    "R71", "Number and weight of the business's customers and suppliers", "客户与供应商的数量与集中程度"
)
CANCELLED = Reason("R72", "Share of invoices cancelled or goods returned", "发票作废或红冲情况")
STEADINESS = Reason("R73", "Length and regularity of the business's invoices", "经营时间与开票规律")
LEVERAGE = Reason("R74", "Debt or amount asked for is high for the business's sales", "负债或申请金额相对经营收入偏高")

_feature = declaring("business")
_NO_SALE = "no sales to compare with, or the source is absent"

_valid = invoices.status == "valid"
_sold = (invoices.direction == "sale") & _valid
_bought = (invoices.direction == "purchase") & _valid
_returned = invoices.amount < 0
_revenue = feature("invoices_revenue_sum_365d")

FEATURES: tuple[Feature, ...] = (
    *(
        _feature(
            f"invoices_revenue_sum_{days}d",
            total(invoices.amount, where=_sold, days=days),
            f"Sales of the last {days} days",
            f"近{days}天销售开票金额",
            "CNY",
            REVENUE,
        )
        for days in (90, 365)
    ),
    _feature(
        "invoices_sale_count_365d",
        count(invoices, where=_sold, days=365),
        "Invoices for sales in the last 365 days",
        "近365天销售发票张数",
        "count",
        REVENUE,
    ),
    _feature(
        "invoices_purchase_sum_365d",
        total(invoices.amount, where=_bought, days=365),
        "Purchases of the last 365 days",
        "近365天采购金额",
        "CNY",
        REVENUE,
    ),
    _feature(
        "invoices_purchase_to_revenue",
        ratio(feature("invoices_purchase_sum_365d"), _revenue),
        "Purchases to sales of 365 days",
        "近365天购销比",
        "ratio",
        REVENUE,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_revenue_trend",
        ratio(feature("invoices_revenue_sum_90d") * (365.0 / 90.0), _revenue),
        "Sales of 90 days, taken for a year, to those of 365",
        "近90天年化销售额与近365天之比",
        "ratio",
        REVENUE,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_revenue_growth",
        ratio(_revenue, total(invoices.amount, where=_sold, days=730) - _revenue),
        "Sales of 365 days to those of the 365 before",
        "近365天与上一年销售额之比",
        "ratio",
        REVENUE,
        missing="no sales in the year before, or the source is absent",
    ),
    _feature(
        "invoices_amount_median_365d",
        quantile(invoices.amount, 0.5, where=_sold, days=365),
        "Median sale of 365 days",
        "近365天单张销售金额中位数",
        "CNY",
        REVENUE,
    ),
    _feature(
        "invoices_amount_variation",
        ratio(std(invoices.amount, where=_sold, days=365), mean(invoices.amount, where=_sold, days=365)),
        "Volatility of single sales of 365 days to their mean",
        "近365天单张销售金额变异系数",
        "ratio",
        STEADINESS,
    ),
    _feature(
        "invoices_tax_rate",
        ratio(total(invoices.tax, where=_sold, days=365), _revenue),
        "Tax on the sales of 365 days to the sales",
        "近365天销项税负",
        "ratio",
        REVENUE,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_void_share_365d",
        mean(invoices.status == "void", where=invoices.direction == "sale", days=365),
        "Share of invoices for sales cancelled, 365 days",
        "近365天销售发票作废占比",
        "ratio",
        CANCELLED,
    ),
    _feature(
        "invoices_return_share_365d",
        mean(_returned, where=_sold, days=365),
        "Share of invoices for sales that take goods back, 365 days",
        "近365天红字发票占比",
        "ratio",
        CANCELLED,
    ),
    _feature(
        "invoices_return_to_revenue",
        ratio(
            -total(invoices.amount, where=_sold & _returned, days=365),
            total(invoices.amount, where=_sold & ~_returned, days=365),
        ),
        "Goods taken back to goods sold, 365 days",
        "近365天红冲金额占比",
        "ratio",
        CANCELLED,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_buyer_distinct_365d",
        distinct(invoices.counterparty_id, where=_sold, days=365),
        "Businesses sold to in 365 days",
        "近365天客户数",
        "count",
        CONCENTRATION,
    ),
    _feature(
        "invoices_supplier_distinct_365d",
        distinct(invoices.counterparty_id, where=_bought, days=365),
        "Businesses bought from in 365 days",
        "近365天供应商数",
        "count",
        CONCENTRATION,
    ),
    _feature(
        "invoices_buyer_entropy_365d",
        entropy(invoices.counterparty_id, where=_sold, days=365),
        "Spread of the sales of 365 days over customers",
        "近365天客户分散度",
        "nats",
        CONCENTRATION,
    ),
    _feature(
        "invoices_revenue_per_buyer",
        ratio(_revenue, feature("invoices_buyer_distinct_365d")),
        "Sales of 365 days per customer",
        "近365天户均销售额",
        "CNY",
        CONCENTRATION,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_largest_share",
        ratio(maximum(invoices.amount, where=_sold, days=365), _revenue),
        "Largest sale of 365 days to all of them",
        "近365天最大单笔销售占比",
        "ratio",
        CONCENTRATION,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_sale_days_since",
        days_since(invoices, where=_sold),
        "Days since the last sale",
        "距最近销售开票天数",
        "days",
        STEADINESS,
    ),
    _feature(
        "invoices_age_days",
        days_since_first(invoices),
        "Days since the first invoice",
        "首张发票距今天数",
        "days",
        STEADINESS,
    ),
    _feature(
        "invoices_sale_gap_max_365d",
        longest_gap(invoices, where=_sold, days=365),
        "Longest time without a sale within 365 days",
        "近365天最长未销售开票间隔",
        "days",
        STEADINESS,
    ),
    _feature(
        "invoices_sale_gap_std_365d",
        gap_std(invoices, where=_sold, days=365),
        "Irregularity of the time between sales, 365 days",
        "近365天销售开票间隔波动",
        "days",
        STEADINESS,
    ),
    _feature(
        "invoices_requested_to_revenue",
        ratio(feature("application_amount_requested"), _revenue.clip(low=0)),
        "Amount asked for to the sales of 365 days",
        "申请金额与近365天销售额之比",
        "ratio",
        LEVERAGE,
        +1,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_instalment_to_revenue",
        ratio(feature("application_instalment_monthly") * 12.0, _revenue.clip(low=0)),
        "Instalments of a year to the sales of 365 days",
        "年还款额与近365天销售额之比",
        "ratio",
        LEVERAGE,
        +1,
        missing=_NO_SALE,
    ),
    _feature(
        "invoices_debt_to_revenue",
        ratio(feature("tradelines_balance_sum"), _revenue.clip(low=0)),
        "Debt elsewhere to the sales of 365 days",
        "征信负债与近365天销售额之比",
        "ratio",
        LEVERAGE,
        +1,
        missing=_NO_SALE,
    ),
)
