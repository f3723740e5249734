"""A decision of the log computed again: the same bits, or the stage that is to blame."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from data_contracts.errors import ServiceError
from data_contracts.messages import parse_request
from data_contracts.replies import Warned
from serving.decision_log import Decision, DecisionLog, new_decision_id
from serving.entries import FROM_SNAPSHOT, entry_of, told_of_score
from serving.log_entries import row_of
from serving.log_reading import Wanted, rows
from serving.replay import Replayer
from serving.scorer import Scorer
from tests.command_line import run
from training.bundle import Bundle
from training.calibration import PlattCalibrator

NOON = datetime(2025, 7, 1, 12)
SNAPSHOT = Warned(code=FROM_SNAPSHOT, en="Scored on the records of the snapshot.", zh="按快照评分。")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def bundle(champion: Any) -> Bundle:
    return Bundle.load(champion.bundle)


@pytest.fixture(scope="module")
def replayer(bundle: Bundle) -> Replayer:
    return Replayer(bundle)


def decision_on(scorer: Scorer, body: dict[str, Any]) -> Decision:
    """As the service takes it."""
    scored = scorer.score(parse_request(json.dumps(body)))
    return entry_of(scorer, scored, NOON, told_of_score(scored), [SNAPSHOT])


@pytest.fixture(scope="module")
def log_url(champion: Any, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log of thirty decisions."""
    url = f"sqlite:///{tmp_path_factory.mktemp('replay')}/decisions.db"
    scorer = Scorer(bundle)
    with DecisionLog.open(url) as log:
        log.append_many(
            [(parse_request(json.dumps(body)), decision_on(scorer, body)) for body in champion.requests[:30]]
        )
    return url


@pytest.fixture
def row(log_url: str) -> Row:
    with DecisionLog.open(log_url) as log:
        return next(rows(log.engine, Wanted()))


def test_every_bit_is_the_same(log_url: str, replayer: Replayer) -> None:
    with DecisionLog.open(log_url) as log:
        replayed = [replayer(row) for row in rows(log.engine, Wanted())]
    assert len(replayed) == 30
    assert [one.differences for one in replayed if one.differences] == []


def test_another_kind_or_bundle_is_refused(row: Row, replayer: Replayer) -> None:
    with pytest.raises(ServiceError, match="no bundle alone"):
        replayer(row | {"kind": "decision"})
    with pytest.raises(ServiceError, match="was taken by bundle cccc"):
        replayer(row | {"bundle_identity": "c" * 64})


def _with_text(row: Row, change: Callable[[dict[str, Any]], Any], *, rehash: bool = False) -> Row:
    request = json.loads(zlib.decompress(row["request"]))
    change(request)
    text = parse_request(json.dumps(request)).logged_text(str).encode()
    changed = row | {"request": zlib.compress(text)}
    return changed | {"request_sha256": hashlib.sha256(text).hexdigest()} if rehash else changed


def test_changed_data_is_the_cause_of_changed_features(row: Row, replayer: Replayer) -> None:
    changed = _with_text(row, lambda request: request["inquiries"].clear())
    found = replayer(changed)
    assert (found.cause, found.differences[0].name) == ("data", "request_sha256")
    assert "features" in {one.stage for one in found.differences}


def test_a_request_that_is_none_any_more_is_told(row: Row, replayer: Replayer) -> None:
    text = zlib.decompress(row["request"]).replace(b'"product":"cash"', b'"product":"boat"')
    changed = row | {"request": zlib.compress(text), "request_sha256": hashlib.sha256(text).hexdigest()}
    assert [(one.stage, one.name) for one in replayer(changed).differences] == [("data", "contract")]


def test_features_that_differ_are_named_and_what_follows_from_them_is_not(row: Row, replayer: Replayer) -> None:
    changed = _with_text(row, lambda request: request["inquiries"].clear(), rehash=True)
    found = replayer(changed)
    assert {one.stage for one in found.differences if one.name != "warnings"} == {"features"}  # of the request itself
    assert any(one.name.startswith("inquiries_") for one in found.differences)
    assert found.differences[0].logged != found.differences[0].now


def _served_by(bundle: Bundle, row: Row, **changes: Any) -> Row:
    """The same request as another bundle would have answered it, under the identity of the first."""
    other = replace(bundle, **changes)
    request = json.loads(zlib.decompress(row["request"]))
    decision = decision_on(Scorer(other), request)
    return row | {
        name: value
        for name, value in row_of(decision, None, str).items()
        if name in ("features", "parts", "log_odds", "pd", "score", "response")
    }


def test_the_stage_that_differs_is_told(bundle: Bundle, row: Row, replayer: Replayer) -> None:
    import copy

    model = copy.deepcopy(bundle.model)
    model.intercept_ += 0.5
    blended = replayer(_served_by(bundle, row, model=model))
    assert (blended.cause, blended.differences[0].name) == ("model", "blend")
    assert "calibrator" not in {one.stage for one in blended.differences}

    model = copy.deepcopy(bundle.model)
    model.calibrator_ = PlattCalibrator(0.8, 0.1)
    calibrated = replayer(_served_by(bundle, row, model=model))
    assert [one.stage for one in calibrated.differences][:1] == ["calibrator"]
    assert {one.stage for one in calibrated.differences} <= {"calibrator", "reasons", "answer"}

    scaled = replayer(_served_by(bundle, row, scale=replace(bundle.scale, pdo=20.0)))
    assert (scaled.cause, scaled.differences[0].name) == ("points", "score")


def test_one_part_of_the_model_is_named(row: Row, replayer: Replayer) -> None:
    parts = json.loads(row["parts"])
    name = min(parts.keys() - {"blend"})
    parts[name] = np.nextafter(parts[name], 99.0)
    found = replayer(row | {"parts": json.dumps(parts)})
    assert (found.cause, found.differences[0].name) == ("model", name)
    assert {one.name for one in found.differences} <= {name, "blend"}


def test_reasons_that_differ_are_shown(row: Row, replayer: Replayer) -> None:
    response = json.loads(row["response"])
    response["reasons"] = response["reasons"][:-1]
    last = len(response["reasons"]) + 1
    found = replayer(row | {"response": json.dumps(response)})
    assert [(one.stage, one.name, one.logged) for one in found.differences] == [("reasons", f"reason {last}", None)]
    assert found.differences[0].now["zh"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("band", {"number": 99}),
        ("log_odds", 9.0),
        ("pd", 0.123),
        ("score", 1.0),
        ("sum_of_attributions_minus_log_odds", 5.0),
        ("warnings", [{"code": "stale_source:bureau", "zh": "", "en": ""}]),
    ],
)
def test_what_the_caller_was_told_differs_though_the_columns_are_the_same(
    row: Row, replayer: Replayer, name: str, told: Any
) -> None:
    response = json.loads(row["response"]) | {name: told}
    found = replayer(row | {"response": json.dumps(response)}).differences
    assert [(one.stage, one.name) for one in found] == [("answer", name)]
    assert found[0].logged != found[0].now


def test_an_answer_of_before_a_field_was_told_is_replayed(row: Row, replayer: Replayer) -> None:
    response = json.loads(row["response"])
    assert replayer(row | {"response": json.dumps({"reasons": response["reasons"]})}).cause is None


def test_a_decision_of_before_parts_were_logged_is_replayed(row: Row, replayer: Replayer) -> None:
    assert replayer(row | {"parts": "{}"}).cause is None
    assert replayer(row | {"parts": "{}", "log_odds": -9.0}).cause == "model"


def test_features_are_the_same_to_the_bit_or_not(row: Row, replayer: Replayer) -> None:
    features = np.frombuffer(row["features"], "<f8").copy()
    place = int(np.flatnonzero(features > 0)[0])
    features[place] = np.nextafter(features[place], 1e9)
    (found,) = [one for one in replayer(row | {"features": features.tobytes()}).differences if one.stage == "features"]
    assert found.logged == features[place] != found.now


def test_the_command_replays_one_and_all(champion: Any, log_url: str, row: Row, tmp_path: Path) -> None:
    place = ("--log-url", log_url, "--bundle", champion.bundle)
    one = run("--json", "replay", row["decision_id"], *place)
    assert (one.code, one.facts["same"], one.facts["differences"]) == (0, True, [])
    many = run("--json", "replay", "--all", *place)
    assert (many.code, many.facts["replayed"], many.facts["different"]) == (0, 30, 0)
    assert run("--json", "replay", "--since", "2031-01-01", *place).code == 1
    assert run("--json", "replay", *place).code == 2
    assert run("--json", "replay", row["decision_id"], "--all", *place).code == 2
    assert run("--json", "replay", "no such", *place).code == 5


def test_a_log_of_what_differs_ends_with_exit_code_3(champion: Any, bundle: Bundle, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/decisions.db"
    body = champion.requests[0]
    decision = decision_on(Scorer(bundle), body)
    with DecisionLog.open(url) as log:
        log.append(parse_request(json.dumps(body)), replace(decision, score=1.0))
        log.append(
            parse_request(json.dumps(body)),
            replace(decision, kind="decision", decision_id=new_decision_id(), bundle_identity=""),
        )
    ran = run("--json", "replay", "--all", "--log-url", url, "--bundle", champion.bundle)
    assert (ran.code, ran.facts["replayed"], ran.facts["causes"]) == (3, 1, {"points": 1})
    (told,) = ran.facts["first_differences"]
    assert msgspec.convert(told["differences"], list[dict[str, Any]])[0]["logged"] == 1.0
    assert ran.facts["other_kinds"] == {"decision": 1}  # one that no bundle was asked about
