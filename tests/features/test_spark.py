"""Spark gives what DuckDB gives, through the Parquet that it writes; nothing passes through the driver."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import ServiceError, SourceError
from data_contracts.folder import TableFolder, write_tables
from features import batch, spark
from features.algebra import FeatureSet
from features.sets import feature_set
from tests.random_records import AS_OF, applicant, frames

IN_CI = os.environ.get("CI") == "true"
pytestmark = pytest.mark.skipif(
    not IN_CI and (importlib.util.find_spec("pyspark") is None or shutil.which("java") is None),
    reason="no PySpark or no Java on this machine; `pip install 'lendwell[spark]'` and install Java 17 to run on Spark",
)
SET = feature_set("application_v1")
FEW = FeatureSet(
    "few", 1, tuple(f for f in SET.features if f.name in ("inquiries_count_30d", "application_term_months"))
)
MONTHS = ("2022-05", "2023-05", "2023-06")


@pytest.fixture(scope="module")
def session() -> Any:
    """Spark, that is let bring no more than 256 kB to the driver; names of files are looked up there, not by a job."""
    settings = {
        "spark.driver.maxResultSize": "256k",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
        # A few hundred rows are done before Java has compiled what would do millions fast.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
    }
    given = [f"--conf '{name}={value}'" for name, value in settings.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*given, "pyspark-shell"]))
        with spark.running() as own:
            yield own


def tables(seed: int, number: int) -> dict[str, pd.DataFrame]:
    """Random records, with applications in three months."""
    rng = np.random.default_rng(seed)
    applicants = [applicant(rng, at, most=(2, 12, 30)[at % 3]) for at in range(number)]
    for at, (application, _) in enumerate(applicants):
        application["applied_at"] = AS_OF - timedelta(days=(0, 45, 400)[at % 3])
    return frames(applicants)


def written(place: Path, found: dict[str, pd.DataFrame]) -> TableFolder:
    return write_tables(place, found, lender="random", dates="calendar")


@pytest.fixture(scope="module")
def whole(session, tmp_path_factory) -> tuple[TableFolder, Path, dict[str, Any]]:
    """The whole set of many applications, from a folder whose name Spark could take for a pattern."""
    place = tmp_path_factory.mktemp("whole")
    folder = written(place / "product=cash [1] {中}*", tables(31, number=300))
    out = place / "features of 五月"
    return folder, out, spark.write(folder, SET, out, session=session, partitions=2)


def read(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out).set_index("application_id").sort_index()


def differences(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Features that differ, with a pair of values: by 1e-9 of the value, or of 1 where it is smaller."""
    assert left.index.tolist() == right.index.tolist()
    assert set(left.dtypes) == {np.dtype("float64")}
    ours, theirs = left.to_numpy(), right.to_numpy()
    far = np.abs(ours - theirs) > 1e-9 * np.maximum(1.0, np.abs(theirs))
    far |= np.isnan(ours) != np.isnan(theirs)
    found = {}
    for column in np.flatnonzero(far.any(axis=0)):
        row = int(np.argmax(far[:, column]))
        found[right.columns[column]] = (float(ours[row, column]), float(theirs[row, column]))
    return found


def test_spark_equals_duckdb(whole) -> None:
    folder, out, _ = whole
    expected = batch.compute(folder, SET)
    assert len(folder.corrected) > 5
    assert expected.notna().any().sum() > 250
    assert differences(read(out)[list(SET.names)], expected) == {}


def test_a_folder_a_month(whole) -> None:
    folder, out, facts = whole
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == [f"as_of_month={m}" for m in MONTHS]
    assert read(out).as_of_month.astype(str).value_counts().to_dict() == dict.fromkeys(MONTHS, 100)
    assert facts["rows"] == 300
    assert facts["tables"] == folder.identity
    assert json.loads((out / spark.FACTS).read_text()) == {k: v for k, v in facts.items() if k != "folder"}
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([folder.path.name, out.name])


def test_nothing_is_collected(session, whole) -> None:
    """The guard: with this session the matrix was written, and cannot be brought to the driver."""
    _, out, _ = whole
    with pytest.raises(Exception, match="maxResultSize"):
        session.read.parquet(f"file://{out}").collect()


def test_tables_that_the_lender_lacks(session, tmp_path) -> None:
    found = tables(32, number=9)
    folder = written(tmp_path / "tables", {name: found[name] for name in ("applications", "inquiries")})
    spark.write(folder, SET, tmp_path / "features", session=session)
    matrix = read(tmp_path / "features")
    assert differences(matrix[list(SET.names)], batch.compute(folder, SET)) == {}
    assert matrix.tradelines_count.isna().all()
    assert matrix.inquiries_count_30d.notna().all()


def test_a_folder_of_features_is_replaced_and_no_other(session, tmp_path) -> None:
    folder, out = written(tmp_path / "tables", tables(33, number=6)), tmp_path / "features"
    (out / "kept").mkdir(parents=True)
    with pytest.raises(SourceError, match="no folder of features; name another with --out"):
        spark.write(folder, FEW, out, session=session)
    (out / "kept").rmdir()
    out.rmdir()
    first = spark.write(folder, FEW, out, session=session)
    assert spark.write(folder, FEW, out, session=session, partitions=1) == first
    assert len(read(out)) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features", "tables"]


def test_tables_and_features_at_an_address(session, tmp_path, monkeypatch) -> None:
    folder = written(tmp_path / "tables", tables(34, number=6))
    shutil.copytree(folder.path, tmp_path / "copy")
    for file in folder.path.rglob("inquiries/*.parquet"):
        damage(file)
    monkeypatch.setenv("LENDWELL_SPARK_TABLES", f"file://{tmp_path}/copy/")
    facts = spark.write(folder, FEW, f"file://{tmp_path}/features", session=session)
    assert facts["features"] == 2
    assert "rows" not in facts
    assert (tmp_path / "features" / "_SUCCESS").is_file()
    assert len(read(tmp_path / "features")) == 6
    with pytest.raises(SourceError, match=r"(?i)already exists"):
        spark.write(folder, FEW, f"file://{tmp_path}/features", session=session)


def test_half_of_an_output_is_never_seen(session, tmp_path) -> None:
    folder = written(tmp_path / "tables", tables(35, number=6))
    for file in folder.path.rglob("inquiries/*.parquet"):
        damage(file)
    with pytest.raises(SourceError, match=r"Spark could not compute .* docs/spark\.md"):
        spark.write(folder, FEW, tmp_path / "features", session=session)
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


def damage(file: Path) -> None:
    """The columns of a file, not its footer."""
    found = bytearray(file.read_bytes())
    found[4 : len(found) // 4] = b"\xff" * (len(found) // 4 - 4)
    file.write_bytes(found)


@pytest.mark.parametrize(
    ("java", "message"), [(None, "there is none on the PATH: install one"), ("/nowhere", "JAVA_HOME=/nowhere, where")]
)
def test_no_java(tmp_path, monkeypatch, java, message) -> None:
    folder = written(tmp_path / "tables", {"applications": tables(36, number=1)["applications"]})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if java:
        monkeypatch.setenv("JAVA_HOME", java)
    with pytest.raises(ServiceError, match=message):
        spark.write(folder, FEW, tmp_path / "features")


def test_no_pyspark(tmp_path, monkeypatch) -> None:
    folder = written(tmp_path / "tables", {"applications": tables(36, number=1)["applications"]})
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ServiceError, match=r"pip install 'lendwell\[spark\]'"):
        spark.write(folder, FEW, tmp_path / "features")
