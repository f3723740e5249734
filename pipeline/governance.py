"""Steps by which a version becomes champion and ceases to be: gate, promotion, rollback, retirement, register."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import LendwellError, RegistryError, TrainingError
from records import Facts, Progress, part_of
from workspace import Home, opened, require_file, with_contracts, write_whole

if TYPE_CHECKING:
    from data_contracts.folder import TableFolder
    from evaluation.gate.declaration import Gate
    from evaluation.gate.verdict import Evidence
    from training.bundle import Bundle
    from training.model_register import Entry


def gate(
    model: str,
    data: Path,
    home: Home,
    *,
    gate: str | None = None,
    out: Path | None = None,
    by: str | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Judge a version on a folder with outcomes, against the champion if that is another, and log the verdict.

    The gate is the one named, else that of the version's experiment.
    """
    from evaluation.gate.declaration import read_gate
    from evaluation.gate.people import named
    from evaluation.gate.succession import Succession
    from evaluation.gate.verdict import Identity, judge

    if out is not None:
        require_file(out)
    judge_of_it, at = named(by, "--by"), now or datetime.now(UTC)
    registry = home.registry()
    chosen = registry.find(model).require_in_use()
    bundle, _ = registry.load(chosen.label)
    declared = read_gate(gate or str(bundle.facts["experiment"].get("gate", "default")))
    folder = with_contracts(opened(data))
    with home.register() as register:
        succession = Succession(registry, register)
        present = succession.standing(chosen.name, at).champion
        label = f"{chosen.name}/{present}"
        champion = None if present in (None, chosen.version) else registry.load(label)[0]
        evidence = _evidence(bundle, champion, folder, declared, progress)
        verdict = judge(
            declared,
            evidence,
            candidate=Identity(chosen.label, bundle.identity),
            champion=None if champion is None else Identity(label, champion.identity),
            judged_at=at,
        )
        entry = succession.note(chosen, verdict, judge_of_it)
    if out is not None:
        write_whole(out, lambda path: path.write_text(verdict.to_json(), encoding="utf-8"))
    return {
        **verdict.to_dict(),
        "verdict_sha256": verdict.sha256,
        "register_entry": entry.position,
        **({"file": str(out)} if out else {}),
    }


def _evidence(
    bundle: Bundle, champion: Bundle | None, folder: TableFolder, declared: Gate, progress: Progress | None
) -> Evidence:
    """What is measured on rows, and what is measured by answering requests as the service would."""
    from dataclasses import replace

    from evaluation.gate.measure import judgeable, measure, unmeasured
    from serving.rehearsal import rehearse

    how = declared.measuring
    try:
        judged = judgeable(bundle, folder, part_of(progress, 0.0, 0.4))
    except TrainingError as fault:
        return unmeasured(folder, fault)
    found = measure(bundle, judged, folder, how, champion=champion, progress=part_of(progress, 0.4, 0.8))
    if progress:
        progress("gate: requests one by one", 0.8)
    drawn = judged.sample(how.requests, how.seed)
    rows = judged.rows
    served = rehearse(bundle, folder, rows.features.iloc[drawn], rows.events.take(drawn), judged.log_odds[drawn])
    return replace(found, figures={**found.figures, **served})


def promote(model: str, home: Home, *, approver: str, now: datetime | None = None) -> Facts:
    """Make a version the champion by its passing verdict and an approver who is not its author."""
    from evaluation.gate.people import named
    from evaluation.gate.succession import Succession

    who, at = named(approver, "--approver"), now or datetime.now(UTC)
    registry = home.registry()
    with home.register() as register:
        promoted = Succession(registry, register).promote(model, who, at)
    return {"model": promoted.label, "aliases": list(promoted.aliases), "approver": who}


def rollback(name: str, home: Home, *, reason: str, by: str | None = None, now: datetime | None = None) -> Facts:
    """Make the champion before the present one champion again."""
    from evaluation.gate.people import named
    from evaluation.gate.succession import Succession

    who, at = named(by, "--by"), now or datetime.now(UTC)
    registry = home.registry()
    with home.register() as register:
        restored = Succession(registry, register).roll_back(name, who, _told(reason), at)
    return {"model": restored.label, "aliases": list(restored.aliases), "by": who, "reason": reason}


def retire(model: str, home: Home, *, reason: str, by: str | None = None, now: datetime | None = None) -> Facts:
    """Take a version out of use for good."""
    from evaluation.gate.people import named
    from evaluation.gate.succession import Succession

    who, at = named(by, "--by"), now or datetime.now(UTC)
    registry = home.registry()
    with home.register() as register:
        succession = Succession(registry, register)
        retired = succession.retire(model, who, _told(reason), at)
        champion = succession.standing(retired.name, at).champion
    present = champion and f"{retired.name}/{champion}"
    return {"model": retired.label, "retired": retired.retired, "by": who, "champion": present}


def register(name: str, home: Home, *, verify: bool = False) -> Facts:
    """Tell everything that was done with a model's versions; with `verify`, whether anything of it was changed."""
    from evaluation.gate.succession import Succession
    from training.standing import standing

    with home.register() as register:
        entries = register.entries(name)
        if not entries:
            known = ", ".join(sorted({entry.model for entry in register.entries()})) or "none"
            raise RegistryError(f"The model register has no model {name!r} (it has: {known}).")
        faults = Succession(home.registry(), register).faults(name) if verify else []
    told = [_plain(entry) for entry in entries]
    champion = standing(entry.act for entry in entries).champion
    facts: Facts = {"model": name, "champion": champion and f"{name}/{champion}", "entries": told}
    return {**facts, "whole": not faults, "faults": faults} if verify else facts


def _plain(entry: Entry) -> Facts:
    """An entry as people and machines read it: what says nothing is left out."""
    facts = {**vars(entry), "details": entry.act.details}
    return {name: value for name, value in facts.items() if value not in ("", {})}


def _told(reason: str) -> str:
    if not reason.strip():
        raise LendwellError("--reason is empty; say why, for whoever reads the model register later.")
    return reason.strip()
