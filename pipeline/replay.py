"""The step that computes logged decisions again."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import LendwellError, RegistryError
from records import Facts, Progress
from workspace import Home

if TYPE_CHECKING:
    from serving.decide import Decider
    from serving.replay import Replayed, Replayer

_MOST_TOLD = 20  # decisions that differ


def replay(home: Home, decision_id: str, *, bundle: Path | None = None) -> Facts:
    """Compute one decision again, by the bundle of the registry that took it or by one in a folder."""
    from serving.decision_log import DecisionLog

    with DecisionLog.open(home.log, create=False) as log:
        row = log.row(decision_id)
    replayed = _Bundles(home, bundle).replayer(row)(row)
    facts = {name: row[name] for name in ("kind", "decided_at", "bundle_name", "bundle_version", "bundle_identity")}
    return {"decision_id": decision_id, **facts, **_told(replayed)}


def replay_many(
    home: Home,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    bundle: Path | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Compute every score and decision again; `not_replayed` counts those whose bundle is not there.

    Entries of `other_kinds`, such as what tells of pruning, are left out.
    """
    from serving.decision_log import DecisionLog
    from serving.log_reading import Wanted, count, rows

    bundles, wanted = _Bundles(home, bundle), Wanted(since, until)
    done, causes, absent, others = 0, Counter[str](), Counter[str](), Counter[str]()
    told: list[Facts] = []
    with DecisionLog.open(home.log, create=False) as log:
        total = count(log.engine, wanted)
        for number, row in enumerate(rows(log.engine, wanted), start=1):
            if progress and number % 10 == 0:
                progress(f"{number:,} of {total:,}", min(1.0, number / total))
            if not row["bundle_identity"]:
                others[row["kind"]] += 1
                continue
            try:
                replayer = bundles.replayer(row)
            except RegistryError:
                absent[row["bundle_identity"]] += 1
                continue
            if row["kind"] not in replayer.kinds:
                others[row["kind"]] += 1
                continue
            replayed = replayer(row)
            done += 1
            if replayed.cause is not None:
                causes[replayed.cause] += 1
                if len(told) < _MOST_TOLD:
                    told.append({"decision_id": replayed.decision_id, **_told(replayed)})
    if not done and not absent:
        raise LendwellError("The decision log holds no decision of a bundle in that time.")
    return {
        "replayed": done,
        "different": causes.total(),
        "causes": dict(causes),
        "not_replayed": dict(absent),
        "other_kinds": dict(others),
        "same": not causes and not absent,
        "first_differences": told,
    }


def _told(replayed: Replayed) -> Facts:
    return {
        "same": replayed.cause is None,
        "cause": replayed.cause,
        "differences": [asdict(one) for one in replayed.differences],
    }


class _Bundles:
    """Each bundle that took a decision, loaded once."""

    def __init__(self, home: Home, folder: Path | None) -> None:
        self._home = home
        self._folder = folder
        self._replayers: dict[str, Replayer | RegistryError] = {}

    def replayer(self, row: dict[str, Any]) -> Replayer:
        """What replays a row; `RegistryError` where its bundle is not there."""
        identity = row["bundle_identity"]
        if identity not in self._replayers:
            try:
                self._replayers[identity] = self._load(identity)
            except RegistryError as fault:
                self._replayers[identity] = fault
        found = self._replayers[identity]
        if isinstance(found, RegistryError):
            raise found
        return found

    def _load(self, identity: str) -> Replayer:
        import torch

        from serving.replay import Replayer
        from training.bundle import Bundle

        torch.set_num_threads(1)  # as it is served
        if self._folder is not None:
            bundle = Bundle.load(self._folder)
            if bundle.identity != identity:
                raise RegistryError(f"The decision was taken by bundle {identity[:12]}, not by that in {self._folder}.")
            return Replayer(bundle, _decider)
        registry = self._home.registry()
        with tempfile.TemporaryDirectory(prefix="lendwell-replay-") as folder:
            found = registry.download(registry.with_identity(identity), Path(folder) / "bundle")
            return Replayer(Bundle.load(found), _decider)


def _decider() -> Decider:
    """The rules, products and strategy in force, by their addresses in the environment or Lendwell's own."""
    from policy.declared import declared
    from serving.decide import Decider

    return Decider(*declared(), lambda: datetime.now(UTC).replace(tzinfo=None))
