"""Runs and the model registry in MLflow: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import BundleError, RegistryError
from data_contracts.folder import file_sha256
from training.manifest import MANIFEST, verify
from training.store import MOST_TEXT, probe, reported, with_driver
from training.workers import is_gone, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from training.bundle import Bundle

CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE = "bundle"
_RETIRED = "retired"
_MARK = "model_register."
_METRICS_AT_ONCE = 1000
_PARAMS_AT_ONCE = 100
_WORKER = "worker"


@dataclass(frozen=True)
class Registered:
    """A version in the registry: its name, number, aliases, the run it came from, and why it was retired if it was."""

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str | None
    retired: str = ""

    @property
    def label(self) -> str:
        """`name/version`, as it is given on the command line."""
        return f"{self.name}/{self.version}"

    def require_in_use(self) -> Registered:
        """Return the version itself; `RegistryError` where it was retired: it answers nobody any more."""
        if self.retired:
            raise RegistryError(f"{self.label} was retired: {self.retired}. Name another version, or train anew.")
        return self


class Registry:
    """MLflow's tracking and registry behind one URL.

    Parameters
    ----------
    tracking_uri : str
        `sqlite:///FILE`, `postgresql://...` or the address of an MLflow server.
    artifacts : Path
        Folder for the artifacts of new experiments.

    Raises
    ------
    RegistryError
        Where the store cannot be reached.
    """

    def __init__(self, tracking_uri: str, artifacts: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self.tracking_uri = with_driver(tracking_uri)
        self.artifacts = artifacts
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        with reported(tracking_uri):
            probe(self.tracking_uri)
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            logging.getLogger("alembic").setLevel(logging.WARNING)
            from mlflow import MlflowClient

            self.client: MlflowClient = MlflowClient(self.tracking_uri, self.tracking_uri)
            self.client.search_registered_models(max_results=1)

    def log_run(
        self,
        experiment: str,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        bundle: Path,
        artifacts: Mapping[str, Path] | None = None,
        curves: Mapping[str, Mapping[int, float]] | None = None,
    ) -> str:
        """Log one finished run with its bundle, which MLflow can score with, and its files.

        Parameters
        ----------
        experiment : str
            Name of MLflow's experiment, made where there is none.
        params, metrics, tags : mapping
            Plain values by name.
        bundle : Path
            Folder of a saved bundle; logged as the model `bundle` of the run, see `training.scoring_model`.
        artifacts : mapping of str to Path
            Files, or folders with all they hold, by the folder of the run that they go to.
        curves : mapping of str to mapping of int to float
            Metrics that have a value a step, such as a fold or a round.

        Returns
        -------
        str
            Id of the run. A run that breaks off is marked as failed, and so is its model.
        """
        from mlflow.entities import Metric, Param, RunTag

        # One moment for all: MLflow shows the values of a metric by their step.
        points = [Metric(name, float(value), 0, 0) for name, value in metrics.items()]
        for name, values in (curves or {}).items():
            points += [Metric(name, float(value), 0, step) for step, value in values.items()]
        told = [Param(name, str(value)[:MOST_TEXT]) for name, value in params.items()]
        marks = [RunTag(name, value) for name, value in tags.items()]
        with reported(self.tracking_uri):
            worker = {_WORKER: this_process()}
            run = self.client.create_run(self._experiment(experiment), tags=worker, run_name=experiment)
            run_id: str = run.info.run_id
            with self._broken_off_as_failed(run_id):
                for some in _pieces(points, _METRICS_AT_ONCE):
                    self.client.log_batch(run_id, metrics=some)
                for some in _pieces(told, _PARAMS_AT_ONCE):
                    self.client.log_batch(run_id, params=some)
                self.client.log_batch(run_id, tags=marks)
                for place, path in (artifacts or {}).items():
                    if path.is_dir():
                        self.client.log_artifacts(run_id, str(path), place)
                    else:
                        self.client.log_artifact(run_id, str(path), place)
                self._log_model(run, bundle, tags)
            self.client.set_terminated(run_id, "FINISHED")
        return run_id

    def end_what_was_left(self, experiment: str) -> list[str]:
        """Mark the runs of an experiment, and their models, as failed whose process on this machine was killed.

        Returns
        -------
        list of str
            Ids of those runs. Runs of other machines go on, as nobody here can tell whether they do.
        """
        with reported(self.tracking_uri):
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                return []
            running = self.client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")
            left = [run.info.run_id for run in running if is_gone(run.data.tags.get(_WORKER))]
            for run_id in left:
                for model in self.client.search_logged_models([found.experiment_id], f"source_run_id = '{run_id}'"):
                    if str(model.status) == "PENDING":
                        self.client.finalize_logged_model(model.model_id, "FAILED")
                self.client.set_terminated(run_id, "FAILED")
        return left

    def register(self, name: str, run_id: str) -> Registered:
        """Register the bundle of a finished run. The first of its name becomes champion, a later one challenger."""
        with reported(self.tracking_uri):
            run = self.client.get_run(run_id)
            models = [] if run.outputs is None else run.outputs.model_outputs
            if run.info.status != "FINISHED" or not models:
                raise RegistryError(f"Run {run_id} is {run.info.status} and has no whole bundle. Train anew.")
            logged = self.client.get_logged_model(models[0].model_id)
            if not self.client.search_registered_models(f"name = '{name}'"):
                self.client.create_registered_model(name)
            first = not self._versions(name)
            # Not `models:/ID`: MLflow would look that up in the store of the whole process, which may be another.
            place = str(logged.artifact_location)
            version = self.client.create_model_version(name, place, run_id, model_id=logged.model_id)
            self.client.set_registered_model_alias(name, CHAMPION if first else CHALLENGER, version.version)
        return self.find(f"{name}/{version.version}")

    def find(self, model: str) -> Registered:
        """Find `NAME` (its champion), `NAME@ALIAS` or `NAME/VERSION`.

        Raises
        ------
        RegistryError
            Where there is none; the message says what there is.
        """
        name, _, alias = model.partition("@")
        name, _, version = name.partition("/")
        with reported(self.tracking_uri):
            self._require_model(name)
            version = version or self._alias(name, alias or CHAMPION) or ""
            if not version:
                raise RegistryError(
                    f"Model {name!r} has no {alias or CHAMPION}. Name one with `lendwell promote {name}/VERSION`; "
                    f"versions: {', '.join(self._versions(name)) or 'none'}."
                )
            if version not in self._versions(name):
                raise RegistryError(
                    f"Model {name!r} has no version {version}; versions: {', '.join(self._versions(name)) or 'none'}."
                )
            found = self.client.get_model_version(name, version)
            aliases = self.client.get_registered_model(name).aliases
        held = tuple(sorted(alias for alias, holder in aliases.items() if str(holder) == str(version)))
        return Registered(name, str(found.version), held, found.run_id, str(found.tags.get(_RETIRED, "")))

    def with_identity(self, identity: str) -> Registered:
        """Find the version whose bundle has this identity, retired or not; `RegistryError` where there is none."""
        with reported(self.tracking_uri):
            for found in self.client.search_model_versions():
                tags = self.client.get_run(found.run_id).data.tags if found.run_id else {}
                if tags.get("bundle_identity") == identity:
                    return self.find(f"{found.name}/{found.version}")
        raise RegistryError(
            f"The registry has no bundle {identity[:12]}. Name the registry that has it with --tracking-uri."
        )

    def aliases(self, name: str) -> dict[str, str]:
        """Versions of a model by their aliases, by one question to the registry."""
        with reported(self.tracking_uri):
            held = self.client.get_registered_model(name).aliases
        return {alias: str(version) for alias, version in held.items()}

    def versions(self, name: str) -> list[str]:
        """Numbers of a model's versions, the first one first; `RegistryError` where there is no such model."""
        with reported(self.tracking_uri):
            self._require_model(name)
            return self._versions(name)

    def identity(self, model: Registered) -> str:
        """Identity of a version's bundle, after checking every byte of it."""
        with tempfile.TemporaryDirectory() as folder:
            return file_sha256(self.download(model, Path(folder) / "bundle") / MANIFEST)

    def follow(self, name: str, champion: str | None, retired: Mapping[str, str]) -> None:
        """Make the registry say what the model register says: which version is champion, and which are retired and why.

        A champion is challenger no more; a retired version has no alias.
        """
        with reported(self.tracking_uri):
            held = {alias: str(version) for alias, version in self.client.get_registered_model(name).aliases.items()}
            wanted = {
                alias: version
                for alias, version in held.items()
                if version not in retired and alias != CHAMPION and (alias, version) != (CHALLENGER, champion)
            }
            if champion is not None:
                wanted[CHAMPION] = champion
                if held.get(CHAMPION) != champion:
                    self.client.set_registered_model_alias(name, CHAMPION, champion)
            for alias in sorted(held.keys() - wanted.keys()):
                self.client.delete_registered_model_alias(name, alias)
            for version, reason in retired.items():
                self.client.set_model_version_tag(name, version, _RETIRED, reason)

    def mark(self, name: str, position: int, sha256: str) -> None:
        """Keep the hash of an entry of the model register, by which its removal is found; the first one stays."""
        if position not in self.marks(name):  # a register that was begun anew must not pass for the old one
            with reported(self.tracking_uri):
                self.client.set_registered_model_tag(name, f"{_MARK}{position:06d}", sha256)

    def marks(self, name: str) -> dict[int, str]:
        """Hashes of entries of the model register by their position."""
        with reported(self.tracking_uri):
            tags = self.client.get_registered_model(name).tags
        return {int(key.removeprefix(_MARK)): str(value) for key, value in tags.items() if key.startswith(_MARK)}

    def run_tags(self, model: Registered) -> dict[str, str]:
        """Tags of the run that a version came from; none where it came from no run."""
        if model.run_id is None:
            return {}
        with reported(self.tracking_uri):
            return dict(self.client.get_run(model.run_id).data.tags)

    def run_metrics(self, model: Registered) -> dict[str, float]:
        """Latest metrics of the run that a version came from; none where it came from no run."""
        if model.run_id is None:
            return {}
        with reported(self.tracking_uri):
            return dict(self.client.get_run(model.run_id).data.metrics)

    def download(self, model: Registered, into: Path) -> Path:
        """Copy a version's bundle into a new folder and verify it."""
        with reported(self.tracking_uri):
            from mlflow.artifacts import download_artifacts
            from mlflow.exceptions import MlflowException

            source = self.client.get_model_version(model.name, model.version).source
            identity = self.client.get_run(model.run_id).data.tags.get("bundle_identity") if model.run_id else None
            try:
                found = Path(download_artifacts(artifact_uri=source, tracking_uri=self.tracking_uri))
                if (found / "MLmodel").is_file():  # otherwise a version of before models were logged: a bundle alone
                    found = found / "artifacts" / BUNDLE
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(found, into)
            except (OSError, ValueError, MlflowException) as fault:
                raise RegistryError(
                    f"The files of {model.label} cannot be had from {source} ({fault}). Restore them, or train anew."
                ) from fault
        try:
            verify(into)
            if identity and file_sha256(into / MANIFEST) != identity:
                raise BundleError(f"The bundle {model.name} was changed: {MANIFEST} is not the one that was trained.")
        except BundleError as fault:
            raise BundleError(
                f"{fault} It lies in {source}, as {model.label}; another version can be named instead."
            ) from fault
        return into

    def load(self, model: str) -> tuple[Bundle, Registered]:
        """Load `NAME`, `NAME@ALIAS` or `NAME/VERSION` as a verified bundle."""
        from training.bundle import Bundle

        chosen = self.find(model)
        with tempfile.TemporaryDirectory() as folder:
            return Bundle.load(self.download(chosen, Path(folder) / "bundle")), chosen

    def log_to_run(
        self,
        run_id: str,
        metrics: Mapping[str, float],
        artifacts: Mapping[str, Path],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add measured figures, files and tags to a run."""
        with reported(self.tracking_uri):
            for place, path in artifacts.items():
                self.client.log_artifact(run_id, str(path), place)
            for name, value in metrics.items():
                self.client.log_metric(run_id, name, float(value))
            for name, text in (tags or {}).items():
                self.client.set_tag(run_id, name, text)

    def read_from_run(self, run_id: str, path: str) -> bytes | None:
        """Bytes of a file of a run, such as `gate/verdict.json`; None where there is none."""
        with reported(self.tracking_uri), tempfile.TemporaryDirectory() as folder:
            from mlflow.exceptions import MlflowException

            try:
                return Path(self.client.download_artifacts(run_id, path, folder)).read_bytes()
            except (OSError, MlflowException):
                return None

    def _log_model(self, run: Run, bundle: Path, tags: Mapping[str, str]) -> None:
        """Log the bundle as a model that MLflow's own tools load; it is ready when all of it is there."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        from training.scoring_model import save

        run_id = run.info.run_id
        logged = self.client.create_logged_model(run.info.experiment_id, BUNDLE, run_id, dict(tags))
        try:
            with tempfile.TemporaryDirectory() as draft:
                declared = Model(run_id=run_id, model_id=logged.model_id, model_uuid=logged.model_id)
                save(bundle, Path(draft) / "model", declared)
                self.client.log_model_artifacts(logged.model_id, str(Path(draft) / "model"))
            self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        except BaseException:
            self.client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        self.client.finalize_logged_model(logged.model_id, "READY")

    @contextmanager
    def _broken_off_as_failed(self, run_id: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.client.set_terminated(run_id, "FAILED")
            raise

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            experiment_id: str = found.experiment_id
            return experiment_id
        place = self.artifacts.resolve() / name
        place.mkdir(parents=True, exist_ok=True)
        return str(self.client.create_experiment(name, artifact_location=place.as_uri()))

    def _require_model(self, name: str) -> None:
        if not self.client.search_registered_models(f"name = '{_safe(name)}'"):
            names = ", ".join(known.name for known in self.client.search_registered_models()) or "none"
            raise RegistryError(
                f"The registry has no model {name!r} (it has: {names}). Train one with `lendwell train`."
            )

    def _alias(self, name: str, alias: str) -> str | None:
        aliases = self.client.get_registered_model(name).aliases
        return str(aliases[alias]) if alias in aliases else None

    def _versions(self, name: str) -> list[str]:
        found = self.client.search_model_versions(f"name = '{_safe(name)}'")
        return sorted((str(version.version) for version in found), key=int)


def download_bundle(tracking_uri: str, name: str, alias_or_version: str, into: Path) -> Path:
    """Copy the bundle of `name` with that alias or version number into the new folder `into`, verified."""
    registry = Registry(tracking_uri, into.parent)
    label = f"{name}/{alias_or_version}" if alias_or_version.isdigit() else f"{name}@{alias_or_version}"
    found = registry.find(label).require_in_use()
    return registry.download(found, into / f"{found.name}-{found.version}")


def _pieces(rows: list[Any], size: int) -> Iterator[list[Any]]:
    """Lists as long as MLflow takes at once."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _safe(name: str) -> str:
    return name.replace("'", "")
