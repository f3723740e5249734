"""The contracts compiled to Great Expectations suites.

Great Expectations judges every rule. What a rule needs from other rows or tables DuckDB brings beside the row, as a
column that says whether the rule holds there.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from data_contracts.declare import Column, ForeignKey, Rule, Table

with warnings.catch_warnings():  # its import of a module that Python retires is not ours to mend
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.filterwarnings("ignore", "PySpark", FutureWarning)  # of pandas 3, where PySpark is installed
    import great_expectations as gx
    from great_expectations import expectations
    from great_expectations.expectations.expectation import Expectation

ExpectationSuite = gx.ExpectationSuite
gxe: Any = expectations  # it does not declare what it exports

_DAMAGE = (
    r"[\x{00}-\x{1f}\x{7f}-\x{9f}\x{fffd}]"
    r"|[\x{c0}-\x{ff}][\x{a0}-\x{bf}\x{152}-\x{192}\x{2c6}\x{2dc}\x{2013}-\x{203a}\x{20ac}\x{2122}]"
    r"|^[\s\p{Z}\x{feff}]|[\s\p{Z}\x{feff}]$|^$"
)
"""Control characters, the mark of what could not be decoded, UTF-8 read as Latin-1, blanks at the ends, no text."""

_PROVIDERS_ZH = {"applicant": "申请", "bureau": "征信", "consumption": "消费", "repayment": "还款", "business": "经营"}
_UNITS_ZH = {"fen": "分", "days": "天", "months": "个月", "years": "岁", "count": "", "tier": "级", "rating": "级"}


def row_suite(table: Table, rules: Iterable[Rule] = ()) -> gx.ExpectationSuite:
    """Compile what must hold for each row: values given, in range, of their categories, and the rules.

    Parameters
    ----------
    table : Table
        The contract.
    rules : iterable of Rule
        Those that can be checked: the rows carry for each a column of its name that says whether it holds.

    Examples
    --------
    >>> from data_contracts.tables import LOAN_MONTHS
    >>> len(row_suite(LOAN_MONTHS, LOAN_MONTHS.rules).expectations)  # 5 given, 1 of categories, 2 in range, 2 rules
    10
    """
    expected = [expectation for column in table.columns for expectation in _column_expectations(column)]
    for rule in rules:
        meta = _meta(", ".join(rule.columns), rule.name, rule.en, rule.zh, rule.level, rule.name)
        expected.append(gxe.ExpectColumnValuesToBeInSet(column=rule.name, value_set=[True], meta=meta))
    # Not `add_expectation`, which asks for a data context though the suite belongs to none.
    return gx.ExpectationSuite(name=table.name, expectations=expected)


def generated_rules(table: Table, *, consents: bool, received: bool) -> tuple[Rule, ...]:
    """Rules that follow from columns, references and use: the table's own come after them.

    Parameters
    ----------
    consents : bool
        Whether the lender keeps consents, against which records are held.
    received : bool
        Whether it is known when the records came.
    """
    texts = tuple(column.name for column in table.columns if column.dtype == "string" and not column.categories)
    clean = " OR ".join(f"regexp_matches(t.{name}, '{_DAMAGE}')" for name in texts)
    learned = "known_at" if "known_at" in table.names else "applied_at"
    made = [
        Rule("clean_text", texts, f"NOT coalesce({clean}, false)", "undamaged text", "未损坏的文本"),
        Rule(
            "not_repeated", table.key, "l.again IS NULL", "told once, not twice with all its values", "不重复报送",
            lookup="SELECT _row AS again FROM repeated", on="t._row = l.again",
        ),
    ]  # fmt: skip
    made += [rule for key in table.foreign_keys for rule in _reference_rules(table, key)]
    if received:
        made.append(
            Rule(
                "not_from_the_future", (learned,), f"t.{learned} <= (SELECT received_at FROM moments)",
                "known before it was received", "不晚于接收时间",
            )
        )  # fmt: skip
    if consents and table.use.consent:
        made.append(
            Rule(
                "consented", ("customer_id", "known_at"), "t.known_at <= l.until",
                f"covered by the customer's consent to {table.use.provider} records",
                f"在客户对{_PROVIDERS_ZH[table.use.provider]}数据的授权范围内",
                lookup=(
                    "SELECT customer_id, max(until) AS until FROM (SELECT customer_id, coalesce(arg_max("
                    "coalesce(expires_at, 'infinity'::TIMESTAMP), known_at), 'infinity') AS until FROM consents "
                    f"WHERE provider = '{table.use.provider}' GROUP BY consent_id, customer_id UNION ALL "
                    # who applied has consented; a supplier may deliver before
                    "SELECT customer_id, '-infinity'::TIMESTAMP FROM applications) GROUP BY customer_id"
                ),
                on="t.customer_id = l.customer_id",
                reads={
                    "consents": ("consent_id", "customer_id", "provider", "expires_at", "known_at"),
                    "applications": ("customer_id",),
                },
            )
        )  # fmt: skip
    if table.use.retention_days:
        days = table.use.retention_days
        ended = "closed_at" if "closed_at" in table.names else learned  # what has not ended is kept
        made.append(
            Rule(
                "within_retention", (ended,),
                f"t.{ended} >= (SELECT max(applied_at) FROM applications) - INTERVAL {days} DAY",
                f"kept no longer than {days} days", f"保存不超过{days}天", "flag",
                reads={"applications": ("applied_at",)},
            )
        )  # fmt: skip
    return tuple(made)


def key_suite(table: Table) -> gx.ExpectationSuite:
    """Compile the rule that no two rows share their key (with `known_at` where records may be corrected)."""
    key = table.row_key
    meta = _meta(", ".join(key), "unique", "unique", "唯一", "reject", *key)
    expectation = (
        gxe.ExpectColumnValuesToBeUnique(column=key[0], meta=meta)
        if len(key) == 1
        else gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key), meta=meta)
    )
    return gx.ExpectationSuite(name=f"{table.name} key", expectations=[expectation])


def column_suite(table: Table) -> gx.ExpectationSuite:
    """Compile the rule that a table has the columns of its contract and no other."""
    expectation = gxe.ExpectTableColumnsToMatchSet(column_set=list(table.names), exact_match=True)
    return gx.ExpectationSuite(name=f"{table.name} columns", expectations=[expectation])


def fresh_suite(table: Table, newest_application: pd.Timestamp) -> gx.ExpectationSuite:
    """Compile the rule that records reach to within `fresh_days` of the newest application."""
    days = table.fresh_days or 0
    expectation = gxe.ExpectColumnMaxToBeBetween(
        column="known_at",
        min_value=newest_application - pd.Timedelta(days=days),
        meta=_meta(
            "known_at",
            "fresh",
            f"fresh, the newest within {days} days of the newest application",
            f"及时，最新记录距最新申请不超过{days}天",
            "batch",
            "known_at",
        ),
    )
    return gx.ExpectationSuite(name=f"{table.name} fresh", expectations=[expectation])


def change_suite(table: Table, limits: Iterable[tuple[str, str, float, float, str, str]]) -> gx.ExpectationSuite:
    """Compile the rules that hold a batch against the last accepted one.

    Parameters
    ----------
    limits : iterable of (column, rule, low, high, en, zh)
        The one row to be judged has a column `rule:column` with what was measured.
    """
    level = "batch" if table.use.consent else "flag"  # a supplier's feed must not change, one's own business may
    expected = [
        gxe.ExpectColumnValuesToBeBetween(
            column=f"{rule}:{column}",
            min_value=low,
            max_value=high,
            meta=_meta(column, rule, en, zh, level, f"{rule}:{column}"),
        )
        for column, rule, low, high, en, zh in limits
    ]
    return gx.ExpectationSuite(name=f"{table.name} change", expectations=expected)


def _reference_rules(table: Table, key: ForeignKey) -> Iterator[Rule]:
    names = ", ".join(key.columns)
    met = " AND ".join(f"t.{name} = l.{name}" for name in key.columns)
    (first, *_) = key.columns
    yield Rule(
        f"{first}_in_{key.table}",
        key.columns,
        f"t.{first} IS NULL OR l.{first} IS NOT NULL",
        f"found in table {key.table}",
        f"存在于{key.table}表",
        lookup=f"SELECT DISTINCT {names} FROM {key.table}",
        on=met,
        reads={key.table: key.columns},
    )
    same = [name for name in key.same if name in table.names]
    if same:
        agree = " AND ".join(f"list_contains(l._{name}, t.{name})" for name in same)
        lists = ", ".join(f"array_agg(DISTINCT {name}) AS _{name}" for name in same)
        yield Rule(
            f"same_as_in_{key.table}",
            (*key.columns, *same),
            f"l.{first} IS NULL OR ({agree})",
            f"of the same {', '.join(same)} as in table {key.table}",
            f"与{key.table}表的{'、'.join(same)}一致",
            lookup=f"SELECT {names}, {lists} FROM {key.table} GROUP BY {names}",
            on=met,
            reads={key.table: (*key.columns, *same)},
        )


def _column_expectations(column: Column) -> Iterator[Expectation]:
    name = column.name
    if not column.nullable:
        yield gxe.ExpectColumnValuesToNotBeNull(
            column=name, meta=_meta(name, "given", "given", "不为空", "reject", name)
        )
    if column.categories:
        listed = list(column.categories)
        words = ", ".join(listed)
        meta = _meta(name, "category", f"one of {words}", f"取值为{words}之一", "reject", name)
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=listed, meta=meta)
    if column.dtype == "float64" or column.low is not None or column.high is not None:
        finite = sys.float_info.max if column.dtype == "float64" else None
        low = column.low if column.low is not None or finite is None else -finite
        high = column.high if column.high is not None or finite is None else finite
        unit = f" {column.unit}" if column.unit else ""
        bounds = f"{_number(low)} to {_number(high)}{unit}"
        zh = f"在{_number(low)}至{_number(high)}{_UNITS_ZH.get(column.unit or '', '')}之间".replace(
            "anything finite", "任意有限值"
        )
        meta = _meta(name, "range", f"from {bounds}", zh, "reject", name)
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta=meta)


def _meta(column: str, rule: str, en: str, zh: str, level: str, *needs: str) -> dict[str, Any]:
    return {"column": column, "rule": rule, "en": en, "zh": zh, "level": level, "needs": list(needs)}


def _number(bound: float | None) -> str:
    if bound is None or abs(bound) == sys.float_info.max:
        return "anything finite"
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"
