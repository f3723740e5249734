"""The decision's promise: a replay of 10,000 logged decisions shows no difference, and one and many agree to the bit.

    python -m benchmarks.decisions [--customers N] [--decisions N] [--rows N]

A small hybrid is trained on a small simulated lender. Its applicants ask for one amount after another; each is scored
and decided by rules, products and strategy and written to a decision log in SQLite, from which each is then decided
again. The last line on stdout is one JSON object: `decisions` that were logged and `differences` of their replays;
`score_p50_us`, `decide_p50_us` and `decide_p99_us` of one decision with rules, trace and schedule, the score given, on
one thread with the garbage collector as the service keeps it; `decided_per_minute` of `decide_frame` over `rows`
applications on one core, rules included, and `frame_differences`, decisions for which it says otherwise than the one
by one; `outcomes` by product.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import records
from data_contracts.folder import TableFolder
from data_contracts.messages import ScoreRequest
from policy.decision import Decision, Policy, local_day
from policy.products import read_products
from policy.rules import RuleBook
from policy.strategy import read_strategy
from serving.client import requests_from_tables
from serving.decide import Decider
from serving.decision_log import DecisionLog
from serving.scorer import Scored, Scorer
from training import run
from training.experiment import Experiment

_SEED = 7
_PART = 500  # of decisions that are written together
_NOON = datetime(2026, 7, 1, 12)
_QUICK = {
    "name": "decisions",
    "feature_set": "application_v1",
    "folds": 2,
    "sequence_length": 16,
    "target": {"kind": "dpd", "dpd": 30, "months_on_book": 6},
    "split": {"method": "out_of_time", "test_share": 0.25},
    "boosted": {
        "n_estimators": 120,
        "learning_rate": 0.04,
        "max_depth": 2,
        "min_child_weight": 2.0,
        "n_seeds": 1,
        "early_stopping_rounds": 0,
    },
    "tabular_net": {"k": 4, "d_block": 16, "max_epochs": 40, "n_seeds": 1},
    "sequence_net": {"hidden": 8, "max_epochs": 20},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Decisions: replay, one against many, speed.")
    parser.add_argument("--customers", type=int, default=800, help="of the simulated lender")
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=200_000, help="of the frame")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        scorer, requests = _lender(Path(place), asked.customers)
        _say(f"{len(requests)} applicants")
        with DecisionLog.open(f"sqlite:///{place}/decisions.db", key="a key of the benchmark") as log:
            products = read_products()
            decider = Decider(RuleBook.load(), products, read_strategy(None, products), lambda: _NOON)
            given = _decided(scorer, decider, log, list(_asked(requests, asked.decisions)))
            _say(f"{asked.decisions} decisions logged")
            differences = _replayed(scorer, decider, log)
    measured = {"decisions": asked.decisions, "differences": differences, **given}
    print(json.dumps({**measured, **_many(scorer, decider, requests, asked.rows)}, ensure_ascii=False))


def _lender(place: Path, customers: int) -> tuple[Scorer, list[ScoreRequest]]:
    records.simulate(place / "tables", customers=customers, months=36, seed=_SEED)
    folder = TableFolder.open(place / "tables")
    experiment = Experiment.model_validate(_QUICK)
    bundle = run.train(experiment, folder, run.prepare_for(experiment, folder)).save(place / "bundle")
    return Scorer(bundle), list(requests_from_tables(folder, folder.read("applications")["application_id"].tolist()))


def _asked(requests: Sequence[ScoreRequest], wanted: int) -> Iterator[ScoreRequest]:
    """Each applicant in turn, and again for a little more: no two requests are the same."""
    for at in range(wanted):
        request = requests[at % len(requests)]
        application = request.__dict__["application"]
        more = {"amount_requested": (application.amount_requested or 0) + 10_000 * (at // len(requests))}
        yield request.model_copy(update={"application": application.model_copy(update=more)})


def _decided(scorer: Scorer, decider: Decider, log: DecisionLog, asked: list[ScoreRequest]) -> dict[str, Any]:
    """Decide and log all; microseconds of the score and of the decision that follows it."""
    scores, decisions, outcomes = [], [], []
    gc.collect()
    gc.freeze()
    for start in range(0, len(asked), _PART):
        entries = []
        for request in asked[start : start + _PART]:
            began = time.perf_counter_ns()
            scored = scorer.score(request)
            between = time.perf_counter_ns()
            decision = decider.decide_scored(scorer, request, scored)
            scores.append((between - began) / 1000)
            decisions.append((time.perf_counter_ns() - between) / 1000)
            outcomes.append((decision.product, decision.outcome))
            entries.append((request, decider.entry(scorer, scored, decision)))
        log.append_many(entries)
    gc.unfreeze()
    told = pd.DataFrame(outcomes, columns=["product", "outcome"])
    shares = pd.crosstab(told["product"], told["outcome"], normalize="index").round(3)
    return {
        "score_p50_us": _quantile(scores, 0.5),
        "decide_p50_us": _quantile(decisions, 0.5),
        "decide_p99_us": _quantile(decisions, 0.99),
        "outcomes": shares.to_dict("index"),
    }


def _replayed(scorer: Scorer, decider: Decider, log: DecisionLog) -> int:
    """Values that differ between what was logged and what is decided again."""
    ids = log.read(kind="decision", columns=["decision_id"])["decision_id"]
    return sum(len(decider.replay(scorer, *log.get(decision_id))) for decision_id in ids)


def _many(scorer: Scorer, decider: Decider, requests: Sequence[ScoreRequest], rows: int) -> dict[str, Any]:
    """Speed of a frame of many, and what it says otherwise than one by one under the same rules."""
    policy = decider.on(local_day(_NOON))
    scored = [scorer.score(request) for request in requests]
    names = scorer.bundle.feature_set.names
    features = pd.DataFrame([one.features for one in scored], columns=list(names))
    frame = pd.DataFrame([request.facts() for request in requests]).join(features)
    frame = frame.assign(pd=[one.pd for one in scored], score=[one.score for one in scored])
    together = policy.decide_frame(frame)
    alone = [_one(policy, names, *pair) for pair in zip(requests, scored, strict=True)]
    same = [
        (one.outcome, one.amount, one.trace["price"]["ppm"], one.trace["limit"]["fen"])
        == (row.outcome, row.amount, row.rate_ppm, row.limit)
        for one, row in zip(alone, together.itertuples(), strict=True)
    ]
    many = frame.sample(rows, replace=True, random_state=_SEED)
    began = time.perf_counter()
    policy.decide_frame(many)
    seconds = time.perf_counter() - began
    return {
        "rows": rows,
        "decided_per_minute": round(rows / seconds * 60),
        "frame_differences": int(len(same) - np.sum(same)),
    }


def _one(policy: Policy, names: Sequence[str], request: ScoreRequest, scored: Scored) -> Decision:
    features = dict(zip(names, scored.features.tolist(), strict=True))
    return policy.decide(request.facts(), features, scored, _NOON)


def _quantile(values: list[float], share: float) -> float:
    return round(float(np.quantile(values, share)), 1)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
