"""The decision endpoint in process, and the queue of what a person decides, on a real bundle and a real log."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from data_contracts.errors import DeclarationError, RequestError, ServiceError
from data_contracts.messages import parse_request
from policy.products import read_products
from policy.rules import RuleBook
from policy.strategy import read_strategy
from serving.app import create_app
from serving.decide import Decider, DecideResponse, model_identities
from serving.decision_log import DecisionLog
from serving.lineup import Lineup
from serving.log_upkeep import verify
from serving.monitoring.reading import read_decisions
from serving.replay import Replayer
from serving.reviews import Review, ReviewQueue
from serving.scorer import Scorer
from tests.postgres import running_postgres
from tests.serving.test_app import NOON, Http
from training.bundle import Bundle

PATH = "/v1/application/decide"
BOOK, PRODUCTS = RuleBook.load(), read_products()


def decider(**changed: float) -> Decider:
    """The lender's own policy, but for what a test changes of emergency cash."""
    strategy = read_strategy(None, PRODUCTS).changed("emergency_cash", **changed)
    return Decider(BOOK, PRODUCTS, strategy, lambda: NOON)


@pytest.fixture
def http(scorer: Scorer, log: DecisionLog) -> Callable[..., Http]:
    lineup = Lineup([scorer])
    return lambda **changed: Http(create_app(lineup, log, clock=lambda: NOON, decider=decider(**changed)))


@pytest.fixture
def asked(request_body: dict[str, Any]) -> dict[str, Any]:
    """An applicant for a small amount whose PD is the tiny model's."""
    request_body["application"] |= {
        "product": "emergency_cash", "amount_requested": 200_000, "term_months": 3, "age_years": 25.0,
        "income_monthly": 900_000, "phone_age_days": 900.0, "employment": "employee",
        "employed_months": 30.0, "housing": "rented", "education": "bachelor", "industry": "it",
    }  # fmt: skip
    for name in ("loans", "instalments", "payments", "inquiries"):
        request_body[name] = []
    as_of = datetime.fromisoformat(request_body["application"]["applied_at"])

    def spent(number: int, days: int, kind: dict[str, Any]) -> dict[str, Any]:
        when = (as_of - timedelta(days=days)).isoformat()
        return {"transaction_id": f"t{number}", "occurred_at": when, "known_at": when, **kind}

    salary = {"amount": 900_000, "direction": "in", "category": "salary", "channel": "transfer",
              "counterparty_kind": "employer"}  # fmt: skip
    food = {"amount": 20_000, "direction": "out", "category": "groceries", "channel": "pos",
            "counterparty_kind": "merchant"}  # fmt: skip
    request_body["transactions"] = [spent(at, 175 - 30 * at, salary) for at in range(6)]
    request_body["transactions"] += [spent(10 + at, 170 - 7 * at, food) for at in range(24)]
    return request_body


def test_before_the_first_rule_nothing_can_be_decided(http: Callable[..., Http], asked: dict) -> None:
    early = {"application": asked["application"] | {"applied_at": "2019-06-01T00:00:00"}}
    reply = http().post(PATH, json=early)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "not_decidable")
    assert "No rule is in force on 2019-06-01" in reply.json()["error"]["message"]


@pytest.mark.parametrize("applied_at", ["9999-12-31T23:00:00", "9999-12-01T00:00:00"])
def test_beyond_the_calendar_nothing_can_be_decided(http: Callable[..., Http], asked: dict, applied_at: str) -> None:
    body = {**asked, "application": asked["application"] | {"applied_at": applied_at}}
    reply = http(**ANY_RISK).post(PATH, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "not_decidable"), reply.text


ANY_RISK = {"approve_pd": 1.0, "decline_pd": 1.0, "lgd": 0.001, "expected_loss_most": 1e6}
NO_MACHINE = {"approve_pd": 1e-9, "decline_pd": 1.0, "lgd": 0.001, "expected_loss_most": 1e6}


def test_a_small_amount_is_granted_with_rate_schedule_and_identities(
    http: Callable[..., Http], log: DecisionLog, scorer: Scorer, asked: dict
) -> None:
    reply = http(**ANY_RISK).post(PATH, json=asked)
    assert reply.status_code == 200, reply.text
    answer = DecideResponse.model_validate_json(reply.content)
    assert answer.outcome == "approve", answer.reasons
    assert (answer.outcome, answer.amount, answer.rate.per) == ("approve", 200_000, "day")
    assert sum(row.principal for row in answer.schedule) == 200_000
    assert answer.annual_nominal < answer.annual_effective < 0.24
    assert set(answer.identities) == {
        "rules", "products", "strategy", "cut_offs", "limit", "price", "features", "model", "calibrator",
    }  # fmt: skip
    entry, text = log.get(answer.decision_id)
    assert (entry.kind, entry.pd, entry.response["outcome"]) == ("decision", answer.pd, "approve")
    assert entry.response["trace"]["limit"]["fen"] >= 200_000
    assert asked["application"]["customer_id"] not in text
    assert len(log.read()) == 0  # no score was given


def test_without_consent_to_ask_the_bureau_nothing_is_lent(
    http: Callable[..., Http], log: DecisionLog, asked: dict
) -> None:
    outcomes = {}
    for told in (None, {"bureau": True}, {"bureau": False}):
        reply = http(**ANY_RISK).post(PATH, json=asked | {"consents": told})
        assert reply.status_code == 200, reply.text
        outcomes[str(told)] = reply.json()["outcome"], "CMP-001" in [one["code"] for one in reply.json()["reasons"]]
    assert outcomes == {
        "None": ("approve", False),
        "{'bureau': True}": ("approve", False),
        "{'bureau': False}": ("decline", True),
    }
    assert '"consents":{"bureau":false}' in log.get(reply.json()["decision_id"])[1]  # and so it is replayed
    for wrong in ({"bureau": 0}, {"police": True}, [True]):
        refused = http().post(PATH, json=asked | {"consents": wrong})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "contract_broken")


def test_a_retry_gets_the_first_decision_under_any_policy(http: Callable[..., Http], asked: dict) -> None:
    first = http(**ANY_RISK).post(PATH, json=asked).json()
    assert http(**NO_MACHINE).post(PATH, json=dict(reversed(asked.items()))).json() == first
    other = copy.deepcopy(asked)
    other["application"]["amount_requested"] = 300_000
    assert http(**NO_MACHINE).post(PATH, json=other).json()["outcome"] == "refer"


def test_shadow_strategies_are_logged_beside_the_decision_and_never_answered(
    scorer: Scorer, log: DecisionLog, asked: dict
) -> None:
    live, careful = (read_strategy(None, PRODUCTS).changed("emergency_cash", **how) for how in (ANY_RISK, NO_MACHINE))
    both = Decider(BOOK, PRODUCTS, live, lambda: NOON, {"same": live, "careful": careful})
    http = Http(create_app(Lineup([scorer]), log, clock=lambda: NOON, decider=both))
    first = http.post(PATH, json=asked).json()
    assert http.post(PATH, json=asked).json() == first  # a retry is not decided in the shadow again
    assert first["outcome"] == "approve"
    told = log.read(kind="shadow_decision")["response"].tolist()
    assert [(one["shadow"], one["live"], one["outcome"], one["agrees"]) for one in told] == [
        ("same", "approve", "approve", True), ("careful", "approve", "refer", False),
    ]  # fmt: skip
    assert {one["of"] for one in told} == {first["decision_id"]}
    assert verify(log).breaks == []


def test_a_score_and_a_decision_of_the_same_request_are_two_entries_and_monitored_once(
    http: Callable[..., Http], log: DecisionLog, asked: dict
) -> None:
    app = http(**ANY_RISK)
    decided, scored = app.post(PATH, json=asked).json(), app.post("/v1/application/score", json=asked).json()
    assert decided["pd"] == scored["pd"]
    assert decided["decision_id"] != scored["decision_id"]
    day = (NOON, NOON + timedelta(days=1))
    seen = read_decisions(log, scored["bundle"]["identity"], *day)
    assert seen["customer_key"].tolist() == [log.pseudonym(asked["application"]["customer_id"])]
    assert (seen["pd"].tolist(), seen["response"].tolist()) == ([scored["pd"]], [{"reasons": scored["reasons"][:1]}])


def test_who_is_only_decided_is_monitored(http: Callable[..., Http], log: DecisionLog, asked: dict) -> None:
    decided = http(**ANY_RISK).post(PATH, json=asked).json()
    seen = read_decisions(log, decided["bundle"]["identity"], NOON, NOON + timedelta(days=1))
    assert seen["pd"].tolist() == [decided["pd"]]
    assert all("log_odds" in one for one in seen["response"][0]["reasons"])  # the score's, not the policy's


def test_what_breaks_the_contract_is_told_as_for_a_score(http: Callable[..., Http], asked: dict) -> None:
    asked["application"]["amount_requested"] = -1
    reply = http().post(PATH, json=asked)
    assert (reply.status_code, reply.json()["error"]["fields"][0]["field"]) == (422, "application.amount_requested")
    assert http().post(PATH, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_without_a_policy_nothing_is_decided(scorer: Scorer, log: DecisionLog, asked: dict) -> None:
    assert Http(create_app(Lineup([scorer]), log, clock=lambda: NOON)).post(PATH, json=asked).status_code == 404


def test_without_the_log_there_is_no_decision(http: Callable[..., Http], log: DecisionLog, asked: dict) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE decisions RENAME TO gone")
    reply = http().post(PATH, json=asked)
    assert reply.status_code == 503
    assert "outcome" not in reply.json()


def test_what_was_logged_is_replayed_without_a_difference(
    http: Callable[..., Http], log: DecisionLog, scorer: Scorer, champion: Any, asked: dict
) -> None:
    app = http(decline_pd=0.5)
    for body in (asked, *champion.requests[:12]):
        answer = app.post(PATH, json=body).json()
        entry, text = log.get(answer["decision_id"])
        assert decider(decline_pd=0.5).replay(scorer, entry, text) == []


def test_a_decision_is_replayed_from_its_features_to_its_price(
    http: Callable[..., Http], log: DecisionLog, champion: Any, asked: dict
) -> None:
    answer = http(**ANY_RISK).post(PATH, json=asked).json()
    bundle, row = Bundle.load(champion.bundle), log.row(answer["decision_id"])
    assert Replayer(bundle, lambda: decider(**ANY_RISK))(row).differences == []
    other = Replayer(bundle, lambda: decider(**ANY_RISK | {"exposure_most": 1_500.0}))(row)
    assert (other.cause, {one.stage for one in other.differences}) == ("limit", {"limit", "decision"})
    changed = Replayer(bundle, lambda: decider(**ANY_RISK))(row | {"log_odds": 0.5})
    assert changed.cause == "calibrator"
    with pytest.raises(ServiceError, match="no bundle alone"):
        Replayer(bundle)(row)


@pytest.mark.parametrize(
    ("changed", "stage"),
    [
        ({"annual_nominal": 0.5}, "decision"),
        ({"score_reasons": []}, "score"),
        ({"pd": 0.123}, "answer"),
        ({"score": 1.0}, "answer"),
        ({"warnings": []}, "answer"),
    ],
)
def test_a_decision_that_was_told_otherwise_differs(
    http: Callable[..., Http], log: DecisionLog, champion: Any, asked: dict, changed: dict[str, Any], stage: str
) -> None:
    row = log.row(http(**ANY_RISK).post(PATH, json=asked).json()["decision_id"])
    response = json.loads(row["response"])
    assert all(response[name] for name in changed)
    replayer = Replayer(Bundle.load(champion.bundle), lambda: decider(**ANY_RISK))
    found = replayer(row | {"response": json.dumps(response | changed)}).differences
    assert [(one.stage, one.name) for one in found] == [(stage, name) for name in changed]
    earlier = {name: value for name, value in response.items() if name not in changed}
    assert replayer(row | {"response": json.dumps(earlier)}).differences == []


def test_a_replay_under_another_strategy_names_the_cause(
    http: Callable[..., Http], log: DecisionLog, scorer: Scorer, asked: dict
) -> None:
    answer = http(**ANY_RISK).post(PATH, json=asked).json()
    entry, text = log.get(answer["decision_id"])
    found = decider(**ANY_RISK | {"exposure_most": 1_500.0}).replay(scorer, entry, text)
    assert {difference.part for difference in found} == {"limit", "decision"}


def test_the_model_and_its_calibrator_have_identities_of_their_own(champion: Any) -> None:
    first, second = model_identities(Bundle.load(champion.bundle)), Bundle.load(champion.bundle)
    assert model_identities(second) == first
    second.model.calibration_log_loss_ = {**second.model.calibration_log_loss_, "another": 0.1}
    found = model_identities(second)
    assert found["model"] == first["model"]
    assert found["calibrator"] != first["calibrator"]


def test_a_model_without_what_a_limit_needs_is_refused(scorer: Scorer, log: DecisionLog, asked: dict) -> None:
    class Other:
        names = ("inquiries_count_90d",)

    changed = copy.copy(scorer)
    changed.bundle = copy.copy(scorer.bundle)
    object.__setattr__(changed.bundle, "feature_set", Other())
    changed.score = scorer.score
    with pytest.raises(
        DeclarationError, match=r"tiny cannot decide: .* hold loans_instalment_sum, .* as application_v1 does"
    ):
        decider().decide(changed, parse_request(json.dumps(asked)))


LATER = NOON + timedelta(hours=1)


def referred(http: Callable[..., Http], asked: dict) -> str:
    answer = http(**NO_MACHINE).post(PATH, json=asked).json()
    assert answer["outcome"] == "refer", answer["reasons"]
    return answer["decision_id"]


def test_what_is_referred_waits_until_a_person_decides_once(
    http: Callable[..., Http], log: DecisionLog, asked: dict
) -> None:
    waiting = referred(http, asked)
    http(**ANY_RISK).post(
        PATH, json={**asked, "transactions": asked["transactions"][1:]}
    )  # approved: nobody has to look
    queue = ReviewQueue(log)
    assert [one.decision_id for one in queue.list()] == [waiting]
    review = Review(waiting, "approve", "credit officer", "income verified by pay slips", LATER)
    assert queue.decide(review).review == review
    assert queue.list() == []
    assert [one.review for one in queue.list(waiting=False)] == [review]
    with pytest.raises(RequestError, match="was decided before: approve by credit officer on 2025-07-01 13:00 UTC"):
        ReviewQueue(log).decide(Review(waiting, "decline", "another", "second thoughts", LATER))
    assert ReviewQueue(log).get(waiting).review == review


def test_a_review_names_somebody_and_a_reason(http: Callable[..., Http], log: DecisionLog, asked: dict) -> None:
    waiting, queue = referred(http, asked), ReviewQueue(log)
    for by, reason, told in ((" ", "why", "--by is empty"), ("who", "", "--reason is empty")):
        with pytest.raises(RequestError, match=told):
            queue.decide(Review(waiting, "approve", by, reason, LATER))
    assert len(queue.list()) == 1


def test_what_was_not_referred_is_not_reviewed(http: Callable[..., Http], log: DecisionLog, asked: dict) -> None:
    approved = http(**ANY_RISK).post(PATH, json=asked).json()["decision_id"]
    scored = http().post("/v1/application/score", json=asked).json()["decision_id"]
    for decision_id in (approved, scored):
        with pytest.raises(RequestError, match="was not referred to a person"):
            ReviewQueue(log).decide(Review(decision_id, "approve", "who", "why", LATER))


def test_the_reviews_are_only_appended_to(http: Callable[..., Http], log: DecisionLog, asked: dict) -> None:
    ReviewQueue(log).decide(Review(referred(http, asked), "decline", "who", "why", LATER))
    for statement in ("UPDATE reviews SET outcome = 'approve'", "DELETE FROM reviews"):
        with pytest.raises(sa.exc.DatabaseError, match="only appended to"), log.engine.begin() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture
def postgres() -> Iterator[str]:
    with running_postgres() as server:
        yield server.get_uri()


def test_of_those_who_decide_at_once_on_postgresql_one_is_kept(postgres: str, scorer: Scorer, asked: dict) -> None:
    with DecisionLog.open(postgres, key="a key") as log:
        http = Http(create_app(Lineup([scorer]), log, clock=lambda: NOON, decider=decider(**NO_MACHINE)))
        waiting = http.post(PATH, json=asked).json()["decision_id"]
        queue = ReviewQueue(log)

        def decide(by: str) -> str:
            try:
                queue.decide(Review(waiting, "approve", by, "why", LATER))
            except RequestError:
                return "refused"
            return by

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(decide, ["a", "b", "c", "d"]))
        assert found.count("refused") == 3
        assert queue.get(waiting).review.by in found
