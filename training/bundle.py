"""A bundle: everything that scores, in a folder without pickle, each file with its SHA-256 in `manifest.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from data_contracts.errors import BundleError
from data_contracts.folder import file_sha256
from features.algebra import FeatureSet
from features.sequences import KINDS, SOURCES, EventSequences
from features.sets import feature_set
from training.boosted import BoostedClassifier
from training.experiment import Scale
from training.hybrid import HybridClassifier
from training.manifest import FORMAT, MANIFEST, bundle_files, verify
from training.reference import Reference
from training.reference_rows import ReferenceRows
from training.tree_attribution import TreeAttribution

_TREES = "trees.safetensors"


@dataclass(frozen=True)
class ScoreScale:
    """Points from log-odds of default: higher is safer, `pdo` points double the odds.

    Examples
    --------
    >>> float(round(ScoreScale(points_at=600.0, odds=20.0, pdo=40.0).points(-np.log(40.0)), 6))
    640.0
    """

    points_at: float
    odds: float
    pdo: float

    def points(self, log_odds: Any) -> Any:
        """Score points of log-odds of default, a number or an array."""
        return self.points_at - (log_odds + np.log(self.odds)) * self.pdo / np.log(2.0)

    @classmethod
    def of(cls, scale: Scale) -> ScoreScale:
        """As an experiment declares it."""
        return cls(scale.points, scale.odds, scale.pdo)


@dataclass(frozen=True)
class Bundle:
    """All that scores, as trained and as loaded.

    Parameters
    ----------
    name, decision_point : str
        Registered model; moment of the loan's life.
    feature_set : FeatureSet
        What the model was trained on; on loading, its identity must be the same.
    model : HybridClassifier
        The fitted hybrid with its calibrator.
    reference : Reference
        Distributions of features and log-odds over the training rows, for drift.
    background_features, background_sequences
        Rows against which a score is explained.
    trees : TreeAttribution or None
        What explains the boosted part against them, where the model has one; computed on saving where it is not given.
    scale : ScoreScale
        Points of the score.
    facts : dict
        Where it comes from: experiment, target, split, seeds, hashes of data; JSON values only.
    identity : str
        SHA-256 of the manifest; empty before it is saved.
    reference_rows : ReferenceRows or None
        A sample of rows that were not learnt from, for what monitoring cannot tell from distributions.
    """

    name: str
    decision_point: str
    feature_set: FeatureSet
    model: HybridClassifier
    reference: Reference
    background_features: pd.DataFrame
    background_sequences: EventSequences | None
    scale: ScoreScale
    facts: dict[str, Any] = field(default_factory=dict)
    identity: str = ""
    trees: TreeAttribution | None = None
    reference_rows: ReferenceRows | None = None

    @property
    def sequence_length(self) -> int | None:
        """How many of an applicant's last events the model reads; None where it reads none."""
        return None if self.background_sequences is None else self.background_sequences.source.shape[1]

    def save(self, folder: Path) -> Bundle:
        """Write the bundle into an empty folder and return it with its identity."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BundleError(f"{folder} is not empty; a bundle is written into a folder of its own.")
        (folder / "model").mkdir()
        self.model.save(folder / "model")
        (folder / "reference.json").write_text(self.reference.to_json(), encoding="utf-8")
        save_file({"features": self.background_features.to_numpy("float64").copy()}, folder / "background.safetensors")
        if self.background_sequences is not None:
            rows = self.background_sequences
            arrays = {"source": rows.source, "kind": rows.kind, "values": rows.values}
            contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(contiguous, folder / "background_sequences.safetensors")
        if self.reference_rows is not None:
            self.reference_rows.save(folder)
        boosted, trees = self.model.parts_.get("boosted"), self.trees
        if isinstance(boosted, BoostedClassifier):
            trees = trees or TreeAttribution.of(boosted, self.background_features)
            trees.save(folder / _TREES)
        _write_json(folder / "facts.json", {"scale": asdict(self.scale), **self.facts})
        manifest = {
            "format": FORMAT,
            "name": self.name,
            "decision_point": self.decision_point,
            "feature_set": {"name": self.feature_set.name, "identity": self.feature_set.identity},
            "files": {name: file_sha256(folder / name) for name in bundle_files(folder)},
        }
        _write_json(folder / MANIFEST, manifest)
        return replace(self, identity=file_sha256(folder / MANIFEST), trees=trees)

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """Load a bundle after checking every byte of it.

        Raises
        ------
        BundleError
            Where a file is missing, changed or not in the manifest, the format is unknown, or this version of Lendwell
            declares the feature set differently.
        """
        manifest = verify(folder)
        wanted = manifest["feature_set"]
        declared = feature_set(wanted["name"])
        if declared.identity != wanted["identity"]:
            raise BundleError(
                f"The bundle {manifest['name']} was trained on feature set {wanted['name']} with identity "
                f"{wanted['identity'][:12]}, here it is {declared.identity[:12]}: the declarations differ. Use the "
                "version of Lendwell that trained it, or train anew."
            )
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        background = load_file(folder / "background.safetensors")["features"]
        sequences = folder / "background_sequences.safetensors"
        arrays = load_file(sequences) if sequences.is_file() else None
        return cls(
            name=manifest["name"],
            decision_point=manifest["decision_point"],
            feature_set=declared,
            model=HybridClassifier.load(folder / "model"),
            reference=Reference.from_json((folder / "reference.json").read_text(encoding="utf-8")),
            background_features=pd.DataFrame(background, columns=list(declared.names)),
            background_sequences=None if arrays is None else EventSequences(**arrays, sources=SOURCES, kinds=KINDS),
            scale=ScoreScale(**facts.pop("scale")),
            facts=facts,
            identity=file_sha256(folder / MANIFEST),
            trees=TreeAttribution.load(folder / _TREES) if (folder / _TREES).is_file() else None,
            reference_rows=ReferenceRows.load(folder, declared.names),
        )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
