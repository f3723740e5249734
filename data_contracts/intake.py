"""Intake: a delivery of records becomes an accepted batch, less the rows it holds back, or is refused whole.

An accepted batch never changes. What it became of is in its `batch.json`: source, SHA-256, row counts, times, rules
that did not hold. A refused delivery leaves the tables as they were and one line in `refused.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError, SourceError
from data_contracts.findings import Finding, Tables
from data_contracts.folder import Batch, Dates, TableFolder, require_own, write_batch, write_manifest
from data_contracts.judge import told
from data_contracts.locking import MANIFEST, REFUSED, alone_in, clear_drafts
from data_contracts.months import learned_column, utc
from data_contracts.profile import CHANGES
from data_contracts.quarantine import Sorted, sort_out

TOLERANCE = 0.01
"""Share of a table's new rows that may be held back before the whole delivery is refused."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Lineage:
    """Where a delivery came from.

    Parameters
    ----------
    name : str
        What people call it: the folder's or file's name.
    files : mapping of str to str
        SHA-256 of each raw file, by its path within the source.
    part : str
        Which part of it this is, where it is taken in by parts.

    Examples
    --------
    >>> whole = Lineage("2024-03 delivery", {"applications.csv": "ab12"})
    >>> whole.sha256 == Lineage("renamed", {"applications.csv": "ab12"}).sha256
    True
    """

    name: str
    files: Mapping[str, str]
    part: str = ""

    @property
    def sha256(self) -> str:
        """Hash of the files, and of the part: what makes two deliveries the same."""
        named = [sorted(self.files.items()), self.part] if self.part else sorted(self.files.items())
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """As it stands in `batch.json`."""
        name = f"{self.name}, {self.part}" if self.part else self.name
        return {"name": name, "files": dict(sorted(self.files.items())), "sha256": self.sha256}


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery.

    Parameters
    ----------
    folder : TableFolder
        The tables, with the batch in them.
    batch : Batch
        The delivery's batch.
    already : bool
        Whether the same source had been accepted before, and nothing was written.
    """

    folder: TableFolder
    batch: Batch
    already: bool = False


def accept(
    out: Path,
    tables: Tables,
    *,
    lender: str,
    dates: Dates,
    source: Lineage,
    received_at: datetime,
    accepted_at: datetime | None = None,
    tolerance: float = TOLERANCE,
    accept_changes: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Take a delivery into a folder of tables as a new batch: good rows pass, bad ones go to its quarantine.

    Parameters
    ----------
    out : Path
        Folder of the lender's tables, or where one is to be.
    tables : mapping of str to DataFrame or pyarrow.Table
        Canonical tables by name.
    lender : str
        Whose records they are.
    dates : {"calendar", "relative"}
        Whether the lender's dates are real: only these are held against `received_at`.
    source : Lineage
        Where they come from. The same source is accepted once.
    received_at, accepted_at : datetime
        When the delivery came and when it is taken in (the same by default), UTC unless they have a zone.
    tolerance : float
        Share of a table's new rows that may be held back; beyond it the delivery is refused whole.
    accept_changes : bool
        Whether volume and distributions may differ from those of the last accepted batch: the change was looked into.
    progress : callable, optional
        Called with the step just begun and the share of the work that is done.

    Raises
    ------
    ContractError
        The delivery is refused: columns, types, freshness, volume or distribution are not what the contract says, or
        more rows than the tolerance break it. The tables stay as they were.
    SourceError
        `out` holds something else or another lender's tables, or another intake is writing there.

    Notes
    -----
    Rows that were accepted before with the same values are left out; with other values they contradict what was
    accepted and are held. The same arguments give the same bytes.
    """
    _require_tolerance(tolerance)
    require_own(out)
    tell = progress or (lambda step, share: None)
    with alone_in(out):
        before = _before(out, lender, dates)
        clear_drafts(out, [batch.identity for batch in before.batches] if before else ())
        if before is not None and (earlier := _earlier(before, source)) is not None:
            return earlier
        tell("contracts", 0.0)
        moment = utc(received_at)
        known_by = moment if dates == "calendar" else None
        delivery = sort_out(tables, accepted=before, received_at=known_by, accept_changes=accept_changes)
        facts = {
            "lender": lender,
            "source": source.facts,
            "received_at": moment.isoformat(),
            "accepted_at": utc(accepted_at or received_at).isoformat(),
            **_counted(delivery),
        }
        why = refusal(delivery, tolerance)
        if why is not None:
            if before is not None:
                _record(out / REFUSED, {**facts, "tolerance": tolerance})
            raise ContractError(f"{source.facts['name']} is refused whole; the tables are as they were. {why}")
        tell("writing", 0.8)
        batch = _write(out, before, delivery, dates, facts)
        corrected = {*(before.corrected if before else ()), *delivery.corrected}
        write_manifest(out, lender, dates, [*(before.batches if before else ()), batch], sorted(corrected))
    return Receipt(TableFolder.open(out), batch)


def accepted_before(out: Path, lender: str, source: Lineage) -> Receipt | None:
    """Return the receipt of a source that was accepted before, None where it was not: before its files are read."""
    if not (out / MANIFEST).is_file():
        return None
    folder = TableFolder.open(out)
    return _earlier(folder, source) if folder.lender == lender else None


def refusal(delivery: Sorted, tolerance: float) -> str | None:
    """Say why a delivery must be refused whole, and the way out; None where it need not be."""
    whole = [finding for finding in delivery.findings if finding.level == "batch"]
    rows = [finding for finding in delivery.findings if finding.level == "reject"]
    if whole:
        only_changed = all(finding.rule in CHANGES for finding in whole)
        way_out = " If the change is real, take it in with --accept-changes." if only_changed else ""
        return (
            f"It is not what the contracts say, {told([*whole, *rows])}\n"
            f"Mend the records where they come from, or the lender's mapping, and import them again.{way_out}"
        )
    beyond, worst = [], 0.0
    for name in delivery.held:
        held, judged = len(delivery.held_rows(name)), delivery.judged_rows(name)
        if held > tolerance * judged:
            worst = max(worst, held / judged)
            rules = ", ".join(f"{rule} {len(at):,}" for rule, at in delivery.held[name].items())
            beyond.append(f"  {name}: {held:,} of {judged:,} rows, {held / judged:.2%} ({rules})")
    if not beyond:
        return None
    lines = "\n".join(beyond)
    return (
        f"More than {tolerance:.2%} of a table's rows would be held in quarantine:\n{lines}\n{told(rows)}\n"
        "Mend the records where they come from, or the lender's mapping, and import them again; or let good rows pass "
        f"all the same with --tolerance {min(np.ceil(worst * 1000) / 1000, 1.0):g}."
    )


def _before(out: Path, lender: str, dates: Dates) -> TableFolder | None:
    if not (out / MANIFEST).is_file():
        return None
    before = TableFolder.open(out)
    if before.lender != lender:
        raise SourceError(
            f"{out} holds tables of {before.lender}, not of {lender}; name another folder with --out, or remove it."
        )
    if before.dates != dates:
        raise SourceError(
            f"{out} holds tables with {before.dates} dates, these have {dates} ones; name another folder with --out."
        )
    return before


def _earlier(folder: TableFolder, source: Lineage) -> Receipt | None:
    for batch in folder.batches:
        if batch.facts.get("source", {}).get("sha256") == source.sha256:
            return Receipt(folder, batch, already=True)
    return None


def _counted(delivery: Sorted) -> dict[str, Any]:
    """What a batch's facts tell of its delivery, and what is kept of a refused one."""
    return {
        "delivered": {name: rows.num_rows for name, rows in delivery.tables.items()},
        "known_already": {name: len(rows) for name, rows in delivery.known.items()},
        "quarantined": {name: {rule: len(at) for rule, at in of.items()} for name, of in delivery.held.items()},
        "flagged": {name: {rule: len(at) for rule, at in of.items()} for name, of in delivery.flagged.items()},
        "findings": [_plain(finding) for finding in delivery.findings],
    }


def _plain(finding: Finding) -> dict[str, Any]:
    """A finding without its examples, which may be personal data."""
    return {
        "table": finding.table,
        "column": finding.column,
        "rule": finding.rule,
        "en": finding.en,
        "zh": finding.zh,
        "level": finding.level,
        "rows": finding.rows,
    }


def _write(out: Path, before: TableFolder | None, delivery: Sorted, dates: Dates, facts: Mapping[str, Any]) -> Batch:
    there = before.tables if before else ()
    passed = {name: delivery.passed(name) for name in delivery.tables}
    described = {name: _described(rows) for name, rows in passed.items() if rows.num_rows}
    return write_batch(
        out,
        {name: rows for name, rows in passed.items() if rows.num_rows or name not in there},
        dates,
        {
            **facts,
            "completeness": {name: share for name, (share, _) in described.items()},
            "newest": {name: newest for name, (_, newest) in described.items()},
            "profiles": {name: made for name, made in delivery.profiles.items() if made},
        },
        {name: delivery.quarantine(name) for name in delivery.held},
    )


def _described(rows: pa.Table) -> tuple[dict[str, float], str]:
    """Share of rows that have a value, by column, and the newest record."""
    share = {name: round(1 - rows[name].null_count / rows.num_rows, 6) for name in rows.column_names}
    return share, pc.max(rows[learned_column(rows)]).as_py().isoformat()


def _record(path: Path, facts: Mapping[str, Any]) -> None:
    """Add a line, the file replaced whole: an interruption leaves no half of one."""
    earlier = path.read_text(encoding="utf-8") if path.is_file() else ""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.write_text(earlier + json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def _require_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance <= 1:
        raise SourceError(f"The tolerance is {tolerance:g}, it must be from 0 to 1, a share of a table's rows.")
