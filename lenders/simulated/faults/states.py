"""Faults in the state that rows tell: at odds with itself, with the month before, with another table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lenders.simulated.faults.case import Case, Change, Fault, put
from lenders.simulated.timeline import Floats, Ints

_ONE_WAY = (
    "salary", "refund", "loan_drawdown", "groceries", "dining", "transport", "utilities", "telecom", "travel", "fees",
    "loan_repayment",
)  # fmt: skip


def _jump(case: Case) -> Change | None:
    """From one month to the next two or more buckets worse: nobody grows more than a month older in a month.

    Detectable by the month before, unless that was spoilt as well.
    """
    bucket = case.numbers("overdue_bucket")
    before = _month_before(case, bucket)
    rows = case.pick((before <= 2) & ~np.isnan(bucket))
    if not len(rows):
        return None
    spoilt = bucket.copy()
    spoilt[rows] = case.rng.integers(before[rows].astype(np.int64) + 2, 6)
    detectable = spoilt[rows] >= _month_before(case, spoilt)[rows] + 2
    return case.spoil(rows, {"overdue_bucket": spoilt[rows].astype(np.int64)}, detectable)


def _month_before(case: Case, bucket: Floats) -> Floats:
    """Bucket of the same account a month earlier, as last reported; NaN where it is not known.

    Parameters
    ----------
    bucket : ndarray of float64
        What the batch's rows say.
    """
    known = case.known("tradeline_months", "tradeline_id", "occurred_at", "known_at", "overdue_bucket")
    known["bucket"] = known.overdue_bucket.to_numpy(np.float64, na_value=np.nan)
    known.loc[known.row >= 0, "bucket"] = bucket
    known["month"] = _china_month(known.occurred_at)
    last = known.sort_values("known_at").drop_duplicates(["tradeline_id", "month"], keep="last")
    before = last.assign(month=last.month + 1)[["tradeline_id", "month", "bucket"]]
    mine = case.frame("tradeline_id", "occurred_at")
    mine["month"] = _china_month(mine.occurred_at)
    found: Floats = mine.merge(before, on=["tradeline_id", "month"], how="left").bucket.to_numpy(np.float64)
    return found


def _china_month(moments: pd.Series[pd.Timestamp]) -> Ints:
    local = moments.to_numpy().astype("datetime64[us]") + np.timedelta64(8, "h")
    months: Ints = local.astype("datetime64[M]").astype(np.int64)
    return months


def _half_updated(case: Case) -> Change | None:
    """The amount overdue without its days, or the other way round."""
    overdue = case.numbers("overdue_amount")
    rows = case.pick(overdue > 0)
    if not len(rows):
        return None
    spoilt = case.spoil(rows[::2], {"overdue_days": 0}).table
    return Change(put(spoilt, "overdue_amount", rows[1::2], 0), rows, np.ones(len(rows), bool))


def _exchanged(case: Case) -> Change | None:
    """The present and the highest overdue amount stand in each other's place."""
    now, highest = case.numbers("overdue_amount"), case.numbers("overdue_amount_max")
    rows = case.pick(highest > now)
    if not len(rows):
        return None
    spoilt = {"overdue_amount": highest[rows], "overdue_amount_max": now[rows]}
    return case.spoil(rows, {name: value.astype(np.int64) for name, value in spoilt.items()})


def _open_and_closed(case: Case) -> Change:
    """Closed by its status and open by its dates, or the other way round."""
    status = case.text("status")
    rows = case.pick(np.isin(status, ("active", "closed")))
    return case.spoil(rows, {"status": np.where(status[rows] == "active", "closed", "active")})


def _direction(case: Case) -> Change:
    """Money out for money in: detectable for a salary or a bill, which go one way only."""
    direction = case.text("direction")
    rows = case.pick()
    one_way = np.isin(case.text("category")[rows], _ONE_WAY)
    return case.spoil(rows, {"direction": np.where(direction[rows] == "in", "out", "in")}, one_way)


def _out_of_step(case: Case) -> Change | None:
    """In arrears by the account's report, though the month just ended says that it was not."""
    months = case.known("tradeline_months", "tradeline_id", "occurred_at", "known_at", "overdue_bucket")
    months["month"] = _china_month(months.occurred_at)
    last = months.sort_values("known_at").drop_duplicates(["tradeline_id", "month"], keep="last")
    mine = case.frame("tradeline_id", "known_at", "status", "overdue_days", "balance")
    mine["month"] = _china_month(mine.known_at) - 1
    mine = mine.merge(last[["tradeline_id", "month", "overdue_bucket"]], on=["tradeline_id", "month"], how="left")
    sound = (mine.overdue_bucket == 0) & (mine.overdue_days == 0) & (mine.status == "active") & (mine.balance > 1_000)
    rows = case.pick(sound.fillna(False).to_numpy(bool))
    if not len(rows):
        return None
    overdue = (mine.balance.to_numpy(np.float64)[rows] / 10).astype(np.int64)
    highest = np.maximum(overdue, np.nan_to_num(case.numbers("overdue_amount_max"))[rows].astype(np.int64))
    return case.spoil(rows, {"overdue_days": 48, "overdue_amount": overdue, "overdue_amount_max": highest})


def _healed(case: Case) -> Change | None:
    """The highest days past due so far fall to none; detectable where an earlier month still says more."""
    known = case.known("outcomes", "application_id", "occurred_at", "dpd_max")
    rows = case.pick(_worst_before(known)[known.row >= 0] > 0)
    if not len(rows):
        return None
    spoilt = known.assign(dpd_max=known.dpd_max.mask(known.row.isin(rows), 0))
    return case.spoil(rows, {"dpd_max": 0}, _worst_before(spoilt)[known.row >= 0][rows] > 0)


def _worst_before(known: pd.DataFrame) -> Floats:
    ordered = known.sort_values("occurred_at")
    worst = ordered.groupby("application_id").dpd_max.cummax()
    before = worst.groupby(ordered.application_id).shift()
    found: Floats = before.reindex(known.index).fillna(0).to_numpy(np.float64)
    return found


def _more_days_than_months(case: Case) -> Change:
    rows = case.pick(case.numbers("months_on_book") > 0)
    days = 40 * case.numbers("months_on_book")[rows] + case.rng.integers(1, 400, len(rows))
    return case.spoil(rows, {"dpd_max": days.astype(np.int64)})


def _cash_beyond(case: Case) -> Change | None:
    """More was drawn as cash than was drawn."""
    drawn = case.numbers("drawn")
    rows = case.pick(drawn > 0)
    spoilt = drawn[rows] * case.rng.uniform(1.1, 3, len(rows)) + 100
    return case.spoil(rows, {"drawn_cash": spoilt.astype(np.int64)}) if len(rows) else None


def _tax(case: Case) -> Change | None:
    """The tax in another unit, or of the other sign."""
    tax = case.numbers("tax")
    rows = case.pick(np.abs(tax) >= 100)
    if not len(rows):
        return None
    amount = np.abs(case.numbers("amount")[rows])
    spoilt = tax[rows] * case.rng.choice([100.0, -1.0], len(rows))
    contradicts = (np.abs(spoilt) > amount) | (spoilt * tax[rows] < 0)
    return case.spoil(rows, {"tax": np.rint(spoilt).astype(np.int64)}, contradicts)


STATE_FAULTS = (
    Fault("impossible_status_jump", "two buckets worse in a month", "状态跳变", "always", "row",
          ("tradeline_months",), _jump),
    Fault("half_updated", "overdue in days or in amount only", "仅更新一半", "always", "row",
          ("tradelines",), _half_updated),
    Fault("exchanged_columns", "two amounts exchanged", "两列互换", "always: the highest is below the present", "row",
          ("tradelines",), _exchanged),
    Fault("open_and_closed", "open by status, closed by date", "状态与日期矛盾", "always", "row",
          ("tradelines",), _open_and_closed),
    Fault("wrong_direction", "money in for money out", "收支方向颠倒", "where the category goes one way only", "row",
          ("transactions",), _direction),
    Fault("out_of_step", "an account at odds with its months", "账户与月度状态不符", "always", "row",
          ("tradelines",), _out_of_step),
    Fault("healed_worst", "the worst so far gets better", "历史最高逾期下降", "where an earlier month says more", "row",
          ("outcomes",), _healed),
    Fault("more_days_than_months", "more days past due than the loan is old", "逾期天数超过账龄", "always", "row",
          ("outcomes",), _more_days_than_months),
    Fault("cash_beyond_drawn", "more cash drawn than drawn", "取现超过支用总额", "always", "row",
          ("card_months",), _cash_beyond),
    Fault("tax_of_another_unit", "a tax above its amount, or of the other sign", "税额与金额不符",
          "where it is above the amount or of the other sign", "row", ("invoices",), _tax),
)  # fmt: skip
