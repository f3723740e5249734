"""Takes over whom the roster names: loaded, verified and warm in the background before the first request meets them."""

from __future__ import annotations

import gc
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from data_contracts.errors import LendwellError
from serving.lineup import Cast, Lineup
from serving.roster import Named, Post, read_roster
from serving.scorer import Scorer
from training.bundle import Bundle

logger = logging.getLogger("lendwell.serving")

_LOOK_SECONDS = 0.1
_TRIED_AGAIN_SECONDS = 10.0
_MOST_LOADED = 6  # scorers in memory: champion, challenger and the champion before, of two decision points


class Takeover:
    """Keeps a lineup as the roster says.

    Parameters
    ----------
    roster : Path
        See `serving.roster`.
    ticks : callable, optional
        Seconds of a clock that only goes forward.

    Raises
    ------
    LendwellError
        The roster cannot be read, or a champion's bundle cannot be loaded, nor that of the champion before.

    Attributes
    ----------
    lineup : Lineup
    """

    def __init__(self, roster: Path, ticks: Callable[[], float] = time.monotonic) -> None:
        self._roster = roster
        self._ticks = ticks
        self._loaded: OrderedDict[Named, Scorer] = OrderedDict()
        self._ended = threading.Event()
        self._seen: tuple[int, int] | None = None
        self._try_again = math.inf
        self._posts: dict[str, Post] = {}
        posts = read_roster(roster)
        first = [self._first(post) for post in posts]
        self.lineup = Lineup(filter(None, first), [post.decision_point for post in posts])
        self.look()

    def start(self) -> None:
        """Look at the roster from now on, in a thread."""
        threading.Thread(target=self._watch, name="takeover", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Take over what has changed since the last look; what cannot be is told, and the cast stays."""
        mark = _mark(self._roster)
        if mark == self._seen and self._ticks() < self._try_again:
            return
        self._seen, self._try_again = mark, math.inf
        for post in read_roster(self._roster):
            if post != self._posts.get(post.decision_point):
                if self._take(post):
                    self._posts[post.decision_point] = post
                else:
                    self._try_again = self._ticks() + _TRIED_AGAIN_SECONDS

    def _first(self, post: Post) -> Scorer | None:
        """Who answers from the start: the champion, or who was it before where that one cannot be loaded."""
        if post.champion is None:
            return None
        try:
            return self._scorer(post.champion)
        except Exception:
            if post.before is None:
                raise
            return self._scorer(post.before)

    def _take(self, post: Post) -> bool:
        """Let a post's champion and challenger answer; whether both could be loaded."""
        point = post.decision_point
        cast = self.lineup.casts[point]
        faults: list[str] = []
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
        told = " ".join(filter(None, (post.fault, *faults)))
        if told:
            self.lineup.fail(point, told)
            logger.error("%s: %s The cast stays.", point, told)
        else:
            self.lineup.faults.pop(point, None)
        return not faults

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
            except Exception as fault:  # whatever it is, the next look may find better
                logger.error("%s", fault if isinstance(fault, LendwellError) else type(fault).__name__)


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
