"""What the model does when a source falls silent: the same applicants scored again without its records."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.folder import Batch, TableFolder
from data_contracts.quality.coverage import PROVIDERS
from data_contracts.tables import TABLES
from evaluation.metrics import Metric, auc, auc_difference, checked_pd
from features import batch, sequences
from features.algebra import Aggregate, Feature, FeatureSet
from features.catalogue import catalogue_rows
from features.checks import with_references
from training.bundle import Bundle
from training.run import Rows

_ROUNDING = 1e-6  # nets work in single precision


@dataclass(frozen=True)
class Silence:
    """How PDs and decisions move from those with a source to those without it, on the same applicants.

    Parameters
    ----------
    auc, auc_change : Metric
        Without the source, and how far that is from the AUC with it.
    mean_pd, mean_pd_change : float
        Without the source, and how far that is from the mean PD with it.
    affected : float
        Share of applicants whose PD changes at all.
    cutoff : float
        The bad rate: whose PD is above it is refused.
    newly_refused, newly_approved : float
        Share of applicants whose decision changes to either side.
    """

    auc: Metric
    auc_change: Metric
    mean_pd: float
    mean_pd_change: float
    affected: float
    cutoff: float
    newly_refused: float
    newly_approved: float

    @property
    def decisions_changed(self) -> float:
        """Share of applicants whose decision changes."""
        return self.newly_refused + self.newly_approved


@dataclass(frozen=True)
class WithoutSource:
    """What the model does without a provider's records.

    Parameters
    ----------
    provider : str
        Whose records nobody has.
    tables : tuple of str
        Those of its tables that the model looks at.
    features : int
        How many features become missing.
    silence : Silence
    """

    provider: str
    tables: tuple[str, ...]
    features: int
    silence: Silence

    def figures(self) -> dict[str, float]:
        """Plain numbers by name: `auc_without_bureau`, `auc_without_bureau_low`, ..."""
        it = self.silence
        found = {
            f"auc_without_{self.provider}": it.auc.value,
            f"auc_without_{self.provider}_low": it.auc.low,
            f"auc_without_{self.provider}_high": it.auc.high,
            f"mean_pd_change_without_{self.provider}": it.mean_pd_change,
            f"decisions_changed_without_{self.provider}": it.decisions_changed,
        }
        return {name: float(value) for name, value in found.items() if value is not None}


def without_sources(
    bundle: Bundle, folder: TableFolder, rows: Rows, at: npt.NDArray[np.int64], given: npt.ArrayLike
) -> list[WithoutSource]:
    """Score rows again with each provider's records left out, one provider at a time.

    Parameters
    ----------
    bundle : Bundle
        The model.
    folder : TableFolder
        The tables that `rows` were computed from.
    rows : Rows
        Labelled applications of the folder.
    at : ndarray of int64, shape (n,)
        Which of them to score.
    given : array, shape (n,)
        Their PDs with all that is there.

    Returns
    -------
    list of WithoutSource
        One for each provider that the lender has and the model looks at.

    Notes
    -----
    Features become what they are where the lender lacks the tables. Sequences are made anew, so that older events of
    other sources move up into the places of those left out.
    """
    reads = {row["name"]: set(row["tables"]) for row in catalogue_rows(bundle.feature_set)}
    heard = set(sequences.SOURCES) if "sequence_net" in bundle.model.parts_ else set()
    looked_at = heard.union(*reads.values()) & set(folder.tables)
    features, length = rows.features.iloc[at], rows.events.source.shape[1]
    order = features.index.sort_values().get_indexer(features.index)
    found = []
    with tempfile.TemporaryDirectory() as place:
        scored = folder_of(folder, features.index, Path(place))
        for provider in PROVIDERS:
            tables = {name for name in looked_at if TABLES[name].use.provider == provider}
            if not tables:
                continue
            left, events = folder_without(scored, tables), rows.events.take(at)
            if heard & tables:
                events = sequences.from_folder(left, length).take(order)
            touched = [feature for feature in bundle.feature_set.features if reads[feature.name] & tables]
            changed = _without(features, left, touched, bundle.feature_set)
            silent = [name for name, column in changed.items() if (column.isna() & features[name].notna()).any()]
            pd = bundle.model.predict_proba(features.assign(**changed), events)[:, 1]
            seed = int(bundle.facts["experiment"]["seed"])
            silence = compare(rows.defaulted[at], given, pd, seed=seed)
            found.append(WithoutSource(provider, tuple(sorted(tables)), len(silent), silence))
    return found


def _without(
    features: pandas.DataFrame, left: TableFolder, touched: Collection[Feature], feature_set: FeatureSet
) -> dict[str, pandas.Series]:
    """Features without their source: aggregates are missing, but expressions may do with what is left."""
    changed = {feature.name: pandas.Series(np.nan, features.index) for feature in touched}
    mixed = [feature.name for feature in touched if not isinstance(feature.value, Aggregate)]
    if mixed:
        asked = FeatureSet("left", 1, with_references(feature_set.features, mixed))
        matrix = batch.compute(left, asked).reindex(features.index)
        changed |= {name: matrix[name] for name in mixed}
    return changed


def compare(y: npt.ArrayLike, given: npt.ArrayLike, pd: npt.ArrayLike, *, seed: int = 0) -> Silence:
    """Compare PDs without a source (`pd`) with those that had it (`given`), all of shape (n,) with n > 0.

    Examples
    --------
    >>> found = compare([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], [0.1, 0.3, 0.3, 0.7])
    >>> found.cutoff, found.newly_approved, found.newly_refused, found.affected
    (0.5, 0.25, 0.0, 0.75)
    """
    label, before = checked_pd(y, given)
    _, after = checked_pd(y, pd)
    cutoff = float(label.mean())
    return Silence(
        auc=auc(label, after),
        auc_change=auc_difference(label, after, before, seed=seed),
        mean_pd=float(after.mean()),
        mean_pd_change=float(after.mean() - before.mean()),
        affected=float(np.mean(np.abs(after - before) > _ROUNDING)),
        cutoff=cutoff,
        newly_refused=float(np.mean((after > cutoff) & (before <= cutoff))),
        newly_approved=float(np.mean((after <= cutoff) & (before > cutoff))),
    )


def folder_of(folder: TableFolder, applications: pandas.Index, place: Path) -> TableFolder:
    """The folder with these applications alone, kept in `place`: histories of a few need not wait for those of all."""
    rows = folder.read_arrow("applications")
    rows = rows.filter(pc.is_in(rows["application_id"], pa.array(applications.to_numpy(), pa.string())))
    pq.write_table(rows, place / "applications.parquet")
    written = {"batch": "", "files": {"applications": {"applications.parquet": ""}}, "rows": {}}
    return replace(folder, batches=(*folder_without(folder, {"applications"}).batches, Batch(place, written)))


def folder_without(folder: TableFolder, tables: Collection[str]) -> TableFolder:
    """Return the folder as if the lender had never had these tables; nothing on disk changes."""
    batches = []
    for of in folder.batches:
        kept = {name: files for name, files in of.facts["files"].items() if name not in tables}
        batches.append(Batch(of.path, {**of.facts, "files": kept}))
    return replace(folder, batches=tuple(batches))
