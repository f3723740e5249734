"""Bundles: no byte of one can change unseen, and what was saved scores the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import BundleError
from training.bundle import Bundle, ScoreScale
from training.manifest import verify


@pytest.fixture
def copy(tiny, tmp_path: Path) -> Path:
    """A copy of the bundle, the test's own to damage."""
    shutil.copytree(tiny.path, tmp_path / "bundle")
    return tmp_path / "bundle"


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_saved_scores_the_same(tiny):
    loaded = Bundle.load(tiny.path)
    assert loaded.identity == tiny.bundle.identity
    assert (loaded.name, loaded.decision_point, loaded.scale) == ("tiny", "application", ScoreScale(600.0, 20.0, 40.0))
    assert loaded.feature_set.identity == tiny.bundle.feature_set.identity
    assert loaded.reference == tiny.bundle.reference
    np.testing.assert_array_equal(loaded.reference_rows.features, tiny.bundle.reference_rows.features)
    np.testing.assert_array_equal(loaded.reference_rows.log_odds, tiny.bundle.reference_rows.log_odds)
    pd.testing.assert_frame_equal(loaded.reference_rows.requests, tiny.bundle.reference_rows.requests)
    assert loaded.facts == json.loads(json.dumps(tiny.bundle.facts))
    at = tiny.rows.sample.test
    features, events = tiny.rows.features.iloc[at], tiny.rows.events.take(at)
    np.testing.assert_array_equal(
        loaded.model.decision_function(features, events), tiny.bundle.model.decision_function(features, events)
    )
    np.testing.assert_array_equal(loaded.background_features, tiny.bundle.background_features)
    if tiny.bundle.background_sequences is not None:
        np.testing.assert_array_equal(loaded.background_sequences.values, tiny.bundle.background_sequences.values)


def test_saved_twice_it_is_the_same_bytes(tiny, tmp_path):
    again = tiny.bundle.save(tmp_path / "again")
    reloaded = Bundle.load(tiny.path).save(tmp_path / "reloaded")
    assert again.identity == reloaded.identity == tiny.bundle.identity
    for folder in (tmp_path / "again", tmp_path / "reloaded"):
        files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert files == {
            path.relative_to(tiny.path): path.read_bytes() for path in tiny.path.rglob("*") if path.is_file()
        }


def test_it_holds_no_pickle(tiny):
    endings = {path.suffix for path in tiny.path.rglob("*") if path.is_file()}
    assert endings <= {".json", ".ubj", ".safetensors"}


def test_it_is_written_into_an_empty_folder_only(tiny, tmp_path):
    (tmp_path / "precious").write_text("keep me")
    with pytest.raises(BundleError, match="is not empty"):
        tiny.bundle.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_one_byte_changed_in_any_file(copy):
    for path in sorted(copy.rglob("*")):
        if not path.is_file() or path.name == "manifest.json":
            continue
        original = path.read_bytes()
        changed = bytearray(original)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        name = path.relative_to(copy).as_posix()
        with pytest.raises(BundleError, match=rf"bundle tiny was changed: {name} does not have the SHA-256"):
            Bundle.load(copy)
        path.write_bytes(original)
    assert verify(copy)["name"] == "tiny"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda folder: (folder / "reference.json").unlink(), "bundle tiny lacks reference.json"),
        (
            lambda folder: (folder / "model" / "extra.py").write_text("1"),
            "holds model/extra.py, which its manifest does",
        ),
        (lambda folder: (folder / "manifest.json").unlink(), "is no bundle: it has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff"), "manifest.json cannot be read"),
        (lambda folder: edit_manifest(folder, lambda manifest: manifest.pop("feature_set")), "cannot be read"),
        (
            lambda folder: edit_manifest(folder, lambda manifest: manifest.update(format=2)),
            "bundle tiny has format 2; this version of Lendwell reads 3",
        ),
        (
            lambda folder: edit_manifest(folder, lambda manifest: manifest["feature_set"].update(identity="0" * 64)),
            r"tiny was trained on feature set application_v1 with identity 000000000000, here it is .*train anew",
        ),
    ],
)
def test_a_bundle_that_is_not_whole(copy, fault, told):
    fault(copy)
    with pytest.raises(BundleError, match=told):
        Bundle.load(copy)


def test_a_bundle_that_is_not_there(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        Bundle.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("odds", "points"),
    [(20.0, 600.0), (40.0, 640.0), (10.0, 560.0), (80.0, 680.0)],  # `pdo` more points double the odds of good to bad
)
def test_points_double_the_odds(odds, points):
    assert ScoreScale(600.0, 20.0, 40.0).points(-np.log(odds)) == pytest.approx(points)


def test_points_of_many_fall_as_the_risk_rises():
    points = ScoreScale(500.0, 1.0, 20.0).points(np.array([-1.0, 0.0, 1.0]))
    assert points[1] == 500.0
    assert (np.diff(points) < 0).all()
