"""A look at logged decisions: silent without drift, and what it says of each kind of drift."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import LendwellError
from evaluation.drift.shares import shares_drift
from serving.monitoring.alerts import MOST_ALERTS, alerts_of
from serving.monitoring.approval import Approval
from serving.monitoring.examination import Examination, examine
from serving.monitoring.realised import realised
from serving.monitoring.report import build_drift_report
from serving.monitoring.requests import reference_reasons
from tests.serving.monitored import Change, made_up
from training.bundle import Bundle

NOW = datetime(2026, 3, 9, tzinfo=UTC)
MOVED = "application_income_monthly"


@pytest.fixture(scope="module")
def bundle(champion: Any) -> Bundle:
    loaded = Bundle.load(champion.bundle)
    assert MOVED in loaded.feature_set.names
    return loaded


def answers(bundle: Bundle, rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Responses whose reasons are as often as the reference's."""
    codes = np.array(reference_reasons(bundle), dtype=object)
    return [{"reasons": [{"code": code}]} for code in rng.choice(codes, n)]


def look(bundle: Bundle, change: Change | None = None, *, since: int = 0, days: int = 3, n: int = 300) -> Examination:
    rng = np.random.default_rng(5)
    decisions, features = made_up(bundle, rng, days, n, change, since)
    decisions["response"] = answers(bundle, rng, len(decisions))
    return examine(bundle, decisions, features)


@pytest.fixture(scope="module")
def silent(bundle: Bundle) -> Examination:
    return look(bundle)


def richer(features: pd.DataFrame, log_odds: np.ndarray) -> None:
    features[MOVED] *= 1.6
    log_odds -= 0.5


@pytest.fixture(scope="module")
def drifted(bundle: Bundle) -> Examination:
    return look(bundle, richer)


def test_without_drift_nothing_is_told(silent: Examination) -> None:
    assert silent.verdict == "stable"
    assert [day.verdict for day in silent.days] == ["stable"] * 3
    assert [day.day for day in silent.days] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert alerts_of(silent, [], model="tiny/1", at=NOW) == []
    assert silent.approval.before == pytest.approx(0.7, abs=0.01)
    assert silent.approval.now == pytest.approx(0.7, abs=0.05)
    assert {one.dimension for one in silent.segments} == {"product"}  # amounts have 80 reference rows a bucket
    assert silent.small_segments == 5


def scored_daily(bundle: Bundle, n: int, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same customers twice on each of `days`, nearly alike each time and without drift."""
    rng = np.random.default_rng(5)
    decisions, features = made_up(bundle, rng, 1, n)
    decisions["response"] = answers(bundle, rng, n)
    rows = np.tile(np.arange(n), 2 * days)
    again = decisions.iloc[rows].reset_index(drop=True)
    again["decided_at"] += pd.to_timedelta(np.repeat(np.arange(2 * days) // 2, n), unit="D")
    again["log_odds"] += rng.normal(0, 0.01, len(rows))
    return again, features.iloc[rows].reset_index(drop=True)


def test_customers_who_are_scored_again_and_again_count_once(bundle: Bundle) -> None:
    decisions, features = scored_daily(bundle, 150, 30)
    found = examine(bundle, decisions, features)
    assert (found.verdict, found.drift.rows, found.repeated) == ("stable", 150, 59 * 150)
    assert {(day.verdict, day.drift.rows, day.repeated) for day in found.days} == {("stable", 150, 150)}
    assert found.rows.tolist() == list(range(59 * 150, 60 * 150))  # the newest on each
    assert (found.to_dict()["repeated"], found.to_dict()["days"][0]["repeated"]) == (59 * 150, 150)
    assert "earlier ones on the same customer, left out" in build_drift_report(found, facts=[])
    nobody = examine(bundle, decisions.assign(customer_key=None), features)
    assert (nobody.repeated, nobody.verdict) == (0, "drifted")  # as if each were somebody else


def test_an_alert_names_feature_segment_size_chance_and_approval(drifted: Examination) -> None:
    assert drifted.verdict == "drifted"
    alerts = alerts_of(drifted, [], model="tiny/1", at=NOW)
    by_key = {(one.change.kind, one.change.name, one.change.segment, one.change.period): one for one in alerts}
    feature = by_key["feature", MOVED, "all", "period"].change
    assert feature.size > 5 * feature.chance
    assert feature.p_value < 1e-10
    assert ("feature", MOVED, "product=cash", "period") in by_key
    assert ("feature", MOVED, "all", "2026-03-03") in by_key
    score = by_key["score", "score", "all", "period"].change
    assert score.approval_before == pytest.approx(0.7, abs=0.01)
    assert score.approval_effect == pytest.approx(score.approval - score.approval_before)
    assert score.approval_effect > 0.05
    assert "points of approval rate" in score.en
    assert "批准率" in score.zh
    told = json.loads(alerts[0].to_json())
    assert {"at", "model", "bundle", "kind", "name", "segment", "size", "p_value", "approval_effect"} <= set(told)
    assert drifted.joint_drifted
    assert MOVED in drifted.joint.features


def test_only_the_days_that_drifted_are_called_so(bundle: Bundle) -> None:
    found = look(bundle, richer, since=2)
    assert [day.verdict for day in found.days] == ["stable", "stable", "drifted"]


def test_missing_values_are_an_aspect_of_their_own(bundle: Bundle) -> None:
    def gone(features: pd.DataFrame, log_odds: np.ndarray) -> None:
        features.loc[features.index % 4 == 0, MOVED] = np.nan

    found = look(bundle, gone, days=1)
    row = next(row for row in found.drift.drifted if row.name == MOVED)
    assert row.aspect == "missing"
    alerts = alerts_of(found, [], model="m", at=NOW)
    (alert,) = [one for one in alerts if (one.change.name, one.change.segment) == (MOVED, "all")]
    assert "missing 0.0% to 25.0%" in alert.change.en


def test_many_alerts_are_counted(bundle: Bundle) -> None:
    def everything(features: pd.DataFrame, log_odds: np.ndarray) -> None:
        features.iloc[:, :] = 7.0

    alerts = alerts_of(look(bundle, everything, days=1), [], model="m", at=NOW)
    assert len(alerts) == MOST_ALERTS + 1
    assert alerts[-1].change.kind == "more"


def test_few_rows_get_no_verdict_and_no_alert(bundle: Bundle) -> None:
    found = look(bundle, richer, days=1, n=40)
    assert found.verdict == "too_few_rows"
    assert alerts_of(found, [], model="m", at=NOW) == []
    assert "too few requests to judge" in build_drift_report(found, facts=[])


def test_a_bundle_without_rows_says_what_it_cannot_tell(bundle: Bundle) -> None:
    from dataclasses import replace

    rng = np.random.default_rng(1)
    decisions, features = made_up(bundle, rng, 1, 300)
    found = examine(replace(bundle, reference_rows=None), decisions, features)
    assert found.joint.auc.note == "the bundle carries no rows to compare with: train it anew"
    assert (found.segments, [one.name for one in found.mix.shares]) == ((), ["reason"])
    assert 0.5 < found.approval.before < 0.9  # of the nearest decile


def test_the_mix_names_the_level_that_moved() -> None:
    then = ["cash"] * 700 + ["business"] * 300
    found = shares_drift("product", then, ["cash"] * 150 + ["business"] * 40 + ["novel"] * 10 + [None] * 10)
    assert found.share("novel") == (0.0, pytest.approx(10 / 210))
    assert found.levels == ("cash", "business", "novel", "(missing)")
    assert found.p_value < 1e-4
    assert found.moved in {"business", "novel", "(missing)"}
    assert shares_drift("product", then, then).p_value == 1.0


def test_the_effect_on_approval_by_hand() -> None:
    """Half of today's rows are in the group that is approved, where a quarter was: 25 points go with it."""
    approval = Approval(0.0, 0.5, 0.5)
    log_odds = np.array([-1.0, -1.0, 1.0, 1.0])
    assert approval.effect_of(np.array([0, 0, 1, 1]), [25, 75], log_odds) == pytest.approx(0.25)
    assert approval.effect_of(np.array([0, 0, 1, 1]), [50, 50], log_odds) == pytest.approx(0.0)


def test_the_cutoff_is_a_probability(bundle: Bundle) -> None:
    found = Approval.of(bundle, np.array([-9.0, 9.0]), cutoff_pd=0.5)
    assert (found.cutoff, found.now) == (0.0, 0.5)
    with pytest.raises(LendwellError, match="between 0 and 1"):
        Approval.of(bundle, np.zeros(1), cutoff_pd=1.0)


def test_the_report_says_which_auc_is_not_judged(silent: Examination) -> None:
    decisions = pd.DataFrame({"application_key": [f"{at}" for at in range(60)], "pd": np.linspace(0.01, 0.2, 60)})
    decisions["decided_at"] = pd.Timestamp("2026-01-10")
    outcomes = pd.DataFrame({"application_key": decisions["application_key"], "defaulted": [0, 1] * 15 + [0] * 30})
    for known, told in ((outcomes, False), (outcomes[outcomes.index < 15], True)):
        page = build_drift_report(silent, realised(decisions, known), facts=[])
        assert ("not judged: defaults or good loans below</span> 10" in page) == told


def test_the_report_tells_the_history_and_is_the_same_each_time(drifted: Examination) -> None:
    alerts = alerts_of(drifted, [], model="tiny/1", at=NOW)
    page = build_drift_report(drifted, [], alerts, facts=[("bundle", "<b>9f</b>")])
    assert build_drift_report(drifted, [], alerts, facts=[("bundle", "<b>9f</b>")]) == page
    assert "://" not in page
    assert "&lt;b&gt;9f" in page
    rows = page[page.index('id="all-features"') :].split("<tr>")[2:]
    assert 'data-value="drifted"' in rows[0]
    assert len(rows) == len(drifted.drift.features)
    days = page[page.index('id="days"') : page.index('id="score"')]
    assert [day in days for day in ("2026-03-01", "2026-03-02", "2026-03-03")] == [True] * 3
    for plot in ("score", "day-score", "day-approval", "day-features", "day-auc"):
        assert f'data-plot="{plot}"' in page
    for text in ("已漂移", "drifted", "全部特征", "All features", "believes the PDs", "product", "product=cash"):
        assert text in page
    json.loads(json.dumps(drifted.to_dict(), allow_nan=False))
