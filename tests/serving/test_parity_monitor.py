"""What was served is what batch computes from the kept requests; one bit of a feature apart is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from data_contracts.messages import parse_request
from features.online import compile_plan
from serving.monitoring.parity import check_parity
from serving.request_log import RequestLog
from tests.command_line import refused, run
from tests.serving.test_request_log import NOON, decision
from training.bundle import Bundle
from workspace import Home


@pytest.fixture(scope="module")
def bundle(champion: Any) -> Bundle:
    return Bundle.load(champion.bundle)


class Kept:
    """A log of requests, each with the features that were served for it."""

    def __init__(self, place: Path, bundle: Bundle) -> None:
        self.folder = place / "requests"
        self.set = bundle.feature_set
        self._log = RequestLog(self.folder, 1.0, str)
        self._plan = compile_plan(bundle.feature_set)

    def served(self, body: dict[str, Any]) -> npt.NDArray[np.float64]:
        request = parse_request(json.dumps(body))
        return self._plan.compute(request.application_record(), request.records(), request.as_of)

    def keep(
        self, number: int, body: dict[str, Any], features: npt.NDArray[np.float64], when: datetime = NOON, of: str = ""
    ) -> None:
        answer = replace(decision(number, when), features=features, feature_set_identity=of or self.set.identity)
        self._log.append(parse_request(json.dumps(body)), answer)


@pytest.fixture
def kept(tmp_path: Path, bundle: Bundle) -> Kept:
    return Kept(tmp_path, bundle)


def lacking(body: dict[str, Any], tables: Sequence[str]) -> dict[str, Any]:
    return {name: None if name in tables else rows for name, rows in copy.deepcopy(body).items()}


def test_what_was_served_is_what_batch_computes(kept: Kept, champion: Any) -> None:
    """With all sources, without some, and with one customer's records sent twice."""
    asked = [
        *champion.requests[:40],
        champion.requests[0],
        *(lacking(body, ["payments"]) for body in champion.requests[40:45]),
        *(lacking(body, ["inquiries", "transactions"]) for body in champion.requests[45:50]),
    ]
    for number, body in enumerate(asked):
        kept.keep(number, body, kept.served(body), NOON + timedelta(hours=number))
    found = check_parity(kept.folder, kept.set)
    assert found.mismatches == []
    assert found.max_abs_relative_difference <= 1e-9
    assert (found.requests, found.features) == (51, len(kept.set.names))
    assert (found.first, found.last) == (NOON, NOON + timedelta(hours=50))


def test_a_feature_served_otherwise_is_named_with_its_answer(kept: Kept, champion: Any) -> None:
    counted, asked = (kept.set.names.index(name) for name in ("inquiries_count_30d", "application_amount_requested"))
    for number, body in enumerate(champion.requests[:6]):
        features = kept.served(body)
        if number in (2, 5):
            features[counted] += 1
        if number == 4:
            features[asked] = np.nan
        kept.keep(number, body, features)
    found = check_parity(kept.folder, kept.set)
    assert [(one.feature, one.requests, one.decision_id) for one in found.mismatches] == [
        (name, *rest)
        for name, *rest in sorted(
            [("inquiries_count_30d", 2, "d2"), ("application_amount_requested", 1, "d4")],
            key=lambda row: kept.set.names.index(row[0]),
        )
    ]
    by_name = {one.feature: one for one in found.mismatches}
    assert by_name["inquiries_count_30d"].served == by_name["inquiries_count_30d"].recomputed + 1
    assert np.isnan(by_name["application_amount_requested"].served)
    told = json.loads(found.to_json())
    assert {row["feature"]: row["served"] for row in told["mismatches"]}["application_amount_requested"] is None
    assert 0.1 < told["max_abs_relative_difference"] <= 1


def test_requests_of_another_time_set_or_contract_are_left_out_and_counted(kept: Kept, champion: Any) -> None:
    body = champion.requests[0]
    kept.keep(0, body, kept.served(body), NOON - timedelta(days=1))
    kept.keep(1, body, kept.served(body))
    kept.keep(2, body, np.zeros(3), of="another set")
    with (kept.folder / "2025-07-01.jsonl").open("a") as file:
        file.write('{"decision_id": "half')
    found = check_parity(kept.folder, kept.set, since=NOON)
    assert (found.requests, found.other_feature_set, found.unreadable) == (1, 1, 1)


def test_nothing_kept_is_nothing_compared(kept: Kept) -> None:
    found = check_parity(kept.folder, kept.set)
    assert (found.requests, found.first, found.mismatches) == (0, None, [])


def test_the_command_ends_with_3_where_a_feature_was_served_otherwise(
    champion: Any, bundle: Bundle, tmp_path: Path
) -> None:
    home, out = tmp_path / "home", tmp_path / "parity"
    registry = Home(home).registry()
    tags = {"bundle_identity": bundle.identity}
    run_id = registry.log_run("tiny", params={}, metrics={}, tags=tags, bundle=champion.bundle)
    registry.register("tiny", run_id)
    words = ("monitor", "--parity", "--model", "tiny", "--home", home, "--out", out)
    assert "--sample-requests" in refused(*words, code=2)
    kept, body = Kept(home, bundle), champion.requests[0]
    assert "has been kept" in refused(*words, code=1)
    kept.keep(0, body, kept.served(body))
    agreed = run("--json", *words)
    assert agreed.code == 0, agreed
    assert (agreed.facts["requests"], agreed.facts["mismatches"]) == (1, [])
    kept.keep(1, body, kept.served(body) + 1.0)
    assert run(*words).code == 3
    written = json.loads((out / "parity.json").read_text())
    assert {row["decision_id"] for row in written["mismatches"]} == {"d1"}
    page = (out / "parity.html").read_text()
    assert "<code>d1</code>" in page
    assert "不一致" in page
