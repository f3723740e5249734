"""The contracts' promise: 5 million records through every rule of their tables at 300,000 rows a second, in 4 GiB.

    python -m benchmarks.quality [--customers N]

The last line on stdout is one JSON object: `rows`, `rules` (compiled expectations over all tables), `seconds` of the
judgement, `rows_per_second`, `peak_gib` of the whole process with the tables in memory, and `by_table`. The records are
a simulated lender's, in memory, as an import brings them.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from data_contracts.judge import judge
from data_contracts.suites import generated_rules, row_suite
from data_contracts.tables import TABLES
from lenders import simulated


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Rows a second through the contracts, and memory.")
    parser.add_argument("--customers", type=int, default=20_000, help="size of the simulated lender")
    customers = parser.parse_args().customers
    tables = simulated.simulate(customers=customers).tables
    rows = sum(table.num_rows for table in tables.values())
    started = time.perf_counter()
    judged = judge(tables)
    seconds = time.perf_counter() - started
    by_table = {}
    for name, table in tables.items():
        started = time.perf_counter()
        judge({name: table})
        by_table[name] = {"rows": table.num_rows, "seconds_alone": round(time.perf_counter() - started, 2)}
    measured = {
        "rows": rows,
        "rules": sum(_rules(name) for name in tables),
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "findings": {level: len(judged.of(level)) for level in ("batch", "reject", "flag")},
        "by_table": by_table,
    }
    print(json.dumps(measured))


def _rules(name: str) -> int:
    table = TABLES[name]
    made = generated_rules(table, consents=True, received=False)
    return len(row_suite(table, (*made, *table.rules)).expectations) + 2  # columns and key


if __name__ == "__main__":
    main()
