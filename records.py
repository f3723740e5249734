"""The steps that bring records in, as the command line and the demo take them: simulated, imported, checked again.

Each is a function of paths that returns plain facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import ContractError, SourceError
from data_contracts.folder import TableFolder, require_own
from data_contracts.locking import MANIFEST
from workspace import mark_sound, require_file, write_whole

if TYPE_CHECKING:
    from data_contracts.declare import DecisionPoint
    from data_contracts.findings import Finding
    from data_contracts.intake import Receipt
    from data_contracts.quality.coverage import Coverage

Progress = Callable[[str, float], None]
Facts = dict[str, Any]


def simulate(
    out: Path,
    *,
    customers: int,
    months: int,
    seed: int,
    scenario: str = "baseline",
    start: datetime | None = None,
    report: Path | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Write a simulated lender's tables, the truth beside them, and where asked how real they look."""
    from lenders import simulated

    if report is not None:
        require_file(report)
    if (out / MANIFEST).is_file() and (there := TableFolder.open(out)).lender != "simulated":
        raise SourceError(f"{out} holds tables of {there.lender}; name another folder with --out, or remove it.")
    begin = {} if start is None else {"start": start}
    tell = part_of(progress, 0.0, 0.4 if report else 1.0)
    made = simulated.simulate(customers=customers, months=months, seed=seed, scenario=scenario, progress=tell, **begin)
    facts = {**_described(folder := simulated.write(made, out)), "scenario": scenario}
    if report is None:
        return facts
    from evaluation.realism.build import build_realism_report

    realism = build_realism_report(folder, made.truth, created=day(now), progress=part_of(progress, 0.4, 1.0))
    write_whole(report, lambda path: path.write_text(realism.html, encoding="utf-8"))
    promises = [
        {"en": one.name.en, "value": one.value, "bound": one.bound, "holds": one.holds} for one in realism.checks
    ]
    return {**facts, "report": str(report), "promises": promises}


def import_lender(
    lender: str,
    source: Path,
    out: Path,
    *,
    tolerance: float = 0.01,
    accept_changes: bool = False,
    monthly: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Take a lender's raw files into a folder of tables as a batch, or as one batch a month; `refused` lists months."""
    from data_contracts import intake
    from data_contracts.monthly import monthly_deliveries
    from lenders import delivery

    received_at = now or datetime.now(UTC)
    require_own(out)
    name, came_from = delivery.whose(lender, source), delivery.lineage(source)
    earlier = None if monthly else intake.accepted_before(out, name, came_from)
    if earlier is not None:
        return {**_described(earlier.folder), "batch": _batch(earlier)}
    tables, dates = delivery.read(lender, source, part_of(progress, 0.0, 0.3))
    if monthly and dates == "relative":
        raise SourceError(f"The dates of {name} are made up, so its records have no months; import without --monthly.")
    parts = monthly_deliveries(tables, received_at) if monthly else [("", received_at, tables)]
    taken, refused = [], []
    for number, (part, came_at, some) in enumerate(parts, start=1):
        try:
            receipt = intake.accept(
                out, some, lender=name, dates=dates, source=replace(came_from, part=part), received_at=came_at,
                accepted_at=received_at, tolerance=tolerance, accept_changes=accept_changes,
                progress=part_of(progress, 1 - 0.7**number, 1.0),
            )  # fmt: skip
            taken.append(receipt)
        except ContractError as fault:
            if not monthly:
                raise
            refused.append((part, fault))
    if not taken:
        raise refused[0][1]
    mark_sound(folder := taken[-1].folder)
    if not monthly:
        return {**_described(folder), "batch": _batch(taken[0])}
    told = [{"part": part, "why": str(fault)} for part, fault in refused]
    return {**_described(folder), "batches": [_batch(receipt) for receipt in taken], "refused": told}


def lenders() -> Facts:
    """Name each lender that can be imported with the first line of its module: what it is and what files it needs."""
    from importlib import import_module

    from lenders.catalogue import LENDERS

    return {name: (import_module(module).__doc__ or "").strip().splitlines()[0] for name, module in LENDERS.items()}


def validate(
    data: Path,
    *,
    tolerance: float = 0.01,
    report: Path | None = None,
    docs: Path | None = None,
    decision_point: DecisionPoint = "application",
    now: datetime | None = None,
) -> Facts:
    """Check accepted tables again, every file and every rule; or try an intake of canonical files, writing nothing."""
    from lenders.delivery import holds_canonical_files

    if holds_canonical_files(data):
        if report is not None or docs is not None:
            raise SourceError(f"{data} holds files that are not taken in; `lendwell import tables {data}` them first.")
        return _tried(data, tolerance, now or datetime.now(UTC))
    from data_contracts.judge import judge, told
    from data_contracts.quality.coverage import coverage

    if report is not None:
        require_file(report)
    folder = TableFolder.open(data)
    judged = judge(folder)
    broken, covered = judged.of("batch", "reject"), None
    if "applications" in folder.tables and not judged.of("batch"):
        covered = coverage(folder, decision_point)
    written = _told(folder, judged.findings, covered, report, docs, now)
    if broken:
        raise ContractError(
            f"The tables break their contract, {told(broken)}\n"
            "Mend these records where they come from, or the lender's mapping, and import them into a new folder."
        )
    mark_sound(folder)
    sources = covered.summary()["providers"] if covered else {}
    return {
        **_described(folder),
        "contracts": "all hold",
        "flagged": {f"{found.table}.{found.rule}": found.rows for found in judged.of("flag")},
        "coverage": {name: of["share"] for name, of in sources.items() if of["tables"]},
        **written,
    }


def _told(
    folder: TableFolder,
    findings: Sequence[Finding],
    covered: Coverage | None,
    report: Path | None,
    docs: Path | None,
    now: datetime | None,
) -> Facts:
    """Write what was found where it is asked for: the report, the Data Docs."""
    written = {}
    if report is not None:
        from data_contracts.quality.report import build_quality_report

        page = build_quality_report(folder, findings, coverage=covered, created=day(now))
        write_whole(report, lambda path: path.write_text(page, encoding="utf-8"))
        written["report"] = str(report)
    if docs is not None:
        from data_contracts.quality.data_docs import build_data_docs

        site = build_data_docs(folder, docs.absolute(), findings=findings, created=now or datetime.now(UTC))
        written["docs"] = str(docs / site.name)
    return written


def _tried(data: Path, tolerance: float, now: datetime) -> Facts:
    """What an intake of canonical files would do."""
    from data_contracts.intake import refusal
    from data_contracts.months import utc
    from data_contracts.quarantine import sort_out
    from lenders import delivery

    tables, _ = delivery.read(delivery.CANONICAL, data)
    found = sort_out(tables, accepted=None, received_at=utc(now))
    why = refusal(found, tolerance)
    if why is not None:
        raise ContractError(f"{data} would be refused whole. {why}")
    return {
        "folder": str(data),
        "contracts": "would be accepted",
        "delivered": {name: rows.num_rows for name, rows in found.tables.items()},
        "would_pass": {name: found.judged_rows(name) - len(found.held_rows(name)) for name in found.tables},
        "would_be_held": _by_rule(found.held),
        "flagged": _by_rule(found.flagged),
    }


def part_of(progress: Progress | None, low: float, high: float) -> Progress | None:
    """The same bar, for a step that is the share `low` to `high` of the whole."""
    if progress is None:
        return None
    return lambda text, share: progress(text, low + (high - low) * share)


def _batch(receipt: Receipt) -> Facts:
    facts = receipt.batch.facts
    counted = ("rows", "known_already", "quarantined", "flagged")
    return {
        "id": receipt.batch.identity,
        "source": facts["source"]["name"],
        "already": receipt.already,
        **{name: {table: told for table, told in facts[name].items() if told} for name in counted},
        "not_delivered": [found["table"] for found in facts["findings"] if found["rule"] == "delivered"],
    }


def _by_rule(rows: Mapping[str, Mapping[str, Sized]]) -> dict[str, dict[str, int]]:
    return {name: {rule: len(at) for rule, at in of.items()} for name, of in rows.items()}


def day(now: datetime | None) -> str:
    """The day that a report shows; today where none is given."""
    return (now or datetime.now(UTC)).strftime("%Y-%m-%d")


def _described(folder: TableFolder) -> Facts:
    return {
        "folder": str(folder.path),
        "lender": folder.lender,
        "rows": {name: folder.rows(name) for name in folder.tables},
        "identity": folder.identity,
    }
