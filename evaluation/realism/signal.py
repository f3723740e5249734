"""How well a lender's defaults can be told: by one who knows the truth, and by each feature alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.engine import connect
from data_contracts.folder import TableFolder, write_tables
from evaluation import metrics
from evaluation.metrics import Metric
from features.batch import compute
from features.sets import feature_set

Progress = Callable[[str, float], None]

FEATURE_SET = "application_v1"
APPLICATIONS = 10_000
_FEWEST_BAD = 50  # a value that fewer defaults have tells nothing of a feature


def oracle(truth: pd.DataFrame) -> dict[str, Metric]:
    """AUC of the true PD against what came or would have come to pass, among all applicants and among those granted."""
    granted = truth[truth["granted"]]
    return {
        name: metrics.auc(rows["defaults"].astype("int64"), rows["true_pd"])
        for name, rows in (("all", truth), ("granted", granted))
    }


def feature_matrix(
    folder: TableFolder, *, applications: int = APPLICATIONS, progress: Progress | None = None
) -> pd.DataFrame:
    """Features of at most about so many applications, of customers chosen by a hash of their identifier."""
    rows = folder.rows("applications")
    if rows <= applications:
        return compute(folder, feature_set(FEATURE_SET), progress=progress)
    with tempfile.TemporaryDirectory(prefix="lendwell-") as place:
        part = _part(folder, applications / rows, Path(place) / "part")
        return compute(part, feature_set(FEATURE_SET), progress=progress)


def _part(folder: TableFolder, share: float, path: Path) -> TableFolder:
    """A folder of a share of the customers."""
    with connect(threads=2, memory_limit="2GB") as engine:
        chosen = f"md5_number_lower(customer_id) % 1000000 < {round(1_000_000 * share)}"
        tables = {
            name: engine.sql(f"SELECT * FROM {folder.scan(name)} WHERE {chosen}").to_arrow_table()
            for name in folder.tables
        }
    # one file a table: months would be many small ones, and are for those who read a month
    return write_tables(path, tables, lender=folder.lender, dates="relative")


def single_aucs(features: pd.DataFrame, defaulted: pd.Series) -> pd.DataFrame:
    """AUC of each feature alone, the strongest first.

    Whichever direction and whichever place of the missing (left out, lowest, highest) tells most counts, so that the
    figure is rather too high than too low.

    Returns
    -------
    DataFrame
        `auc`, `direction` (+1 where a higher value is riskier) and `missing`, indexed by feature.

    Examples
    --------
    >>> features = pd.DataFrame({"dpd": [0.0, 9.0, 5.0, 0.0], "age": [30.0, 30.0, 30.0, 30.0]}, index=list("abcd"))
    >>> single_aucs(features, pd.Series([0, 1, 1, 0], index=list("abcd"))).auc.to_dict()
    {'dpd': 1.0, 'age': 0.5}
    """
    y = defaulted.reindex(features.index)
    known = y.notna().to_numpy()
    label = y.to_numpy(dtype=np.float64, na_value=np.nan)[known].astype(np.int64)
    rows = []
    if len(np.unique(label)) == 2:
        values = features.to_numpy(dtype=np.float64)[known]
        for name, column in zip(features.columns, values.T, strict=True):
            auc = max(_placings(label, column), key=lambda value: abs(value - 0.5))
            rows.append((name, max(auc, 1 - auc), 1 if auc >= 0.5 else -1, float(np.isnan(column).mean())))
    table = pd.DataFrame(rows, columns=["feature", "auc", "direction", "missing"]).set_index("feature")
    return table.sort_values("auc", ascending=False, kind="stable")


def _placings(label: npt.NDArray[np.int64], column: npt.NDArray[np.float64]) -> list[float]:
    missing = np.isnan(column)
    if missing.all():
        return [0.5]
    if not missing.any():
        return [_auc(label, column)]
    found = [_auc(label, np.where(missing, end, column)) for end in (-np.inf, np.inf)]
    if min(label[~missing].sum(), (1 - label[~missing]).sum()) >= _FEWEST_BAD:
        found.append(_auc(label[~missing], column[~missing]))
    return found


def _auc(label: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> float:
    from scipy.stats import rankdata

    bad = int(label.sum())
    ranks = rankdata(score)[label == 1].sum()
    return float((ranks - bad * (bad + 1) / 2) / (bad * (len(label) - bad)))
