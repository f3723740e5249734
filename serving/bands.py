"""Score bands: shares of the training applicants, by the quantiles of the score that the bundle carries."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from data_contracts.replies import ScoreBand
from training.bundle import Bundle, ScoreScale


class Bands:
    """Bands between quantiles of the log-odds in training, the safest first.

    Nothing of them is decided here: they are the bins of the score in the bundle's reference, ten where the training
    applicants differ enough.

    Parameters
    ----------
    edges : sequence of float
        Inner quantiles of the log-odds, ascending; a value on an edge belongs to the safer band.
    scale : ScoreScale
        Points of the score.

    Examples
    --------
    >>> Bands([-3.0, -1.0], ScoreScale(points_at=600.0, odds=20.0, pdo=40.0))(-2.0)
    ScoreBand(number=2, of=3, points_from=484.83..., points_below=600.24...)
    """

    def __init__(self, edges: Sequence[float], scale: ScoreScale) -> None:
        self._edges = list(edges)
        points = [float(scale.points(edge)) for edge in edges]
        n = len(points) + 1
        limits = zip([*points, None], [None, *points], strict=True)
        self._bands = [
            ScoreBand(number=at, of=n, points_from=low, points_below=high)
            for at, (low, high) in enumerate(limits, start=1)
        ]

    @classmethod
    def of(cls, bundle: Bundle) -> Bands:
        """As the applicants were whom the bundle was trained on."""
        return cls(bundle.reference.score.edges, bundle.scale)

    def __call__(self, log_odds: float) -> ScoreBand:
        """The band of an applicant."""
        return self._bands[bisect_left(self._edges, log_odds)]
