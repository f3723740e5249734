"""What a scenario does to the feeds: records that come late or never, or in another unit. The world stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lenders.simulated.scenarios import Scenario
from lenders.simulated.timeline import HOUR, Ints, Timeline, generator, known_before, moments_column

_BUREAU = ("tradelines", "tradeline_months", "inquiries")
_PAUSE = 4  # months between the two silences


def disturbed(
    tables: Mapping[str, pa.Table], scenario: Scenario, timeline: Timeline, customers: pa.Array, seed: int
) -> dict[str, pa.Table]:
    """The tables as a scenario's feeds deliver them; those that it does not touch are the same objects."""
    found = dict(tables)
    month = min(scenario.first_month(timeline), timeline.size)
    if scenario.late_months or scenario.lost_months:
        for name in _BUREAU:
            found[name] = _silenced(found[name], scenario, timeline, month)
    if scenario.in_yuan:
        found["transactions"] = _in_yuan(found["transactions"], scenario, int(timeline.starts[month]), customers, seed)
    return found


def _silenced(table: pa.Table, scenario: Scenario, timeline: Timeline, month: int) -> pa.Table:
    """What falls into the first silence comes in the hours after it, in its order; into the second, never."""
    known_at = _moments(table["known_at"])
    since, until = (int(timeline.starts[min(m, timeline.size)]) for m in (month, month + scenario.late_months))
    late = (known_at >= since) & (known_at < until)
    passed = np.where(late, known_at - since, 0) / max(until - since, 1)
    made_good = until + (passed * 6 * HOUR).astype(np.int64)
    second = month + scenario.late_months + _PAUSE
    gone, back = (int(timeline.starts[min(m, timeline.size)]) for m in (second, second + scenario.lost_months))
    lost = (known_at >= gone) & (known_at < back)
    place = table.column_names.index("known_at")
    delivered = table.set_column(place, "known_at", moments_column(np.where(late, made_good, known_at)))
    return known_before(delivered.filter(pa.array(~lost)), timeline.end)


def _in_yuan(table: pa.Table, scenario: Scenario, since: int, customers: pa.Array, seed: int) -> pa.Table:
    chosen = generator(seed, "suppliers").random(len(customers)) < scenario.in_yuan
    theirs = pc.is_in(table["customer_id"], value_set=customers.filter(pa.array(chosen)))
    broken = theirs.to_numpy() & (_moments(table["known_at"]) >= since)
    fen = table["amount"].to_numpy()
    yuan = np.maximum(np.rint(fen / 100).astype(np.int64), 1)
    return table.set_column(table.column_names.index("amount"), "amount", pa.array(np.where(broken, yuan, fen)))


def of_known_accounts(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables without months of accounts of which no report was delivered."""
    months = tables["tradeline_months"]
    known = pc.is_in(months["tradeline_id"], value_set=tables["tradelines"]["tradeline_id"].combine_chunks())
    return {**tables, "tradeline_months": months if pc.all(known).as_py() is not False else months.filter(known)}


def _moments(column: pa.ChunkedArray) -> Ints:
    moments: Ints = column.to_numpy().astype("datetime64[us]").astype(np.int64)
    return moments
