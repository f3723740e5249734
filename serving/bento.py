"""A Bento made from a champion: the rooms that score, its bundle, and the libraries at their locked versions."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import ServiceError

_ROOT = Path(__file__).resolve().parent.parent
_ROOMS = ("data_contracts", "features", "training", "evaluation", "serving", "reporting", "policy")
_LOCK = "requirements.lock"


@dataclass(frozen=True)
class Built:
    """A Bento in BentoML's store: `name:version`, and its folder there."""

    tag: str
    folder: str


def build(bundle: Path, name: str, version: str, out: Path | None = None) -> Built:
    """Make a Bento of a verified bundle.

    Parameters
    ----------
    bundle : Path
        Folder of the bundle.
    name, version : str
        Model and version in the registry, repeated in each answer.
    out : Path, optional
        File to export the Bento to.

    Raises
    ------
    ServiceError
        BentoML cannot build or write it.
    """
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml
    from bentoml.exceptions import BentoMLException

    with tempfile.TemporaryDirectory(prefix="lendwell-bento-") as place:
        context = Path(place)
        for room in _ROOMS:
            shutil.copytree(_ROOT / room, context / room, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(bundle, context / "bundle")
        (context / "bundle_version").write_text(version, encoding="utf-8")
        python: dict[str, object] = {"lock_packages": False}
        if (_ROOT / _LOCK).is_file():
            shutil.copy(_ROOT / _LOCK, context / _LOCK)
            python["requirements_txt"] = _LOCK
        try:
            made = bentoml.build(
                "serving.service:ScoringService",
                name="lendwell",
                labels={"model": name, "version": version},
                include=["**/*"],
                python=python,
                build_ctx=str(context),
            )
            if out is not None:
                made.export(str(out))
        except (BentoMLException, OSError) as fault:
            raise ServiceError(f"BentoML cannot make the Bento ({fault}).") from fault
    return Built(str(made.tag), str(made.path))
