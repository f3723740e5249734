"""Moments at which cards in use are looked at, made of their statements: the applications of a behaviour model.

A lender that reviews limits looks at its cards at the end of each quarter, say. Every look at a customer becomes a row
of `applications`, so that features, sequences, training, evaluation and monitoring need to know nothing of it; what
the statements of the following months showed becomes its `outcomes`. What lies before a look is told by `known_at`
alone: `as_of` is when the month's statement was known, and where a later month's was known by then no look is taken.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import duckdb
import pyarrow as pa

from data_contracts.engine import connect
from data_contracts.errors import SourceError, TrainingError
from data_contracts.folder import TableFolder, write_tables
from training.experiment import Target
from training.targets import ASKED, LeftOut

# Months are numbered by the calendar of China. Of a corrected statement every version is kept: what was known at a
# look decides whether it is taken, what is known last decides how it came out.
_STATEMENTS = """
create table statements as
select customer_id, card_id, occurred_at, known_at, status, balance, dpd,
       coalesce(dpd, case when status <> 'late' then 0 end) as days_late,
       year(occurred_at + interval 8 hour) * 12 + month(occurred_at + interval 8 hour) as month,
       min(known_at) over version as first_known,
       known_at = max(known_at) over version as newest
from {scan}
window version as (partition by customer_id, card_id, occurred_at)
"""
_MONTHS = """
create table months as
select customer_id, month, min(first_known) as first_known, max(first_known) as as_of,
       max(occurred_at) filter (newest) as occurred_at, max(known_at) filter (newest) as known_at,
       max(days_late) filter (newest) as days_late
from statements group by customer_id, month
"""
_LOOKS = """
create table looks as
with history as (
    select g.customer_id, g.month, g.as_of, count(*) filter (m.month <= g.month and m.as_of <= g.as_of) as history,
           bool_or(m.month > g.month) as overtaken
    from months as g join months as m on m.customer_id = g.customer_id and m.first_known <= g.as_of
    where g.month % {every_months} = 0
    group by all
),
seen as (
    select h.customer_id, h.month, s.days_late,
           coalesce(s.status in ('carried', 'late'), s.balance > 0, s.dpd > 0) as owes
    from history as h join statements as s
    on s.customer_id = h.customer_id and s.month = h.month and s.known_at <= h.as_of
    window version as (partition by h.customer_id, h.month, s.card_id, s.occurred_at order by s.known_at desc)
    qualify row_number() over version = 1
),
states as (
    select customer_id, month, max(days_late) as days_late, bool_or(owes) as owes from seen group by customer_id, month
)
select customer_id || '@' || strftime(as_of + interval 8 hour, '%Y-%m-%d') as application_id, customer_id, as_of, month,
       case when overtaken then 'overtaken' when history < {least_months} then 'young'
            when days_late >= {dpd} then 'late' when {with_debt} and owes is not true then 'without_debt'
            else 'taken' end as state
from history join states using (customer_id, month)
"""
_APPLICATIONS = """
select application_id, customer_id, as_of as applied_at, 'revolving' as product
from looks where state = 'taken' order by application_id
"""
_OUTCOMES = """
with after as (
    select l.application_id, l.customer_id, m.month - l.month as months_on_book, m.occurred_at, m.known_at, m.days_late
    from looks as l join months as m using (customer_id)
    where l.state = 'taken' and m.days_late is not null
    and m.month between l.month + 1 and l.month + {performance_months}
)
select application_id, customer_id, occurred_at, max(known_at) over so_far as known_at, months_on_book,
       max(days_late) over so_far as dpd_max
from after
window so_far as (partition by application_id order by months_on_book)
qualify count(*) over so_far = months_on_book
order by application_id, months_on_book
"""


def observe(folder: TableFolder, target: Target, out: Path) -> TableFolder:
    """Write the folder of looks at a lender's cards: derived applications and outcomes, the other tables as they are.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables with `card_months`; applications and outcomes that it has are left behind.
    target : Target
        Of kind `card_dpd`: how often cards are looked at, at whose, and what counts as a default.
    out : Path
        Folder to write. Its batch keeps the target, the identity of the tables it was made of, and why how many looks
        were not taken.

    Returns
    -------
    TableFolder
        `applications` has a row a look: `application_id` is `customer@day`, `applied_at` the moment. `outcomes` has the
        highest days past due in the first 1, 2, ... months after it, up to the first month that is not known.

    Raises
    ------
    TrainingError
        Where the target is of another kind.
    SourceError
        Where the folder has no `card_months`, no look can be taken, or `out` is the folder itself.
    """
    if target.kind != "card_dpd":
        raise TrainingError(f'Only a target of kind "card_dpd" looks at cards; this one is {target.kind!r}.')
    if "card_months" not in folder.tables:
        raise SourceError(f"{folder.path} has no card_months to look at; it has {', '.join(folder.tables) or 'none'}.")
    if out.exists() and out.samefile(folder.path):
        raise SourceError(f"{out} is the folder that is looked at; name another with --out.")
    asked = target.model_dump(include=set(ASKED))
    words = {**asked, "with_debt": str(target.with_debt).lower()}
    with connect(threads=2, memory_limit="2GB") as engine:
        try:
            for query in (_STATEMENTS, _MONTHS, _LOOKS):
                engine.execute(query.format(scan=folder.scan("card_months"), **words))
            made: dict[str, pa.Table] = {
                "applications": engine.sql(_APPLICATIONS).to_arrow_table(),
                "outcomes": engine.sql(_OUTCOMES.format(**words)).to_arrow_table(),
            }
            states = dict(engine.execute("select state, count(*) from looks group by state").fetchall())
        except duckdb.Error as fault:
            raise SourceError(f"The tables in {folder.path} cannot be read ({fault}).") from fault
    left_out = _left_out(states, target)
    if not made["applications"].num_rows:
        reasons = "; ".join(f"{left.count} {left.en}" for left in left_out) or "no month ends a period"
        raise SourceError(
            f"No look at the cards of {folder.path} can be taken ({reasons}). Check every_months, least_months and "
            "with_debt in [target] of the experiment."
        )
    others = {name: folder.read_arrow(name) for name in folder.tables if name not in made}
    observed = {"of": folder.identity, "target": asked, "left_out": [asdict(left) for left in left_out]}
    return write_tables(out, {**made, **others}, lender=folder.lender, dates=folder.dates, facts={"observed": observed})


def _left_out(states: dict[str, int], target: Target) -> tuple[LeftOut, ...]:
    reasons = {
        "overtaken": ("not looked at: a later month's statement was known by then", "未观察：当时已知更晚月份账单"),
        "young": (
            f"not looked at: less than {target.least_months} months of history",
            f"未观察：历史不足{target.least_months}个月",
        ),
        "late": (
            f"not looked at: {target.dpd} or more days past due already",
            f"未观察：当时已逾期{target.dpd}天及以上",
        ),
        "without_debt": ("not looked at: without debt", "未观察：当时无欠款"),
    }
    return tuple(LeftOut(en, zh, states[state]) for state, (en, zh) in reasons.items() if states.get(state))
