"""Who follows whom as champion: by a passing verdict and an approver who is not the author; back again; out for good.

The model register decides and is written first; the registry's aliases and tags follow it. A step that is broken off in
between is made good by the next one.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import RegistryError
from evaluation.gate.people import same_person
from training.model_register import Entry, ModelRegister
from training.registry import CHAMPION, Registered, Registry
from training.standing import NAMES_CHAMPION, Act, Standing, standing

if TYPE_CHECKING:
    from evaluation.gate.verdict import Verdict  # a rollback needs nothing that measures

_FIRST = "首个版本，未经门槛评审，暂任冠军。 First version: provisional champion without a gate."
_VERDICTS = "gate"  # folder of the run


class _AlreadyKnownError(RegistryError):
    """Another process has recorded the same in the meantime."""


class Succession:
    """The champion of each model, by its register and its registry."""

    def __init__(self, registry: Registry, register: ModelRegister) -> None:
        self.registry = registry
        self.register = register

    def standing(self, name: str, at: datetime) -> Standing:
        """Where a model stands; what the register does not know of it yet, such as a version just trained, is recorded.

        The first version of a name is appointed without a gate, since somebody has to answer; the register says so.
        """
        known = self._standing(name)
        for number in self.registry.versions(name):
            if number not in known.authors:
                self._record(self.registry.find(f"{name}/{number}"), at)
        return self._follow(name)

    def note(self, model: Registered, verdict: Verdict, by: str) -> Entry:
        """Log a verdict to the run of its version, as a file that is named after its SHA-256, and in the register."""
        metrics = {
            f"gate_{one.name}": one.metric.value
            for one in verdict.criteria
            if one.metric is not None and one.metric.value is not None
        }
        tags = {"gate": verdict.gate.name, "gate_passed": str(verdict.passed).lower(), "gate_sha256": verdict.sha256}
        with tempfile.TemporaryDirectory() as draft:
            file = Path(draft) / _file_of(verdict.sha256)
            file.write_text(verdict.to_json(), encoding="utf-8")
            self.registry.log_to_run(_run_of(model), metrics, {_VERDICTS: file}, tags)
        details = {
            "passed": verdict.passed,
            "not_passed": [one.name for one in verdict.criteria if one.result in ("failed", "not_computable")],
            "champion": None if verdict.champion is None else verdict.champion.model.rpartition("/")[2],
            "gate": {"name": verdict.gate.name, "identity": verdict.gate.identity},
            "data_identity": verdict.facts.get("data_identity"),
        }
        act = Act(
            model.name, model.version, "judged", by, verdict.judged_at, verdict.candidate.bundle, verdict.sha256,
            details=details,
        )  # fmt: skip
        return self._write(act)

    def promote(self, model: str, approver: str, at: datetime) -> Registered:
        """Make a version the champion.

        Raises
        ------
        RegistryError
            Where this very bundle has no passing verdict against the present champion, its evidence is not what was
            judged, the approver is the author, the version was retired, or the register was tampered with.
        BundleError
            Where a byte of the bundle was changed. In every case the champion stays who it was.
        """
        chosen = self.registry.find(model)
        self.standing(chosen.name, at)
        identity = self.registry.identity(chosen)
        if faults := self.register.faults(self.registry.marks(chosen.name)):
            raise RegistryError(f"Nobody is promoted while the model register is not whole. {' '.join(faults)}")
        verdict = _passing(self._standing(chosen.name), chosen, identity, approver)
        self._require_evidence(chosen, verdict)

        def still_so(entries: Sequence[Entry]) -> None:
            if _passing(_of(entries), chosen, identity, approver) != verdict:
                raise RegistryError(f"{chosen.label} was judged again in the meantime. Look at that first.")

        details = {"gate": verdict.details.get("gate")}
        self._write(
            Act(
                chosen.name, chosen.version, "promoted", approver, at, identity, verdict.verdict_sha256, details=details
            ),
            still_so,
        )
        return self.registry.find(chosen.label)

    def roll_back(self, name: str, by: str, reason: str, at: datetime) -> Registered:
        """Make the champion before the present one champion again, after checking every byte of its bundle."""
        earlier = self.standing(name, at).earlier
        if not earlier:
            raise RegistryError(
                f"Model {name!r} has no earlier champion to go back to; `lendwell register {name}` tells its history."
            )
        chosen = self.registry.find(f"{name}/{earlier[-1]}")

        def still_so(entries: Sequence[Entry]) -> None:
            if _of(entries).earlier != earlier:
                raise RegistryError(f"The champion of {name!r} has changed in the meantime. Look at that first.")

        act = Act(name, chosen.version, "rolled_back", by, at, self.registry.identity(chosen), reason=reason)
        self._write(act, still_so)
        return self.registry.find(chosen.label)

    def retire(self, model: str, by: str, reason: str, at: datetime) -> Registered:
        """Take a version out of use for good. A champion that is retired leaves its place empty."""
        chosen = self.registry.find(model)
        self.standing(chosen.name, at)

        def in_use(entries: Sequence[Entry]) -> None:
            if chosen.version in _of(entries).retired:
                raise RegistryError(f"{chosen.label} was retired already; `lendwell register {chosen.name}` tells why.")

        identity = self.registry.run_tags(chosen).get("bundle_identity", "")
        self._write(Act(chosen.name, chosen.version, "retired", by, at, identity, reason=reason), in_use)
        return self.registry.find(chosen.label)

    def faults(self, name: str) -> list[str]:
        """What was changed in the register, or in the registry past the register; empty where all is well."""
        found = self.register.faults(self.registry.marks(name))
        said = self._standing(name).champion
        aliases = {alias: number for number in self.registry.versions(name) for alias in
                   self.registry.find(f"{name}/{number}").aliases}  # fmt: skip
        if said != aliases.get(CHAMPION):
            found.append(
                f"The registry's champion is {aliases.get(CHAMPION) or 'none'}, that of the register {said or 'none'}: "
                "an alias was set past it. The next promotion, rollback or retirement sets it right."
            )
        return found

    def _standing(self, name: str) -> Standing:
        return _of(self.register.entries(name))

    def _record(self, version: Registered, at: datetime) -> None:
        tags = self.registry.run_tags(version)
        author, identity = tags.get("author", ""), tags.get("bundle_identity", "")

        def unknown(entries: Sequence[Entry]) -> None:
            if version.version in _of(entries).authors:
                raise _AlreadyKnownError

        def nobody_yet(entries: Sequence[Entry]) -> None:
            if any(entry.action in NAMES_CHAMPION for entry in entries):
                raise _AlreadyKnownError

        of = (version.name, version.version)
        with suppress(_AlreadyKnownError):
            self._append(Act(*of, "registered", author, at, identity, details={"run": version.run_id}), unknown)
        if CHAMPION in version.aliases:
            with suppress(_AlreadyKnownError):
                self._append(Act(*of, "appointed", author, at, identity, reason=_FIRST), nobody_yet)

    def _write(self, act: Act, allow: Callable[[Sequence[Entry]], object] | None = None) -> Entry:
        entry = self._append(act, allow)
        self._follow(act.model)
        return entry

    def _append(self, act: Act, allow: Callable[[Sequence[Entry]], object] | None = None) -> Entry:
        entry = self.register.append(act, allow)
        self.registry.mark(act.model, entry.position, entry.sha256)
        return entry

    def _follow(self, name: str) -> Standing:
        """Set aliases as the register says, until it says the same afterwards: another process may write at once."""
        followed: Standing | None = None
        while (now := self._standing(name)) != followed:
            self.registry.follow(name, now.champion, now.retired)
            followed = now
        return now

    def _require_evidence(self, model: Registered, verdict: Act) -> None:
        written = self.registry.read_from_run(_run_of(model), f"{_VERDICTS}/{_file_of(verdict.verdict_sha256)}")
        if written is None or hashlib.sha256(written).hexdigest() != verdict.verdict_sha256:
            raise RegistryError(
                f"The verdict on {model.label} is gone from its run, or was changed since. Run `lendwell gate` again."
            )


def _of(entries: Iterable[Entry]) -> Standing:
    return standing(entry.act for entry in entries)


def _passing(now: Standing, model: Registered, identity: str, approver: str) -> Act:
    """The verdict by which a version may become champion; `RegistryError` says what it lacks."""
    if model.version in now.retired:
        raise RegistryError(
            f"{model.label} was retired: {now.retired[model.version]}. It cannot be promoted; train anew."
        )
    present = None if now.champion in (None, model.version) else now.champion
    again = f"Run `lendwell gate {model.label} --data TABLES`."
    whom = f"the present champion {model.name}/{present}" if present else "no other champion"
    verdict = now.verdicts.get(model.version)
    if verdict is None or verdict.details.get("champion") != present:
        raise RegistryError(f"{model.label} has not been judged against {whom}. {again}")
    if verdict.bundle_identity != identity:
        raise RegistryError(f"The verdict on {model.label} is of another bundle. {again}")
    if not verdict.details.get("passed"):
        lacking = ", ".join(verdict.details.get("not_passed", ())) or "nothing was asked"
        raise RegistryError(f"The gate has not let {model.label} pass: {lacking}. Its verdict tells why.")
    author = now.authors.get(model.version, "")
    if not author:
        raise RegistryError(
            f"Nobody is told as the author of {model.label}, so no approver can be another. Train anew with --author."
        )
    if same_person(author, approver):
        raise RegistryError(f"{approver} trained {model.label}; another person must approve it: --approver NAME.")
    return verdict


def _run_of(model: Registered) -> str:
    if model.run_id is None:
        raise RegistryError(f"{model.label} came from no run, so there is nowhere to log its verdict. Train it anew.")
    return model.run_id


def _file_of(sha256: str) -> str:
    return f"verdict_{sha256[:16]}.json"
