"""The policy's promise: at least 200 rules, each tested, all of them with their trace in well under 1.5 ms.

    python -m benchmarks.policy [--customers N] [--calls N] [--decisions N]

Facts are those of a small simulated lender: features, columns of the application and consents, with PDs drawn beside
them. The last line on stdout is one JSON object: `rules` in force, and `rules_tested`, those with test cases on which
they fire and on which they are silent, all of which hold; `decide_p50_us` and `decide_p99_us` of `RuleSet.decide` with
its trace, on one thread, with the garbage collector as the service keeps it; `decide_p99_cpu_us` tells more where the
machine is in use. Beside it, in the same run, for the same applicants: `zen_p50_us` and `zen_p99_us` of GoRules'
zen-engine with its trace on the same rules, a table an area, `zen_untraced_p50_us` without, and
`zen_one_table_p50_us` as one table; `zen_differences` counts applicants for whom it fires other rules.
`fired_per_minute` is how many applications `RuleSet.fire` judges a minute on one core.

`backtest_per_minute` is how many past applications a strategy is tried on a minute, scores given: rules, decisions,
figures over all and by segment, and the comparison with what was decided before. `differences` counts what differs when
`replayed` decisions are made again, from their facts as JSON keeps them and by declarations that are read anew; those
of `decide_frame`, which decides all of them at once, count too.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zen

import records
from benchmarks._strategies import backtest_speed, replay
from data_contracts.folder import TableFolder
from policy.rules import RuleBook, RuleSet
from policy.rules.cases import failures, untested
from policy.rules.facts import read_facts
from policy.rules.jdm import to_jdm

_DAY = date(2026, 1, 1)
_ROUNDS, _WARM = 10, 20
_APPLICANTS = 500  # whose facts are decided upon one by one
_ROWS = 100_000  # of a frame that is judged at once
_SEED = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Rules: how many, whether tested, how fast.")
    parser.add_argument("--customers", type=int, default=1_000, help="of the simulated lender")
    parser.add_argument("--calls", type=int, default=5_000, help="of one decision")
    parser.add_argument("--decisions", type=int, default=10_000, help="that are replayed")
    asked = parser.parse_args()
    book = RuleBook.load()
    rules = book.on(_DAY)
    facts = _facts(asked.customers)
    _say(f"{len(rules.rules)} rules, {len(facts)} applications")
    measured = {**_tested(book, rules), **_one_by_one(rules, facts, asked.calls), **_at_once(rules, facts)}
    print(json.dumps({**measured, **backtest_speed(facts), **replay(facts, asked.decisions)}))


def _facts(customers: int) -> pd.DataFrame:
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        records.simulate(Path(place) / "tables", customers=customers, months=36, seed=_SEED)
        facts = read_facts(TableFolder.open(Path(place) / "tables"))
    return facts.assign(pd=np.random.default_rng(_SEED).beta(1, 20, len(facts)))


def _tested(book: RuleBook, rules: RuleSet) -> dict[str, int]:
    wrong = {(case.rule, case.version) for case in failures(book.rules, book.cases)}
    wrong |= {(rule.id, rule.version) for rule, _ in untested(book.rules, book.cases)}
    tested = sum((rule.id, rule.version) not in wrong for rule in rules.rules)
    return {"rules": len(rules.rules), "rules_tested": tested}


def _one_by_one(rules: RuleSet, facts: pd.DataFrame, calls: int) -> dict[str, float]:
    """Microseconds of each way for the same applicants in turn: whatever else the machine does slows all of them."""
    drawn = facts.sample(_APPLICANTS, replace=True, random_state=_SEED)
    applicants = [dict(zip(map(str, drawn), row, strict=True)) for row in drawn.itertuples(index=False, name=None)]
    verdicts = [rules.decide(one) for one in applicants]
    known = [{name: value for name, value in one.values.items() if value is not None} for one in verdicts]
    by_area = zen.ZenEngine().create_decision(json.dumps(to_jdm(rules.rules)))
    one_table = zen.ZenEngine().create_decision(json.dumps(to_jdm(replace(one, table="all") for one in rules.rules)))
    ways: dict[str, tuple[Callable[[Any], Any], list[Any], int]] = {
        "decide": (rules.decide, applicants, calls),
        "zen": (lambda values: by_area.evaluate(values, {"trace": True}), known, calls // 5),
        "zen_untraced": (by_area.evaluate, known, calls // 5),
        "zen_one_table": (lambda values: one_table.evaluate(values, {"trace": True}), known, calls // 5),
    }
    took = _in_turn(ways)
    differences = sum(
        {rule["id"] for table in by_area.evaluate(values)["result"].values() for rule in table}
        != {one.rule.id for one in verdict.fired}
        for values, verdict in zip(known, verdicts, strict=True)
    )
    return {
        "decide_p50_us": _quantile(took["decide"], 0.5),
        "decide_p99_us": _quantile(took["decide"], 0.99),
        "decide_p99_cpu_us": _quantile(took["decide_cpu"], 0.99),
        "zen_p50_us": _quantile(took["zen"], 0.5),
        "zen_p99_us": _quantile(took["zen"], 0.99),
        "zen_untraced_p50_us": _quantile(took["zen_untraced"], 0.5),
        "zen_one_table_p50_us": _quantile(took["zen_one_table"], 0.5),
        "zen_differences": differences,
    }


def _in_turn(ways: Mapping[str, tuple[Callable[[Any], Any], list[Any], int]]) -> dict[str, list[float]]:
    """Wall and processor microseconds of calls, in rounds of which the first is not counted."""
    took: dict[str, list[float]] = {name: [] for way in ways for name in (way, f"{way}_cpu")}
    gc.collect()
    gc.freeze()
    for turn in range(_ROUNDS + 1):
        for name, (call, inputs, calls) in ways.items():
            for at in range(_WARM + -(-calls // _ROUNDS)):
                given = inputs[(turn * 7919 + at) % len(inputs)]
                used, started = time.thread_time_ns(), time.perf_counter_ns()
                call(given)
                wall, cpu = time.perf_counter_ns() - started, time.thread_time_ns() - used
                if turn and at >= _WARM:
                    took[name].append(wall / 1000)
                    took[f"{name}_cpu"].append(cpu / 1000)
        _say(f"round {turn} of {_ROUNDS}")
    gc.unfreeze()
    return took


def _at_once(rules: RuleSet, facts: pd.DataFrame) -> dict[str, Any]:
    many = facts.sample(_ROWS, replace=True, random_state=_SEED)
    started = time.perf_counter()
    fired = rules.fire(many)
    seconds = time.perf_counter() - started
    worst = np.bincount(rules.worst(fired), minlength=4) / len(many)
    told = dict(zip(("nothing", "flag", "refer", "decline"), worst.round(3).tolist(), strict=True))
    return {"fired_rows": len(many), "fired_per_minute": round(len(many) / seconds * 60), "worst_severity": told}


def _quantile(values: list[float], share: float) -> float:
    return round(float(np.quantile(values, share)), 1)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
