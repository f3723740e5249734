"""The roster: a small file by which the process that follows the registry tells the service who is to answer.

The service itself knows neither registry nor MLflow: it stays small, and what goes wrong there does not stop an answer.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from data_contracts.errors import ServiceError


class Named(msgspec.Struct, frozen=True):
    """A version and the folder of its verified bundle."""

    version: str
    bundle: str


class Post(msgspec.Struct, frozen=True):
    """Who is to answer at a decision point.

    Parameters
    ----------
    decision_point : str
    champion : Named or None
        None where the champion was retired and nobody has followed it.
    challenger : Named or None
        Who is scored in the shadow.
    fault : str
        Why another champion that the registry names is not here.
    before : Named or None
        The champion before, whose bundle is still here: a service that starts and cannot load the champion begins
        with it.
    """

    decision_point: str
    champion: Named | None
    challenger: Named | None = None
    fault: str = ""
    before: Named | None = None


def write_roster(path: Path, posts: list[Post]) -> None:
    """Write the roster in one step: who reads sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(msgspec.json.encode(posts))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)  # of a disk that was full


def read_roster(path: Path) -> list[Post]:
    """Read the roster; `ServiceError` where it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Post])
    except (OSError, msgspec.MsgspecError) as fault:
        raise ServiceError(
            f"The roster {path} cannot be read ({fault}); start the service with `lendwell serve`."
        ) from None
