"""Which version of a corrected record counts at a moment: the rule for lists of rows, the same as SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any

from data_contracts.declare import Table
from data_contracts.errors import ContractError
from data_contracts.folder import TableFolder
from features.steps import Record

_known_at = itemgetter("known_at")


def newest(rows: Iterable[Record], key: Callable[[Record], Any], as_of: datetime) -> list[Record]:
    """Of each record the newest version known at `as_of`; records that are known later are left out.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of one table and one customer, in any order.
    key : callable
        From a row to the key of its table.
    as_of : datetime
        Moment of decision, UTC without a zone.

    Examples
    --------
    >>> rows = [{"payment_id": "p", "known_at": datetime(2025, 3, day), "amount": day * 100} for day in (1, 8, 20)]
    >>> newest(rows, itemgetter("payment_id"), datetime(2025, 3, 10))
    [{'payment_id': 'p', 'known_at': datetime.datetime(2025, 3, 8, 0, 0), 'amount': 800}]
    """
    known = [row for row in rows if row["known_at"] <= as_of]
    if len(set(map(key, known))) < len(known):
        known.sort(key=_known_at)
        if len({(key(row), row["known_at"]) for row in known}) < len(known):
            raise ContractError("A record comes twice in one version (same key and known_at); send each version once.")
        known = list({key(row): row for row in known}.values())
    return known


def without_superseded(folder: TableFolder, table: Table) -> str:
    """SQL to put after a join of moments (`as_of`) with a table, called `t`: the same as `newest`.

    Empty where no record of the table comes again, so that corrections cost nothing where there are none. Otherwise
    an anti-join with the versions of those records alone, which are few.
    """
    if table.name not in folder.corrected:
        return ""
    scan, keys = folder.scan(table.name), ("customer_id", *table.key)
    names = ", ".join(keys)
    again = f"select {names} from {scan} group by all having count(*) > 1"
    same = " and ".join(f"t.{name} = v.{name}" for name in keys)
    return (
        f"anti join (select {names}, r.known_at from {scan} as r semi join ({again}) using ({names})) as v "
        f"on {same} and v.known_at > t.known_at and v.known_at <= as_of "
    )
