"""Trained parts kept in a folder, so that an interrupted training goes on from them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, TypeVar

from training.estimator import FORMAT, json_values, read_json, write_json

Part = TypeVar("Part", bound=Any)


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
