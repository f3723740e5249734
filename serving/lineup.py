"""Who answers now at each decision point, and who is scored beside: one reference, exchanged as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from serving.scorer import Scorer


@dataclass(frozen=True)
class Cast:
    """Champion and challenger of a decision point; a request takes it once and keeps to it."""

    champion: Scorer | None
    challenger: Scorer | None = None


class Lineup:
    """The casts of a service.

    Parameters
    ----------
    scorers : iterable of Scorer
        A champion for each decision point.
    vacant : iterable of str
        Decision points that have no champion yet.

    Attributes
    ----------
    faults : dict of str to str
        By decision point, why the last succession failed; the champion before it is at work.
    successions : Counter of (str, str)
        How often somebody took over at a decision point, `done` or `failed`.
    """

    def __init__(self, scorers: Iterable[Scorer], vacant: Iterable[str] = ()) -> None:
        self._casts: Mapping[str, Cast] = {point: Cast(None) for point in vacant} | {
            scorer.decision_point: Cast(scorer) for scorer in scorers
        }
        self.faults: dict[str, str] = {}
        self.successions: Counter[tuple[str, str]] = Counter()

    @property
    def casts(self) -> Mapping[str, Cast]:
        """Casts by decision point; what is returned does not change."""
        return self._casts

    def put(self, point: str, cast: Cast) -> None:
        """Let another cast answer from the next request on."""
        self._casts = {**self._casts, point: cast}
        self.successions[point, "done"] += 1

    def fail(self, point: str, fault: str) -> None:
        """Note why a succession failed; the cast stays."""
        self.faults[point] = fault
        self.successions[point, "failed"] += 1
