"""Faults in the times of single rows: of another year, in another order, before or after what they follow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from lenders.simulated.faults.case import Case, Change, Fault

_CHINA = np.timedelta64(8, "h")
_DAY = np.timedelta64(1, "D")
_FEEDS = ("transactions", "inquiries", "payments", "invoices")  # each record is learned soon after it happened

Moments = npt.NDArray[np.datetime64]
Spans = npt.NDArray[np.timedelta64]


def _days(case: Case, low: float, high: float, n: int) -> Spans:
    return (case.rng.uniform(low, high, n) * 86_400e6).astype(np.int64).astype("timedelta64[us]")


def _future(case: Case) -> Change:
    """One or both times lie four years ahead, as when the year is typed wrong; of an old account, both."""
    rows = case.pick()
    years = np.timedelta64(1461, "D")
    both = (case.rng.random(len(rows)) < 0.5) | (case.name == "tradelines")
    occurred, known = case.moments("occurred_at")[rows], case.moments("known_at")[rows]
    return case.spoil(rows, {"occurred_at": occurred + years, "known_at": np.where(both, known + years, known)})


def _learned_before(case: Case) -> Change:
    rows = case.pick()
    earlier = _days(case, 0.01, 3, len(rows))
    return case.spoil(rows, {"known_at": case.moments("occurred_at")[rows] - earlier})


def _swapped(case: Case) -> Change:
    """Detectable where the swapped day lies after the record was learned, or much longer before than any other does."""
    local = case.moments("occurred_at") + _CHINA
    month = local.astype("datetime64[M]")
    day = (local.astype("datetime64[D]") - month).astype(np.int64) + 1
    number = month.astype(np.int64) % 12 + 1
    rows = case.pick((day <= 12) & (day != number))
    january = month[rows].astype("datetime64[Y]").astype("datetime64[M]")
    date = (january + (day[rows] - 1)).astype("datetime64[D]") + (number[rows] - 1)
    moved = date.astype("datetime64[us]") + (local - local.astype("datetime64[D]"))[rows] - _CHINA
    lag = case.moments("known_at")[rows] - moved
    return case.spoil(rows, {"occurred_at": moved}, (lag < np.timedelta64(0)) | (lag > 1.5 * case.lags().max()))


def _local_time(case: Case) -> Change:
    """China's time where UTC is meant: detectable where it happened only after it was learned."""
    rows = case.pick()
    moved = case.moments("occurred_at")[rows] + _CHINA
    return case.spoil(rows, {"occurred_at": moved}, moved > case.moments("known_at")[rows])


def _placeholder(case: Case) -> Change:
    rows = case.pick()
    dates = np.array(["1900-01-01", "1970-01-01", "1899-12-30"], dtype="datetime64[us]")
    return case.spoil(rows, {"occurred_at": case.rng.choice(dates, len(rows))})


def _wrong_year(case: Case) -> Change:
    """One to ten years too early; no record of these feeds takes so long."""
    rows = case.pick()
    years = case.rng.integers(1, 11, len(rows)) * np.timedelta64(365, "D")
    return case.spoil(rows, {"occurred_at": case.moments("occurred_at")[rows] - years})


def _stale(case: Case) -> Change:
    """The state of five to twelve months ago sent again as if it were new."""
    rows = case.pick()
    local = case.moments("occurred_at")[rows] + _CHINA
    earlier = local.astype("datetime64[M]") + 1 - case.rng.integers(5, 13, len(rows))
    return case.spoil(rows, {"occurred_at": earlier.astype("datetime64[us]") - np.timedelta64(1, "s") - _CHINA})


def _closed_before(case: Case) -> Change | None:
    closed = case.moments("closed_at")
    rows = case.pick(~np.isnat(closed))
    if not len(rows):
        return None
    return case.spoil(rows, {"closed_at": case.moments("occurred_at")[rows] - _days(case, 1, 400, len(rows))})


def _closed_in_future(case: Case) -> Change | None:
    """9999-12-31 for "not yet", beside a status that says closed."""
    rows = case.pick(~np.isnat(case.moments("closed_at")))
    return case.spoil(rows, {"closed_at": np.datetime64("2099-12-31", "us")}) if len(rows) else None


def _paid_before(case: Case) -> Change | None:
    """Paid before the loan was decided upon."""
    loans = case.known("loans", "loan_id", "occurred_at").groupby("loan_id").occurred_at.min()
    decided = loans.reindex(case.text("loan_id")).to_numpy().astype("datetime64[us]")
    rows = case.pick(~np.isnat(decided))
    return case.spoil(rows, {"occurred_at": decided[rows] - _days(case, 0.5, 30, len(rows))})


def _decided_before(case: Case) -> Change | None:
    """Decided before it was applied for."""
    known = case.known("applications", "application_id", "applied_at").set_index("application_id").applied_at
    applied = known.reindex(case.text("application_id")).to_numpy().astype("datetime64[us]")
    rows = case.pick(~np.isnat(applied))
    return case.spoil(rows, {"occurred_at": applied[rows] - _days(case, 0.5, 60, len(rows))})


def _before_opening(case: Case) -> Change | None:
    """The month of an account before it was opened; the lender learned it as fast as any."""
    opened = case.known("tradelines", "tradeline_id", "occurred_at").groupby("tradeline_id").occurred_at.min()
    start = opened.reindex(case.text("tradeline_id"))
    start = pd.Series(start.to_numpy().astype("datetime64[us]"))
    months = case.rng.integers(2, 10, len(start))
    end = ((start + _CHINA).to_numpy().astype("datetime64[M]") - months + 1).astype("datetime64[us]")
    moved = end - np.timedelta64(1, "s") - _CHINA
    lag = case.moments("known_at") - case.moments("occurred_at")
    rows = case.pick(~np.isnat(moved))
    return case.spoil(rows, {"occurred_at": moved[rows], "known_at": (moved + lag)[rows]})


DATE_FAULTS = (
    Fault("future_date", "a date some years ahead", "日期在未来", "always: it was received before", "row",
          ("transactions", "inquiries", "payments", "tradeline_months", "tradelines"), _future),
    Fault("learned_before_happened", "learned before it happened", "获知早于发生", "always", "row",
          ("transactions", "inquiries", "payments", "tradeline_months", "invoices"), _learned_before),
    Fault("swapped_day_month", "07-03 for 03-07", "日月颠倒",
          "where it then lies after it was learned, or half as long again before as in any record of the feed", "row",
          _FEEDS, _swapped),
    Fault("local_time_for_utc", "some times eight hours late", "个别记录误用本地时间",
          "where it happened only after it was learned", "row", ("transactions", "inquiries", "payments"), _local_time),
    Fault("placeholder_date", "1900-01-01 for unknown", "以1900-01-01表示未知", "always", "row",
          ("transactions", "inquiries", "tradelines", "payments"), _placeholder),
    Fault("wrong_year", "some years too early", "年份错误", "always: no record of the feed takes so long", "row",
          _FEEDS, _wrong_year),
    Fault("stale_report", "an old state sent as new", "以旧充新", "always: no month is reported so late", "row",
          ("tradeline_months", "card_months", "loan_months"), _stale),
    Fault("closed_before_opened", "closed before it was opened", "结清早于开立", "always", "row",
          ("tradelines", "loans"), _closed_before),
    Fault("closed_in_future", "2099-12-31 as the day of closing", "结清日在未来", "always: it is said to be closed",
          "row", ("tradelines", "loans"), _closed_in_future),
    Fault("paid_before_drawn", "paid before the loan was there", "还款早于放款", "always", "row",
          ("payments",), _paid_before),
    Fault("decided_before_applied", "decided before it was applied for", "决定早于申请", "always", "row",
          ("loans",), _decided_before),
    Fault("month_before_opening", "a month before the account was opened", "月度状态早于开户", "always", "row",
          ("tradeline_months",), _before_opening),
)  # fmt: skip
