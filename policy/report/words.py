"""What the strategy reports call their figures, segments and reasons, in Chinese and English."""

from __future__ import annotations

from policy.decision import Policy
from policy.past import BANDS, LARGE, SMALL
from policy.reasons import REASONS
from reporting.page import Text

# name, whether it is a share, and how many digits
FIGURES: tuple[tuple[str, Text, bool, int], ...] = (
    ("approval_rate", Text("批准率", "Approved"), True, 1),
    ("referral_rate", Text("转人工率", "Referred"), True, 1),
    ("bad_rate", Text("坏账率", "Bad rate"), True, 2),
    ("expected_profit", Text("期望利润（元/申请）", "Expected profit, CNY an application"), False, 1),
    ("realised_profit", Text("实现利润（元/申请）", "Realised profit, CNY an application"), False, 1),
    ("amount", Text("批准金额均值（元）", "Mean amount, CNY"), False, 0),
    ("annual_rate", Text("年利率均值", "Mean annual rate"), True, 2),
)
DIMENSIONS = {
    "product": Text("产品", "Product"),
    "amount_band": Text("申请金额（元）", "Amount asked for, CNY"),
    "product_and_amount": Text("产品与金额", "Product and amount"),
    "channel": Text("渠道", "Channel"),
    "city_tier": Text("城市等级", "City tier"),
    "employment": Text("就业", "Employment"),
    "education": Text("学历", "Education"),
    "housing": Text("居住", "Housing"),
}
_BANDS = {
    BANDS[0]: Text(f"不超过{SMALL:,}", BANDS[0]),
    BANDS[1]: Text(f"{SMALL:,}至{LARGE:,}", BANDS[1]),
    BANDS[2]: Text(f"超过{LARGE:,}", BANDS[2]),
}
LEGACY = Text("原有政策", "legacy policy")


def named(version: str) -> Text:
    """A version as the page calls it."""
    return LEGACY if version == "legacy" else Text(version, version)


def level(dimension: str, name: str, policy: Policy) -> Text:
    """A level of a dimension: products and bands of amounts have names in both languages."""
    if dimension == "product":
        product = policy.products.products.get(name)
        return Text(name, name) if product is None else Text(product.zh, product.en)
    if dimension == "amount_band":
        return _BANDS.get(name, Text(name, name))
    if dimension == "product_and_amount":
        product_name, band = name.split(", ", 1)
        first, second = level("product", product_name, policy), level("amount_band", band, policy)
        return Text(f"{first.zh}，{second.zh}", f"{first.en}, {second.en}")
    return Text(name, name)


def reason(code: str, policy: Policy) -> Text:
    """A reason's words, of a rule or of the policy."""
    words: dict[str, Text] = {one.code: Text(one.zh, one.en) for one in REASONS}
    words |= {one.id: Text(one.zh, one.en) for one in policy.rules.rules}
    return words[code]
