"""Trained parts kept in a folder, so that an interrupted training goes on from them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from data_contracts.errors import TrainingError
from data_contracts.locking import hold
from training.estimator import FORMAT, json_values, read_json, write_json

Part = TypeVar("Part", bound=Any)


@contextmanager
def held(folder: Path, experiment: str) -> Iterator[Path]:
    """Hold the folder of a training's parts, so that the same training is not begun a second time beside it.

    Raises
    ------
    TrainingError
        Where another process holds it.
    """
    busy = TrainingError(
        f"Another process trains {experiment} on these tables right now. Wait until it has ended; if it breaks off, "
        "the same command goes on from what it has done."
    )
    lock = folder.with_name(folder.name + ".lock")
    descriptor = hold(lock, busy)
    try:
        yield folder
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):  # parts, or trainings of others, may be there
            folder.parent.rmdir()


class Checkpoints:
    """Parts in a folder, each under a mark of its data and parameters, so that none is taken for another.

    Parameters
    ----------
    folder : Path
        Where they lie; whoever gives it removes it when the training is done.
    mark : str
        Hash of the data and of all else that the training depends on.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self.folder, self.mark = folder, mark

    def read(self, stage: str, part: Part) -> Part | None:
        """The part with these parameters that was trained for this stage, None where there is none."""
        place = self._place(stage, part)
        if not place.is_dir():
            return None
        found = type(part).load(place)
        found.history_ = read_json(place / "history.json")["history"]
        return found  # type: ignore[no-any-return]

    def write(self, stage: str, part: Any, fitted: Any) -> None:
        """Keep a trained part; it appears whole or not at all."""
        place = self._place(stage, part)
        draft = place.with_name(place.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        fitted.save(draft)
        write_json(draft / "history.json", {"format": FORMAT, "history": fitted.history_})
        draft.rename(place)

    def _place(self, stage: str, part: Any) -> Path:
        declared = json.dumps(json_values(part.get_params(deep=False)), sort_keys=True, default=str)
        return self.folder / f"{stage}-{hashlib.sha256(f'{self.mark} {declared}'.encode()).hexdigest()[:20]}"
