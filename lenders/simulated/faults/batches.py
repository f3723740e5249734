"""Faults of a whole table: what a supplier's new release, a broken transfer or a lost file does to a delivery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lenders.simulated.faults.case import Case, Change, Fault, put
from lenders.simulated.timeline import Flags

_MONEY = {
    "transactions": "amount",
    "tradelines": "amount",
    "payments": "amount",
    "inquiries": "",
    "instalments": "amount_due",
}
_CODE = {"transactions": "channel", "tradelines": "kind", "inquiries": "institution_kind", "payments": ""}
_NONE = np.array([], dtype=np.int64), np.array([], dtype=bool)


def _whole(table: pa.Table) -> Change:
    return Change(table, *_NONE)


def _column(case: Case) -> str:
    """A column that the table must have, other than its key."""
    names = [c.name for c in case.contract.columns if not c.nullable and c.name not in case.contract.key]
    return str(case.rng.choice(np.array(names)))


def _renamed(case: Case) -> Change:
    column = _column(case)
    return _whole(
        case.table.rename_columns([name if name != column else f"{name}_v2" for name in case.table.column_names])
    )


def _dropped(case: Case) -> Change:
    return _whole(case.table.drop_columns([_column(case)]))


def _added(case: Case) -> Change:
    return _whole(case.table.append_column("remark", pa.array([""] * case.table.num_rows)))


def _retyped(case: Case) -> Change:
    """Amounts or times as text, as spreadsheets write them."""
    column = case.rng.choice(np.array(["occurred_at", _MONEY[case.name] or "known_at"]))
    place = case.table.schema.get_field_index(column)
    return _whole(case.table.set_column(place, str(column), case.table[column].cast(pa.string())))


def _keep(case: Case, kept: Flags) -> Change:
    return _whole(case.table.filter(pa.array(kept)))


def _partial(case: Case) -> Change:
    """Half of the rows, whichever, as when one of two parts of a delivery is lost."""
    return _keep(case, case.rng.random(case.table.num_rows) < 0.5)


def _cut_short(case: Case) -> Change:
    """Nothing of the second half of the month, as when a transfer breaks off."""
    return _keep(case, case.moments("known_at") <= _moment(case, 0.3, 0.5))


def _moment(case: Case, low: float, high: float) -> np.datetime64:
    """When some share had come of what was learned in the delivery's own time; older records are new customers' past.

    That time is told by the applications.
    """
    applied, known = (
        moments.astype("datetime64[us]").astype(np.int64)
        for moments in (case.tables["applications"]["applied_at"].to_numpy(), case.moments("known_at"))
    )
    own = known[known >= np.quantile(applied, 0.01)]
    return np.datetime64(int(np.quantile(own, case.rng.uniform(low, high))), "us")


def _late_start(case: Case) -> Change:
    """Nothing of the first half of the month, nor of what was learned before it."""
    return _keep(case, case.moments("known_at") >= _moment(case, 0.5, 0.7))


def _empty(case: Case) -> Change:
    return _whole(case.table.slice(0, 0))


def _doubled(case: Case) -> Change:
    """Everything twice, under new identifiers and a little later, as when two systems deliver the same."""
    table = case.table
    key, known = case.contract.key[0], pc.add(table["known_at"], pa.scalar(3_600_000_000, pa.duration("us")))
    again = table.set_column(table.schema.get_field_index("known_at"), "known_at", known)
    names = pc.binary_join_element_wise("Z", again[key], "")
    return _whole(pa.concat_tables([table, again.set_column(table.schema.get_field_index(key), key, names)]))


def _shard(case: Case) -> Change:
    """The most frequent code is missing, as when one source of several has not delivered."""
    codes = case.text(_CODE[case.name])
    names, counts = np.unique(codes.astype(str), return_counts=True)
    return _keep(case, codes != names[np.argmax(counts)])


def _scaled(case: Case, scale: np.ndarray | float) -> Change:
    column = _MONEY[case.name]
    amount = case.numbers(column)
    rows = np.flatnonzero(~np.isnan(amount))
    spoilt = np.maximum(np.rint((amount * scale)[rows]), 1).astype(np.int64)
    return _whole(put(case.table, column, rows, spoilt))


def _unit_break(case: Case) -> Change:
    """The supplier switches cents and yuan."""
    return _scaled(case, case.rng.choice([0.01, 100.0]))


def _currency_mix(case: Case) -> Change:
    """Three of four amounts in US dollars, as when all but one source deliver unconverted."""
    return _scaled(case, np.where(case.rng.random(case.table.num_rows) < 3 / 4, 1 / 7.1, 1.0))


def _shift(case: Case) -> Change:
    """Amounts are some times as high, as when totals replace single items or a filter is lost."""
    return _scaled(case, case.rng.uniform(3, 5))


def _constant(case: Case) -> Change:
    """One code for all rows: a default that was never replaced."""
    column = _CODE[case.name]
    codes = case.contract.column(column).categories
    return _whole(put(case.table, column, np.arange(case.table.num_rows), str(case.rng.choice(np.array(codes)))))


def _emptied(case: Case) -> Change:
    """A column that may be missing is missing for everybody."""
    names = {
        "tradelines": ("balance", "credit_limit", "overdue_days", "instalment_monthly", "due_at"),
        "inquiries": ("institution",),
        "tradeline_months": ("balance", "overdue_bucket"),
        "applications": ("income_monthly", "external_score_1", "employed_months", "channel", "employment"),
    }
    column = str(case.rng.choice(np.array(names[case.name])))
    return _whole(put(case.table, column, np.arange(case.table.num_rows), None))


def _time_zone(case: Case) -> Change:
    """All times in China's time, or one zone too far west."""
    hours = case.rng.choice([8, -8])
    table = case.table
    for column in ("occurred_at", "known_at"):
        moved = case.moments(column) + np.timedelta64(hours, "h")
        table = put(table, column, np.arange(table.num_rows), moved)
    return _whole(table)


def _whole_days(case: Case) -> Change:
    """The time of day is lost."""
    local = (case.moments("occurred_at") + np.timedelta64(8, "h")).astype("datetime64[D]").astype("datetime64[us]")
    return _whole(put(case.table, "occurred_at", np.arange(case.table.num_rows), local - np.timedelta64(8, "h")))


def _stale_feed(case: Case) -> Change:
    """An old delivery again: everything some months earlier, under the same names."""
    back = np.timedelta64(int(case.rng.integers(14, 20)) * 30, "D")
    table = case.table
    for column in ("occurred_at", "known_at"):
        table = put(table, column, np.arange(table.num_rows), case.moments(column) - back)
    return _whole(table)


def _recoded(case: Case) -> Change:
    """Codes mean something else since a new release: each category takes the name of the next."""
    column = _CODE[case.name]
    codes = case.text(column)
    names = sorted(set(codes))
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    return _whole(put(case.table, column, np.arange(len(codes)), [following[code] for code in codes]))


_FEEDS = ("transactions", "tradelines", "inquiries", "payments")


def _fault(name: str, en: str, zh: str, change: Callable[[Case], Change], tables: tuple[str, ...] = _FEEDS) -> Fault:
    return Fault(name, en, zh, "always", "batch", tables, change)


_CODED, _PRICED = ("transactions", "tradelines", "inquiries"), ("transactions", "tradelines", "payments")

BATCH_FAULTS = (
    _fault("renamed_column", "a column under a new name", "列名变更", _renamed),
    _fault("missing_column", "a column is gone", "缺少列", _dropped),
    _fault("unknown_column", "a column that nobody agreed on", "多出列", _added),
    _fault("changed_type", "numbers or times as text", "类型变更", _retyped),
    _fault("partial_batch", "half of the rows are missing", "批次仅到一半", _partial),
    _fault("cut_short", "the second half of the month is missing", "文件后半缺失", _cut_short),
    _fault("late_start", "the first half of the month is missing", "文件前半缺失", _late_start),
    _fault("empty_table", "a table without rows", "空表", _empty),
    _fault("doubled_batch", "everything twice under new identifiers", "整批重复", _doubled),
    _fault("missing_source", "one source of several has not delivered", "缺少一个来源", _shard, _CODED),
    _fault("unit_break", "the supplier switches cents and yuan", "供应商元分切换", _unit_break, _PRICED),
    _fault("currency_mix", "three of four amounts in dollars", "币种混杂", _currency_mix, _PRICED),
    _fault("distribution_shift", "all amounts three to five times as high", "分布漂移", _shift, _PRICED),
    _fault("constant_code", "one code for all rows", "代码恒定", _constant, _CODED),
    _fault("recoded", "codes mean something else", "代码含义变更", _recoded, _CODED),
    _fault("emptied_column", "a column is missing for everybody", "整列缺失", _emptied,
           ("tradelines", "inquiries", "tradeline_months", "applications")),
    _fault("time_zone_shift", "all times eight hours off", "时区偏移", _time_zone,
           ("transactions", "inquiries", "payments")),
    _fault("lost_time_of_day", "all times at midnight", "时刻丢失", _whole_days,
           ("transactions", "inquiries", "payments")),
    _fault("stale_feed", "an old delivery as a new one", "旧批次充新", _stale_feed),
)  # fmt: skip
