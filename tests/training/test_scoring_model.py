"""A registered version is a model of MLflow's own: it scores as the bundle does, and a changed byte is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from data_contracts.errors import BundleError
from data_contracts.folder import file_sha256
from data_contracts.messages import parse_request
from serving.client import requests_from_tables
from tests.command_line import ENVIRONMENT
from tests.training.conftest import TINY, Tiny
from training import run
from training.bundle import Bundle
from training.experiment import Experiment
from training.manifest import MANIFEST
from training.registry import Registry
from training.scoring_model import EXAMPLE, REQUEST


@dataclass(frozen=True)
class Logged:
    """A registry with a bundle that reads features and one that reads events."""

    registry: Registry
    flat: Bundle
    events: Bundle
    rows: run.Rows
    requests: list[str]


@pytest.fixture(scope="module")
def logged(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    home = tmp_path_factory.mktemp("logged")
    bundles = {}
    for name, parts in {"flat": ["boosted"], "events": ["sequence_net"]}.items():
        experiment = Experiment.model_validate({**TINY, "name": name, "parts": parts})
        bundles[name] = run.train(experiment, tiny.folder, tiny.rows).save(home / name)
    registry = Registry(f"sqlite:///{home}/mlflow.db", home / "artifacts")
    for name, bundle in bundles.items():
        tags = {"bundle_identity": bundle.identity}
        registry.register(name, registry.log_run(name, params={}, metrics={}, tags=tags, bundle=home / name))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registry.tracking_uri)
    asked = requests_from_tables(tiny.folder, tiny.rows.features.index[:3].tolist())
    requests = [request.model_dump_json(exclude_none=True) for request in asked]
    yield Logged(registry, bundles["flat"], bundles["events"], tiny.rows, requests)
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("name", ["flat", "events"])
def test_raw_requests_score_as_batch_does(logged: Logged, name: str) -> None:
    bundle: Bundle = getattr(logged, name)
    rows = pd.DataFrame({REQUEST: logged.requests}, index=["a", "b", "c"])
    scored = mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(rows)
    events = logged.rows.events.take(np.arange(3))
    log_odds = bundle.model.decision_function(logged.rows.features.iloc[:3], events)
    assert scored.index.tolist() == ["a", "b", "c"]
    assert scored["log_odds"].to_numpy() == pytest.approx(log_odds, abs=1e-6)
    assert scored["pd"].to_numpy() == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-6)
    assert scored["score"].to_numpy() == pytest.approx(bundle.scale.points(log_odds), abs=1e-4)


def test_features_score_too_where_no_events_are_read(logged: Logged) -> None:
    model = mlflow.pyfunc.load_model("models:/flat/1")
    features = logged.rows.features
    scored = model.predict(features[features.columns[::-1]].assign(other="x"))
    np.testing.assert_array_equal(scored["log_odds"], logged.flat.model.decision_function(features))
    with pytest.raises(MlflowException, match=r"2 features of application_v1 are lacking, such as .*column 'request'"):
        model.predict(features.drop(columns=features.columns[:2]))
    with pytest.raises(MlflowException, match="request"):
        mlflow.pyfunc.load_model("models:/events/1").predict(features)


def test_a_request_that_breaks_its_contract_is_named_by_its_row(logged: Logged) -> None:
    model = mlflow.pyfunc.load_model("models:/events/1")
    broken = json.dumps({**EXAMPLE, "inquiries": [{"inquiry_id": "i1"}]})
    with pytest.raises(MlflowException, match=r"Row 1: .*inquiries\[0\]\.occurred_at: is missing"):
        model.predict(pd.DataFrame({REQUEST: [json.dumps(EXAMPLE), broken]}))
    assert model.predict(pd.DataFrame({REQUEST: pd.Series([], dtype=str)})).empty


def test_the_example_is_a_request_and_the_model_holds_no_pickle(logged: Logged) -> None:
    parse_request(json.dumps(EXAMPLE))
    model = mlflow.pyfunc.load_model("models:/flat/1")
    assert model.predict(model.input_example)["pd"].between(0, 1).all()
    files = [path for path in logged.registry.artifacts.rglob("*") if path.is_file()]
    assert {path.suffix for path in files if "artifacts/artifacts" in str(path)} <= {".json", ".ubj", ".safetensors"}
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".bin")]


def test_mlflow_s_own_command_scores(logged: Logged, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"dataframe_records": [{REQUEST: logged.requests[0]}]}))
    command = [
        sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/events@champion",
        "--env-manager", "local", "-i", str(tmp_path / "rows.json"), "-o", str(tmp_path / "scores.json"),
    ]  # fmt: skip
    environment = {**ENVIRONMENT, "MLFLOW_TRACKING_URI": logged.registry.tracking_uri}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads((tmp_path / "scores.json").read_text())["predictions"]
    alone = mlflow.pyfunc.load_model("models:/events/1").predict(pd.DataFrame({REQUEST: logged.requests[:1]}))
    assert told == pytest.approx(alone.iloc[0].to_dict())


@pytest.mark.parametrize("resigned", [False, True])
def test_a_changed_byte_is_refused(logged: Logged, tmp_path: Path, resigned: bool) -> None:
    copy = Path(mlflow.artifacts.download_artifacts("models:/flat/1", dst_path=str(tmp_path)))
    bundle = copy / "artifacts" / "bundle"
    facts = bundle / "facts.json"
    facts.write_text(facts.read_text() + " ")
    if resigned:
        manifest = json.loads((bundle / MANIFEST).read_text())
        manifest["files"]["facts.json"] = file_sha256(facts)
        (bundle / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="was changed"):
        mlflow.pyfunc.load_model(os.fspath(copy))
