"""Takes over whom the roster names: loaded, verified and warm in the background before the first request meets them."""

from __future__ import annotations

import gc
import logging
import threading
from collections import OrderedDict
from pathlib import Path

from data_contracts.errors import LendwellError
from serving.lineup import Cast, Lineup
from serving.roster import Named, Post, read_roster
from serving.scorer import Scorer
from training.bundle import Bundle

logger = logging.getLogger("lendwell.serving")

_LOOK_SECONDS = 0.1
_MOST_LOADED = 6  # scorers in memory: champion, challenger and the champion before, of two decision points


class Takeover:
    """Keeps a lineup as the roster says.

    Parameters
    ----------
    roster : Path
        See `serving.roster`.

    Raises
    ------
    LendwellError
        The roster cannot be read, or a champion's bundle cannot be loaded.

    Attributes
    ----------
    lineup : Lineup
    """

    def __init__(self, roster: Path) -> None:
        self._roster = roster
        self._loaded: OrderedDict[Named, Scorer] = OrderedDict()
        self._ended = threading.Event()
        self._seen = _mark(roster)
        self._posts = {post.decision_point: post for post in read_roster(roster)}
        self.lineup = Lineup([self._scorer(post.champion) for post in self._posts.values() if post.champion])

    def start(self) -> None:
        """Look at the roster from now on, in a thread."""
        threading.Thread(target=self._watch, name="takeover", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Take over what has changed since the last look; what cannot be is told, and the cast stays."""
        mark = _mark(self._roster)
        if mark == self._seen:
            return
        self._seen = mark
        for post in read_roster(self._roster):
            if post != self._posts.get(post.decision_point):
                self._take(post)
                self._posts[post.decision_point] = post

    def _take(self, post: Post) -> None:
        point = post.decision_point
        cast, faults = self.lineup.casts[point], [post.fault] if post.fault else []
        champion = cast.champion
        challenger: Scorer | None = None
        try:
            champion = None if post.champion is None else self._scorer(post.champion)
        except Exception as error:
            faults.append(_told(post.champion, error))
        try:
            challenger = None if post.challenger is None else self._scorer(post.challenger)
        except Exception as error:
            faults.append(_told(post.challenger, error))
        taken = Cast(champion, challenger)
        if taken != cast:
            self.lineup.put(point, taken)
            gc.collect()  # little is left unfrozen to go through
            gc.freeze()
            logger.warning("%s: champion %s, challenger %s", point, _label(champion), _label(challenger))
        if faults:
            self.lineup.fail(point, " ".join(faults))
            logger.error("%s: %s The cast stays.", point, " ".join(faults))
        else:
            self.lineup.faults.pop(point, None)

    def _scorer(self, named: Named) -> Scorer:
        """A scorer that has answered once; of the last ones, the same again, so that a rollback waits for nothing."""
        if named not in self._loaded:
            self._loaded[named] = Scorer(Bundle.load(Path(named.bundle)), named.version)
        self._loaded.move_to_end(named)
        while len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return self._loaded[named]

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self.look()
            except LendwellError as fault:
                logger.error("%s", fault)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _label(scorer: Scorer | None) -> str:
    return "none" if scorer is None else f"{scorer.bundle_name.name}/{scorer.bundle_name.version}"


def _told(named: Named | None, error: Exception) -> str:
    cause = str(error) if isinstance(error, LendwellError) else type(error).__name__
    return f"Version {named.version if named else ''} is not taken over: {cause}"
