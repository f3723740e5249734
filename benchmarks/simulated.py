"""The simulated lender's promise: 50,000 customers over 36 months, 10 million records and more, in 60 s and 4 GiB.

    python -m benchmarks.simulated [--customers N] [--months N] [--scenario NAME] [--features]

Measured with the writing of Parquet, partitioned by month. The last line on stdout is one JSON object: `seconds`,
`peak_gib`, `records`, `customers`, `months`, `default_rates` by product and `oracle_auc` (how well the true PD tells
defaults, over all applications), and with `--features` `single_feature_auc_max` over every feature and the outcomes at
six months on book, with the `feature` that reaches it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.whole_way import run_and_watch
from data_contracts.folder import TableFolder

_ROOT = Path(__file__).resolve().parents[1]
_MONTHS_ON_BOOK, _DPD = 6, 30
_FEWEST = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds, memory and realism of the simulated lender.")
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--scenario", default="baseline")
    parser.add_argument("--features", action="store_true", help="measure every feature's AUC too; takes a minute more")
    parser.add_argument("--out", type=Path, help="only write the tables there, nothing is measured")
    asked = parser.parse_args()
    if asked.out:
        _write(asked.customers, asked.months, asked.scenario, asked.out)
        return
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        out = Path(place) / "tables"
        command = [sys.executable, "-m", "benchmarks.simulated", "--customers", str(asked.customers), "--months",
                   str(asked.months), "--scenario", asked.scenario, "--out", str(out)]  # fmt: skip
        seconds, peak = run_and_watch(command, _ROOT, {**os.environ, "PYTHONPATH": str(_ROOT)})
        folder = TableFolder.open(out)
        measured: dict[str, Any] = {
            "customers": asked.customers,
            "months": asked.months,
            "scenario": asked.scenario,
            "seconds": round(seconds, 1),
            "peak_gib": round(peak / 2**30, 3),
            "records": sum(folder.rows(name) for name in folder.tables),
            **truth_figures(folder),
        }
        if asked.features:
            measured |= single_features(folder)
    print(json.dumps(measured))


def truth_figures(folder: TableFolder) -> dict[str, Any]:
    """Default rates of granted loans by product, and how well the true PD tells defaults."""
    truth = pd.read_parquet(folder.path / "truth" / "truth.parquet")
    products = folder.read("applications", ["application_id", "product"])
    granted = truth[truth["granted"]].merge(products, on="application_id")
    rates = granted.groupby("product")["defaults"].mean().round(4)
    return {
        "default_rates": rates.to_dict(),
        "oracle_auc": round(float(roc_auc_score(truth["defaults"], truth["true_pd"])), 4),
    }


def single_features(folder: TableFolder) -> dict[str, Any]:
    """The feature that tells defaults best by itself, where it is given to `_FEWEST` loans at least."""
    from features import batch
    from features.sets import feature_set

    outcomes = folder.read("outcomes", ["application_id", "months_on_book", "dpd_max"])
    outcomes = outcomes[outcomes["months_on_book"] == _MONTHS_ON_BOOK].set_index("application_id")
    defaulted = outcomes["dpd_max"] >= _DPD
    matrix = batch.compute(folder, feature_set("application_v1")).loc[defaulted.index]
    areas = {}
    for name in matrix:
        values = matrix[name].dropna()
        labels = defaulted.loc[values.index]
        if len(values) >= _FEWEST and labels.nunique() == 2:
            area = float(roc_auc_score(labels, values))
            areas[str(name)] = max(area, 1 - area)
    best = max(areas, key=lambda name: areas[name])
    return {"single_feature_auc_max": round(areas[best], 4), "feature": best}


def _write(customers: int, months: int, scenario: str, out: Path) -> None:
    from lenders.simulated import simulate, write

    write(simulate(customers, months, scenario=scenario), out)


if __name__ == "__main__":
    main()
