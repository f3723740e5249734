"""The chain of the decision log on SQLite and PostgreSQL: what is changed past it is found; pruning keeps it whole."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from data_contracts.append_only import guard
from data_contracts.errors import ServiceError, SourceError
from serving.decision_log import DecisionLog
from serving.log_entries import KINDS
from serving.log_export import export, form_of
from serving.log_reading import Wanted
from serving.log_upkeep import MOST_BREAKS, prune, verify
from serving.migrations.versions.v0004_reviews import UNGUARDED
from serving.reviews import Review, ReviewQueue
from serving.shadow_log import ShadowScore, append, read
from tests.command_line import refused, run
from tests.serving.decisions import NOON, asked, decided

ROOT = Path(__file__).resolve().parents[2]
CHANGED = "Entry {} was changed: it does not have its SHA-256."
LATER = NOON + timedelta(days=1000)


@pytest.fixture
def log(url: str) -> Iterator[DecisionLog]:
    """Five decisions, a day apart."""
    with DecisionLog.open(url, key="a key") as opened:
        for day in range(5):
            opened.append(asked(f"A-{day}"), decided(at=NOON + timedelta(days=day)))
        yield opened


def tamper(log: DecisionLog, *statements: str) -> None:
    """Change the tables as their owner can, who takes the guards away first."""
    sqlite = log.engine.dialect.name == "sqlite"
    names = ("update", "delete", "replace") if sqlite else ("change", "truncate")
    with log.engine.begin() as connection:
        for name in names:
            connection.execute(sa.text(f"DROP TRIGGER decisions_{name}" + ("" if sqlite else " ON decisions")))
        for statement in statements:
            connection.execute(sa.text(statement))


def problems(log: DecisionLog, head: str | None = None) -> list[str]:
    return [one.problem for one in verify(log, head).breaks]


def test_an_untouched_log_is_whole(log: DecisionLog) -> None:
    found = verify(log)
    assert (found.entries, found.pruned, found.breaks) == (5, 0, [])
    log.append(asked("B"), decided())
    assert problems(log, found.head) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the same code judges both; others try PostgreSQL
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE decisions SET pd = 0.5 WHERE position = 2", [CHANGED.format(2)]),
        ("UPDATE decisions SET response = '{}' WHERE position = 5", [CHANGED.format(5)]),
        ("UPDATE decisions SET request = NULL WHERE position = 3", [CHANGED.format(3)]),
        ("UPDATE decisions SET request = (SELECT request FROM decisions WHERE position = 1) WHERE position = 4",
         [CHANGED.format(4)]),
        ("UPDATE decisions SET score = NULL WHERE position = 1", [CHANGED.format(1)]),
        ("DELETE FROM decisions WHERE position = 1", ["Entry 1 was removed."]),
        ("DELETE FROM decisions WHERE position IN (2, 3)", ["Entry 2 was removed.", "Entry 3 was removed."]),
        ("DELETE FROM decisions WHERE position = 5", ["Entry 5 was removed."]),
        ("DELETE FROM decisions", [f"Entry {at} was removed." for at in range(1, 6)]),
        ("UPDATE decisions SET position = 6 WHERE position = 2",
         ["Entry 2 was removed.", "Entry 6 was put in behind the head."]),
    ],
)  # fmt: skip
def test_what_was_changed_past_the_guards_is_found(log: DecisionLog, statement: str, told: list[str]) -> None:
    tamper(log, statement)
    assert problems(log) == told


def test_an_entry_that_was_put_in_is_found(log: DecisionLog) -> None:
    tamper(log, "DELETE FROM decisions WHERE position = 3")
    columns = "kind, request_id, decided_at, decision_point, bundle_name, bundle_version, bundle_identity, "
    columns += "feature_set_identity, features, parts, pd, response, previous_mac, mac"
    copied = f"INSERT INTO decisions (position, decision_id, {columns}) SELECT 3, 'another', {columns} FROM decisions"
    tampered = f"{copied} WHERE position = 2"
    with log.engine.begin() as connection:
        connection.execute(sa.text(tampered))
    assert problems(log) == [
        "Entry 3 does not follow the one before it.", CHANGED.format(3), "Entry 4 does not follow the one before it.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET pd = 0.5 WHERE position = 2",
        "DELETE FROM decisions WHERE position = 5",
        "DELETE FROM decisions",
    ],
)
def test_the_database_refuses_a_change(log: DecisionLog, statement: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), log.engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert problems(log) == []


def test_a_log_that_was_cut_off_together_with_its_head_is_found(log: DecisionLog) -> None:
    head = verify(log).head
    with log.engine.connect() as connection:
        mac = connection.scalar(sa.text("SELECT mac FROM decisions WHERE position = 4"))
    tamper(log, "DELETE FROM decisions WHERE position = 5", f"UPDATE log_head SET position = 4, mac = '{mac}'")
    assert problems(log) == ["The head (table log_head) was changed: it does not have its seal."]
    log.append(asked("B"), decided())  # it seals the head again
    assert problems(log) == []
    assert problems(log, head) == ["Entry 5 is not the one that was the head once: it is gone or another."]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_head_that_is_none_is_refused(log: DecisionLog) -> None:
    for text in ("5", "5:abc", "x:" + "0" * 64):
        with pytest.raises(ServiceError, match="--head is not POSITION:HASH"):
            verify(log, text)


def test_a_log_without_its_head_answers_nobody(log: DecisionLog) -> None:
    with log.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM log_head"))
    for attempt in (lambda: log.append(asked("B"), decided()), lambda: verify(log)):
        with pytest.raises(ServiceError, match="lost its head"):
            attempt()
    assert not log.is_reachable()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_only_the_first_breaks_are_listed(log: DecisionLog) -> None:
    tamper(log, "UPDATE decisions SET position = position + 100")
    assert len(problems(log)) == MOST_BREAKS


def test_pruning_removes_the_oldest_and_the_rest_can_be_verified(log: DecisionLog) -> None:
    head = verify(log).head
    assert prune(log, before=NOON + timedelta(days=2), now=LATER) == 2
    assert log.read()["application_key"].tolist() == [log.pseudonym(f"A-{day}") for day in (2, 3, 4)]
    found = verify(log, head)
    assert (found.entries, found.pruned, found.breaks) == (4, 2, [])
    (noted,) = log.read(kind="pruned")["response"]
    assert (noted["up_to"], noted["decided_before"]) == (2, "2025-03-03T12:00:00")
    assert prune(log, before=NOON + timedelta(days=2), now=LATER) == 0
    tamper(log, "DELETE FROM decisions WHERE position = 3")
    assert problems(log) == ["Entry 3 was removed."]


def test_pruning_takes_all_and_the_log_goes_on(log: DecisionLog) -> None:
    assert prune(log, before=LATER, now=LATER) == 5
    first = log.append(asked("A-0"), decided())
    assert log.read()["decision_id"].tolist() == [first.decision_id]
    assert problems(log) == []


def test_what_was_said_of_a_decision_goes_with_it_and_not_before(log: DecisionLog) -> None:
    ids = []
    for day in (0, 4):
        referred = replace(decided(at=NOON + timedelta(days=day)), kind="decision", response={"outcome": "refer"})
        ids.append(log.append(asked("R", amount=100 + day), referred).decision_id)
        append(log.engine, [ShadowScore(ids[-1], NOON, "other", "1", "o" * 64, -1.0, 0.2, 600.0)])
        ReviewQueue(log).decide(Review(ids[-1], "decline", "officer", "income not shown", NOON))
    assert prune(log, before=NOON + timedelta(days=4), now=LATER) == 4  # the first referral came after the fifth day
    assert _said(log) == (ids, ids)
    with pytest.raises(sa.exc.DBAPIError, match="only appended to"), log.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM reviews"))
    assert prune(log, before=NOON + timedelta(days=4, hours=1), now=LATER) == 3
    assert _said(log) == ([], [])
    assert problems(log) == []


def test_reviews_of_before_they_went_with_their_decisions_are_pruned(url: str) -> None:
    with DecisionLog.open(url, key="a key") as log:
        referred = replace(decided(), kind="decision", response={"outcome": "refer"})
        review = Review(log.append(asked(), referred).decision_id, "decline", "officer", "why", NOON)
        ReviewQueue(log).decide(review)
        with log.engine.begin() as connection:
            for statement in UNGUARDED[connection.dialect.name]:
                connection.execute(sa.text(statement))
            guard(connection, "reviews", "reviews are only appended to")  # as it was set then
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))
    with DecisionLog.open(url, key="a key") as log:
        assert prune(log, before=LATER, now=LATER) == 1
        assert _said(log) == ([], [])


def _said(log: DecisionLog) -> tuple[list[str], list[str]]:
    """Of which decisions challengers and people said something."""
    with log.engine.connect() as connection:
        reviewed = sa.text("SELECT decision_id FROM reviews ORDER BY position")
        return read(log.engine)["decision_id"].tolist(), list(connection.scalars(reviewed))


def test_a_clock_that_jumped_removes_nothing_too_early(log: DecisionLog) -> None:
    log.append(asked("back"), decided(at=NOON - timedelta(days=3650)))
    log.append(asked("ahead"), decided(at=NOON + timedelta(days=3650)))
    log.append(asked("now"), decided(at=NOON + timedelta(days=5)))
    assert problems(log) == []
    assert prune(log, before=NOON + timedelta(days=1), now=LATER) == 1
    assert len(log.read()) == 7
    assert log.read(since=NOON + timedelta(days=5))["application_key"].tolist() == [
        log.pseudonym(name) for name in ("ahead", "now")
    ]
    retried = log.append(asked("back"), decided(at=LATER))
    assert retried.decided_at == NOON - timedelta(days=3650)
    assert problems(log) == []


def test_an_export_has_every_column_for_its_owner_only(log: DecisionLog, tmp_path: Path) -> None:
    table, lines = tmp_path / "all.parquet", tmp_path / "one.jsonl"
    assert export(log, table, "parquet", Wanted()) == 5
    assert export(log, lines, "jsonl", Wanted(since=NOON + timedelta(days=4))) == 1
    rows = pq.read_table(table).to_pylist()
    (line,) = map(json.loads, lines.read_text().splitlines())
    assert line["features"] == [0.1, None, -0.0, 1e300]
    assert line["response"]["reasons"][0]["zh"] == "近期查询较多"
    assert (line["mac"], line["pd"]) == (rows[4]["mac"], rows[4]["pd"]) == (log.read()["mac"][4], 0.1 + 0.2)
    assert json.loads(rows[4]["request"]) == line["request"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in (table, lines)] == [0o600, 0o600]
    assert "C-secret" not in lines.read_text()
    with pytest.raises(SourceError, match=r"neither \.parquet nor \.jsonl"):
        form_of(tmp_path / "log.csv")


_WRITER = """
import sys
from tests.serving.decisions import asked, decided
from serving.decision_log import DecisionLog

with DecisionLog.open(sys.argv[1], key="a key") as log:
    for at in range(40):
        log.append(asked(f"{sys.argv[2] if at % 2 else 'both'}-{at}"), decided())
"""


def test_two_processes_write_one_chain(log: DecisionLog, url: str) -> None:
    command = [sys.executable, "-c", _WRITER, url]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("first", "second")]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(log.read()) == 5 + 20 + 20 + 20
    assert problems(log) == []


def test_pruning_beside_a_writer_and_verifying_beside_both(log: DecisionLog, url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, url, "third"], cwd=ROOT) as writer:
        while writer.poll() is None:
            prune(log, before=LATER, now=LATER)
            assert problems(log) == []
    assert writer.returncode == 0


def test_decisions_of_before_the_chain_are_linked(old_log: Callable[[str], None], url: str) -> None:
    old_log(url)
    with DecisionLog.open(url, key="a key") as log:
        found = log.read()
        assert found["decision_id"].tolist() == ["d1", "d2", "d3"]
        assert found["position"].tolist() == [1, 2, 3]
        assert found["features"][0].tolist()[:1] == [0.1]
        assert found["decided_at"][0] == datetime(2025, 3, 1, 12)
        assert problems(log) == []
        assert log.append(asked(), decided()).decision_id == "d1"
        log.append(asked("new"), decided())
        assert problems(log) == []


def test_decisions_of_before_are_not_linked_under_another_key(old_log: Callable[[str], None], url: str) -> None:
    old_log(url)
    with pytest.raises(ServiceError, match="written under another key"):
        DecisionLog.open(url, key="another key")
    with DecisionLog.open(url, key="a key") as log:
        assert problems(log) == []


@pytest.fixture
def old_log() -> Callable[[str], None]:
    """Makes a log as version 0001 wrote it: three decisions, two of them by two bundles on one request."""
    import hashlib
    import hmac
    import importlib

    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    from serving.log_database import address_of

    first = importlib.import_module("serving.migrations.versions.v0001_decisions")

    def make(url: str) -> None:
        def pseudonym(identifier: str) -> str:
            return hmac.new(b"a key", identifier.encode(), hashlib.sha256).hexdigest()

        engine = sa.create_engine(address_of(url))
        with engine.begin() as connection:
            with Operations.context(MigrationContext.configure(connection)):
                first.upgrade()
            connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(sa.text("INSERT INTO alembic_version VALUES ('0001')"))
            mark = {"name": "key_mark", "value": pseudonym("which key is this")}
            connection.execute(sa.text("INSERT INTO log_facts VALUES (:name, :value)"), mark)
            table = sa.Table("decisions", sa.MetaData(), autoload_with=connection)
            for number, (application, bundle) in enumerate([("A-1", "b"), ("A-1", "c"), ("A-2", "b")], start=1):
                text = asked(application).logged_text(pseudonym)
                row = {column.name: "x" for column in table.columns}
                row |= {
                    "position": number * 7, "decision_id": f"d{number}", "decided_at": NOON, "request": text,
                    "decision_point": "application", "application_key": pseudonym(application),
                    "bundle_identity": bundle * 64, "request_sha256": hashlib.sha256(text.encode()).hexdigest(),
                    "features": "[0.1,null]", "log_odds": -1.5, "pd": 0.2, "score": 600.0, "response": "{}",
                }  # fmt: skip
                connection.execute(sa.insert(table).values(row))
        engine.dispose()

    return make


def test_the_commands_verify_export_and_prune(log: DecisionLog, url: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LENDWELL_LOG_KEY", "a key")
    place = ("--log-url", url)
    whole = run("--json", "log", "verify", *place)
    assert (whole.code, whole.facts["whole"], whole.facts["entries"]) == (0, True, 5)
    out = tmp_path / "some.jsonl"
    assert run("--json", "log", "export", "--out", out, "--until", "2025-03-03", *place).facts["decisions"] == 2
    assert run("--json", "log", "export", "--out", out, "--kind", "score", *place).facts["decisions"] == 5
    unknown = run("log", "export", "--out", out, "--kind", "shadow", *place)
    assert (unknown.code, all(kind in unknown.err for kind in KINDS)) == (2, True)
    assert all(kind in run("log", "export", "--help").out for kind in KINDS)
    assert run("--json", "log", "prune", "--older-than", 1, *place).code == 2
    assert run("log", "prune", "--older-than", 1_000_000, "--yes", *place).code == 2
    pruned = run("--json", "log", "prune", "--older-than", 1, "--yes", *place)
    assert (pruned.code, pruned.facts["removed"]) == (0, 5)
    kept = run("--json", "log", "verify", "--head", whole.facts["head"], *place)
    assert (kept.code, kept.facts["entries"], kept.facts["pruned_up_to"]) == (0, 1, 5)
    tamper(log, "DELETE FROM decisions")
    broken = run("--json", "log", "verify", *place)
    assert (broken.code, broken.facts["first_break"], broken.facts["breaks"]) == (3, 6, ["Entry 6 was removed."])
    missing = refused("log", "verify", "--home", tmp_path / "nowhere", code=5)
    assert "There is no decision log" in missing
