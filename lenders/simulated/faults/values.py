"""Faults in the values of single rows: missing, in another unit, of another column, damaged."""

from __future__ import annotations

from typing import Any

import numpy as np

from lenders.simulated.faults.case import Case, Change, Fault, put
from lenders.simulated.timeline import Flags, Floats, Ints

_SHIFTED = {
    "transactions": ("amount", "direction", "category", "channel", "counterparty_kind"),
    "inquiries": ("customer_id", "reason", "institution_kind", "institution"),
    "invoices": ("customer_id", "direction", "status"),
}
_CODES: dict[str, tuple[tuple[str, Any], ...]] = {  # what programs write for "none" and "unknown"
    "applications": (("employed_months", 12_006.0), ("children_count", 99), ("city_tier", 99)),
    "tradelines": (("overdue_days", 99_999), ("prolonged_count", 9_999)),
    "loans": (("term_months", 999),),
}
_YEN, _DOLLAR = 20.6, 1 / 7.1  # what one CNY is in yen and in US dollars
_REFERRED = ("applications", "tradelines", "loans", "instalments")  # a lost key there makes orphans of sound rows


def _missing(case: Case) -> Change:
    rows = case.pick()
    names = [column.name for column in case.contract.columns if not column.nullable]
    if case.name in _REFERRED:
        names = [name for name in names if name not in case.contract.key]
    return _one_column_each(case, rows, [(name, None) for name in names])


def _one_column_each(case: Case, rows: Ints, choices: list[tuple[str, Any]]) -> Change:
    """Spoil one of the columns in each row."""
    which, table = case.rng.integers(0, len(choices), len(rows)), case.table
    for number, (name, value) in enumerate(choices):
        table = put(table, name, rows[which == number], value)
    return Change(table, rows, np.ones(len(rows), bool))


def _category(case: Case) -> Change:
    names = [column.name for column in case.contract.columns if column.categories and not column.nullable]
    return _one_column_each(case, case.pick(), [(name, value) for name in names for value in ("9", "Unknown ", "其他")])


def _shifted(case: Case) -> Change:
    first, *others = _SHIFTED[case.name]
    rows = case.pick()
    left = np.array([str(value.as_py()) for value in case.table[first].take(rows)], dtype=object)
    spoilt = {}
    for name in others:
        spoilt[name], left = left, case.text(name)[rows]
    return case.spoil(rows, spoilt)


def _sign(case: Case) -> Change:
    column = "amount_requested" if case.name == "applications" else "amount"
    amount = case.numbers(column)
    rows = case.pick(amount > 0)
    return case.spoil(rows, {column: -amount[rows].astype(np.int64)})


def _salaries_scaled(case: Case, rows: Ints, scale: Floats) -> Change:
    """Detectable where more of the customer's salaries are right than wrong, at least three."""
    known = case.known("transactions", "customer_id", "category")
    known = known[known.category == "salary"]
    wrong = known.row.isin(rows)
    counts = known.assign(wrong=wrong).groupby("customer_id").wrong.agg(["sum", "size"])
    mine = counts.loc[case.text("customer_id")[rows].tolist()]
    right = (mine["size"] - mine["sum"]).to_numpy()
    amount = np.maximum(np.rint(case.numbers("amount")[rows] * scale), 1).astype(np.int64)
    return case.spoil(rows, {"amount": amount}, (right >= 3) & (right > mine["sum"].to_numpy()))


def _wrong_unit(case: Case) -> Change | None:
    """Cents for yuan or yuan for cents."""
    if case.name == "transactions":
        rows = case.pick(case.text("category") == "salary")
        return _salaries_scaled(case, rows, case.rng.choice([0.01, 100.0], len(rows)))
    if case.name == "applications":
        # Detectable beyond what was ever asked for the product.
        rows = case.pick()
        known = case.known("applications", "product", "amount_requested").groupby("product").amount_requested
        product, amount = case.text("product")[rows], case.numbers("amount_requested")[rows]
        spoilt = np.rint(amount * case.rng.choice([0.01, 100.0], len(rows)))
        low, high = (bound.loc[product.tolist()].to_numpy(np.float64) for bound in (known.min(), known.max()))
        return case.spoil(rows, {"amount_requested": spoilt.astype(np.int64)}, (spoilt < low) | (spoilt > high))
    # A debt of ten times what was granted is impossible.
    balance, granted = case.numbers("balance"), _granted(case)
    rows = case.pick((balance > 0) & (granted > 0))
    spoilt = 100 * balance[rows]
    return case.spoil(rows, {"balance": spoilt.astype(np.int64)}, spoilt >= 10 * granted[rows])


def _granted(case: Case) -> Floats:
    limit = np.nan_to_num(case.numbers("credit_limit"))
    return np.maximum(np.nan_to_num(case.numbers("amount")), limit) if case.name == "tradelines" else limit


def _wrong_income(case: Case) -> Change:
    """Detectable well outside what anybody else declared: a tenth of the least, ten times the highest."""
    income = case.numbers("income_monthly")
    rows = case.pick(income > 0)
    spoilt = np.rint(income[rows] * case.rng.choice([0.01, 100.0], len(rows)))
    known = case.known("applications", "income_monthly").income_monthly
    detectable = (10 * spoilt < float(known.min())) | (spoilt > 10 * float(known.max()))
    return case.spoil(rows, {"income_monthly": spoilt.astype(np.int64)}, detectable)


def _wrong_currency(case: Case) -> Change:
    rows = case.pick(case.text("category") == "salary")
    return _salaries_scaled(case, rows, case.rng.choice([_YEN, _DOLLAR], len(rows)))


def _outlier(case: Case) -> Change:
    """Detectable at a hundred times the highest that was ever paid for such a thing, ten times the grant or the due."""
    column = "amount" if case.name in ("transactions", "payments", "invoices") else "balance"
    amount = case.numbers(column)
    rows = case.pick(amount > 0)
    spoilt = np.rint(amount[rows] * 10 ** case.rng.uniform(3, 6, len(rows)))
    if case.name in ("transactions", "invoices"):
        kind = "category" if case.name == "transactions" else "direction"
        highest = case.known(case.name, kind, "amount").groupby(kind).amount.max()
        usual = 10 * highest.loc[case.text(kind)[rows].tolist()].to_numpy(np.float64)
    elif case.name == "payments":
        usual = _due(case)[rows]
    else:
        usual = _granted(case)[rows]
    return case.spoil(rows, {column: spoilt.astype(np.int64)}, (spoilt >= 10 * usual) & (usual > 0))


def _due(case: Case) -> Floats:
    """What was due on the instalment of each payment; 0 where it is not known."""
    due = case.known("instalments", "instalment_id", "amount_due").drop_duplicates("instalment_id", keep="last")
    found = due.set_index("instalment_id").amount_due.reindex(case.text("instalment_id"))
    return found.fillna(0).to_numpy(np.float64)


def _misplaced_point(case: Case) -> Change:
    """Ten times as much: detectable where it is well beyond what the instalment asks for."""
    amount, due = case.numbers("amount"), _due(case)
    rows = case.pick((amount > 0) & (due > 0))
    spoilt = 10 * amount[rows]
    return case.spoil(rows, {"amount": spoilt.astype(np.int64)}, spoilt >= 1.5 * due[rows] + 10_000)


def _percent(case: Case) -> Change:
    column = "annual_rate" if case.name == "loans" else "external_score_1"
    ratio = case.numbers(column)
    rows = case.pick(ratio > 0.02)
    return case.spoil(rows, {column: 100 * ratio[rows]})


def _not_finite(case: Case) -> Change:
    columns = ("annual_rate",) if case.name == "loans" else ("age_years", "external_score_1", "employed_months")
    return _one_column_each(case, case.pick(), [(name, value) for name in columns for value in (np.inf, -np.inf)])


def _code_as_number(case: Case) -> Change:
    return _one_column_each(case, case.pick(), list(_CODES[case.name]))


def _encoding(case: Case) -> Change:
    """Chinese text in UTF-8 read as another encoding, or bytes that could not be decoded."""
    column = {"inquiries": "institution", "applications": "industry", "invoices": "counterparty_id"}[case.name]
    rows = case.pick(_given(case, column))
    names = np.array(["消费金融公司", "第三银行", "小额贷款", "制造业"], dtype=object)
    damage = (
        lambda text: text.encode().decode("latin-1"),
        lambda text: text.encode().decode("cp1252", "replace"),
        lambda text: text.encode("gbk").decode("utf-8", "replace"),
        lambda text: text + "\x00",
    )
    chosen, how = case.rng.choice(names, len(rows)), case.rng.integers(0, len(damage), len(rows))
    damaged = np.array([damage[k](text) for text, k in zip(chosen, how, strict=True)], dtype=object)
    return case.spoil(rows, {column: damaged})


def _given(case: Case, column: str) -> Flags:
    return np.asarray(case.table[column].is_valid())


def _padded(case: Case) -> Change:
    """Blanks that nobody sees at the ends of an identifier."""
    rows = case.pick()
    blanks = case.rng.choice(np.array([" ", "\t", "\r", "\u3000", "\u00a0", "\ufeff"], dtype=object), len(rows))
    return case.spoil(rows, {"customer_id": case.text("customer_id")[rows] + blanks})


VALUE_FAULTS = (
    Fault("missing_field", "a required value is missing", "必填值缺失", "always", "row",
          ("transactions", "tradeline_months", "inquiries", "payments", "tradelines", "applications", "invoices"),
          _missing),
    Fault("unknown_category", "a code that nobody agreed on", "未约定的代码", "always", "row",
          ("transactions", "tradelines", "inquiries", "loans", "applications"), _category),
    Fault("shifted_column", "values stand one column to the right", "数值右移一列",
          "always: a number stands for a word", "row", tuple(_SHIFTED), _shifted),
    Fault("sign_flip", "a minus sign where there is none", "正负号颠倒", "always", "row",
          ("transactions", "payments", "applications"), _sign),
    Fault("wrong_unit", "cents for yuan, or yuan for cents", "元与分混淆",
          "beyond every amount asked for the product; against three other salaries; a debt of ten times the grant",
          "row", ("transactions", "applications", "tradelines", "card_months"), _wrong_unit),
    Fault("wrong_income", "income in cents, or in hundreds", "收入单位错误",
          "below a tenth or above ten times what anybody declared", "row", ("applications",), _wrong_income),
    Fault("wrong_currency", "a salary in yen or in dollars", "工资为外币",
          "against three other salaries of the customer", "row", ("transactions",), _wrong_currency),
    Fault("outlier", "an amount a thousand times and more too high", "金额异常偏大",
          "at a hundred times the highest amount ever seen of its kind, ten times what was granted or due", "row",
          ("transactions", "tradelines", "payments", "card_months", "invoices"), _outlier),
    Fault("misplaced_point", "a payment ten times as high", "小数点错位", "well beyond what the instalment asks for",
          "row", ("payments",), _misplaced_point),
    Fault("percent_for_ratio", "73 for 0.73", "百分数与比率混淆", "always", "row", ("loans", "applications"), _percent),
    Fault("not_finite", "a division by zero", "非有限数值", "always", "row", ("applications", "loans"), _not_finite),
    Fault("code_as_number", "99999 for unknown", "以99999表示未知", "always", "row", tuple(_CODES), _code_as_number),
    Fault("encoding_damage", "text in another encoding", "文本编码损坏", "always", "row",
          ("inquiries", "applications", "invoices"), _encoding),
    Fault("padded_identifier", "an identifier with blanks", "标识含空白字符", "always", "row",
          ("transactions", "inquiries", "tradeline_months"), _padded),
)  # fmt: skip
