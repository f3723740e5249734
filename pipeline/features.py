"""Steps over the features: computed, explained, audited, catalogued."""

from __future__ import annotations

import json
from pathlib import Path

from data_contracts.errors import SourceError
from records import Facts, Progress
from workspace import opened, require_file, with_columns, with_contracts, write_whole


def write_features(
    data: Path, feature_set_name: str, out: str, *, engine: str = "duckdb", progress: Progress | None = None
) -> Facts:
    """Compute a feature set for every application and write it: as a Parquet file, or by Spark as a folder of them."""
    from features import batch, spark
    from features.sets import feature_set

    declared = feature_set(feature_set_name)
    if engine == "spark":
        place = out if "://" in out else Path(out)
        return spark.write(with_columns(opened(data)), declared, place, progress=progress)
    if engine != "duckdb":
        raise SourceError(f"There is no engine {engine!r}; --engine takes duckdb or spark.")
    file = Path(out)
    require_file(file)
    matrix = batch.compute(with_contracts(opened(data)), declared, progress=progress)
    write_whole(file, lambda path: matrix.reset_index().to_parquet(path, index=False))
    return {"file": str(file), "rows": len(matrix), "features": len(declared.names), "identity": declared.identity}


def explain_features(data: Path, feature_set_name: str) -> dict[str, str]:
    """SQL by which DuckDB computes a feature set: by source, and what puts the sources together."""
    from features import batch
    from features.sets import feature_set

    return batch.explain(opened(data), feature_set(feature_set_name))


def audit_features(
    data: Path,
    feature_set_name: str,
    *,
    sample: int = 500,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Compute a sample of applications with and without what was learned after `as_of`; tells what differs."""
    from features.audit import audit
    from features.sets import feature_set

    if out is not None:
        require_file(out)
    declared = feature_set(feature_set_name)
    found = audit(with_columns(opened(data)), declared, sample=sample, seed=seed, progress=progress).to_dict()
    facts = {"feature_set": declared.name, "identity": declared.identity, **found}
    if not found["records_removed"]:
        facts["warning"] = (
            "No record became known after its application's as_of, so there was no future to remove: "
            "a larger --sample may hold some, or the tables hold none."
        )
    if out is not None:
        written = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        write_whole(out, lambda path: path.write_text(written, encoding="utf-8"))
    return facts


def write_catalogue(feature_set_name: str, out: Path) -> Facts:
    """Write the searchable catalogue of a feature set as HTML."""
    from features.catalogue import catalogue_html
    from features.sets import feature_set

    declared = feature_set(feature_set_name)
    require_file(out)
    page = catalogue_html(declared)
    write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
    return {"file": str(out), "features": len(declared.names), "identity": declared.identity}
