"""Follows the registry while the service runs: a champion that is promoted, rolled back or retired, a challenger."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from data_contracts.errors import LendwellError, ServiceError
from serving.roster import Named, Post, write_roster
from training.manifest import verify
from training.registry import CHALLENGER, CHAMPION, Registry

logger = logging.getLogger("lendwell.serving")

_TRIED_AGAIN_SECONDS = 10.0


class Follower:
    """Keeps a roster as the registry says.

    Parameters
    ----------
    registry : Registry
    models : sequence of str
        `NAME` or `NAME@ALIAS` is followed; of `NAME`, the challenger too. `NAME/VERSION` stays.
    folder : Path
        Where bundles are copied to and the roster lies.

    Raises
    ------
    LendwellError
        There is no such model, its bundle is changed or retired, or two models have one decision point.
    """

    def __init__(self, registry: Registry, models: Sequence[str], folder: Path) -> None:
        self.roster = folder / "roster.json"
        self._posts = [_Followed(registry, model, folder) for model in models]
        points = [one.post.decision_point for one in self._posts]
        if len(set(points)) < len(points):
            raise ServiceError(
                f"Several models answer for one decision point ({', '.join(points)}); serve one of them."
            )
        self._written: list[Post] = []
        self._told = ""
        self._write()

    def look(self) -> None:
        """Bring the roster up to date; what goes wrong is told, and the roster stays."""
        try:
            for one in self._posts:
                one.look()
            self._write()
            self._told = ""
        except (LendwellError, OSError) as fault:
            if str(fault) != self._told:  # once, not at every look
                logger.error("the registry cannot be followed: %s", fault)
                self._told = str(fault)

    def _write(self) -> None:
        posts = [one.post for one in self._posts]
        if posts != self._written:
            write_roster(self.roster, posts)
            self._written = posts


class _Followed:
    """One model, and the bundles of it that are here."""

    def __init__(self, registry: Registry, model: str, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        chosen = registry.find(model).require_in_use()
        self._name, stays = chosen.name, "/" in model
        self._alias = None if stays else model.partition("@")[2] or CHAMPION
        self._here: dict[str, Named] = {}
        self._before = ""  # the champion before this one
        self._failed: dict[str, tuple[float, str]] = {}
        self._point = ""
        champion = self._fetched(chosen.version)
        self.post = Post(self._point, champion)

    def look(self) -> None:
        """See who is champion and challenger now."""
        if self._alias is None:
            return
        held = self._registry.aliases(self._name)
        champion, challenger = held.get(self._alias), held.get(CHALLENGER) if self._alias == CHAMPION else None
        before = self.post.champion
        chosen, fault = self._tried(champion)
        if champion is not None and chosen is None:
            chosen = before
        beside, also = self._tried(None if challenger == champion else challenger)
        if chosen != before and before is not None:
            self._before = before.version
        faults = " ".join(filter(None, (fault, also)))
        self.post = Post(self._point, chosen, beside, faults, self._here.get(self._before))
        self._forget({self._before, *(one.version for one in (chosen, beside) if one is not None)})

    def _tried(self, version: str | None) -> tuple[Named | None, str]:
        """The bundle of a version, or why it is not to be had; after a failure it is tried again after a while."""
        if version is None:
            return None, ""
        since, fault = self._failed.get(version, (0.0, ""))
        if fault and time.monotonic() - since < _TRIED_AGAIN_SECONDS:
            return None, fault
        try:
            found = self._fetched(version)
        except (LendwellError, OSError) as error:
            fault = f"{self._name}/{version} is not taken over: {error}"
            if version not in self._failed:
                logger.error("%s", fault)
            self._failed[version] = time.monotonic(), fault
            return None, fault
        self._failed.pop(version, None)
        return found, ""

    def _fetched(self, version: str) -> Named:
        if version not in self._here:
            place = self._folder / f"{self._name}-{version}"
            shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
            chosen = self._registry.find(f"{self._name}/{version}").require_in_use()
            try:
                point: str = verify(self._registry.download(chosen, place))["decision_point"]
                if point != (self._point or point):
                    raise ServiceError(
                        f"It is for {point}, and what is served answers for {self._point}. Promote another."
                    )
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)  # half a bundle would keep a full disk full
                raise
            self._point = point
            self._here[version] = Named(version, str(place.resolve()))
        return self._here[version]

    def _forget(self, kept: set[str]) -> None:
        """Remove bundles that are neither at work nor what a rollback would restore."""
        for version in self._here.keys() - kept:
            shutil.rmtree(self._here.pop(version).bundle, ignore_errors=True)
