"""The decision log on real SQLite and real PostgreSQL: durable, idempotent, without identifiers."""

from __future__ import annotations

import hashlib
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import ServiceError
from data_contracts.messages import parse_request
from serving.decision_log import Decision, DecisionLog, feature_matrix, new_decision_id
from tests.serving.decisions import NOON, asked, decided

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def log(url: str) -> Iterator[DecisionLog]:
    with DecisionLog.open(url, key="a key") as opened:
        yield opened


def test_what_was_appended_is_read_back_to_the_bit(log: DecisionLog) -> None:
    decision = decided()
    assert log.append(asked(), decision) is decision
    found, text = log.get(decision.decision_id)
    for name in set(Decision.__dataclass_fields__) - {"features"}:
        assert getattr(found, name) == getattr(decision, name), name
    assert found.features.tobytes() == decision.features.tobytes()
    assert parse_request(text).records() == asked().records()


def test_a_retry_gets_the_first_answer(log: DecisionLog) -> None:
    first = log.append(asked(), decided())
    again = log.append(asked(), decided(at=NOON + timedelta(hours=1), pd=0.9))
    assert (again.decision_id, again.decided_at, again.pd) == (first.decision_id, NOON, first.pd)
    assert len(log.read()) == 1


def test_another_application_request_point_or_kind_is_another_decision(log: DecisionLog) -> None:
    log.append(asked(), decided())
    log.append(asked(application_id="A-2"), decided())
    log.append(asked(amount=101), decided())
    log.append(asked(), decided(decision_point="behaviour"))
    log.append(asked(), decided(kind="decision"))
    assert len(log.read()) == 4
    assert len(log.read(kind="decision")) == 1


def test_a_retry_after_a_change_of_champion_gets_the_first_answer(log: DecisionLog) -> None:
    first = log.append(asked(), decided())
    assert log.append(asked(), decided(bundle="c" * 64)).decision_id == first.decision_id


def test_what_answers_nobody_is_logged_beside_the_answer_and_never_found_by_a_retry(log: DecisionLog) -> None:
    beside = [decided(kind="shadow_decision") for _ in range(2)]
    answer, *logged = log.append_many([(asked(), decided()), *((None, one) for one in beside)])
    assert logged == beside
    assert log.append(asked(), decided()).decision_id == answer.decision_id
    assert log.read(kind="shadow_decision")["decision_id"].tolist() == [one.decision_id for one in beside]
    assert log.read()["decision_id"].tolist() == [answer.decision_id]


def test_an_answer_without_a_bundle_is_logged(log: DecisionLog) -> None:
    declined = Decision(new_decision_id(), "r-1", NOON, "application", {"outcome": "decline"}, kind="decision")
    log.append(asked(), declined)
    found, _ = log.get(declined.decision_id)
    assert found.response == {"outcome": "decline"}
    assert (found.pd, found.bundle_identity, found.features.size) == (None, "", 0)


def test_a_thousand_are_one_transaction_and_more_are_refused(log: DecisionLog) -> None:
    some = [(asked(f"A-{at}"), decided()) for at in range(3)]
    again = (some[0][0], decided())
    answers = log.append_many([*some, again])
    assert [answer.decision_id for answer in answers[:3]] == [decision.decision_id for _, decision in some]
    assert answers[3].decision_id == answers[0].decision_id
    doubled = decided(decision_id=some[0][1].decision_id)
    with pytest.raises(ServiceError, match="cannot be reached or written"):
        log.append_many([(asked("B-1"), decided()), (asked("B-2"), doubled)])
    assert len(log.read()) == 3
    with pytest.raises(ServiceError, match="1001 decisions at once are more than 1000"):
        log.append_many(some * 333 + some[:2])


def test_read_takes_a_time_and_a_bundle(log: DecisionLog) -> None:
    for hour in range(3):
        log.append(asked(f"A-{hour}"), decided(at=NOON + timedelta(hours=hour), bundle="bc"[hour % 2] * 64))
    assert log.read(since=NOON + timedelta(hours=1))["decided_at"].dt.hour.tolist() == [13, 14]
    assert log.read(until=NOON + timedelta(hours=1))["decided_at"].dt.hour.tolist() == [12]
    assert log.read(bundle="c" * 64)["decided_at"].dt.hour.tolist() == [13]
    assert log.read(bundle="d" * 64).empty


def test_the_feature_matrix_has_a_row_a_decision_and_missing_stays_missing(log: DecisionLog) -> None:
    decision = log.append(asked(), decided())
    matrix = feature_matrix(log.read(), ["a", "b", "c", "d"])
    assert matrix.index.tolist() == [decision.decision_id]
    np.testing.assert_array_equal(matrix.to_numpy(), [[0.1, np.nan, 0.0, 1e300]])
    assert feature_matrix(log.read(bundle="none"), ["a", "b"]).shape == (0, 2)
    with pytest.raises(ServiceError, match=r"hold \[4\] features, not 2"):
        feature_matrix(log.read(), ["a", "b"])


def test_identifiers_are_only_there_as_keyed_hashes(log: DecisionLog) -> None:
    log.append(asked(), decided())
    row = log.read().iloc[0]
    assert row["customer_key"] == log.pseudonym("C-secret") != hashlib.sha256(b"C-secret").hexdigest()
    assert row["application_key"] == log.pseudonym("A-1")
    assert "C-secret" not in str(row.to_dict())
    assert '"A-1"' not in str(row.to_dict())
    assert row["request_sha256"] == hashlib.sha256(row["request"].encode()).hexdigest()


def test_another_key_is_refused(url: str) -> None:
    DecisionLog.open(url, key="a key").close()
    DecisionLog.open(url, key="a key").close()
    with pytest.raises(ServiceError, match="written under another key"):
        DecisionLog.open(url, key="another key")


def test_many_threads_lose_and_double_nothing(log: DecisionLog) -> None:
    answers: list[str] = []

    def ask() -> None:
        answers.extend(log.append(asked(f"A-{at}"), decided()).decision_id for at in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    assert set(answers) == set(log.read()["decision_id"])
    assert len(set(answers)) == 10


def test_an_unknown_decision_is_named(log: DecisionLog) -> None:
    with pytest.raises(ServiceError, match="no decision 17"):
        log.get("17")


def test_a_log_of_a_newer_lendwell_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/decisions.db"
    DecisionLog.open(url).close()
    with sqlite3.connect(tmp_path / "decisions.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ServiceError, match="newer Lendwell"):
        DecisionLog.open(url)


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENDWELL_LOG_KEY", raising=False)
    url = f"sqlite:///{tmp_path}/decisions.db"
    with DecisionLog.open(url) as first:
        name = first.pseudonym("C-secret")
    key = tmp_path / "decisions.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}", key.read_text())
    with DecisionLog.open(url) as second:
        assert second.pseudonym("C-secret") == name
    key.unlink()
    with pytest.raises(ServiceError, match="restore its key file"):
        DecisionLog.open(url)


def test_postgresql_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENDWELL_LOG_KEY", raising=False)
    with pytest.raises(ServiceError, match="LENDWELL_LOG_KEY"):
        DecisionLog.open("postgresql://nobody@127.0.0.1:9/nothing")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me:hidden@127.0.0.1:9/nothing", "cannot be reached"),
        ("sqlite:////no/such/folder/decisions.db", "cannot be reached"),
        ("sqlite://", "name a file"),
        ("mysql://me@here/log", "SQLite or PostgreSQL"),
        ("decisions.db", "no database URL"),
    ],
)
def test_an_address_that_does_not_do_is_told_without_its_password(address: str, words: str) -> None:
    with pytest.raises(ServiceError, match=words) as caught:
        DecisionLog.open(address, key="a key")
    assert "hidden" not in str(caught.value)


def test_a_database_that_went_away_is_told_and_the_request_is_not(tmp_path: Path) -> None:
    with DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", key="a key") as log:
        with log.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE decisions")
        with pytest.raises(ServiceError, match="no such table") as caught:
            log.append(asked(), decided())
    assert "amount_requested" not in str(caught.value)


def test_a_file_that_was_replaced_is_not_written_into(tmp_path: Path) -> None:
    file, away = tmp_path / "decisions.db", tmp_path / "away.db"
    with DecisionLog.open(f"sqlite:///{file}", key="a key") as log:
        first = log.append(asked(), decided())
        file.rename(away)
        file.write_bytes(b"")
        for _ in range(2):
            with pytest.raises(ServiceError, match="moved away or replaced"):
                log.append(asked("A-2"), decided())
        assert not log.is_reachable()
        assert file.read_bytes() == b""
        away.replace(file)
        assert log.append(asked(), decided()).decision_id == first.decision_id


def test_who_only_reads_makes_no_log(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="There is no decision log"):
        DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_open_a_new_log_at_once_all_get_it(url: str) -> None:
    command = (
        "import sys; from serving.decision_log import DecisionLog; DecisionLog.open(sys.argv[1], key='a key').close()"
    )
    openers = [subprocess.Popen([sys.executable, "-c", command, url], cwd=ROOT) for _ in range(3)]
    assert [opener.wait() for opener in openers] == [0, 0, 0]
    with DecisionLog.open(url, key="a key") as log:
        assert log.read().empty


_WRITER = """
import sys
from tests.serving.decisions import asked, decided
from serving.decision_log import DecisionLog

with DecisionLog.open(sys.argv[1], key="a key") as log:
    for at in range(1_000_000):
        print(log.append(asked(f"A-{at}"), decided()).decision_id, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(url: str) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(25)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in writer.stdout if len(line) == 33]  # printed before it died
    writer.wait()
    writer.stdout.close()
    with DecisionLog.open(url, key="a key") as log:
        written = log.read()["decision_id"].tolist()
    assert set(acknowledged) <= set(written)
    assert len(written) == len(set(written)) <= len(acknowledged) + 1
