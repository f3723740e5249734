"""Where the records of a report come from, whether they may decide, and what their intake found wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from data_contracts.declare import DecisionPoint
from data_contracts.folder import TableFolder
from data_contracts.quality.coverage import coverage
from data_contracts.quality.history import Delivery, deliveries
from data_contracts.tables import TABLES
from features import sequences
from features.catalogue import catalogue_rows
from training.bundle import Bundle


@dataclass(frozen=True)
class UsedTable:
    """One table of the folder, and what the model does with it.

    Parameters
    ----------
    name, provider : str
        Of the table, and whose records it holds.
    rows : int
    sha256 : str
        Over its files.
    features : int
        How many features read it.
    heard : bool
        Whether the sequence net takes its events.
    allowed : bool
        Whether its records may be used at the decision point.
    consent : bool
        Whether the customer must have consented.
    retention_days : int or None
        How long its records may be kept; None where nothing limits it.
    kept_out, flagged : int or None
        Rows that intakes held back, and marks on those that passed; None where no intake told.
    """

    name: str
    provider: str
    rows: int
    sha256: str
    features: int
    heard: bool
    allowed: bool
    consent: bool
    retention_days: int | None
    kept_out: int | None
    flagged: int | None

    @property
    def used(self) -> bool:
        """Whether the model looks at it."""
        return bool(self.features) or self.heard


@dataclass(frozen=True)
class Fault:
    """A rule of a contract that rows of the accepted batches broke: how many, and what became of them."""

    table: str
    column: str
    rule: str
    zh: str
    en: str
    level: str
    rows: int


@dataclass(frozen=True)
class Origin:
    """Everything a reviewer asks of the records.

    Parameters
    ----------
    batches : tuple of Delivery
        Accepted and refused, in the order of their coming.
    tables : tuple of UsedTable
        In the order of the folder.
    faults : tuple of Fault
        What intakes found, most rows first.
    coverage : dict
        See `data_contracts.quality.coverage.Coverage.summary`.
    """

    batches: tuple[Delivery, ...]
    tables: tuple[UsedTable, ...]
    faults: tuple[Fault, ...]
    coverage: dict[str, Any]

    @property
    def told(self) -> bool:
        """Whether every accepted batch came by an intake, which tells its source and what it found."""
        return all(one.source for one in self.batches if one.accepted)

    @property
    def refused(self) -> tuple[UsedTable, ...]:
        """Tables that the model looks at although their use does not allow it at this decision point."""
        return tuple(table for table in self.tables if table.used and not table.allowed)


def origin(bundle: Bundle, folder: TableFolder, decision_point: DecisionPoint) -> Origin:
    """Find lineage, authorisation, quality and coverage of a folder as far as the model looks at it.

    Raises
    ------
    SourceError
        Where a file of the folder cannot be read.
    """
    came = deliveries(folder)
    accepted = [one for one in came if one.accepted]
    return Origin(
        batches=tuple(came),
        tables=tuple(_tables(bundle, folder, accepted, decision_point)),
        faults=tuple(_faults(accepted)),
        coverage=coverage(folder, decision_point).summary(),
    )


def _tables(
    bundle: Bundle, folder: TableFolder, accepted: Sequence[Delivery], decision_point: DecisionPoint
) -> Iterable[UsedTable]:
    readers = Counter(table for row in catalogue_rows(bundle.feature_set) for table in set(row["tables"]))
    heard = set(sequences.SOURCES) if "sequence_net" in bundle.model.parts_ else set()
    told = bool(accepted) and all(one.source for one in accepted)
    for name in folder.tables:
        use = TABLES[name].use
        yield UsedTable(
            name=name,
            provider=use.provider,
            rows=folder.rows(name),
            sha256=folder.hashes[name],
            features=readers[name],
            heard=name in heard,
            allowed=decision_point in use.decision_points,
            consent=use.consent,
            retention_days=use.retention_days,
            kept_out=sum(one.kept_out.get(name, 0) for one in accepted) if told else None,
            flagged=_marks(accepted, name) if told else None,
        )


def _marks(accepted: Sequence[Delivery], name: str) -> int:
    return sum(rows for one in accepted for (table, _), rows in one.counted("flagged").items() if table == name)


def _faults(accepted: Sequence[Delivery]) -> list[Fault]:
    rows: Counter[tuple[str, str, str]] = Counter()
    words: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for one in accepted:
        for told in one.facts.get("findings") or ():
            key = told["table"], told["column"], told["rule"]
            rows[key] += int(told["rows"])
            words[key] = told["zh"], told["en"], told["level"]
    order = sorted(rows, key=lambda key: (-rows[key], key))
    return [Fault(*key, *words[key], rows[key]) for key in order]
