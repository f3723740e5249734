"""The register on SQLite and on real PostgreSQL: one chain, nothing changed unseen, two processes at once."""

from __future__ import annotations

import multiprocessing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data_contracts.append_only import FIRST
from data_contracts.errors import RegistryError
from training.model_register import ModelRegister
from training.standing import Act
from training.store import with_driver

DAY = datetime(2026, 7, 1)
CHANGED = "Entry {} was changed: it does not have its SHA-256."


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/register.db"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"register_{abs(hash(tmp_path))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


def act(action: str, version: str = "1", model: str = "cash", **facts: object) -> Act:
    return Act(model, version, action, "who did it", DAY, "b1" * 32, **facts)


@pytest.fixture
def register(url: str) -> ModelRegister:
    """Four entries, of two models."""
    made = ModelRegister(url)
    made.append(act("registered", details={"run": "r1"}))
    made.append(act("appointed", reason="第一个版本"))
    made.append(act("registered", model="cards"))
    made.append(act("retired", reason="loses money"))
    yield made
    made.close()


def tamper(url: str, *statements: str) -> None:
    """Change the table as its owner can, who takes the guards away first."""
    engine = sa.create_engine(with_driver(url))
    guards = (
        ["DROP TRIGGER model_register_update", "DROP TRIGGER model_register_delete"]
        if engine.dialect.name == "sqlite"
        else ["DROP TRIGGER model_register_change ON model_register"]
    )
    with engine.begin() as connection:
        for statement in (*guards, *statements):
            connection.execute(sa.text(statement))
    engine.dispose()


def test_what_was_done_is_read_again(register: ModelRegister) -> None:
    first, second, _, fourth = register.entries()
    assert first.act == act("registered", details={"run": "r1"})
    assert (second.reason, second.previous_sha256) == ("第一个版本", first.sha256)
    assert (first.position, first.at, first.previous_sha256) == (1, "2026-07-01T00:00:00.000Z", FIRST)
    assert fourth.act == act("retired", reason="loses money")
    assert [entry.position for entry in register.entries("cash")] == [1, 2, 4]
    assert register.entries("nobody") == []
    assert register.faults() == []


def test_the_same_acts_make_the_same_chain(register: ModelRegister, tmp_path: Path) -> None:
    again = ModelRegister(f"sqlite:///{tmp_path}/again.db")
    for entry in register.entries():
        again.append(entry.act)
    assert again.entries() == register.entries()
    again.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE model_register SET reason = 'another' WHERE position = 2",
        "DELETE FROM model_register WHERE position = 4",
        "DELETE FROM model_register",
    ],
)
def test_the_database_refuses_a_change(register: ModelRegister, url: str, statement: str) -> None:
    engine = sa.create_engine(with_driver(url))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
    assert len(register.entries()) == 4
    assert register.faults() == []


def test_sqlite_refuses_to_replace_a_row(tmp_path: Path) -> None:
    register = ModelRegister(f"sqlite:///{tmp_path}/register.db")
    register.append(act("registered"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/register.db")
    replaced = "INSERT OR REPLACE INTO model_register SELECT * FROM model_register WHERE position = 1"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text(replaced))
    engine.dispose()
    register.close()


def test_postgresql_refuses_to_empty_the_table(postgres: str) -> None:
    register = ModelRegister(postgres)
    register.append(act("registered"))
    engine = sa.create_engine(with_driver(postgres))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE model_register"))
    engine.dispose()
    register.close()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE model_register SET reason = 'x' WHERE position = 2", [CHANGED.format(2)]),
        ("UPDATE model_register SET \"by\" = 'x' WHERE position = 4", [CHANGED.format(4)]),
        ("DELETE FROM model_register WHERE position = 1", ["Entry 1 was removed."]),
        ("DELETE FROM model_register WHERE position IN (2, 3)", ["Entry 2 was removed.", "Entry 3 was removed."]),
        ("DELETE FROM model_register WHERE position >= 3",
         ["Entry 3 was removed: the registry has its mark.", "Entry 4 was removed: the registry has its mark."]),
        ("DELETE FROM model_register", [f"Entry {at} was removed: the registry has its mark." for at in (1, 2, 3, 4)]),
    ],
)  # fmt: skip
def test_a_change_without_guards_is_found(register: ModelRegister, url: str, statement: str, told: list[str]) -> None:
    marks = {entry.position: entry.sha256 for entry in register.entries()}
    tamper(url, statement)
    assert register.faults(marks) == told


def test_a_chain_that_was_written_anew_is_found_by_its_marks(register: ModelRegister, url: str) -> None:
    entries = register.entries()
    marks = {entry.position: entry.sha256 for entry in entries}
    tamper(url, "DELETE FROM model_register WHERE position = 4")
    register.append(act("retired", reason="a better reason"))
    assert register.faults() == []
    assert register.faults(marks) == ["Entry 4 is not the one that the registry has a mark of."]


def test_a_row_put_in_between_is_found(register: ModelRegister, url: str) -> None:
    tamper(url, "DELETE FROM model_register WHERE position = 2")
    register.append(act("promoted"))
    other = register.entries()[-1]
    tampered = f"UPDATE model_register SET position = 2 WHERE sha256 = '{other.sha256}'"
    engine = sa.create_engine(with_driver(url))
    with engine.begin() as connection:
        connection.execute(sa.text(tampered))
    engine.dispose()
    assert register.faults() == [
        "Entry 2 does not follow the one before it.",
        CHANGED.format(2),
        "Entry 3 does not follow the one before it.",
    ]


def test_an_entry_that_cannot_be_read_any_more(register: ModelRegister, url: str) -> None:
    tamper(url, "UPDATE model_register SET details = '{' WHERE position = 1")
    with pytest.raises(RegistryError, match=r"Entry 1 .* cannot be read .* `lendwell register cash --verify`"):
        register.entries()[0].act  # noqa: B018


def test_what_is_not_allowed_is_not_written(register: ModelRegister) -> None:
    seen = []

    def refuse(entries):
        seen.extend(entry.position for entry in entries)
        raise RegistryError("not now")

    with pytest.raises(RegistryError, match="not now"):
        register.append(act("promoted"), refuse)
    assert seen == [1, 2, 4]
    assert register.append(act("promoted"), lambda entries: None).position == 5


def _append_many(url: str, who: str, count: int) -> None:
    register = ModelRegister(url)
    for at in range(count):
        register.append(Act("cash", str(at), "registered", who, DAY + timedelta(seconds=at), "b1" * 32))
    register.close()


def test_processes_that_append_at_once_keep_one_chain(url: str) -> None:
    context = multiprocessing.get_context("spawn")  # each makes the table if it is the first
    workers = [context.Process(target=_append_many, args=(url, who, 20)) for who in ("one", "two", "three")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    register = ModelRegister(url)
    entries = register.entries()
    assert [entry.position for entry in entries] == list(range(1, 61))
    for who in ("one", "two", "three"):
        assert [entry.version for entry in entries if entry.by == who] == [str(at) for at in range(20)]
    assert register.faults() == []
    register.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////nowhere/at/all/register.db", "register at .*register.db cannot be used .*LENDWELL_REGISTER_URL"),
        ("postgresql://reader:secret@127.0.0.1:9/db", "127.0.0.1:9/db cannot be used"),
        ("mysql://127.0.0.1/db", "cannot be used|lies in SQLite or PostgreSQL"),
        ("no url", "cannot be used"),
    ],
)
def test_a_register_that_cannot_be_reached(url: str, told: str) -> None:
    with pytest.raises(RegistryError, match=told) as caught:
        ModelRegister(url)
    assert "secret" not in str(caught.value)
