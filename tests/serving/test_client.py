"""Requests made from tables: what was known at `applied_at`, corrections and all; and a client that asks again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uvicorn
from starlette.applications import Starlette

from data_contracts.errors import RequestError, ServiceError, SourceError
from data_contracts.folder import TableFolder, write_tables
from data_contracts.messages import parse_request
from data_contracts.tables import EVENT_TABLES, TABLES
from features.batch import compute
from features.online import compile_plan
from features.sequences import from_folder, from_records
from features.sets import feature_set
from policy.rules.facts import consents_at
from serving.app import create_app
from serving.client import ScoreClient, request_from_tables, requests_from_tables
from serving.decision_log import DecisionLog
from serving.launch import free_port
from serving.lineup import Lineup
from serving.scorer import Scorer
from serving.wire import Limits
from tests.random_records import AS_OF, applicant, frames
from tests.serving.conftest import Running

PEOPLE = [applicant(np.random.default_rng(seed), seed) for seed in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TableFolder:
    """Random applicants; its name is one that readers of Parquet like to take for a column."""
    path = tmp_path_factory.mktemp("tables") / "product=cash" / "tables"
    return write_tables(path, frames(PEOPLE), lender="random", dates="calendar")


def test_a_request_holds_every_version_known_by_then(folder: TableFolder) -> None:
    assert set(folder.corrected) == {table.name for table in EVENT_TABLES}
    for (application, records), request in zip(PEOPLE, requests_from_tables(folder, folder_names()), strict=True):
        assert request.as_of == AS_OF == application["applied_at"]
        for name, rows in request.records().items():
            key = TABLES[name].row_key
            sent = sorted(tuple(row[column] for column in key) for row in rows or ())
            assert sent == sorted(tuple(r[c] for c in key) for r in records[name] if r["known_at"] <= AS_OF)


def folder_names() -> list[str]:
    return [application["application_id"] for application, _ in PEOPLE]


def test_a_request_gives_the_features_and_events_of_its_tables(folder: TableFolder) -> None:
    declared = feature_set("application_v1")
    matrix, events, plan = compute(folder, declared), from_folder(folder, 20), compile_plan(declared)
    for at, asked in enumerate(requests_from_tables(folder, folder_names())):
        request = parse_request(asked.model_dump_json(exclude_none=True))  # as it arrives
        online = plan.compute(request.application_record(), request.records(), request.as_of)
        np.testing.assert_allclose(online, matrix.iloc[at].to_numpy(), rtol=1e-9, atol=1e-9)
        alone = from_records(request.records(), request.as_of, 20)
        assert alone.values.tobytes() == events.take([at]).values.tobytes()
        assert alone.kind.tobytes() == events.take([at]).kind.tobytes()


def test_a_request_tells_what_the_customer_agreed_to_as_rules_learn_it_of_tables(tmp_path: Path) -> None:
    names = folder_names()
    given = [
        {"consent_id": f"c{at}-{provider}", "customer_id": application["customer_id"], "provider": provider}
        for at, (application, _) in enumerate(PEOPLE)
        for provider in ("bureau", "consumption")
        if (at, provider) != (3, "bureau")  # never agreed
    ]
    when = {"occurred_at": AS_OF - timedelta(days=30), "known_at": AS_OF - timedelta(days=30)}
    consents = pd.DataFrame([{**one, **when, "decision_point": "application", "expires_at": None} for one in given])
    ended = consents.iloc[[7]].assign(known_at=AS_OF - timedelta(days=2), expires_at=AS_OF - timedelta(days=3))
    tables = frames(PEOPLE) | {"consents": pd.concat([consents, ended])}
    asking = write_tables(tmp_path / "tables", tables, lender="random", dates="calendar")
    applications = asking.read("applications").set_index("application_id")
    by_rules = consents_at(applications, asking.read("consents")).loc[names].to_dict("records")
    told = [
        {name: value for name, value in request.facts().items() if name.startswith("consent_")}
        for request in requests_from_tables(asking, names)
    ]
    assert told == by_rules
    assert [facts["consent_bureau"] for facts in told].count(False) == 2
    alone = request_from_tables(asking, names[3])
    assert alone.facts()["consent_bureau"] is False


def test_an_unknown_application_is_told(folder: TableFolder) -> None:
    with pytest.raises(RequestError, match="no application of that id; its table `applications` lists them"):
        request_from_tables(folder, "nobody")


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "tables", frames(PEOPLE[:1]), lender="random", dates="calendar")
    Path(folder.files("inquiries")[0]).write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"Table inquiries in .* cannot be read .* write it anew"):
        request_from_tables(folder, folder_names()[0])


@contextmanager
def on_a_socket(app: Starlette, port: int, after: float = 0.0) -> Iterator[str]:
    """The application on a real socket of this process, from some seconds on."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))

    def run() -> None:
        time.sleep(after)
        server.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def test_a_full_line_is_waited_for(scorer: Scorer, log: DecisionLog, champion: Any) -> None:
    app = create_app(Lineup([scorer]), log, lambda: AS_OF, Limits(most_waiting=1, retry_seconds=0))
    with on_a_socket(app, free_port("127.0.0.1"), after=0.3) as url:

        def ask(body: dict[str, Any]) -> str:
            with ScoreClient(url, retries=12, backoff=0.05) as client:  # before there is anybody to ask, too
                return client.score(body).application_id

        with ThreadPoolExecutor(6) as callers:
            answered = list(callers.map(ask, champion.requests[:12]))
    assert answered == [body["application"]["application_id"] for body in champion.requests[:12]]
    assert len(log.read()) == 12


def test_a_client_gives_up_in_the_end_and_says_why(
    scorer: Scorer, log: DecisionLog, request_body: dict[str, Any]
) -> None:
    app = create_app(Lineup([scorer]), log, lambda: AS_OF, Limits(most_waiting=0, retry_seconds=0))
    with on_a_socket(app, free_port("127.0.0.1")) as url, ScoreClient(url, retries=4, backoff=0.1) as client:
        with pytest.raises(ServiceError, match="503: Too many requests are under way"):
            client.score(request_body)
        request_body["application"]["product"] = "yacht"
        with ScoreClient(url, decision_point="collection") as other, pytest.raises(RequestError, match="404"):
            other.score(request_body)


def test_every_question_has_its_answer(service: Running, champion: Any) -> None:
    with ScoreClient(service.url) as client:
        answer = client.score(champion.requests[7])
        told = client.score_batch([*champion.requests[7:9], {"application": {}}])
        assert told.answers[0] == answer
        assert [fault.place for fault in told.faults] == [2]
        assert client.explain(champion.requests[7]).decision_id == answer.decision_id
        assert client.score_customer("C-7").application_id == "A-7"
        assert client.champions()[0].bundle == answer.bundle
