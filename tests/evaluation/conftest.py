"""Fixtures of the room: a small trained lender, and a small but whole input of the model-risk report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.folder import TableFolder
from data_contracts.quality.history import Delivery
from evaluation.alternative import Alternative
from evaluation.implementation import Implementation
from evaluation.interactions import Interactions, Pair
from evaluation.lineage import Fault, Origin, UsedTable
from evaluation.measuring.subject import Subject
from evaluation.measuring.whole import report_input as measured
from evaluation.metric import Metric
from evaluation.monitoring_limits import monitoring_limits
from evaluation.paired import swap_set
from evaluation.report.inputs import (
    Exclusion,
    Explained,
    FeatureFacts,
    Identity,
    Method,
    Month,
    Part,
    ReportInput,
    SampleFacts,
    Split,
)
from lenders import simulated
from reporting.page import Text
from training import run
from training.bundle import Bundle
from training.experiment import Experiment
from training.reference import Reference
from training.run import Rows

TINY = {
    "name": "tiny",
    "feature_set": "application_v1",
    "folds": 2,
    "sequence_length": 8,
    "target": {"kind": "dpd", "dpd": 5, "months_on_book": 3},
    "split": {"method": "out_of_time", "test_share": 0.3},
    "boosted": {"n_estimators": 20, "max_depth": 2, "min_child_weight": 1.0, "n_seeds": 1, "early_stopping_rounds": 0},
    "tabular_net": {"k": 2, "d_block": 8, "max_epochs": 3, "n_seeds": 1},
    "sequence_net": {"hidden": 8, "max_epochs": 3},
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TableFolder, Rows, Bundle]:
    """Tables of a small simulated lender, their rows, and a bundle trained on them."""
    place = tmp_path_factory.mktemp("lender")
    folder = simulated.write(simulated.simulate(customers=500, months=18, seed=3), place / "tables")
    experiment = Experiment.model_validate(TINY)
    rows = run.prepare_for(experiment, folder)
    return folder, rows, run.train(experiment, folder, rows).save(place / "bundle")


@pytest.fixture(scope="session")
def whole(trained: tuple[TableFolder, Rows, Bundle]) -> ReportInput:
    """Everything a report says of that bundle, measured."""
    folder, rows, bundle = trained
    subject = Subject(bundle, folder, rows, own=True)
    return measured(subject, lambda step, share: None, created="2026-01-01", owner="Retail risk")


@dataclass(frozen=True)
class Declared:
    """A feature's declaration, as far as the report reads it."""

    name: str
    en: str
    zh: str
    unit: str
    risk: int
    group: str


FEATURES = (
    Declared(
        "bureau_overdue_count_24m", "Overdue months at other lenders", "近24个月他行逾期月数", "count", 1, "bureau"
    ),
    Declared("application_income_monthly", "Declared income", "申报月收入", "CNY", -1, "application"),
    Declared(
        "repayment_dpd_max_180d", "Highest days past due in 180 days", "近180天最大逾期天数", "days", 1, "repayment"
    ),
)


def _split(rng: np.random.Generator, name: str, n: int, **facts: Any) -> Split:
    log_odds = rng.normal(-2, 1, n)
    pd_ = 1 / (1 + np.exp(-log_odds))
    y = (rng.random(n) < pd_).astype(int)
    return Split(name, y, pd_, {"boosted": log_odds + rng.normal(0, 0.3, n), "net": rng.normal(size=n)}, **facts)


def _explained(rng: np.random.Generator, n: int = 60) -> Explained:
    rows = pd.DataFrame(
        {
            "bureau_overdue_count_24m": rng.poisson(1.0, n).astype(float),
            "application_income_monthly": rng.lognormal(9, 0.5, n),
            "repayment_dpd_max_180d": np.where(rng.random(n) < 0.5, np.nan, rng.poisson(4, n)),
        },
        index=[f"secret-{k}" for k in range(n)],
    )
    attributions = rng.normal(size=(n, 3)) * np.array([0.9, 0.5, 0.1])
    sequences = rng.normal(size=(n, 1)) * 0.2
    given = SimpleNamespace(base=-2.0, features=attributions, sequences=sequences, sources=("transactions",))
    names = [feature.name for feature in FEATURES]
    pairs = (Pair(names[0], names[2], 0.02, rng.normal(size=20) / 50), Pair(names[0], names[1], 0.01, np.zeros(20)))
    together = Interactions(np.arange(0, n, 3), pairs, 0.12)
    return Explained(rows, given, -2.0 + attributions.sum(axis=1) + sequences.sum(axis=1), together)


def _origin() -> Origin:
    source = {"name": "2024-03 delivery", "sha256": "ab" * 32}
    told = {"source": source, "received_at": "2024-04-01T08:00:00", "rows": {"inquiries": 900}}
    accepted = Delivery({"batch": "b0" * 8, **told, "delivered": {"inquiries": 903}}, True)
    table = UsedTable("inquiries", "bureau", 900, "cd" * 32, 1, False, True, True, 3653, 3, 0)
    fault = Fault("inquiries", "reason", "category", "应为声明的类别", "one of the declared categories", "reject", 3)
    covered = {"tables": ["inquiries"], "concerned": 100, "share": 0.9, "meets": False, "consented": 1.0}
    coverage = {"target": 0.95, "complete": 0.9, "providers": {"bureau": {**covered, "without_consent": 0}}}
    return Origin((accepted, Delivery(told, False)), (table,), (fault,), coverage)


def _whole() -> ReportInput:
    rng = np.random.default_rng(5)
    train, test = _split(rng, "train", 3000, in_sample=True), _split(rng, "test", 2000, period="2023")
    explained = _explained(rng)
    other = np.asarray(test.pd) * rng.uniform(0.5, 1.5, 2000)
    beside = Alternative(
        Metric(0.70, 0.68, 0.72, 2000), Metric(0.1, 0.09, 0.11, 2000), Metric(0.02, 0.01, 0.03, 2000), 60,
        swap_set(test.y, other, test.pd, 0.8),
    )  # fmt: skip
    reference = Reference.from_frame(explained.rows.reset_index(drop=True), np.asarray(explained.log_odds))
    applied_at = pd.Series(pd.date_range("2023-01-01", periods=365))
    return ReportInput(
        identity=Identity(
            model="application",
            decision_point="application",
            lender="simulated",
            bundle="b1" * 32,
            feature_set="application_v1",
            features="f5" * 32,
            data="da" * 32,
            trained_on="da" * 32,
            use=(Text("用于审批", "For approval"),),
            not_for=(Text("不得用于催收", "Not for collection"),),
            owner=Text("零售风险部", "Retail risk"),
            versions={"xgboost": "3.2.0"},
        ),
        sample=SampleFacts(
            target=Text("12个月内逾期90天以上", "More than 90 days past due within 12 months"),
            split_method=Text("按申请时间划分", "Out of time by applied_at"),
            splits=(train, test),
            exclusions=(Exclusion(Text("表现期未满", "Performance window not over"), 1234),),
            months=[Month("2023-01", 900, 90), Month("2023-02", 1100, 99)],
        ),
        features=FeatureFacts(FEATURES, unread=("channel",), constant=()),
        method=Method(
            'name = "application"  # <experiment>\n',
            (Part("boosted", 0.7), Part("net", 0.0, Text("权重为零", "its weight is zero"))),
            "Platt",
            {"torch": 7, "folds": 3},
        ),
        explained=explained,
        origin=_origin(),
        alternative=beside,
        implementation=Implementation(50, 3, 4000, (), 1e-14, 0, 1e-16),
        monitoring=monitoring_limits(reference, applied_at, 500, Metric(0.75, 0.72, 0.78, 2000), 0.15),
        hashes={"model/boosted.ubj": "0c" * 32},
        limitations=(Text("记录是模拟的。", "The records are simulated."),),
    )


@pytest.fixture(scope="session")
def report_input() -> Callable[..., ReportInput]:
    """Make an input that fits together; keyword arguments replace its fields, `GROUP__FIELD` a field of a group."""
    whole = _whole()

    def changed(**changes: Any) -> ReportInput:
        fields: dict[str, Any] = {}
        for name, value in changes.items():
            group, _, field = name.partition("__")
            fields[group] = replace(fields.get(group, getattr(whole, group)), **{field: value}) if field else value
        return replace(whole, **fields)

    return changed
