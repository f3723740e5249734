"""Who becomes champion and who does not, on a real MLflow registry and a real register."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_contracts.errors import BundleError, LendwellError, RegistryError
from evaluation.gate.declaration import declared_gate
from evaluation.gate.succession import Succession
from evaluation.gate.verdict import Evidence, Identity, judge
from evaluation.metrics import Metric
from tests.evaluation.gate.conftest import Two
from training.bundle import Bundle
from training.model_register import ModelRegister
from training.registry import Registered, Registry

AT = datetime(2026, 7, 1)
GATE = declared_gate({"name": "only", "additivity": {"most": 1e-4}})
AUTHOR, REVIEWER = "model team", "risk team"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    home = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{home}/mlflow.db", home / "artifacts")


@pytest.fixture
def register(tmp_path: Path) -> Iterator[ModelRegister]:
    with ModelRegister(f"sqlite:///{tmp_path}/register.db") as opened:
        yield opened


@pytest.fixture
def succession(registry: Registry, register: ModelRegister) -> Succession:
    return Succession(registry, register)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model of each test's own: its tables in MLflow take seconds to lay out, so that they share one store."""
    return "m" + request.node.name.removeprefix("test_").replace("[", "_").rstrip("]")[:50]


@pytest.fixture
def train(succession: Succession, two: Two, name: str) -> Callable[..., Registered]:
    def of(bundle: Path = two.first, author: str | None = AUTHOR) -> Registered:
        tags = {"bundle_identity": Bundle.load(bundle).identity, **({"author": author} if author else {})}
        run_id = succession.registry.log_run(name, params={}, metrics={}, tags=tags, bundle=bundle)
        made = succession.registry.register(name, run_id)
        succession.standing(name, AT)
        return made

    return of


@pytest.fixture
def judged(succession: Succession) -> Callable[..., None]:
    """Note a verdict on a version against whoever is champion."""

    def of(model: Registered, *, passed: bool = True, bundle: str | None = None, minute: int = 0) -> None:
        present = succession.standing(model.name, AT).champion
        other = None if present in (None, model.version) else Identity(f"{model.name}/{present}", "c0" * 32)
        candidate = Identity(model.label, bundle or succession.registry.identity(model))
        evidence = Evidence({"additivity": Metric(1e-9 if passed else 1.0, None, None, 9)}, {}, {"data_identity": "da"})
        at = AT + timedelta(minutes=minute)
        succession.note(model, judge(GATE, evidence, candidate=candidate, champion=other, judged_at=at), REVIEWER)

    return of


def actions(succession: Succession, name: str) -> list[str]:
    return [f"{entry.action} {entry.version}" for entry in succession.register.entries(name)]


def test_the_first_version_is_provisional_champion_and_the_register_says_so(succession, train, name) -> None:
    train()
    registered, appointed = succession.register.entries(name)
    assert (registered.action, registered.by, len(registered.bundle_identity)) == ("registered", AUTHOR, 64)
    assert (appointed.action, appointed.by) == ("appointed", AUTHOR)
    assert "First version: provisional champion without a gate" in appointed.reason
    train()
    assert actions(succession, name)[2:] == ["registered 2"]
    assert succession.registry.find(name).version == "1"
    assert succession.faults(name) == []


def test_a_passing_verdict_and_another_person_make_a_champion(succession, train, judged, name, two) -> None:
    train()
    second = train(two.second)
    judged(second)
    promoted = succession.promote(second.label, REVIEWER, AT)
    assert (promoted.label, promoted.aliases) == (f"{name}/2", ("champion",))
    *_, verdict, entry = succession.register.entries(name)
    assert (verdict.action, entry.action, entry.by) == ("judged", "promoted", REVIEWER)
    assert entry.verdict_sha256 == verdict.verdict_sha256
    assert entry.bundle_identity == Bundle.load(two.second).identity
    assert verdict.act.details["passed"] is True
    assert verdict.act.details["champion"] == "1"
    run = succession.registry.client.get_run(second.run_id)
    assert run.data.tags["gate_passed"] == "true"
    assert run.data.tags["gate_sha256"] == verdict.verdict_sha256
    assert run.data.metrics["gate_additivity"] == 1e-9
    assert succession.faults(name) == []


def test_a_provisional_champion_is_confirmed_by_its_verdict(succession, train, judged, name) -> None:
    first = train()
    judged(first)
    assert succession.promote(first.label, REVIEWER, AT).aliases == ("champion",)
    assert actions(succession, name) == ["registered 1", "appointed 1", "judged 1", "promoted 1"]


def test_without_a_verdict_nobody_is_promoted(succession, train, name) -> None:
    train()
    second = train()
    with pytest.raises(RegistryError, match=rf"{name}/2 has not been judged against the present champion {name}/1\."):
        succession.promote(second.label, REVIEWER, AT)
    with pytest.raises(RegistryError, match=rf"{name}/1 has not been judged against no other champion"):
        succession.promote(f"{name}/1", REVIEWER, AT)


def test_a_verdict_that_did_not_pass_promotes_nobody(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    judged(second, passed=False, minute=1)  # the latest counts
    with pytest.raises(RegistryError, match=rf"The gate has not let {name}/2 pass: additivity"):
        succession.promote(second.label, REVIEWER, AT)
    assert succession.registry.find(name).version == "1"


def test_a_verdict_against_an_earlier_champion_does_not_count(succession, train, judged, name) -> None:
    train()
    second, third = train(), train()
    judged(third)
    judged(second)
    succession.promote(second.label, REVIEWER, AT)
    with pytest.raises(RegistryError, match=rf"{name}/3 has not been judged against the present champion {name}/2"):
        succession.promote(third.label, REVIEWER, AT)
    succession.roll_back(name, REVIEWER, "too many approvals", AT)
    with pytest.raises(RegistryError, match=rf"{name}/2 has not been judged"):  # what was rolled back is judged anew
        succession.promote(second.label, REVIEWER, AT)


def test_a_verdict_on_another_bundle_does_not_count(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second, bundle="0b" * 32)
    with pytest.raises(RegistryError, match=rf"The verdict on {name}/2 is of another bundle"):
        succession.promote(second.label, REVIEWER, AT)


@pytest.mark.parametrize("approver", [AUTHOR, " Model  TEAM "])
def test_the_author_does_not_approve(succession, train, judged, approver) -> None:
    train()
    second = train()
    judged(second)
    with pytest.raises(RegistryError, match=r"trained .*/2; another person must approve it"):
        succession.promote(second.label, approver, AT)


def test_without_a_known_author_nobody_can_approve(succession, train, judged) -> None:
    train()
    second = train(author=None)
    judged(second)
    with pytest.raises(RegistryError, match=r"Nobody is told as the author of .*/2"):
        succession.promote(second.label, REVIEWER, AT)


def artifact(succession: Succession, model: Registered, part: str) -> Path:
    run = succession.registry.client.get_run(model.run_id)
    place = Path(run.info.artifact_uri.removeprefix("file://"))
    return next(path for path in place.parent.rglob(part) if model.run_id in str(path) or "models" in str(path))


def test_evidence_that_was_changed_or_is_gone(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    file = artifact(succession, second, "verdict_*.json")
    whole = file.read_text()
    file.write_text(whole.replace("1e-09", "1e-10"))
    with pytest.raises(RegistryError, match=rf"verdict on {name}/2 is gone from its run, or was changed"):
        succession.promote(second.label, REVIEWER, AT)
    file.unlink()
    with pytest.raises(RegistryError, match="is gone from its run"):
        succession.promote(second.label, REVIEWER, AT)
    file.write_text(whole)
    assert succession.promote(second.label, REVIEWER, AT).aliases == ("champion",)


def test_a_corrupt_bundle_leaves_the_champion(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    source = Path(succession.registry.client.get_model_version(name, "2").source.removeprefix("file://"))
    file = next(source.rglob("facts.json"))
    file.write_text(file.read_text() + " ")
    with pytest.raises(BundleError, match=r"facts.json does not have the SHA-256"):
        succession.promote(second.label, REVIEWER, AT)
    assert succession.registry.find(name).version == "1"
    assert actions(succession, name)[-1] == "judged 2"


def test_a_register_that_is_not_whole_promotes_nobody(succession, train, judged, name, tmp_path) -> None:
    train()
    second = train()
    judged(second)
    engine = sa.create_engine(f"sqlite:///{tmp_path}/register.db")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER model_register_update"))
        connection.execute(sa.text("UPDATE model_register SET \"by\" = 'somebody else' WHERE position = 3"))
    engine.dispose()
    with pytest.raises(RegistryError, match=r"while the model register is not whole\. Entry 3 was changed"):
        succession.promote(second.label, "model team", AT)
    assert succession.faults(name) == ["Entry 3 was changed: it does not have its SHA-256."]
    judged(train())
    assert succession.registry.find(name).version == "1"  # it can still be served, and rolled back


def test_a_register_begun_anew_does_not_pass_for_the_old_one(succession, train, judged, name, tmp_path) -> None:
    train()
    second = train()
    judged(second)
    with ModelRegister(f"sqlite:///{tmp_path}/another.db") as empty:
        other = Succession(succession.registry, empty)
        assert other.standing(name, AT).champion == "1"
        assert other.register.faults() == []
        told = other.faults(name)
        assert told[-1] == "Entry 4 was removed: the registry has its mark."
        with pytest.raises(RegistryError, match="not whole"):
            other.promote(second.label, REVIEWER, AT)
    assert succession.promote(second.label, REVIEWER, AT).version == "2"


def test_a_rollback_restores_the_last_champion_at_once(succession, train, judged, name) -> None:
    train()
    for version in (train(), train()):
        judged(version)
        succession.promote(version.label, REVIEWER, AT)
    started = time.process_time()
    restored = succession.roll_back(name, "on call", "approvals fell by a third", AT)
    assert time.process_time() - started < 2.0
    assert (restored.label, restored.aliases) == (f"{name}/2", ("champion",))
    last = succession.register.entries(name)[-1]
    assert (last.action, last.by, last.reason) == ("rolled_back", "on call", "approvals fell by a third")
    assert succession.roll_back(name, "on call", "still", AT).label == f"{name}/1"
    with pytest.raises(RegistryError, match="no earlier champion to go back to"):
        succession.roll_back(name, "on call", "still", AT)


def test_a_corrupt_bundle_is_not_rolled_back_to(succession, train, judged, name) -> None:
    first, second = train(), train()
    judged(second)
    succession.promote(second.label, REVIEWER, AT)
    source = Path(succession.registry.client.get_model_version(name, "1").source.removeprefix("file://"))
    file = next(source.rglob("facts.json"))
    file.write_text(file.read_text() + " ")
    with pytest.raises(BundleError, match=r"facts\.json"):
        succession.roll_back(name, "on call", "why", AT)
    assert succession.registry.find(name).version == "2"
    assert first.version == "1"


def test_a_retired_version_is_neither_promoted_nor_served(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    retired = succession.retire(second.label, "risk team", "its bureau feed has ended", AT)
    assert (retired.retired, retired.aliases) == ("its bureau feed has ended", ())
    with pytest.raises(RegistryError, match=rf"{name}/2 was retired: its bureau feed has ended\. It cannot"):
        succession.promote(second.label, REVIEWER, AT)
    with pytest.raises(RegistryError, match=rf"{name}/2 was retired: its bureau feed has ended"):
        succession.registry.find(second.label).require_in_use()
    with pytest.raises(RegistryError, match="was retired already"):
        succession.retire(second.label, "risk team", "again", AT)
    assert succession.registry.find(name).require_in_use().version == "1"


def test_a_retired_champion_leaves_its_place_empty(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    succession.promote(second.label, REVIEWER, AT)
    succession.retire(second.label, "risk team", "it loses money", AT)
    with pytest.raises(RegistryError, match="has no champion"):
        succession.registry.find(name)
    assert train().aliases == ("challenger",)  # a later version is never champion by itself
    assert succession.roll_back(name, "on call", "somebody must answer", AT).label == f"{name}/1"


def test_an_alias_that_was_set_past_the_register_is_told_and_set_right(succession, train, judged, name) -> None:
    train()
    second = train()
    succession.registry.client.set_registered_model_alias(name, "champion", "2")
    (told,) = succession.faults(name)
    assert told.startswith("The registry's champion is 2, that of the register 1: an alias was set past it.")
    judged(second)  # against 1, whom the register names
    assert succession.registry.find(name).version == "1"


def test_a_step_that_was_broken_off_is_made_good(succession, train, judged, name) -> None:
    train()
    second = train()
    judged(second)
    succession.promote(second.label, REVIEWER, AT)
    succession.registry.client.set_registered_model_alias(name, "champion", "1")  # as if it had ended before this
    assert succession.standing(name, AT).champion == "2"
    assert succession.registry.find(name).version == "2"


def test_two_promotions_at_once_leave_one_champion(succession, train, judged, name, tmp_path) -> None:
    train()
    versions = [train(), train()]
    for version in versions:
        judged(version)
    refused: list[LendwellError] = []

    def promote(label: str) -> None:
        with ModelRegister(f"sqlite:///{tmp_path}/register.db") as own:
            try:
                Succession(succession.registry, own).promote(label, REVIEWER, AT)
            except LendwellError as fault:
                refused.append(fault)

    threads = [threading.Thread(target=promote, args=(version.label,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert "has not been judged against the present champion" in str(refused[0])
    said = succession.standing(name, AT).champion
    assert succession.registry.find(name).version == said
    assert actions(succession, name).count(f"promoted {said}") == 1
    assert succession.faults(name) == []
