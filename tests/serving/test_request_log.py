"""The sample of raw requests: exact, private, bounded, and never in an answer's way."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import ServiceError, SourceError
from data_contracts.messages import ScoreRequest, parse_request
from serving.app import create_app
from serving.client import ScoreClient
from serving.decision_log import Decision, DecisionLog
from serving.launch import running_service
from serving.lineup import Lineup
from serving.monitoring.parity import check_parity
from serving.request_log import LoggedRequest, RequestLog, open_request_log, read_requests, sampled
from serving.scorer import Scorer
from tests.serving.test_app import PATH, Http
from training.bundle import Bundle

NOON = datetime(2025, 7, 1, 12)
DAY = timedelta(days=1)
VALUES = [0.1, 1 / 3, -0.0, np.nan, np.inf, 5e-324, 2.0**53 + 2]


def asked(number: int = 0, **records: Any) -> ScoreRequest:
    body = {"application_id": f"A-{number}", "customer_id": "C-7", "applied_at": "2025-06-30T23:00:00"}
    body |= {"product": "cash", "amount_requested": 100_000}
    return parse_request(json.dumps({"application": body, **records}))


def decision(number: int = 0, decided_at: datetime = NOON) -> Decision:
    return Decision(
        decision_id=f"d{number}",
        request_id=f"r{number}",
        decided_at=decided_at,
        decision_point="application",
        bundle_name="tiny",
        bundle_version="1",
        bundle_identity="b" * 8,
        feature_set_identity="f" * 8,
        features=np.array(VALUES),
        log_odds=0.0,
        pd=0.5,
        score=600.0,
        response={},
    )


def hidden(identifier: str) -> str:
    return f"<{len(identifier)}>"


def opened(place: Path, **settings: Any) -> RequestLog:
    return RequestLog(place / "requests", 1.0, hidden, **settings)


def read(place: Path, since: datetime | None = None) -> list[LoggedRequest]:
    found = list(read_requests(place / "requests", since))
    assert None not in found
    return [one for one in found if one]


def test_what_was_served_comes_back_bit_by_bit(tmp_path: Path) -> None:
    sent = asked(inquiries=[], loans=None)
    opened(tmp_path).append(sent, decision())
    (kept,) = read(tmp_path)
    assert kept.features.tobytes() == np.array(VALUES).tobytes()
    assert (kept.decision_id, kept.decided_at, kept.feature_set_identity) == ("d0", NOON, "f" * 8)
    assert kept.request.records()["inquiries"] == []
    assert kept.request.records()["loans"] is None
    assert kept.request.as_of == sent.as_of


def test_nobody_else_may_read_it_and_no_identifier_is_in_it(tmp_path: Path) -> None:
    opened(tmp_path).append(asked(), decision())
    (file,) = (tmp_path / "requests").iterdir()
    assert file.name == "2025-07-01.jsonl"
    assert (tmp_path / "requests").stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert "A-0" not in text
    assert "C-7" not in text
    assert "<3>" in text


def test_a_line_half_written_when_the_service_was_killed_spoils_only_itself(tmp_path: Path) -> None:
    opened(tmp_path).append(asked(1), decision(1))
    file = tmp_path / "requests" / "2025-07-01.jsonl"
    whole = file.read_bytes()
    for cut in (len(whole) - 2, len(whole) // 2, 2):
        file.write_bytes(whole + whole[:cut])
        opened(tmp_path).append(asked(2), decision(2))
        found = list(read_requests(tmp_path / "requests"))
        assert [one and one.decision_id for one in found] == ["d1", None, "d2"]


def test_a_request_is_of_the_sample_or_not_whenever_it_comes(tmp_path: Path) -> None:
    requests = [asked(number) for number in range(400)]
    for folder in ("a", "b"):
        log = RequestLog(tmp_path / folder / "requests", 0.25, str)
        for number, request in enumerate(requests):
            log.append(request, decision(number))
    first, second = ([one.decision_id for one in read(tmp_path / folder)] for folder in ("a", "b"))
    assert first == second
    assert 70 <= len(first) <= 130
    assert not sampled(b"request", 0.0)
    assert sampled(b"request", 1.0)


def test_old_days_go_when_a_day_begins(tmp_path: Path) -> None:
    log = opened(tmp_path, keep_days=2)
    (tmp_path / "requests" / "notes.txt").write_text("not ours")
    for day in range(5):
        log.append(asked(day), decision(day, NOON + day * DAY))
    assert [one.decision_id for one in read(tmp_path)] == ["d2", "d3", "d4"]
    assert (tmp_path / "requests" / "notes.txt").exists()
    assert [one.decision_id for one in read(tmp_path, since=NOON + 3 * DAY)] == ["d3", "d4"]
    assert [one.decision_id for one in read(tmp_path, since=NOON + 3 * DAY + timedelta(seconds=1))] == ["d4"]


def test_a_full_log_says_so_once_a_day_and_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(tmp_path).append(asked(), decision())
    line = (tmp_path / "requests" / "2025-07-01.jsonl").stat().st_size
    log = opened(tmp_path, keep_days=0, most_bytes=line * 2)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 5):
            log.append(asked(number), decision(number))
    assert [one.decision_id for one in read(tmp_path)] == ["d0", "d1"]
    assert log.dropped == 3
    assert len(caplog.records) == 1
    assert "has reached" in caplog.text
    log.append(asked(5), decision(5, NOON + DAY))
    assert [one.decision_id for one in read(tmp_path)] == ["d5"]


def test_a_folder_that_is_gone_is_told_without_what_was_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = opened(tmp_path)
    (tmp_path / "requests").rmdir()
    with caplog.at_level(logging.WARNING):
        log.append(asked(), decision())
        log.append(asked(), decision())
    assert log.dropped == 2
    assert len(caplog.records) == 1
    assert "FileNotFoundError" in caplog.text
    assert "A-0" not in caplog.text


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(ServiceError, match="from 0 to 1"):
        open_request_log(tmp_path / "requests", share, str)
    assert open_request_log(None, 0.0, str) is None
    with pytest.raises(ServiceError, match="LENDWELL_REQUEST_LOG"):
        open_request_log(None, 0.5, str)
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot be made"):
        open_request_log(tmp_path / "file", 0.5, str)
    (tmp_path / "shared").mkdir(mode=0o755)
    with pytest.raises(ServiceError, match="open to other accounts \\(mode 755\\)"):
        open_request_log(tmp_path / "shared", 0.5, str)
    with pytest.raises(SourceError, match="--sample-requests"):
        next(read_requests(tmp_path / "nowhere"))


def test_the_service_keeps_what_it_answered_once(champion: Any, tmp_path: Path) -> None:
    scorer = Scorer(Bundle.load(champion.bundle))
    with DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", key="a key") as log:
        kept = RequestLog(tmp_path / "requests", 1.0, log.pseudonym)
        http = Http(create_app(Lineup([scorer]), log, clock=lambda: NOON, request_log=kept))
        answers = [http.post(PATH, json=body).json() for body in champion.requests[:3]]
        assert http.post(PATH, json=champion.requests[0]).json() == answers[0]
        assert http.post(PATH, json={}).status_code == 422
        found = read(tmp_path)
        assert [one.decision_id for one in found] == [answer["decision_id"] for answer in answers]
        for one in found:
            logged, text = log.get(one.decision_id)
            assert one.features.tobytes() == logged.features.tobytes()
            assert parse_request(text) == one.request
            assert one.feature_set_identity == scorer.bundle.feature_set.identity


def test_an_answer_is_given_also_where_nothing_can_be_kept(champion: Any, tmp_path: Path) -> None:
    scorer = Scorer(Bundle.load(champion.bundle))
    with DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", key="a key") as log:
        kept = RequestLog(tmp_path / "requests", 1.0, log.pseudonym)
        (tmp_path / "requests").rmdir()
        http = Http(create_app(Lineup([scorer]), log, clock=lambda: NOON, request_log=kept))
        assert http.post(PATH, json=champion.requests[0]).status_code == 200
        assert kept.dropped == 1


def test_a_line_of_another_contract_is_no_request(tmp_path: Path) -> None:
    opened(tmp_path).append(asked(), replace(decision(), features=np.array([1.0])))
    file = tmp_path / "requests" / "2025-07-01.jsonl"
    file.write_text(file.read_text().replace('"product"', '"wares"'))
    assert list(read_requests(tmp_path / "requests")) == [None]


def test_a_running_service_keeps_what_batch_agrees_with(champion: Any, tmp_path: Path) -> None:
    log_url, folder = f"sqlite:///{tmp_path}/decisions.db", tmp_path / "requests"
    with (
        running_service(champion.bundle, log_url, request_log=folder, request_sample=1.0) as url,
        ScoreClient(url) as client,
    ):
        answers = [client.score(body) for body in champion.requests[:5]]
    assert [one.decision_id for one in read(tmp_path)] == [answer.decision_id for answer in answers]
    found = check_parity(folder, Bundle.load(champion.bundle).feature_set)
    assert (found.requests, found.mismatches) == (5, [])
