"""Shares of sources in the sequence net's log-odds, and of a source's months in its share.

A source that is left out was never recorded: its events are gone, not blank. Among sources the shares are Shapley
values, exact. A source's share is split among the months before `as_of` by Owen values: sources join one after the
other, and the months of each in a row, so that months compete within their source only; over random orders, and what is
left of their sum to the source's exact share is spread in proportion.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import factorial

import numpy as np
import numpy.typing as npt

from features.sequences import EventSequences
from training.estimator import Floats, spread
from training.sequence_net import SequenceNetClassifier

MONTHS = 13
"""Months of 30 days before `as_of`, the latest first; the last one holds all that is a year old or older."""
_DAYS_PER_MONTH = 30.0
_AT_ONCE = 2048
_ORDERS_OF_BACKGROUND = 4  # few for each of its rows, as only their mean is looked at


class SequenceNetAttribution:
    """Explains a sequence net against a background.

    Parameters
    ----------
    net : SequenceNetClassifier
        Fitted.
    background : EventSequences
        Histories with which an applicant's is compared.

    Attributes
    ----------
    net : SequenceNetClassifier
    background : EventSequences
        As given.
    base : float
        Mean log-odds of the background.
    """

    def __init__(self, net: SequenceNetClassifier, background: EventSequences) -> None:
        self.net = net
        self.background = background
        self._nothing = float(net.log_odds(only(background, np.zeros(1, np.int64), np.zeros((1, 1), np.bool_)))[0])
        self._won_by_background = self._won(background, net.log_odds(background))
        self._mean = self._won_by_background.mean(axis=0)
        self._mean_months: dict[int, Floats] = {}
        self.base = self._nothing + float(self._mean.sum())

    def shares(self, sequences: EventSequences, log_odds: Floats) -> Floats:
        """Split the net's log-odds of some histories, shape (n,), among sources, shape (n, n_sources).

        The shares and the base sum to the log-odds.
        """
        shares: Floats = self._won(sequences, log_odds) - self._mean
        return shares

    def month_shares(self, sequences: EventSequences, log_odds: Floats, *, orders: int, seed: int) -> Floats:
        """Split the same among months, shape (n, n_sources, MONTHS): those of a source sum to its share.

        Parameters
        ----------
        sequences : EventSequences
        log_odds : ndarray, shape (n,)
            The net's own of them.
        orders : int
            In how many orders the events join, each followed by its reverse.
        seed : int
            Draws the orders.
        """
        if seed not in self._mean_months:
            known = self._months(self.background, self._won_by_background, _ORDERS_OF_BACKGROUND, seed)
            self._mean_months[seed] = known.mean(axis=0)
        won = self._won(sequences, log_odds)
        return self._months(sequences, won, orders, seed) - self._mean_months[seed]

    def _won(self, sequences: EventSequences, whole: Floats) -> Floats:
        """Exact Shapley values of the sources against no events at all."""
        n, players = len(sequences), len(self.net.sources_)
        bit = np.concatenate([[0], 1 << np.arange(players)])[sequences.source]
        present = np.bitwise_or.reduce(bit, axis=1)[:, None]
        coalitions = np.arange(1 << players)
        # A source without events changes nothing, so only coalitions of those that have some are asked.
        asked = coalitions & present
        rows, inner = np.nonzero((asked == coalitions) & (coalitions > 0) & (coalitions != present))
        values = np.empty(asked.shape)
        values[:, 0] = self._nothing
        values[np.arange(n), present[:, 0]] = whole
        for part in np.array_split(np.arange(len(rows)), -(-len(rows) // _AT_ONCE) or 1):
            kept = (bit[rows[part]] & inner[part, None]) > 0
            values[rows[part], inner[part]] = self.net.log_odds(only(sequences, rows[part], kept))
        return np.asarray(np.take_along_axis(values, asked, axis=1) @ _shapley_weights(players))

    def _months(self, sequences: EventSequences, won: Floats, orders: int, seed: int) -> Floats:
        """Owen values of the months of each source against no events at all, `won` among its months."""
        shares = np.zeros((*won.shape, MONTHS))
        for row in range(len(sequences)):
            shares[row] = self._months_of(sequences.take([row]), orders, np.random.default_rng(seed))
        return spread(shares.reshape(-1, MONTHS), won.ravel()).reshape(shares.shape)

    def _months_of(self, one: EventSequences, orders: int, rng: np.random.Generator) -> Floats:
        """Mean gain of each source and month of one applicant, over orders of joining and their reverses."""
        there = one.source[0] > 0
        source, month = one.source[0] - 1, months_before(one)[0]
        groups, group = np.unique(np.where(there, source * MONTHS + month, -1), return_inverse=True)
        groups, group = (groups[1:], group - 1) if not there.all() else (groups, group)
        found = np.zeros((len(self.net.sources_), MONTHS))
        if not len(groups):
            return found
        ranks = []
        for _ in range(orders):
            place = rng.permutation(len(found))[groups // MONTHS] * MONTHS + rng.permutation(MONTHS)[groups % MONTHS]
            rank = place.argsort().argsort()
            ranks += [rank, len(groups) - 1 - rank]
        # Of each order the events that have joined after each step but the first, of none, and the last, of all.
        steps = np.arange(1, len(groups) + 1)
        kept = np.concatenate([(rank[group] < steps[:, None]) & there for rank in ranks])
        values = self.net.log_odds(only(one, np.zeros(len(kept), np.int64), kept)).reshape(len(ranks), -1)
        gains = np.diff(values, axis=1, prepend=self._nothing)
        found.flat[groups] = np.take_along_axis(gains, np.array(ranks), axis=1).mean(axis=0)
        return found


def months_before(sequences: EventSequences) -> npt.NDArray[np.int64]:
    """How many whole months of 30 days before `as_of` each event lies, at most a year, shape (n, length).

    >>> values = np.log1p(np.array([[[800.0, 0, 0], [30.0, 0, 0], [29.9, 0, 0]]], dtype=np.float32))
    >>> tokens = np.ones((1, 3), dtype=np.int64)
    >>> months_before(EventSequences(tokens, tokens, values, ("inquiries",), ("inquiries",))).tolist()
    [[12, 1, 0]]
    """
    days = np.expm1(sequences.values[..., 0].astype(np.float64))
    # Days have come through the logarithm in single precision: a month that is full must not count as not quite full.
    return np.minimum((days + 1e-4) / _DAYS_PER_MONTH, MONTHS - 1).astype(np.int64)


@cache
def _shapley_weights(players: int) -> Floats:
    """Matrix of shape (2**players, players) that turns the values of all coalitions into Shapley values."""
    weights = np.zeros((1 << players, players))
    for player in range(players):
        others = [k for k in range(players) if k != player]
        for size in range(players):
            share = factorial(size) * factorial(players - size - 1) / factorial(players)
            for members in combinations(others, size):
                without = sum(1 << k for k in members)
                weights[without | 1 << player, player] += share
                weights[without, player] -= share
    return weights


def only(sequences: EventSequences, rows: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_]) -> EventSequences:
    """The given rows as if only the events that are kept had been recorded: the others are gone, not blank."""
    kept = np.broadcast_to(kept, (len(rows), sequences.source.shape[1]))
    order = np.argsort(kept, axis=1, kind="stable")  # padding first, then what is kept in its order
    kept = np.take_along_axis(kept, order, axis=1)
    at = (rows[:, None], order)
    values = np.where(kept[..., None], sequences.values[at], np.float32(0))
    source, kind = sequences.source[at] * kept, sequences.kind[at] * kept
    return EventSequences(source, kind, values, sequences.sources, sequences.kinds)
