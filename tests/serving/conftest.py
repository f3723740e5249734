"""A tiny real champion: four hundred random applicants, their tables on disk, a hybrid fitted on them, its bundle."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from data_contracts.folder import TableFolder, write_tables
from data_contracts.messages import ScoreRequest, parse_request
from data_contracts.tables import EVENT_TABLES
from features.batch import compute
from features.sequences import from_folder
from features.sets import feature_set
from serving.decision_log import DecisionLog
from serving.launch import running_service
from serving.scorer import Scorer
from serving.snapshot import write_snapshot
from tests.postgres import running_postgres
from training.boosted import BoostedClassifier
from training.bundle import Bundle, ScoreScale
from training.hybrid import HybridClassifier
from training.reference import Reference
from training.reference_rows import ReferenceRows
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

FIRST_DAY = datetime(2025, 1, 1)


@dataclass(frozen=True)
class Champion:
    """The bundle, the applicants it was fitted on as requests and as tables, and their PDs scored in one batch."""

    bundle: Path
    identity: str
    requests: list[dict[str, Any]]
    folder: TableFolder
    pd: pd.Series


def random_request(rng: np.random.Generator, number: int) -> tuple[dict[str, Any], bool]:
    """An applicant with a risk of their own that shows in inquiries, spending and late payments; and the default."""
    as_of = FIRST_DAY + timedelta(days=int(rng.integers(0, 180)), seconds=int(rng.integers(0, 86_400)))
    risk = rng.uniform()

    def before(low: float, high: float) -> datetime:
        return as_of - timedelta(seconds=int(rng.uniform(low, high) * 86_400))

    def event(low: float, high: float) -> dict[str, str]:
        occurred = before(low, high)
        return {"occurred_at": occurred.isoformat(), "known_at": (occurred + timedelta(hours=12)).isoformat()}

    inquiries = [
        {"inquiry_id": f"{number}-i{at}", **event(1, 400), "reason": "loan_approval", "institution_kind": "bank"}
        for at in range(rng.poisson(1 + 6 * risk))
    ]
    transactions = [
        {
            "transaction_id": f"{number}-t{at}",
            **event(1, 180),
            "amount": int(rng.lognormal(9, 1)) + 1,
            "direction": "out" if rng.uniform() < 0.7 else "in",
            "category": str(rng.choice(["groceries", "dining", "gambling" if risk > 0.6 else "health", "salary"])),
            "channel": "pos",
            "counterparty_kind": "merchant",
        }
        for at in range(rng.poisson(20))
    ]
    loan_at = before(300, 400)
    loan = {"loan_id": f"{number}-l", "occurred_at": loan_at.isoformat(), "known_at": loan_at.isoformat()}
    loan |= {"product": "cash", "status": "granted", "principal": 600_000, "term_months": 6}
    instalments, payments = [], []
    for month in range(1, 7):
        due = loan_at + timedelta(days=30 * month)
        paid = due + timedelta(days=float(rng.exponential(1 + 30 * risk)) - 1)
        row = {"loan_id": f"{number}-l", "instalment_id": f"{number}-n{month}"}
        known = {"occurred_at": loan_at.isoformat(), "known_at": loan_at.isoformat()}
        instalments.append({**row, **known, "due_at": due.isoformat(), "number": month, "amount_due": 110_000})
        if paid < as_of:
            when = {"occurred_at": paid.isoformat(), "known_at": paid.isoformat()}
            payments.append({**row, "payment_id": f"{number}-p{month}", **when, "amount": 110_000})
    application = {
        "application_id": f"A-{number}",
        "customer_id": f"C-{number}",
        "applied_at": as_of.isoformat(),
        "product": "cash",
        "amount_requested": int(rng.integers(1, 50)) * 100_000,
        "term_months": 12,
        "income_monthly": int(rng.lognormal(13.6, 0.5)),
        "owns_car": bool(rng.uniform() < 0.4),
    }
    records: dict[str, list[dict[str, Any]]] = {table.name: [] for table in EVENT_TABLES}
    records |= {"inquiries": inquiries, "transactions": transactions, "loans": [loan]}
    records |= {"instalments": instalments, "payments": payments}
    for rows in records.values():  # as tables hold them, by the month in which they were learned
        rows.sort(key=lambda row: datetime.fromisoformat(row["known_at"]))
    request = {"application": application, **records}
    return request, bool(rng.uniform() < 0.05 + 0.5 * risk)


def tables_of(requests: Sequence[ScoreRequest]) -> dict[str, pd.DataFrame]:
    """Canonical tables that hold what the requests hold."""
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in EVENT_TABLES}
    for request in requests:
        owner = request.application_record()["customer_id"]
        for name, records in request.records().items():
            rows[name] += [{**record, "customer_id": owner} for record in records or ()]
    tables = {table.name: pd.DataFrame(rows[table.name], columns=list(table.names)) for table in EVENT_TABLES}
    return {"applications": pd.DataFrame([dict(request.application_record()) for request in requests]), **tables}


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    """A champion of the decision point `application`, made once."""
    rng = np.random.default_rng(7)
    applicants = [random_request(rng, number) for number in range(400)]
    requests = [request for request, _ in applicants]
    defaulted = np.array([default for _, default in applicants], dtype=np.int64)
    home = tmp_path_factory.mktemp("champion")
    parsed = [parse_request(json.dumps(request)) for request in requests]
    folder = write_tables(home / "tables", tables_of(parsed), lender="random", dates="calendar")
    features = compute(folder, feature_set("application_v1"), threads=1)
    by_id = pd.Series(defaulted, index=[request["application"]["application_id"] for request in requests])
    labels = by_id[features.index].to_numpy()
    sequences = from_folder(folder, 16)
    model = HybridClassifier(
        boosted=BoostedClassifier(
            n_estimators=12, learning_rate=0.1, max_depth=2, early_stopping_rounds=0, n_seeds=1, n_jobs=1
        ),
        tabular_net=TabularNetClassifier(k=2, d_block=8, max_epochs=8, n_jobs=1),
        sequence_net=SequenceNetClassifier(hidden=8, max_epochs=4, n_jobs=1),
        n_folds=2,
    ).fit(features, labels, sequences=sequences)
    log_odds = model.decision_function(features, sequences)
    bundle = Bundle(
        name="tiny",
        decision_point="application",
        feature_set=feature_set("application_v1"),
        model=model,
        reference=Reference.from_frame(features, log_odds),
        reference_rows=ReferenceRows.draw(folder, features, log_odds),
        background_features=features.iloc[:40],
        background_sequences=sequences.take(np.arange(40)),
        scale=ScoreScale(600.0, 20.0, 40.0),
    ).save(home / "bundle")
    pd_by_batch = pd.Series(model.predict_proba(features, sequences)[:, 1], index=features.index)
    return Champion(home / "bundle", bundle.identity, requests, folder, pd_by_batch)


@pytest.fixture
def request_body(champion: Champion) -> dict[str, Any]:
    """One applicant's request, the caller's to change."""
    return copy.deepcopy(champion.requests[0])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as server:
        yield server.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/decisions.db"
    import psycopg

    server = request.getfixturevalue("postgres")
    database = "log_" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    return server.replace("/postgres?", f"/{database}?")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    """An empty decision log; the log's own tests have one on each database."""
    with DecisionLog.open(f"sqlite:///{tmp_path}/decisions.db", key="a key") as opened:
        yield opened


@pytest.fixture(scope="session")
def scorer(champion: Champion) -> Scorer:
    """The champion at work, in this process."""
    return Scorer(Bundle.load(champion.bundle), version="champion")


@dataclass(frozen=True)
class Running:
    """A served champion: a real BentoML process."""

    url: str
    log_url: str


@pytest.fixture(scope="session")
def service(champion: Champion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One process for all tests that change nothing of it."""
    home = tmp_path_factory.mktemp("service")
    log_url = f"sqlite:///{home}/decisions.db"
    write_snapshot(champion.folder, home / "snapshot.db")
    with running_service(
        champion.bundle, log_url, version="7", home=home / "bentoml", snapshot=home / "snapshot.db"
    ) as url:
        yield Running(url, log_url)


@pytest.fixture
def served(service: Running) -> Iterator[httpx.Client]:
    """Calls to that process."""
    with httpx.Client(base_url=service.url, timeout=20.0, trust_env=False) as client:
        yield client
