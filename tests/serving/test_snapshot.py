"""Requests by `customer_id` alone: the same answer as with the records, and the records in the log."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import SourceError
from data_contracts.messages import parse_request
from serving.app import create_app
from serving.client import request_from_tables
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.scorer import Scorer
from serving.snapshot import Snapshot, write_snapshot
from tests.serving.calls import PATH, Http


@pytest.fixture(scope="module")
def snapshot(champion: Any, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    path = tmp_path_factory.mktemp("snapshot") / "snapshot.db"
    assert write_snapshot(champion.folder, path) == len(champion.requests)
    assert path.stat().st_mode & 0o777 == 0o600
    return Snapshot(path)


@pytest.fixture
def http(scorer: Scorer, log: DecisionLog, snapshot: Snapshot) -> Http:
    return Http(create_app(Lineup([scorer]), log, lambda: datetime(2025, 7, 1), snapshot=snapshot))


def test_a_customer_is_answered_as_by_their_records_and_replays_from_the_log(
    http: Http, log: DecisionLog, scorer: Scorer, champion: Any
) -> None:
    first = http.post(PATH, json={"customer_id": "C-5"}).json()
    assert first["application_id"] == "A-5"
    assert "from_snapshot" in [warning["code"] for warning in first["warnings"]]
    sent = request_from_tables(champion.folder, "A-5")
    assert http.post(PATH, content=sent.model_dump_json(), headers={"Content-Type": "application/json"}).json() == first
    logged = parse_request(log.get(first["decision_id"])[1])
    assert scorer.score(logged).log_odds == first["log_odds"]
    told = http.post("/v1/application/score-batch", json={"requests": [{"customer_id": "C-6"}, {"customer_id": "no"}]})
    assert [answer["application_id"] for answer in told.json()["answers"]] == ["A-6"]
    assert told.json()["faults"][0]["error"]["code"] == "unknown_customer"


def test_an_unknown_customer_and_a_service_without_a_snapshot_are_told(
    http: Http, scorer: Scorer, log: DecisionLog
) -> None:
    reply = http.post(PATH, json={"customer_id": "nobody"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_customer")
    assert "nobody" not in reply.text
    without = Http(create_app(Lineup([scorer]), log, lambda: datetime(2025, 7, 1)))
    reply = without.post(PATH, json={"customer_id": "C-5"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "no_snapshot")


def test_what_is_no_snapshot_or_open_to_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Make it with `lendwell snapshot"):
        Snapshot(tmp_path / "none.db")
    file = tmp_path / "file.db"
    file.write_text(json.dumps({}))
    file.chmod(0o600)
    with pytest.raises(SourceError, match="is no snapshot"):
        Snapshot(file)
    file.chmod(0o644)
    with pytest.raises(SourceError, match="chmod 600"):
        Snapshot(file)
