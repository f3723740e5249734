"""What must hold for a row beyond its columns: order in time, amounts within each other, tables in step.

`reject` is for what cannot be. `flag` is for what is wrong far more often than right, yet is found in honest books:
each flag was measured on Home Credit's public files, where it names fewer than one row in a hundred.
"""

from __future__ import annotations

from data_contracts.declare import Level, Rule


def not_before(later: str, earlier: str, level: Level = "reject") -> Rule:
    """`later` is not before `earlier`, where both are given.

    Examples
    --------
    >>> not_before("closed_at", "occurred_at").holds
    't.closed_at >= t.occurred_at'
    """
    return Rule(
        f"{later}_not_before_{earlier}",
        (later, earlier),
        f"t.{later} >= t.{earlier}",
        f"in order, {later} not before {earlier}",
        f"次序正确，{later}不早于{earlier}",
        level,
    )


def known_within(days: int) -> Rule:
    """The lender learns a record within `days`; beyond it a date is wrong or a report is stale."""
    return Rule(
        "known_late",
        ("known_at", "occurred_at"),
        f"t.known_at <= t.occurred_at + INTERVAL {days} DAY",
        f"known within {days} days",
        f"在发生后{days}天内获知",
        "flag",
    )


def _within(name: str, part: str, whole: str, en: str, zh: str, level: Level = "flag", times: float = 1) -> Rule:
    bound = f"t.{whole}" if times == 1 else f"{times} * nullif(t.{whole}, 0)"
    return Rule(name, (part, whole), f"t.{part} <= {bound}", en, zh, level)


LEARNED = not_before("known_at", "occurred_at")


def same_for(name: str, column: str, key: str, table: str, en: str, zh: str, level: Level, where: str = "true") -> Rule:
    """All records of one account tell the same of it: what most of them (`where`) tell, at a draw the earliest."""
    return Rule(
        name,
        (key, column),
        f"l.told IS NULL OR t.{column} = l.told",
        en,
        zh,
        level,
        lookup=(
            f"SELECT {key}, arg_min(told, (-n, first)) AS told FROM ("
            f"SELECT {key}, {column} AS told, count(*) AS n, min(known_at) AS first FROM {table} "
            f"WHERE {column} IS NOT NULL AND {where} GROUP BY ALL) GROUP BY {key} HAVING count(*) > 1"
        ),
        on=f"t.{key} = l.{key}",
        reads={table: (key, column, "known_at")},
    )


def one_owner(key: str, table: str) -> Rule:
    """All records of one account name one customer."""
    en, zh = f"of one customer for each {key}", f"同一{key}只属于一位客户"
    return same_for("one_owner", "customer_id", key, table, en, zh, "reject")


def opened_once(key: str, table: str) -> Rule:
    """All records of one account name one moment of its beginning."""
    en, zh = f"the same in all records of a {key}", f"同一{key}的各次报送一致"
    possible = (
        "occurred_at BETWEEN TIMESTAMP '1980-01-01' AND known_at AND known_at <= (SELECT received_at FROM moments)"
    )
    return same_for("opened_once", "occurred_at", key, table, en, zh, "flag", possible)


def told_once(key: str, table: str, content: tuple[str, ...], where: str = "true") -> Rule:
    """The same record does not come again under another key; the first that was learned counts as the true one.

    A feed that tells whole hours or days cannot tell a repetition from a second purchase: there the rule holds.
    `where` is SQL of the rows that it speaks of.
    """
    same = ", ".join(content)
    return Rule(
        "told_once",
        (key, *content),
        f"l.first IS NULL OR t.{key} = l.first",
        f"told once, not again under another {key}",
        f"不以另一{key}重复报送",
        "flag",
        lookup=(  # few are told twice: they are found first, as to order all of them would take long
            f"SELECT hash({same}) AS content, arg_min({key}, (known_at, {key})) AS first FROM {table} "
            f"WHERE hash({same}) IN (SELECT hash({same}) FROM {table} "
            f"WHERE occurred_at <> date_trunc('hour', occurred_at) AND {where} "
            f"GROUP BY 1 HAVING min({key}) <> max({key})) GROUP BY 1"
        ),
        on=f"hash({', '.join('t.' + name for name in content)}) = l.content",
        reads={table: (key, "known_at", *content)},
    )


def usual_size(column: str, table: str, by: str) -> Rule:
    """An amount is at most a hundred times what 98 in 100 of its like stay within: outliers hardly move the bound."""
    return Rule(
        "usual_size",
        (column, by),
        f"l.high IS NULL OR abs(t.{column}) <= l.high",
        f"of a size that occurs for its {by}",
        f"符合同一{by}的通常金额",
        "flag",
        lookup=(
            f"SELECT {by}, 100 * quantile_disc(abs({column}), 0.98) AS high FROM {table} WHERE {column} <> 0 "
            "GROUP BY 1 HAVING count(*) >= 100"
        ),
        on=f"t.{by} = l.{by}",
        reads={table: (column, by)},
    )


APPLICATION_RULES = (
    Rule(
        "amount_of_product",
        ("product", "amount_requested"),
        "CASE t.product WHEN 'emergency_cash' THEN t.amount_requested BETWEEN 50000 AND 1000000 "
        "WHEN 'renovation' THEN t.amount_requested BETWEEN 1000000 AND 40000000 "
        "WHEN 'education' THEN t.amount_requested BETWEEN 200000 AND 20000000 "
        "WHEN 'business' THEN t.amount_requested BETWEEN 2000000 AND 100000000 END",
        "of the size that the product is sold in",
        "符合该产品的金额范围",
        "flag",
    ),
    Rule(
        "income_plausible",
        ("income_monthly",),
        "t.income_monthly BETWEEN 20000 AND 30000000",
        "from 200 to 300,000 CNY a month",
        "月收入在200至300,000元之间",
        "flag",
    ),
    Rule(
        "employed_since_youth",
        ("employed_months", "age_years"),
        "t.employed_months <= 12 * (t.age_years - 13)",
        "employed since the age of 13 at the earliest",
        "就业时间不早于13岁",
        "flag",
    ),
    _within(
        "instalment_within_amount",
        "instalment_monthly",
        "amount_requested",
        "at most 1.5 times the amount asked for",
        "不超过申请金额的1.5倍",
        times=1.5,
    ),
    Rule(
        "same_person",
        ("customer_id", "applied_at", "age_years", "gender"),
        "coalesce(t.gender = l.gender, true) AND "
        "coalesce(abs(t.age_years - l.age - datediff('day', l.first, t.applied_at) / 365.25) <= 2, true)",
        "of the gender and age of the customer's first application",
        "与客户首次申请的性别和年龄一致",
        "flag",
        lookup=(
            "SELECT customer_id, min(applied_at) AS first, arg_min(gender, applied_at) AS gender, "
            "arg_min(age_years, applied_at) FILTER (age_years BETWEEN 16 AND 110) AS age "
            "FROM applications GROUP BY 1 HAVING count(*) > 1"
        ),
        on="t.customer_id = l.customer_id",
        reads={"applications": ("customer_id", "applied_at", "age_years", "gender")},
    ),
)

# A month that is impossible, of the future, or so late that it is an old one sent as new is no witness against others.
_MONTHS_IN_ORDER = (
    "SELECT tradeline_id, occurred_at, last, highest, coalesce(lag(last) OVER w, 5) AS before, "
    "coalesce(datediff('month', lag(occurred_at) OVER w, occurred_at), 0) AS months FROM ("
    "SELECT tradeline_id, occurred_at, arg_max(overdue_bucket, known_at) AS last, max(overdue_bucket) AS highest "
    "FROM tradeline_months WHERE overdue_bucket IS NOT NULL AND known_at <= occurred_at + INTERVAL 75 DAY "
    "AND known_at <= (SELECT received_at FROM moments) GROUP BY ALL) "
    "WINDOW w AS (PARTITION BY tradeline_id ORDER BY occurred_at)"
)

TRADELINE_RULES = (
    LEARNED,
    not_before("closed_at", "occurred_at"),
    not_before("due_at", "occurred_at"),
    not_before("known_at", "closed_at", "flag"),
    _within(
        "overdue_within_max",
        "overdue_amount",
        "overdue_amount_max",
        "at most the highest so far",
        "不超过历史最高逾期",
        "reject",
    ),
    Rule(
        "overdue_within_balance",
        ("overdue_amount", "balance"),
        "t.balance IS NULL OR t.overdue_amount <= greatest(t.balance, 0)",
        "at most the balance",
        "不超过余额",
        "flag",
    ),
    Rule(
        "overdue_days_and_amount",
        ("overdue_amount", "overdue_days"),
        "(t.overdue_amount > 0) = (t.overdue_days > 0)",
        "overdue in days where overdue in amount, and only there",
        "逾期天数与逾期金额一致",
        "flag",
    ),
    Rule(
        "balance_within_amount",
        ("balance", "amount", "credit_limit"),
        "CASE WHEN greatest(t.amount, t.credit_limit) > 0 THEN t.balance <= 3 * greatest(t.amount, t.credit_limit) END",
        "at most three times what was granted",
        "不超过授信金额的三倍",
        "flag",
    ),
    _within(
        "instalment_within_amount",
        "instalment_monthly",
        "amount",
        "at most 1.5 times the amount",
        "不超过金额的1.5倍",
        times=1.5,
    ),
    Rule(
        "closed_has_its_day",
        ("status", "closed_at"),
        "CASE t.status WHEN 'closed' THEN t.closed_at IS NOT NULL WHEN 'active' THEN t.closed_at IS NULL END",
        "with a day of closing where closed, without one where active",
        "已结清者有结清日，未结清者没有",
        "flag",
    ),
    Rule(
        "opened_in_living_memory",
        ("occurred_at",),
        "t.occurred_at >= TIMESTAMP '1980-01-01'",
        "a day, not what stands for none, such as 1900-01-01 or 1970-01-01",
        "真实日期，而非1900-01-01或1970-01-01等占位值",
        "flag",
    ),
    one_owner("tradeline_id", "tradelines"),
    opened_once("tradeline_id", "tradelines"),
    told_once("tradeline_id", "tradelines", ("customer_id", "kind", "occurred_at", "amount", "credit_limit")),
    Rule(
        "in_step_with_months",
        ("tradeline_id", "known_at", "overdue_days"),
        "t.closed_at IS NOT NULL OR l.highest > 0 OR t.overdue_days <= 20",
        "no more than 20 days unless the monthly status of at most 20 days before is overdue, too",
        "不超过20天，除非20天内的月度状态亦逾期",
        "flag",
        lookup=(
            "SELECT r.tradeline_id, r.known_at, m.highest "
            "FROM (SELECT DISTINCT tradeline_id, known_at FROM tradelines) r ASOF JOIN ("
            f"SELECT * FROM ({_MONTHS_IN_ORDER}) WHERE highest <= before + months) m "
            "ON r.tradeline_id = m.tradeline_id AND r.known_at >= m.occurred_at "
            "WHERE m.occurred_at >= r.known_at - INTERVAL 20 DAY"
        ),
        on="t.tradeline_id = l.tradeline_id AND t.known_at = l.known_at",
        reads={
            "tradelines": ("tradeline_id", "known_at"),
            "tradeline_months": ("tradeline_id", "occurred_at", "known_at", "overdue_bucket"),
        },
    ),
)

TRADELINE_MONTH_RULES = (
    LEARNED,
    known_within(75),
    Rule(
        "not_before_opening",
        ("occurred_at",),
        "t.occurred_at >= l.opened",
        "not before the account was opened",
        "不早于开户",
        "flag",
        lookup=(
            "SELECT tradeline_id, date_trunc('month', min(occurred_at)) AS opened FROM tradelines "
            "WHERE occurred_at <= known_at AND known_at <= (SELECT received_at FROM moments) GROUP BY 1"
        ),
        on="t.tradeline_id = l.tradeline_id",
        reads={"tradelines": ("tradeline_id", "occurred_at", "known_at")},
    ),
    Rule(
        "one_bucket_a_month",
        ("overdue_bucket",),
        "l.before IS NULL OR t.overdue_bucket <= l.before + l.months",
        "at most one bucket worse a month",
        "每月最多恶化一档",
        "flag",
        lookup=(
            f"SELECT tradeline_id, occurred_at, before, months FROM ({_MONTHS_IN_ORDER}) "
            "WHERE highest > before + months"
        ),
        on="t.tradeline_id = l.tradeline_id AND t.occurred_at = l.occurred_at",
        reads={"tradeline_months": ("tradeline_id", "occurred_at", "known_at", "overdue_bucket")},
    ),
)

_MONEY_IN = "('salary', 'refund', 'loan_drawdown')"
_MONEY_OUT = (
    "('groceries', 'dining', 'transport', 'housing', 'utilities', 'telecom', 'travel', 'gambling', 'loan_repayment', "
    "'fees')"
)

TRANSACTION_RULES = (
    LEARNED,
    known_within(20),
    Rule(
        "direction_of_category",
        ("direction", "category"),
        f"CASE WHEN t.category IN {_MONEY_IN} THEN t.direction = 'in' "
        f"WHEN t.category IN {_MONEY_OUT} THEN t.direction = 'out' END",
        "in for income, out for spending",
        "收入为流入，消费为流出",
        "flag",
    ),
    Rule(
        "salary_as_usual",
        ("amount", "category"),
        "l.usual IS NULL OR t.category <> 'salary' OR t.amount BETWEEN l.usual / 5 AND 5 * l.usual",
        "within five times of the customer's usual salary",
        "在该客户通常工资的五倍范围内",
        "flag",
        lookup=(
            "SELECT customer_id, median(amount) AS usual FROM transactions WHERE category = 'salary' "
            "GROUP BY 1 HAVING count(*) >= 3"
        ),
        on="t.customer_id = l.customer_id",
        reads={"transactions": ("customer_id", "amount", "category")},
    ),
    usual_size("amount", "transactions", "category"),
    told_once(
        "transaction_id",
        "transactions",
        ("customer_id", "occurred_at", "amount", "direction", "category"),
        where="category <> 'loan_repayment'",  # several equal instalments may be settled at one moment
    ),
)

LOAN_RULES = (
    LEARNED,
    not_before("closed_at", "occurred_at"),
    not_before("known_at", "closed_at", "flag"),
    _within(
        "instalment_within_principal",
        "instalment_monthly",
        "principal",
        "at most 1.5 times the principal",
        "不超过本金的1.5倍",
        times=1.5,
    ),
    Rule(
        "annual_rate_as_ratio",
        ("annual_rate",),
        "l.usual > 0.5 OR t.annual_rate <= 1",
        "at most 1, which is 100 % a year, where others are",
        "不超过1，即年化100%",
        "flag",
        lookup="SELECT median(annual_rate) AS usual FROM loans",  # loans of days cost more than that a year
        on="true",
        reads={"loans": ("annual_rate",)},
    ),
    Rule(
        "not_before_applied",
        ("application_id", "occurred_at"),
        "t.occurred_at >= l.applied_at",
        "not before the loan was applied for",
        "不早于申请",
        "flag",
        lookup="SELECT application_id, min(applied_at) AS applied_at FROM applications GROUP BY 1",
        on="t.application_id = l.application_id",
        reads={"applications": ("application_id", "applied_at")},
    ),
    one_owner("loan_id", "loans"),
)

_DUE = "SELECT instalment_id, arg_max(amount_due, known_at) AS due FROM instalments GROUP BY 1"
_ALONE = "amount > 1.2 * due + 10000"

PAYMENT_RULES = (
    LEARNED,
    known_within(20),
    Rule(
        "not_before_drawn",
        ("loan_id", "occurred_at"),
        "t.occurred_at >= l.decided",
        "not before the loan was decided",
        "不早于放款决定",
        "flag",
        lookup="SELECT loan_id, min(occurred_at) AS decided FROM loans GROUP BY 1",
        on="t.loan_id = l.loan_id",
        reads={"loans": ("loan_id", "occurred_at")},
    ),
    Rule(
        "within_instalment",
        ("instalment_id", "amount"),
        "l.paid IS NULL OR l.paid <= 1.2 * l.due + 10000",
        "within what is due, all payments so far together",
        "累计付款不超过应还金额",
        "flag",
        # What alone is too much does not speak against the payments after it; nor does an equal one before, which
        # failed and was made again before it was taken back.
        lookup=(
            f"WITH due AS ({_DUE}), last AS (SELECT payment_id, instalment_id, min(known_at) AS first, "
            "max(payments.known_at) AS known_at, arg_max(occurred_at, payments.known_at) AS occurred_at, "
            "arg_max(amount, payments.known_at) AS amount FROM payments GROUP BY ALL) "
            "SELECT payment_id, known_at, due, amount AS paid FROM payments JOIN due USING (instalment_id) "
            f"WHERE {_ALONE} UNION ALL SELECT payment_id, known_at, due, sum(amount) OVER "
            "(PARTITION BY instalment_id ORDER BY occurred_at, first, payment_id) AS paid FROM ("
            f"SELECT *, NOT {_ALONE} AS counts FROM last JOIN due USING (instalment_id) "
            "QUALIFY counts AND row_number() OVER ("
            "PARTITION BY instalment_id, amount ORDER BY occurred_at, first, payment_id) = 1) "
            "QUALIFY paid > 1.2 * due + 10000"
        ),
        on="t.payment_id = l.payment_id AND t.known_at = l.known_at",
        reads={
            "payments": ("payment_id", "instalment_id", "occurred_at", "known_at", "amount"),
            "instalments": ("instalment_id", "known_at", "amount_due"),
        },
    ),
    told_once("payment_id", "payments", ("loan_id", "instalment_id", "occurred_at", "amount")),
)

INQUIRY_RULES = (
    LEARNED,
    known_within(20),
    told_once("inquiry_id", "inquiries", ("customer_id", "occurred_at", "reason", "institution_kind", "institution")),
)

CARD_MONTH_RULES = (
    LEARNED,
    known_within(75),
    _within("cash_within_drawn", "drawn_cash", "drawn", "at most all that was drawn", "不超过支用总额"),
    Rule(
        "balance_within_limit",
        ("balance", "credit_limit"),
        "CASE WHEN t.credit_limit > 0 THEN t.balance <= 3 * t.credit_limit END",
        "at most three times the limit",
        "不超过额度的三倍",
        "flag",
    ),
    one_owner("card_id", "card_months"),
)

INVOICE_RULES = (
    LEARNED,
    known_within(75),
    Rule(
        "tax_of_amount",
        ("amount", "tax"),
        "t.tax = 0 OR (sign(t.tax) = sign(t.amount) AND abs(t.tax) <= 0.25 * abs(t.amount) + 100)",
        "of the amount's sign and at most a quarter of it",
        "与金额同号且不超过其四分之一",
        "flag",
    ),
    usual_size("amount", "invoices", "direction"),
    told_once("invoice_id", "invoices", ("customer_id", "occurred_at", "direction", "amount", "counterparty_id")),
)

OUTCOME_RULES = (
    LEARNED,
    Rule(
        "says_how_it_went",
        ("dpd_max", "defaulted"),
        "t.dpd_max IS NOT NULL OR t.defaulted IS NOT NULL",
        "with days past due or the lender's own label",
        "有逾期天数或机构自有标签",
    ),
    Rule(
        "dpd_within_months",
        ("dpd_max", "months_on_book"),
        "t.dpd_max <= 31 * t.months_on_book",
        "days past due within the months on book",
        "逾期天数不超过账龄",
        "flag",
    ),
    Rule(
        "worst_does_not_heal",
        ("application_id", "dpd_max"),
        "l.worst IS NULL OR t.dpd_max >= l.worst",
        "at least what it was at an earlier month on book",
        "不低于此前月份的最高逾期",
        "flag",
        lookup=(
            "SELECT application_id, occurred_at, known_at, max(dpd_max) FILTER (coalesce("
            "dpd_max <= 31 * months_on_book, true)) OVER (PARTITION BY application_id "
            "ORDER BY occurred_at, known_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS worst "
            "FROM outcomes QUALIFY worst > dpd_max"
        ),
        on="t.application_id = l.application_id AND t.occurred_at = l.occurred_at AND t.known_at = l.known_at",
        reads={"outcomes": ("application_id", "occurred_at", "known_at", "months_on_book", "dpd_max")},
    ),
)

CONSENT_RULES = (LEARNED, not_before("expires_at", "occurred_at"))
