"""What each batch of a lender's folder brought: rows, what was kept out, how complete and how new.

An intake tells these in `batch.json`, and refused batches in `refused.jsonl`; what it does not tell is read from the
footers of the batch's Parquet files, no row of which is touched.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import SourceError
from data_contracts.folder import Batch, TableFolder
from data_contracts.locking import REFUSED
from data_contracts.tables import TABLES


@dataclass(frozen=True)
class TableInBatch:
    """What the files of one table of one batch say in their footers.

    Parameters
    ----------
    rows : int
    missing : dict of str to int
        Rows without a value, by column.
    oldest, newest : datetime, optional
        Of `known_at`, or of `applied_at`; None where there is no row.
    months : dict of str to int
        Rows by the month in which they were learned; `all` where the lender's dates are made up.
    """

    rows: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    oldest: datetime | None = None
    newest: datetime | None = None
    months: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """One batch, accepted or refused, as a report shows it.

    Parameters
    ----------
    facts : mapping
        What was written about it.
    accepted : bool
    batch : Batch, optional
        Where its rows are; None where it was refused.
    """

    facts: Mapping[str, Any]
    accepted: bool
    batch: Batch | None = None

    @property
    def identity(self) -> str:
        """Hash of what it holds; empty where a refused one got none."""
        return str(self.facts.get("batch") or "")

    @property
    def source(self) -> Mapping[str, Any]:
        """Name and SHA-256 of what it was read from; empty where that is not told."""
        return self.facts.get("source") or {}

    @property
    def rows(self) -> dict[str, int]:
        """Accepted rows by table."""
        return {str(name): int(rows) for name, rows in (self.facts.get("rows") or {}).items()} if self.accepted else {}

    @property
    def delivered(self) -> dict[str, int]:
        """Rows that came, by table."""
        told = self.facts.get("delivered")
        return {str(name): int(rows) for name, rows in told.items()} if told else self.rows

    @property
    def kept_out(self) -> dict[str, int]:
        """Rows in quarantine by table: delivered, not known already and not accepted; a row may break several rules."""
        known, rows = self.facts.get("known_already") or {}, self.rows
        if not self.accepted:
            return {}
        return {name: came - int(known.get(name, 0)) - rows.get(name, 0) for name, came in self.delivered.items()}

    def counted(self, kind: str) -> Counter[tuple[str, str]]:
        """Rows by table and rule: `kind` is `quarantined` or `flagged`."""
        told = self.facts.get(kind) or {}
        return Counter({(table, rule): int(rows) for table, rules in told.items() for rule, rows in rules.items()})

    @cached_property
    def tables(self) -> dict[str, TableInBatch]:
        """What the files' footers say, by table; empty for a refused batch."""
        return {} if self.batch is None else {name: _read(self.batch, name) for name in self.batch.facts["files"]}

    @property
    def completeness(self) -> dict[str, dict[str, float]]:
        """Share of rows that have a value, by table and column: as told, else of the accepted rows."""
        told = self.facts.get("completeness")
        if told:
            return {table: {name: float(share) for name, share in of.items()} for table, of in told.items()}
        return {
            table: {name: 1 - missing / found.rows for name, missing in found.missing.items()}
            for table, found in self.tables.items()
            if found.rows
        }


def deliveries(folder: TableFolder) -> list[Delivery]:
    """Every batch that came, accepted and refused, in the order of their coming as far as it is told.

    Raises
    ------
    SourceError
        Where a file of a batch or `refused.jsonl` cannot be read.
    """
    came = [Delivery(batch.facts, True, batch) for batch in folder.batches]
    for facts in _refused(folder.path / REFUSED):
        moment = str(facts.get("received_at") or "")
        later = (k for k, one in enumerate(came) if moment and str(one.facts.get("received_at") or "") > moment)
        came.insert(next(later, len(came)), Delivery(facts, False))
    return came


def newest_application(accepted: Sequence[Delivery]) -> datetime | None:
    """Return when the last application was made, against which the age of records is held; None where there is none."""
    found = [one.tables["applications"].newest for one in accepted if "applications" in one.tables]
    return max((moment for moment in found if moment is not None), default=None)


def _refused(path: Path) -> Iterator[Mapping[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            facts = json.loads(line)
        except ValueError as fault:
            if number == len(lines):  # its writing was interrupted
                return
            raise SourceError(f"{path}, line {number} is no JSON ({fault}); remove the line.") from fault
        yield facts


def _read(batch: Batch, name: str) -> TableInBatch:
    table = TABLES.get(name)
    learned = "applied_at" if table is not None and "known_at" not in table.names else "known_at"
    rows, missing, months = 0, Counter[str](), Counter[str]()
    ends: list[datetime] = []
    for file in batch.files(name):
        try:
            footer = pq.read_metadata(file)
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(f"{file} cannot be read ({fault}); import the batch again.") from fault
        rows += footer.num_rows
        months[file.stem] += footer.num_rows
        for column in range(footer.num_columns):
            path = footer.schema.column(column).path
            for group in range(footer.num_row_groups):
                statistics = footer.row_group(group).column(column).statistics
                missing[path] += statistics.null_count if statistics is not None else 0
                if path == learned and statistics is not None and statistics.has_min_max:
                    ends += [statistics.min, statistics.max]
    return TableInBatch(rows, dict(missing), min(ends, default=None), max(ends, default=None), dict(months))
