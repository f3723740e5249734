"""The set over a bureau's summary: what it permits itself, and the same numbers in both engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_contracts.folder import write_tables
from features import batch
from features.online import compile_plan
from features.sets import feature_set

SET = feature_set("bureau_summary_v1")
BORROWER = {
    "income_monthly": 500_000,
    "bureau_utilisation": 0.4,
    "debt_ratio": 0.3,
    "debt_monthly": 150_000,
    "dependents_count": 1,
    "age_years": 45.0,
    "bureau_late_30_59": 2,
    "bureau_late_60_89": 1,
    "bureau_late_90": 0,
    "bureau_accounts_open": 5,
    "bureau_mortgages": 1,
}


def test_age_is_read_and_never_speaks_against_the_old() -> None:
    assert SET.permits == ("age_years",)
    assert next(feature.risk for feature in SET.features if feature.name == "application_age_years") == -1
    assert SET.tables == ("applications",)


def test_both_engines_by_hand(tmp_path: Path) -> None:
    as_of = pd.Timestamp("2024-05-01")
    rows = [BORROWER, {**BORROWER, "dependents_count": None, "income_monthly": None, "bureau_late_90": None}]
    frame = pd.DataFrame(
        [{"application_id": f"a{k}", "customer_id": f"c{k}", "applied_at": as_of, "product": "other", **row}
         for k, row in enumerate(rows)]
    )  # fmt: skip
    folder = write_tables(tmp_path / "tables", {"applications": frame}, lender="test", dates="relative")
    together = batch.compute(folder, SET)
    found = together.iloc[0].to_dict()
    assert found["application_income_after_debt"] == 3500.0
    assert found["application_income_per_dependent"] == 2500.0
    assert found["application_debt_per_account"] == 250.0
    assert found["application_bureau_late_60_sum"] == 1.0
    assert found["application_bureau_late_per_account"] == 0.5
    online = compile_plan(SET)
    alone = np.stack([online.compute({**row, "product": "other"}, {}, as_of.to_pydatetime()) for row in rows])
    np.testing.assert_allclose(together.to_numpy(), alone, rtol=1e-12)
    assert np.isnan(alone[1]).sum() == 8
