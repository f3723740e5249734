"""Faults as feeds have them in life, planted into sound records, with the key to what was planted.

The key knows what was changed, not how a fault is found: where a fault cannot be seen in the data (a transfer that
goes the wrong way, a swapped date that stays plausible), its row is planted and not counted as detectable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pyarrow as pa

from data_contracts.errors import SourceError
from lenders.simulated.faults.batches import BATCH_FAULTS
from lenders.simulated.faults.case import Case, Fault, Tables, whole_tables
from lenders.simulated.faults.dates import DATE_FAULTS
from lenders.simulated.faults.files import FILE_FAULTS, damage
from lenders.simulated.faults.links import LINK_FAULTS
from lenders.simulated.faults.states import STATE_FAULTS
from lenders.simulated.faults.values import VALUE_FAULTS
from lenders.simulated.timeline import Ints

__all__ = ["FAULTS", "Fault", "Planted", "damage", "plant"]

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (*VALUE_FAULTS, *DATE_FAULTS, *LINK_FAULTS, *STATE_FAULTS, *BATCH_FAULTS, *FILE_FAULTS)
}


@dataclass(frozen=True)
class Planted:
    """Records with faults in them, and which they are.

    Parameters
    ----------
    tables : dict of str to pyarrow.Table
        All tables of the batch, the faulty ones changed.
    rows : mapping of str to ndarray of int64
        By table, the numbers of the rows that are wrong. Of a batch fault the named tables are wrong as a whole.
    detectable : mapping of str to ndarray of int64
        Those of `rows` that the data contradict.
    """

    tables: dict[str, pa.Table]
    rows: Mapping[str, Ints]
    detectable: Mapping[str, Ints]


def plant(
    tables: Tables,
    kind: str,
    *,
    rate: float,
    seed: int,
    accepted: Tables | None = None,
    within: tuple[str, ...] | None = None,
) -> Planted:
    """Plant one kind of fault into sound canonical tables; the same arguments plant the same faults.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        The batch; it is not changed.
    kind : str
        Name in `FAULTS`, of level `row` or `batch`.
    rate : float
        Share of a table's rows that become faulty, at least one row; of no meaning to a batch fault.
    seed : int
        Seed of all randomness.
    accepted : mapping of str to pyarrow.Table, optional
        What was accepted before, by which some faults can be told.
    within : tuple of str, optional
        Only into these of the kind's tables.

    Raises
    ------
    SourceError
        Where there is no such kind.

    Examples
    --------
    >>> from lenders.simulated import simulate
    >>> planted = plant(simulate(customers=20, months=6).tables, "sign_flip", rate=0.01, seed=1)
    >>> table = planted.tables["payments"]
    >>> [amount < 0 for amount in table["amount"].take(planted.rows["payments"]).to_pylist()]
    [True]
    """
    fault = FAULTS.get(kind)
    if fault is None or fault.change is None:
        raise SourceError(f"No fault {kind!r} can be planted into tables. Choose one of: {', '.join(_plantable())}.")
    sound, before = whole_tables(tables), whole_tables(accepted or {})
    found, rows, detectable = dict(sound), {}, {}
    for name in fault.tables if within is None else within:
        if name not in fault.tables or name not in sound or not sound[name].num_rows:
            continue
        case = Case(name, sound, before, rate, np.random.default_rng([seed, crc32(f"{kind} {name}".encode())]))
        change = fault.change(case)
        if change is not None:
            found[name] = change.table
            rows[name], detectable[name] = change.rows, change.rows[change.detectable]
    return Planted(found, rows, detectable)


def _plantable() -> list[str]:
    return sorted(name for name, fault in FAULTS.items() if fault.change is not None)
