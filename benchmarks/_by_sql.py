"""Fifty features of `application_v1` in SQL for DuckDB, as one would write it who needs no other.

It takes the records as they were known at each application's `as_of`, corrections too, and gives the numbers of the
algebra. It is as good as we can make it: one pass a table, records out of every window left out early, numbers as keys,
a correction found by the cheaper of two ways.
"""

from __future__ import annotations

import duckdb
import pandas as pd

from data_contracts.folder import TableFolder

FIFTY = (
    "application_requested_to_income", "application_hour",
    "tradelines_count", "tradelines_active_count", "tradelines_kind_distinct", "tradelines_opened_count_180d",
    "tradelines_age_days", "tradelines_balance_sum", "tradelines_balance_to_income", "tradelines_used_mean",
    "tradelines_overdue_days_max", "tradelines_amount_last", "tradelines_amount_slope",
    "tradeline_months_account_distinct", "tradeline_months_late_share", "tradeline_months_late1_count_365d",
    "tradeline_months_bucket_max_365d", "tradeline_months_balance_slope_365d", "tradeline_months_balance_std_365d",
    "inquiries_count_30d", "inquiries_nonbank_count_180d", "inquiries_institution_distinct_365d",
    "inquiries_days_since",
    "transactions_count_30d", "transactions_income_sum_90d", "transactions_spending_sum_90d",
    "transactions_spending_to_income_90d", "transactions_salary_count_180d", "transactions_salary_mean_180d",
    "transactions_salary_std_180d", "transactions_salary_slope_180d", "transactions_salary_days_since",
    "transactions_gambling_sum_90d", "transactions_night_share_90d", "transactions_category_distinct_90d",
    "transactions_amount_max_90d",
    "card_months_used_last", "card_months_used_slope_190d", "card_months_paid_share_190d", "card_months_dpd_max_370d",
    "loans_count", "loans_refused_share", "loans_principal_last",
    "loan_months_dpd_max_365d",
    "instalments_dpd_max_365d", "instalments_dpd_last3_mean", "instalments_first_dpd", "instalments_unpaid_sum",
    "payments_count_180d", "payments_amount_sum_365d",
)  # fmt: skip

SQL = """
create temp table a as
select application_id, customer_id, applied_at as as_of, amount_requested, income_monthly,
       (row_number() over (order by application_id))::integer as k
from {applications};

create temp table f_tradelines as
with reported as (
    select *, lead(known_at) over (partition by tradeline_id order by known_at) as next_at from {tradelines}
), seen as (
    select k, as_of, r.*, epoch_us(as_of) - epoch_us(occurred_at) as age
    from reported r join a using (customer_id)
    where known_at <= as_of and occurred_at <= as_of and (next_at is null or next_at > as_of)
)
select k,
    count(*) as tradelines_count,
    count(*) filter (status = 'active') as tradelines_active_count,
    count(distinct kind) as tradelines_kind_distinct,
    count(*) filter (age < 180 * 86400000000) as tradelines_opened_count_180d,
    max(age) / 86400e6 as tradelines_age_days,
    sum(balance) filter (status = 'active') / 100 as tradelines_balance_sum,
    avg(least(greatest(balance / nullif(amount, 0), 0), 5)) filter (status = 'active' and amount is not null)
        as tradelines_used_mean,
    max(overdue_days) as tradelines_overdue_days_max,
    arg_max(amount, (occurred_at, tradeline_id)) filter (amount is not null) / 100 as tradelines_amount_last,
    case when max(age) filter (amount is not null) - min(age) filter (amount is not null) >= 86400000000
        then regr_slope(amount, age / -2592000e6) end / 100 as tradelines_amount_slope
from seen group by k;

create temp table f_tradeline_months as
with again as (
    select tradeline_id, occurred_at, known_at from {tradeline_months}
    where (tradeline_id, occurred_at) in
        (select (tradeline_id, occurred_at) from {tradeline_months} group by all having count(*) > 1)
), seen as (
    select k, t.*, epoch_us(as_of) - epoch_us(t.occurred_at) as age
    from {tradeline_months} t join a using (customer_id)
    where t.known_at <= as_of and t.occurred_at <= as_of and not exists (
        from again v where v.tradeline_id = t.tradeline_id and v.occurred_at = t.occurred_at
            and v.known_at > t.known_at and v.known_at <= as_of)
)
select k,
    count(distinct tradeline_id) as tradeline_months_account_distinct,
    avg((overdue_bucket > 0 and overdue_bucket is not null)::int) filter (status = 'open')
        as tradeline_months_late_share,
    count(*) filter (overdue_bucket >= 1 and y) as tradeline_months_late1_count_365d,
    max(overdue_bucket) filter (y) as tradeline_months_bucket_max_365d,
    case when max(age) filter (y and balance is not null) - min(age) filter (y and balance is not null) >= 86400000000
        then regr_slope(balance, age / -2592000e6) filter (y) end / 100 as tradeline_months_balance_slope_365d,
    stddev_samp(balance) filter (y) / 100 as tradeline_months_balance_std_365d
from (select *, age < 365 * 86400000000 as y from seen) group by k;

create temp table f_inquiries as
with seen as (
    select k, t.*, epoch_us(as_of) - epoch_us(occurred_at) as age
    from {inquiries} t join a using (customer_id) where known_at <= as_of and occurred_at <= as_of
)
select k,
    count(*) filter (age < 30 * 86400000000) as inquiries_count_30d,
    count(*) filter (institution_kind in ('consumer_finance', 'microloan') and age < 180 * 86400000000)
        as inquiries_nonbank_count_180d,
    count(distinct institution) filter (age < 365 * 86400000000) as inquiries_institution_distinct_365d,
    min(age) / 86400e6 as inquiries_days_since
from seen group by k;

create temp table f_transactions as
with again as (
    select transaction_id, known_at from {transactions}
    where transaction_id in (select transaction_id from {transactions} group by 1 having count(*) > 1)
), seen as (
    select k, age, amount, direction, category, age < 90 * 86400000000 as q, category = 'salary' as s,
        hour(occurred_at + interval 8 hours) as h
    from (
        select k, as_of, t.*, epoch_us(as_of) - epoch_us(occurred_at) as age
        from {transactions} t join a using (customer_id)
        where t.known_at <= as_of and t.occurred_at <= as_of
            and (t.occurred_at > as_of - interval 180 days or category = 'salary')
    ) t
    where not exists (
        from again v where v.transaction_id = t.transaction_id and v.known_at > t.known_at and v.known_at <= as_of)
)
select k,
    count(*) filter (age < 30 * 86400000000) as transactions_count_30d,
    sum(amount) filter (q and direction = 'in') / 100 as transactions_income_sum_90d,
    sum(amount) filter (q and direction = 'out') / 100 as transactions_spending_sum_90d,
    count(*) filter (h and s) as transactions_salary_count_180d,
    avg(amount) filter (h and s) / 100 as transactions_salary_mean_180d,
    stddev_samp(amount) filter (h and s) / 100 as transactions_salary_std_180d,
    case when max(age) filter (h and s) - min(age) filter (h and s) >= 86400000000
        then regr_slope(amount, age / -2592000e6) filter (h and s) end / 100 as transactions_salary_slope_180d,
    min(age) filter (s) / 86400e6 as transactions_salary_days_since,
    sum(amount) filter (q and category = 'gambling') / 100 as transactions_gambling_sum_90d,
    avg(n::int) filter (q and direction = 'out') as transactions_night_share_90d,
    count(distinct category) filter (q) as transactions_category_distinct_90d,
    max(amount) filter (q and direction = 'out') / 100 as transactions_amount_max_90d
from (select * exclude (h), age < 180 * 86400000000 as h, h >= 23 or h < 5 as n from seen) group by k;

create temp table f_card_months as
with seen as (
    select k, t.*, epoch_us(as_of) - epoch_us(occurred_at) as age, balance / nullif(credit_limit, 0) as used
    from {card_months} t join a using (customer_id) where known_at <= as_of and occurred_at <= as_of
)
select k,
    arg_max(used, (occurred_at, card_id)) filter (used is not null) as card_months_used_last,
    case when max(age) filter (h and used is not null) - min(age) filter (h and used is not null) >= 86400000000
        then regr_slope(used, age / -2592000e6) filter (h) end as card_months_used_slope_190d,
    avg(least(greatest(paid / balance, 0), 5)) filter (h and balance > 0 and paid is not null)
        as card_months_paid_share_190d,
    max(dpd) filter (age < 370 * 86400000000) as card_months_dpd_max_370d
from (select *, age < 190 * 86400000000 as h from seen) group by k;

create temp table f_loans as
with reported as (
    select *, lead(known_at) over (partition by loan_id order by known_at) as next_at from {loans}
)
select k,
    count(*) as loans_count,
    avg((status = 'refused')::int) as loans_refused_share,
    arg_max(principal, (occurred_at, loan_id))
        filter (status in ('granted', 'closed') and principal is not null) / 100 as loans_principal_last
from reported join a using (customer_id)
where known_at <= as_of and occurred_at <= as_of and (next_at is null or next_at > as_of)
group by k;

create temp table f_loan_months as
select k, max(dpd) as loan_months_dpd_max_365d
from {loan_months} t join a using (customer_id)
where known_at <= as_of and occurred_at <= as_of and occurred_at > as_of - interval 365 days
group by k;

create temp table f_instalments as
with scheduled as (
    select *, lead(known_at) over (partition by instalment_id order by known_at) as next_at from {instalments}
), due as (
    select k, as_of, instalment_id, due_at, amount_due
    from scheduled join a using (customer_id)
    where known_at <= as_of and due_at <= as_of and (next_at is null or next_at > as_of)
), settling as (
    select k, instalment_id, sum(amount) as paid, max(occurred_at) as paid_at
    from {payments} join a using (customer_id) where known_at <= as_of and occurred_at <= as_of
    group by k, instalment_id
), seen as (
    select k, amount_due, coalesce(paid, 0) as paid, due_at > as_of - interval 365 days as y,
        greatest(epoch_us(if(coalesce(paid, 0) >= amount_due, paid_at, as_of)) - epoch_us(due_at), 0) / 86400e6 as late,
        row_number() over (partition by k order by due_at desc, instalment_id desc) as back,
        due_at, instalment_id
    from due left join settling using (k, instalment_id)
)
select k,
    max(late) filter (y) as instalments_dpd_max_365d,
    avg(late) filter (back <= 3) as instalments_dpd_last3_mean,
    arg_max(late, back) as instalments_first_dpd,
    sum(greatest(amount_due - paid, 0)) / 100 as instalments_unpaid_sum
from seen group by k;

create temp table f_payments as
select k,
    count(*) filter (occurred_at > as_of - interval 180 days) as payments_count_180d,
    sum(amount) / 100 as payments_amount_sum_365d
from {payments} t join a using (customer_id)
where known_at <= as_of and occurred_at <= as_of and occurred_at > as_of - interval 365 days
group by k;
"""

_EXPRESSIONS = {
    "application_requested_to_income": "amount_requested / nullif(income_monthly, 0)",
    "application_hour": "hour(as_of + interval 8 hours)",
    "tradelines_balance_to_income": "coalesce(tradelines_balance_sum, 0) * 100 / nullif(income_monthly, 0)",
    "transactions_spending_to_income_90d":
        "coalesce(transactions_spending_sum_90d, 0) / nullif(transactions_income_sum_90d, 0)",
}  # fmt: skip
COUNTED = ("_count", "_sum", "_distinct")


def by_sql(folder: TableFolder, threads: int = 2) -> pd.DataFrame:
    """The fifty features of every application by `SQL`, indexed by application_id."""
    scans = {name: folder.scan(name) for name in folder.tables}
    statements = [statement.format(**scans) for statement in SQL.split(";") if statement.strip()]
    parts = [statement.split()[3] for statement in statements[1:]]
    columns = ", ".join(f"({_EXPRESSIONS.get(name, _zero(name))})::double as {name}" for name in FIFTY)
    joins = " ".join(f"left join {part} using (k)" for part in parts)
    with duckdb.connect(config={"threads": threads}) as connection:
        for statement in statements:
            connection.execute(statement)
        frame = connection.execute(f"select application_id, {columns} from a {joins} order by application_id").df()
    return frame.set_index("application_id")


def _zero(name: str) -> str:
    """A count or sum of no records is 0."""
    return f"coalesce({name}, 0)" if any(word in name for word in COUNTED) else name
