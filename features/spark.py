"""Features of more applications than one machine holds: the same expressions, run by Spark from Parquet to Parquet."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import LendwellError, ServiceError, SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES
from features.algebra import FeatureSet
from features.relational import Relations, matrix, schema_of, versions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Progress = Callable[[str, float], None]

FACTS = "_features.json"
"""Beside the months: what they hold. Readers of Parquet pass over names that begin with an underscore."""
_MONTH = "as_of_month"
# What values depend on, whatever the cluster has chosen for others; and a table that is broadcast would pass
# through the driver.
_MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "OFF"}
_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}


def write(
    folder: TableFolder,
    feature_set: FeatureSet,
    out: Path | str,
    *,
    session: SparkSession | None = None,
    partitions: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compute a feature set for every application of a folder by Spark and write it as Parquet, a folder a month.

    Nothing is brought to the driver: the executors read the tables and write the features. They need no Python.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables, on storage that the executors reach under the same path; or a copy of them lies at the URI in
        the environment variable `LENDWELL_SPARK_TABLES`.
    feature_set : FeatureSet
        What to compute; features of tables that the folder lacks are missing.
    out : Path or str
        Folder to write, `as_of_month=2024-05/part-*.parquet` in it, with `application_id` and a float64 column a
        feature, null where missing. A path appears, or is replaced, only when it is complete. A string with a scheme
        (`s3a://bucket/features`) must not exist yet and is committed by Spark: it is complete when it has `_SUCCESS`.
    session : SparkSession, optional
        Where to run; by default the active one, or a new one at `LENDWELL_SPARK_MASTER` (`local[2]` when unset).
    partitions : int, optional
        Parts into which Spark divides the work between stages, `spark.sql.shuffle.partitions`.
    progress : callable, optional
        Called with a step and the share that is done.

    Returns
    -------
    dict
        `folder`, `features`, `feature_set`, `identity`, `tables` (identity of what was read) and, for a path, `rows`.

    Raises
    ------
    SourceError
        When tables cannot be read, `out` cannot be written, or what the executors wrote does not arrive there.
    ServiceError
        When PySpark or Java is missing, or Spark cannot be started.
    """
    tell = progress or (lambda step, share: None)
    remote = isinstance(out, str) and "://" in out
    if not remote:
        _require_own(Path(out))
    tell("features: Spark starts", 0.0)
    facts = {"features": len(feature_set.names), "feature_set": feature_set.name, "identity": feature_set.identity}
    facts |= {"tables": folder.identity}
    with running(session) as spark, _told(folder):
        if partitions:
            spark.conf.set("spark.sql.shuffle.partitions", partitions)
        frame = _months(spark, _matrix(spark, folder, feature_set))
        tell("features: Spark computes", 0.1)
        if remote:
            _write(frame, str(out))
        else:
            facts["rows"] = _write_whole(frame, Path(out), folder.rows("applications"), facts)
    tell("features: written", 1.0)
    return {"folder": str(out), **facts}


def _matrix(spark: SparkSession, folder: TableFolder, feature_set: FeatureSet) -> DataFrame:
    """One row an application; nothing is computed before it is written."""
    import ibis
    from pyspark.sql.functions import col

    def view(name: str, frame: DataFrame, schema: Any) -> Any:
        frame.createOrReplaceTempView(name)
        return ibis.table(schema, name=name)

    def keep(name: str, table: Any) -> Any:
        return view(name, spark.sql(_sql(table)), table.schema())

    used = [name for name in folder.tables if name in feature_set.tables]
    tables = {name: view(name, _read(spark, folder, name), schema_of(folder, name)) for name in used}
    again = {name: versions(tables[name], TABLES[name]) for name in folder.corrected if name in tables}
    result = spark.sql(_sql(matrix(Relations(tables, again), feature_set, keep)))
    # A constant like 0.5 is a decimal to Spark.
    return result.select("application_id", *(col(name).cast("double").alias(name) for name in feature_set.names))


def _months(spark: SparkSession, features: DataFrame) -> DataFrame:
    """The features with the month (UTC) of their moment of decision, each month in as few parts as its size allows."""
    from pyspark.sql.functions import date_format

    month = date_format("applied_at", "yyyy-MM").alias(_MONTH)
    applications = spark.table("applications").select("application_id", month)
    joined = features.join(applications, "application_id")
    return joined.hint("rebalance", _MONTH).sortWithinPartitions(_MONTH, "application_id")


def _read(spark: SparkSession, folder: TableFolder, name: str) -> DataFrame:
    at = os.environ.get("LENDWELL_SPARK_TABLES", "").rstrip("/")
    root = folder.path.absolute()
    files = (Path(file).absolute() for file in folder.files(name))
    found = [f"{at}/{file.relative_to(root)}" if at else f"file://{file}" for file in files]
    # Spark takes what it is given for a pattern.
    return spark.read.parquet(*(re.sub(r"([\\*?\[\]{}])", r"\\\1", file) for file in found))


def _sql(table: Any) -> str:
    import ibis

    with _as_pandas_is():
        ibis.pyspark  # noqa: B018  # loads the options that its compiler reads
    return str(ibis.to_sql(table, dialect="pyspark"))


def _write(frame: DataFrame, place: str) -> None:
    frame.write.partitionBy(_MONTH).mode("error").option("compression", "zstd").parquet(place)


def _write_whole(frame: DataFrame, out: Path, expected: int, facts: dict[str, Any]) -> int:
    """Write beside `out`, look whether all has arrived, then take its place; number of rows."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.absolute().with_name(f".{out.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write(frame, f"file://{draft}")
        rows = sum(int(pq.read_metadata(file).num_rows) for file in draft.rglob("*.parquet"))
        if rows != expected:
            raise SourceError(
                f"Spark's executors wrote features of {expected} applications, but {rows} arrived in {out}: "
                "they write elsewhere. Give --out a path that the driver and every executor share, or a URI."
            )
        text = json.dumps({**facts, "rows": rows}, indent=2, ensure_ascii=False) + "\n"
        (draft / FACTS).write_text(text, encoding="utf-8")
        _replace(out, draft)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return rows


def _require_own(out: Path) -> None:
    if out.exists() and not (out / FACTS).is_file():
        raise SourceError(f"{out} exists and is no folder of features; name another with --out.")


def _replace(out: Path, draft: Path) -> None:
    retired = draft.with_name(draft.name + ".old")
    if out.exists():
        out.replace(retired)
    try:
        draft.replace(out)
    except OSError:
        if retired.exists():
            retired.replace(out)
        raise
    shutil.rmtree(retired, ignore_errors=True)


@contextlib.contextmanager
def running(session: SparkSession | None = None) -> Iterator[SparkSession]:
    """A session with views and settings of its own: in the Spark application of `session`, the active or a new one.

    Raises
    ------
    ServiceError
        When PySpark or Java is missing, or Spark cannot be started.
    """
    if session is None:
        _require_spark()
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
    shared = session or _start()
    try:
        own = shared.newSession()
        for name, value in _MEANING.items():
            own.conf.set(name, value)
        yield own
    finally:
        if session is None:
            shared.stop()


def _start() -> SparkSession:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("lendwell features")
    master = os.environ.get("LENDWELL_SPARK_MASTER", "local[2]")
    # What spark-submit was told stands.
    settings = {} if "PYSPARK_GATEWAY_PORT" in os.environ else {"spark.master": master, **_QUIET}
    if settings and master.startswith("local"):
        settings |= {**_LOOPBACK, "spark.sql.shuffle.partitions": "4"}
    for name, value in settings.items():
        builder = builder.config(name, value)
    with tempfile.TemporaryFile() as said:
        try:
            with _as_pandas_is(), _aside(said):
                return builder.getOrCreate()
        except _failures(PySparkException) as fault:
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")
            raise ServiceError(
                f"Spark cannot be started at {master} ({_first_line(fault)}; {last[:200]}): look at "
                "LENDWELL_SPARK_MASTER and at `java -version`, which must be 17 or newer."
            ) from fault


@contextlib.contextmanager
def _aside(said: IO[bytes]) -> Iterator[None]:
    """What the Java machine says while it starts, and later: a dozen lines that are no news to a lender."""
    sys.stderr.flush()
    screen = os.dup(2)
    os.dup2(said.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(screen, 2)
        os.close(screen)


def _require_spark() -> None:
    try:
        with _as_pandas_is():
            import pyspark.sql  # noqa: F401
    except ImportError as fault:
        raise ServiceError(f"Spark needs PySpark ({fault}): pip install 'lendwell[spark]'.") from fault
    home = os.environ.get("JAVA_HOME")
    if "PYSPARK_GATEWAY_PORT" not in os.environ and not shutil.which("java", path=f"{home}/bin" if home else None):
        where = f"JAVA_HOME={home}, where there is none" if home else "there is none on the PATH"
        raise ServiceError(
            f"Spark needs Java 17 or newer, and {where}: install one (Debian: apt-get install openjdk-17-jre-headless) "
            "or set JAVA_HOME."
        )


@contextlib.contextmanager
def _told(folder: TableFolder) -> Iterator[None]:
    """Spark's faults in a line; its own are of hundreds."""
    from pyspark.errors import PySparkException

    try:
        yield
    except LendwellError:
        raise
    except _failures(PySparkException) as fault:
        raise SourceError(
            f"Spark could not compute the features of {folder.path} ({_first_line(fault)}); run `lendwell validate`, "
            "and see docs/spark.md for what a cluster must reach."
        ) from fault
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(f"The tables in {folder.path} cannot be read, or features not written ({fault}).") from fault


def _failures(own: type[Exception]) -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JError

    return (own, Py4JError, ConnectionError)


def _first_line(fault: BaseException) -> str:
    lines = (line.strip(": ") for line in str(fault).splitlines() if not line.startswith("An error occurred while"))
    return next(filter(None, lines), type(fault).__name__)[:300]


@contextlib.contextmanager
def _as_pandas_is() -> Iterator[None]:
    """PySpark 4.3 warns of pandas 3 when it is imported; no frame of pandas is made here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
