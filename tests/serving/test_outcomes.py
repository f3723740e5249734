"""Outcomes on real SQLite and PostgreSQL, by pseudonym, and the performance that they show."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from scipy.special import expit
from scipy.stats import binom

from data_contracts.errors import ServiceError, SourceError
from evaluation.metric import Metric
from serving.monitoring.alerts import of_performance
from serving.monitoring.outcomes import OUTCOMES, OutcomeStore, read_outcomes
from serving.monitoring.realised import Realised, chance_of_defaults, realised

NOW = datetime(2026, 6, 1)
LATER = datetime(2026, 7, 1)


def pseudonym(application: str) -> str:
    return f"hidden-{application}"


def write(path: Path, *rows: tuple[object, object, object]) -> Path:
    table = pd.DataFrame(rows, columns=["application_id", "defaulted", "observed_at"])
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return path


def outcomes(store: OutcomeStore) -> dict[str, int]:
    found = store.current()
    return dict(zip(found["application_key"], found["defaulted"], strict=True))


def test_outcomes_are_appended_and_the_last_observation_counts(url: str, tmp_path: Path) -> None:
    early = [("a", 1, "2026-05-01"), ("b", "false", "2026-05-01T08:00:00+08:00"), ("c", 0, "2026-05-02")]
    first = write(tmp_path / "first.csv", *early)
    with OutcomeStore.open(url) as store:
        assert vars(store.take_in(first, pseudonym, NOW)) == {"rows": 3, "new": 3, "corrected": 0, "known": 0}
        assert outcomes(store) == {"hidden-a": 1, "hidden-b": 0, "hidden-c": 0}
        again = store.take_in(first, pseudonym, LATER)
        assert (again.new, again.corrected, again.known) == (0, 0, 3)
        late = [("a", False, "2026-05-20"), ("b", True, "2026-04-01"), ("c", True, "2026-05-02")]
        correction = write(tmp_path / "correction.parquet", *late)
        taken = store.take_in(correction, pseudonym, LATER)
        assert (taken.new, taken.corrected, taken.known) == (0, 2, 1)  # b was overtaken by what was observed later
    with OutcomeStore.open(url) as store:
        assert outcomes(store) == {"hidden-a": 0, "hidden-b": 0, "hidden-c": 1}
        engine = store._engine
        with engine.connect() as connection:
            rows = connection.execute(sa.select(OUTCOMES)).all()
        assert len(rows) == 5  # nothing was overwritten
        assert not any(value == "a" for row in rows for value in row)


def test_a_store_that_cannot_be_reached_is_told_without_its_password() -> None:
    with pytest.raises(ServiceError, match="cannot be reached") as fault:
        OutcomeStore.open("postgresql://me:hidden@127.0.0.1:9/nothing")
    assert "hidden" not in str(fault.value)


def test_a_store_that_another_import_holds_is_told(tmp_path: Path) -> None:
    first, path = write(tmp_path / "first.csv", ("a", 1, "2026-05-01")), tmp_path / "outcomes.db"
    with OutcomeStore.open(f"sqlite:///{path}?timeout=0.05") as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceError, match=r"The store of outcomes .*outcomes\.db.*database is locked"):
            store.take_in(first, pseudonym, NOW)
        other.rollback()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceError, match=r"store of outcomes .*nobody else holds it"):
            store.current()
        other.rollback()
        assert store.take_in(first, pseudonym, NOW).new == 1


def test_two_imports_of_a_file_at_once_append_it_once(url: str, tmp_path: Path) -> None:
    same = write(tmp_path / "same.csv", ("at once", 1, "2026-05-01"))
    both = threading.Barrier(2, timeout=30)

    def take_in(store: OutcomeStore) -> int:
        met: list[bool] = []

        @sa.event.listens_for(store._engine, "before_cursor_execute")
        def meet(_: object, __: object, statement: str, *___: object) -> None:
            if not met and ("BEGIN" in statement or "lock" in statement or "INSERT" in statement):
                met.append(True)
                both.wait()  # before either writes

        return store.take_in(same, pseudonym, NOW).new

    with OutcomeStore.open(url) as one, OutcomeStore.open(url) as other, ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(take_in, (one, other))) == [0, 1]
        with one._engine.connect() as connection:
            asked = sa.select(sa.func.count()).where(OUTCOMES.c.application_key == "hidden-at once")
            assert connection.scalar(asked) == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a", 2, "2026-05-01")], "1 rows have no valid defaulted, first row 1; it must be 0 or 1"),
        ([("a", 1, "2026-05-01"), ("", 1, "2026-05-01")], "no valid application_id, first row 2"),
        ([("a", 1, "yesterday")], "no valid observed_at, first row 1"),
        ([("a", 1, "2026-05-01"), ("a", 0, "2026-05-01")], "1 applications have two outcomes of the same moment"),
    ],
)
def test_what_is_no_outcome_is_refused_whole(tmp_path: Path, rows: list[tuple[object, ...]], told: str) -> None:
    with pytest.raises(SourceError, match=told):
        read_outcomes(write(tmp_path / "bad.csv", *rows))  # type: ignore[arg-type]


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file of outcomes"):
        read_outcomes(tmp_path / "nothing.csv")
    (tmp_path / "other.csv").write_text("id,bad\n1,1\n")
    with pytest.raises(SourceError, match="lacks application_id, defaulted, observed_at"):
        read_outcomes(tmp_path / "other.csv")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(SourceError, match="cannot be read"):
        read_outcomes(tmp_path / "broken.parquet")


def decided(n: int, seed: int, truth: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decisions of two months and the outcomes of most; `truth` is what the PDs leave out of the log-odds."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-2, 1.2, n)
    decisions = pd.DataFrame(
        {
            "application_key": [f"{at}" for at in range(n)],
            "decided_at": pd.to_datetime(["2026-01-10" if at % 2 else "2026-02-10" for at in range(n)]),
            "pd": expit(log_odds),
        }
    )
    known = np.flatnonzero(rng.random(n) < 0.8)
    bad = rng.random(n) < expit(log_odds + truth)
    outcome = {"application_key": decisions["application_key"][known], "defaulted": bad[known].astype(int)}
    return decisions, pd.DataFrame(outcome)


def test_performance_by_month_beside_training_and_the_estimate() -> None:
    decisions, known = decided(6000, 3)
    months = realised(decisions, known, Metric(0.8, 0.78, 0.82, 2000))
    assert [one.month for one in months] == ["2026-01", "2026-02", "all"]
    whole = months[-1]
    assert (whole.decided, whole.matured) == (6000, len(known))
    assert whole.auc_as_expected
    assert whole.calibration_p > 0.01
    assert whole.bad_rate.low < whole.mean_pd < whole.bad_rate.high
    assert list(of_performance(months)) == []
    assert realised(decisions, known.iloc[:0]) == ()


def test_pds_that_turn_out_wrong_and_a_lower_auc_are_told() -> None:
    decisions, known = decided(6000, 4, truth=0.8)
    months = realised(decisions, known, Metric(0.95, 0.94, 0.96, 5000))
    found = {(one.name, one.period) for one in of_performance(months)}
    assert found == {(name, month) for name in ("auc", "bad_rate") for month in ("2026-01", "2026-02")}


def test_with_few_defaults_the_auc_is_not_judged() -> None:
    def month(bad: int) -> tuple[Realised, list[str]]:
        """The defaults have the very lowest PDs."""
        n = 200
        decisions = pd.DataFrame({"application_key": [f"{at}" for at in range(n)], "pd": np.linspace(0.01, 0.1, n)})
        decisions["decided_at"] = pd.Timestamp("2026-01-10")
        known = pd.DataFrame({"application_key": decisions["application_key"], "defaulted": np.arange(n) < bad})
        found = realised(decisions, known.astype({"defaulted": int}), Metric(0.8, 0.78, 0.82, 2000))
        return found[0], [one.name for one in of_performance(found)]

    few, told = month(9)
    assert (few.auc.defined, few.auc_judged, few.auc_p, told) == (True, False, 1.0, [])
    enough, told = month(10)
    assert (enough.auc_judged, enough.auc_p < 1e-9, told) == (True, True, ["auc"])
    assert enough.to_dict()["auc_judged"]


@pytest.mark.parametrize(("bad", "n", "pd_then"), [(0, 300, 0.02), (14, 300, 0.02), (1, 60, 0.001), (3, 60, 0.001)])
def test_the_chance_of_defaults_with_one_pd_is_that_of_a_binomial(bad: int, n: int, pd_then: float) -> None:
    exact = 2 * min(binom.cdf(bad, n, pd_then), binom.sf(bad - 1, n, pd_then))
    assert chance_of_defaults(bad, np.full(n, pd_then)) == pytest.approx(exact, rel=1e-9)


def test_the_chance_of_defaults_is_much_the_same_where_it_is_exact_no_more() -> None:
    pds = expit(np.random.default_rng(1).normal(-3, 1, 10_000))
    for bad in (int(pds.sum()) + 60, int(pds.sum()) - 60):
        exact, normal = chance_of_defaults(bad, pds), chance_of_defaults(bad, np.append(pds, 1e-12))
        assert 0.001 < exact < 0.1
        assert normal == pytest.approx(exact, rel=0.1)
    assert chance_of_defaults(1, np.array([0.0, 0.0])) == 0.0
    assert chance_of_defaults(0, np.array([0.0, 0.0])) == 1.0


def test_the_last_decision_on_an_application_counts() -> None:
    decisions = pd.DataFrame(
        {"application_key": ["x", "x"], "decided_at": pd.to_datetime(["2026-01-01", "2026-02-03"]), "pd": [0.1, 0.2]}
    )
    (month, whole) = realised(decisions, pd.DataFrame({"application_key": ["x"], "defaulted": [1]}))
    assert (month.month, month.mean_pd, whole.decided) == ("2026-02", 0.2, 1)
    assert not month.auc.defined
