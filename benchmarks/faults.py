"""The contracts' promise: at least 99 % of planted faults found, and at least 99 % of what is reported is a fault.

    python -m benchmarks.faults [--customers N] [--rates R ...] [--seed S]

Each kind of fault is planted apart into six months of a simulated lender whose earlier records were accepted, and the
answer key is the injector's. Faults of a whole table are planted into single months, one table at a time; the same
months without a fault are the control. Rows are counted once for each kind and rate; what is reported of sound rows is
false, whatever the reason.

A table of all kinds goes to stderr. The last line on stdout is one JSON object: `kinds`, `recall` and `precision` over
all rows (and the lowest of any kind), `batches` with the same of whole tables, `seconds`, and `by_kind`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder, write_batch, write_manifest, write_tables
from data_contracts.judge import Judgement, judge
from data_contracts.monthly import monthly_deliveries
from data_contracts.profile import CHANGES
from data_contracts.tables import TABLES
from lenders.simulated import simulate
from lenders.simulated.faults import FAULTS, damage, plant
from lenders.simulated.faults.case import whole_tables
from lenders.simulated.timeline import Ints

MONTHS, ROW_MONTHS, BATCH_MONTHS = 36, (24, 30), (24, 28, 33)
RECEIVED_AT = datetime(2024, 1, 1)
RATES = (0.002, 0.01)
PARENT_HELD = "parent_held"  # a row put aside with the row it refers to is itself neither right nor wrong

Tables = dict[str, pa.Table]
Month = tuple[datetime, Tables]
"""When a delivery came, and its tables."""


@dataclass
class Score:
    """What was planted of a kind, and what the judge made of it: rows, or whole tables."""

    level: str
    planted: int = 0
    detectable: int = 0
    detected: int = 0
    reported: int = 0
    false: int = 0

    @property
    def recall(self) -> float:
        """Share of the detectable faults that were found."""
        return self.detected / self.detectable if self.detectable else 1.0

    @property
    def precision(self) -> float:
        """Share of what was reported that is a fault."""
        return 1 - self.false / self.reported if self.reported else 1.0

    def told(self) -> dict[str, Any]:
        """Counts and shares by name."""
        return {**asdict(self), "recall": round(self.recall, 5), "precision": round(self.precision, 5)}

    def __iadd__(self, other: Score) -> Score:
        for name in ("planted", "detectable", "detected", "reported", "false"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


@dataclass(frozen=True)
class Delivery:
    """Sound records of some months, what was accepted before them, and when they came."""

    tables: Tables
    before: Tables
    accepted: TableFolder
    received_at: datetime

    def judge(self, tables: Tables) -> Judgement:
        """Judge these tables in the delivery's place."""
        return judge(tables, accepted=self.accepted, received_at=self.received_at)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Recall and precision of the contracts on planted faults.")
    parser.add_argument("--customers", type=int, default=6_000, help="size of the simulated lender")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="shares of rows that are spoilt")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", choices=sorted(FAULTS), default=list(FAULTS), help="only these")
    wish = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lendwell-faults-") as folder:
        scores = measure(Path(folder), wish.customers, wish.rates, wish.seed, wish.kinds)
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps(summary(scores) | {"seconds": seconds, "by_kind": {k: v.told() for k, v in scores.items()}}))


def measure(folder: Path, customers: int, rates: list[float], seed: int, kinds: list[str]) -> dict[str, Score]:
    """Plant every kind and hold what is reported against the key; `clean` are months without a fault."""
    months = [
        (came, tables) for _, came, tables in monthly_deliveries(simulate(customers, MONTHS, seed).tables, RECEIVED_AT)
    ]
    rows = deliver(months, *ROW_MONTHS, folder / "rows")
    whole = [deliver(months, month, month + 1, folder / str(month)) for month in BATCH_MONTHS]
    scores = {"clean": control([rows, *whole])}
    tell(scores)
    for kind in kinds:
        if FAULTS[kind].level == "row":
            scores[kind] = rows_score(rows, kind, rates, seed)
        elif FAULTS[kind].level == "batch":
            scores[kind] = batch_score(whole, kind, seed)
        else:
            scores[kind] = file_score(rows.tables, kind, folder / "files", seed)
        tell({kind: scores[kind]})
    return scores


def deliver(months: list[Month], first: int, last: int, folder: Path) -> Delivery:
    """Accept all deliveries before one, profiled as the last of them, and take those until another as a new batch."""
    folder.mkdir()
    earlier, latest = months[first - 2][1], months[first - 1][1]
    profiles = judge(latest, accepted=_accepted(earlier, judge(earlier).profiles, folder / "earlier")).profiles
    before, batch = joined(months[:first]), joined(months[first:last])
    return Delivery(batch, before, _accepted(before, profiles, folder / "accepted"), months[last - 1][0])


def _accepted(tables: Tables, profiles: Mapping[str, Any], folder: Path) -> TableFolder:
    folder.mkdir()
    batch = write_batch(folder, whole_tables(tables), "calendar", {"profiles": profiles})
    write_manifest(folder, "simulated", "calendar", [batch], [])
    return TableFolder.open(folder)


def joined(months: list[Month]) -> Tables:
    """Records of several deliveries together."""
    names = dict.fromkeys(name for _, tables in months for name in tables)
    return whole_tables(
        {name: pa.concat_tables([tables[name] for _, tables in months if name in tables]) for name in names}
    )


def control(deliveries: list[Delivery]) -> Score:
    """Sound deliveries: nothing of them may be refused, put aside or flagged."""
    score = Score("batch")
    for number, delivery in enumerate(deliveries):
        judgement = delivery.judge(delivery.tables)
        rows = sum(len(numbers) for numbers in reported(judgement).values())
        wrong = (
            refused(judgement, delivery.tables) if number else set()
        )  # the first holds some months, which no batch does
        score += Score("batch", false=len(wrong), reported=len(wrong))
        print(f"  sound delivery {number}: {rows} rows reported, refused {sorted(wrong)}", file=sys.stderr)
        for finding in judgement.findings:
            if number or finding.level != "batch":
                print(
                    f"  of sound records: {finding.table}.{finding.column} {finding.rule} {finding.examples[:1]}",
                    file=sys.stderr,
                )
    return score


def rows_score(delivery: Delivery, kind: str, rates: list[float], seed: int) -> Score:
    """Plant a kind into rows at each rate; whatever else is reported is false."""
    score = Score("row")
    for place, rate in enumerate(rates):
        planted = plant(delivery.tables, kind, rate=rate, seed=seed + place, accepted=delivery.before)
        found = reported(delivery.judge(planted.tables))
        none = np.array([], np.int64)
        for name in planted.tables:
            told = found.get(name, none)
            faulty, detectable = planted.rows.get(name, none), planted.detectable.get(name, none)
            score += Score(
                "row",
                len(faulty),
                len(detectable),
                int(np.isin(detectable, told).sum()),
                len(told),
                int((~np.isin(told, faulty)).sum()),
            )
    return score


def batch_score(deliveries: list[Delivery], kind: str, seed: int) -> Score:
    """Plant a kind into each of its tables apart: that table must be refused, and no other.

    It is judged with the tables that it refers to; of the others the control has told.
    """
    score = Score("batch")
    for number, delivery in enumerate(deliveries):
        for name in FAULTS[kind].tables:
            planted = plant(
                delivery.tables, kind, rate=1.0, seed=seed + number, accepted=delivery.before, within=(name,)
            )
            if name in planted.rows:
                needed = {name, "applications", "consents", *(key.table for key in TABLES[name].foreign_keys)}
                tables = {other: table for other, table in planted.tables.items() if other in needed}
                told = refused(delivery.judge(tables), tables)
                found, others = name in told, len(told - {name})
                score += Score("batch", 1, 1, found, found + others, others)
                if not found:
                    print(f"  {kind} in {name}, delivery {number}: not found", file=sys.stderr)
    return score


def file_score(tables: Tables, kind: str, folder: Path, seed: int, times: int = 6) -> Score:
    """Damage a file of a folder that was written whole: opening it must be refused."""
    score = Score("file")
    for number in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        write_tables(folder, tables, lender="simulated", dates="calendar")
        damage(folder, kind, seed=seed + number)
        try:
            judge(folder)
            score += Score("file", 1, 1)
        except SourceError:
            score += Score("file", 1, 1, 1, 1)
    return score


def reported(judgement: Judgement) -> dict[str, Ints]:
    """Rows by table that a rule puts aside or flags."""
    found: dict[str, Ints] = {}
    for level in (judgement.rejected, judgement.flagged):
        for name, by_rule in level.items():
            for rule, numbers in by_rule.items():
                if rule != PARENT_HELD:
                    found[name] = np.union1d(found.get(name, numbers), numbers)
    return found


def refused(judgement: Judgement, tables: Tables) -> set[str]:
    """Tables that cannot be as they should: refused; reported, where they may change; or one row in ten is reported."""
    whole = {finding.table for finding in judgement.findings if finding.level == "batch" or finding.rule in CHANGES}
    return whole | {name for name, rows in reported(judgement).items() if len(rows) > tables[name].num_rows / 10}


def summary(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Figures over all rows and all batches, and the lowest of any kind."""
    kinds = {kind: score for kind, score in scores.items() if kind != "clean"}
    rows = {kind: score for kind, score in kinds.items() if score.level == "row"}
    whole = {kind: score for kind, score in scores.items() if score.level != "row"}
    return {"kinds": len(kinds), **_figures(rows, "row"), "batches": _figures(whole, "batch")}


def _figures(scores: Mapping[str, Score], level: str) -> dict[str, Any]:
    pooled = Score(level)
    for score in scores.values():
        pooled += score
    return {
        "recall": round(pooled.recall, 5),
        "precision": round(pooled.precision, 5),
        "lowest_recall": round(min((score.recall for score in scores.values()), default=1.0), 5),
        "lowest_precision": round(min((score.precision for score in scores.values()), default=1.0), 5),
        "planted": pooled.planted,
        "detectable": pooled.detectable,
        "false": pooled.false,
    }


def tell(scores: Mapping[str, Score]) -> None:
    """A line for each kind."""
    for kind, score in scores.items():
        print(
            f"{kind:24} {score.level:5}  planted {score.planted:6,}  detectable {score.detectable:6,}  "
            f"detected {score.detected:6,}  false {score.false:5,}  recall {score.recall:.4f}  "
            f"precision {score.precision:.4f}",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    main()
