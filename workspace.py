"""Where the steps read and write: the home of runs and logs, folders of tables, files written whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import ContractError, SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import TABLES

if TYPE_CHECKING:
    from training.model_register import ModelRegister
    from training.registry import Registry

_holding: set[str] = set()  # identities of folders whose contracts were seen to hold: the demo checks its own once


@dataclass(frozen=True)
class Home:
    """Where runs, registry, model register and decision log lie.

    Parameters
    ----------
    path : Path
        Folder for what is not given by URL.
    tracking_uri, log_url, tuning_url : str, optional
        MLflow's store, the decision log and the studies of searches; SQLite files in the folder by default, PostgreSQL
        by URL.
    register_url : str, optional
        The model register; where it is not given, the database of `tracking_uri` if that is PostgreSQL, else a SQLite
        file in the folder.
    """

    path: Path
    tracking_uri: str | None = None
    log_url: str | None = None
    tuning_url: str | None = None
    register_url: str | None = None

    def registry(self) -> Registry:
        """Open runs and registry."""
        from training.registry import Registry

        self._require_folder()
        uri = self.tracking_uri or f"sqlite:///{self.path.resolve() / 'mlflow.db'}"
        return Registry(uri, self.path / "artifacts")

    def register(self) -> ModelRegister:
        """Open the model register."""
        from training.model_register import ModelRegister

        shared = self.tracking_uri if (self.tracking_uri or "").startswith("postgres") else None
        if url := self.register_url or shared:
            return ModelRegister(url)
        self._require_folder()
        self.path.mkdir(parents=True, exist_ok=True)
        return ModelRegister(f"sqlite:///{self.path.resolve() / 'register.db'}")

    @property
    def log(self) -> str:
        """Address of the decision log."""
        if self.log_url:
            return self.log_url
        self._require_folder()
        self.path.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.path.resolve() / 'decisions.db'}"

    @property
    def requests(self) -> Path:
        """Folder of raw requests that are kept."""
        return self.path / "requests"

    @property
    def outcomes(self) -> str:
        """Address of the outcomes: the decision log's PostgreSQL, or a SQLite file of their own."""
        if self.log_url and self.log_url.startswith("postgres"):
            return self.log_url
        self._require_folder()
        self.path.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.path.resolve() / 'outcomes.db'}"

    @property
    def studies(self) -> str:
        """Address of Optuna's studies."""
        if self.tuning_url:
            return self.tuning_url
        self._require_folder()
        self.path.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.path.resolve() / 'tuning.db'}"

    def _require_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise SourceError(f"{self.path} is no folder; name one for runs, registry and decision log with --home.")


def opened(data: Path) -> TableFolder:
    """Open a folder of canonical tables, from whose applications all else starts."""
    folder = TableFolder.open(data)
    if "applications" not in folder.tables:
        way_out = "Import or simulate the tables again."
        if "card_months" in folder.tables:
            way_out += (
                " For a behaviour model `lendwell observe` makes looks at cards of card_months; give that folder."
            )
        raise SourceError(f"{data} has no table applications; it has {', '.join(folder.tables) or 'none'}. {way_out}")
    return folder


def with_columns(folder: TableFolder) -> TableFolder:
    """A folder whose tables have their columns: what scoring millions of rows takes the time to check."""
    import pyarrow.parquet as pq

    for name in folder.tables:
        folder.rows(name)  # tells a file that is no Parquet
        present = [set(pq.read_schema(file).names) for file in folder.files(name)]
        lacking = [column for column in TABLES[name].names if any(column not in names for names in present)]
        if lacking:
            raise ContractError(
                f"Table {name} in {folder.path} lacks the column {', '.join(lacking)}. `lendwell validate` lists every "
                "fault; import or simulate the tables again."
            )
    return folder


def mark_sound(folder: TableFolder) -> None:
    """Note that the contracts of these bytes were seen to hold."""
    _holding.add(folder.identity)


def with_contracts(folder: TableFolder, *, again: bool = False) -> TableFolder:
    """A folder whose every contract holds; the same bytes are checked once in a process, unless `again`."""
    if again or folder.identity not in _holding:
        from data_contracts.judge import require_valid

        require_valid(folder)
        _holding.add(folder.identity)
    return folder


def require_file(out: Path) -> None:
    """Tell before the work what would fail after it."""
    if out.is_dir():
        raise SourceError(f"{out} is a folder; name a file to write with --out.")
    for parent in out.parents:
        if parent.exists():
            if not parent.is_dir():
                raise SourceError(f"{out} cannot be written: {parent} is a file. Name another file with --out.")
            return


def write_whole(path: Path, write: Callable[[Path], Any]) -> Any:
    """Write a file beside its place and move it there when it is complete; returns what `write` returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        told = write(draft)
        draft.replace(path)
        return told
    finally:
        draft.unlink(missing_ok=True)
