"""A bundle as MLflow's own tools score with it: this file is the code of the logged model, run where it is loaded.

MLflow keeps a copy of it beside the bundle (models from code) and no pickle. What goes in, one row an applicant:

* a column `request`: the JSON of a score request, raw records as the score endpoint takes them; or,
* where the bundle has no sequence net, a column per feature of its feature set, NaN where missing.

What comes out: `pd`, `score` (points, higher is safer) and `log_odds` of each row.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema
from scipy.special import expit

from data_contracts.errors import BundleError, RequestError
from data_contracts.folder import file_sha256
from data_contracts.messages import EXAMPLE, ScoreRequest, read_request
from features.requests import of_requests
from features.sets import feature_set
from training.bundle import Bundle
from training.manifest import MANIFEST, verify

REQUEST = "request"
OUTPUTS = ("pd", "score", "log_odds")


class ScoringModel(PythonModel):
    """MLflow's Python model over a bundle, whose every byte is checked when it is loaded."""

    bundle: Bundle

    def load_context(self, context: Any) -> None:
        """Load and check the bundle beside this code; `BundleError` where it is not the one that was logged."""
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]))
        wanted = context.model_config["bundle_identity"]
        if self.bundle.identity != wanted:
            raise BundleError(
                f"The bundle {self.bundle.name} was changed: its identity is {self.bundle.identity[:12]}, the model "
                f"was logged with {wanted[:12]}. Restore it, or train anew."
            )

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score rows of raw requests or of features.

        Returns
        -------
        DataFrame, shape (n, 3)
            `pd`, `score`, `log_odds`, with the index of the input.

        Raises
        ------
        MlflowException
            A request breaks its contract (the message names row and field), or features are lacking; MLflow's server
            answers with 400 and the message.
        """
        try:
            return scored(self.bundle, model_input)
        except RequestError as fault:
            raise MlflowException.invalid_parameter_value(str(fault)) from fault


def scored(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """PD, points and log-odds of rows that hold requests or features."""
    if REQUEST in rows.columns and rows[REQUEST].notna().all():
        requests = [_read(place, text) for place, text in rows[REQUEST].items()]
        features, events = of_requests(requests, bundle.feature_set, bundle.sequence_length)
    else:
        features, events = _from_features(bundle, rows), None
    if not len(features):
        return pd.DataFrame(columns=list(OUTPUTS), index=rows.index, dtype="float64")
    log_odds = bundle.model.decision_function(features, events)
    found = (expit(log_odds), bundle.scale.points(log_odds), log_odds)
    return pd.DataFrame(dict(zip(OUTPUTS, found, strict=True)), index=rows.index)


def _read(place: Any, text: Any) -> ScoreRequest:
    try:
        return read_request(text if isinstance(text, str | bytes) else json.dumps(text))
    except RequestError as fault:
        raise RequestError(f"Row {place}: {fault}") from None


def _from_features(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """The bundle's features in its order; a bundle with a sequence net needs raw records instead."""
    names = list(bundle.feature_set.names)
    if bundle.background_sequences is not None:
        raise RequestError(
            f"The bundle {bundle.name} also reads raw events: give each row's score request as JSON in the column "
            f"{REQUEST!r}, without gaps."
        )
    lacking = [name for name in names if name not in rows.columns]
    if lacking:
        raise RequestError(
            f"{len(lacking)} features of {bundle.feature_set.name} are lacking, such as {', '.join(lacking[:5])}: give "
            f"a column each, NaN where missing, or each row's score request as JSON in the column {REQUEST!r}, without "
            "gaps."
        )
    return rows[names].astype("float64")


def save(bundle: Path, into: Path, declared: Model) -> None:
    """Write the folder that MLflow loads: `MLmodel`, this file, and the bundle with every byte as it is.

    Parameters
    ----------
    bundle : Path
        Folder of a saved bundle.
    into : Path
        New folder.
    declared : mlflow.models.Model
        Run and identity of the model.
    """
    manifest = verify(bundle)
    inputs: list[Any] = [ColSpec(DataType.string, REQUEST)]
    if not any(name.startswith("background_sequences") for name in manifest["files"]):
        inputs = [
            ColSpec(DataType.string, REQUEST, required=False),
            *(
                ColSpec(DataType.double, name, required=False)
                for name in feature_set(manifest["feature_set"]["name"]).names
            ),
        ]
    outputs: list[Any] = [ColSpec(DataType.double, name) for name in OUTPUTS]
    with tempfile.TemporaryDirectory() as draft:
        shutil.copytree(bundle, Path(draft) / "bundle")  # MLflow names an artifact after its folder
        mlflow.pyfunc.save_model(
            into,
            python_model=Path(__file__),
            artifacts={"bundle": str(Path(draft) / "bundle")},
            model_config={"bundle_identity": file_sha256(bundle / MANIFEST)},
            signature=ModelSignature(Schema(inputs), Schema(outputs)),
            input_example=pd.DataFrame({REQUEST: [json.dumps(EXAMPLE)]}),
            # Without it, MLflow loads the model once more, in a process of its own, to see what it imports.
            pip_requirements=[f"lendwell=={importlib.metadata.version('lendwell')}"],
            mlflow_model=declared,
        )


mlflow.models.set_model(ScoringModel())
