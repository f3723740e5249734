"""Training and test rows: out of time where dates are real, never one customer on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import TrainingError
from training.experiment import Split
from training.targets import LeftOut

LEAST_ROWS = 20


@dataclass(frozen=True)
class Sample:
    """Positions of training and test rows, what was left out, and the test's first day where it is out of time."""

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    left_out: tuple[LeftOut, ...]
    cutoff: pd.Timestamp | None


def divide(
    customers: pd.Series, applied_at: pd.Series, split: Split, seed: int, known_at: pd.Series | None = None
) -> Sample:
    """Divide labelled applications.

    Parameters
    ----------
    customers : Series of str
        Customer of each application.
    applied_at : Series of timestamp
        When each was made.
    split : Split
        How to divide.
    seed : int
        Of the random split.
    known_at : Series of timestamp, optional
        When the outcome of each was known; what was not known when an out-of-time test began leaves the training.

    Raises
    ------
    TrainingError
        Where either side would have fewer than 20 rows.

    Examples
    --------
    >>> customers = pd.Series([f"c{k}" for k in range(98)] + ["c0", "c1"])
    >>> days = pd.Series(pd.date_range("2024-01-01", periods=100))
    >>> sample = divide(customers, days, Split(method="out_of_time", test_share=0.3), seed=0)
    >>> len(sample.train), len(sample.test), sample.left_out[0].count
    (70, 28, 2)
    """
    if split.method == "random":
        names = np.sort(customers.unique().astype(str))
        drawn = np.random.default_rng(seed).permutation(names)[: round(len(names) * split.test_share)]
        in_test = customers.isin(drawn).to_numpy()
        sample = Sample(np.flatnonzero(~in_test), np.flatnonzero(in_test), (), None)
    else:
        latest = applied_at.sort_values().iloc[int(len(applied_at) * (1.0 - split.test_share)) :]
        cutoff = latest.min()
        in_test = (applied_at >= cutoff).to_numpy()
        in_train = ~in_test
        if split.embargo and known_at is not None:
            in_train &= (known_at <= cutoff).to_numpy()
        # Whoever was seen before leaves the test, not the training: to drop earlier rows because their customers come
        # back later would choose the training rows by the future, and those who come back have repaid.
        seen = in_test & customers.isin(customers[in_train]).to_numpy()
        left_out = (
            LeftOut(
                "of the training period, as their outcome was not known when the test began",
                "训练期内、测试开始时结果尚未可知",
                int((~in_test & ~in_train).sum()),
            ),
            LeftOut(
                "of the test period, as their customers are in the training",
                "测试期内、其客户已在训练样本中",
                int(seen.sum()),
            ),
        )
        kept = tuple(left for left in left_out if left.count)
        sample = Sample(np.flatnonzero(in_train), np.flatnonzero(in_test & ~seen), kept, cutoff)
    if min(len(sample.train), len(sample.test)) < LEAST_ROWS:
        without = "".join(f"; {left.count} {left.en}" for left in sample.left_out)
        raise TrainingError(
            f"{len(customers)} labelled applications give {len(sample.train)} rows to train on and {len(sample.test)} "
            f"to test on{without}; at least {LEAST_ROWS} are needed on either side. Bring more records, or change "
            "[split] of the experiment."
        )
    return sample


def require_both_classes(defaulted: npt.NDArray[np.int64], sample: Sample) -> None:
    """Refuse a division with one class only on a side: nothing is learnt from such rows, and no ranking measured.

    Raises
    ------
    TrainingError
        The message names the side and its numbers.
    """
    for use, rows in (("train on", sample.train), ("test on", sample.test)):
        bad = int(defaulted[rows].sum())
        if bad in (0, len(rows)):
            raise TrainingError(
                f"The {len(rows)} rows to {use} hold {bad} defaults; both defaulted and repaid loans are needed on "
                f"either side, and there are {int(defaulted.sum())} defaults among {len(defaulted)} labelled "
                "applications. Bring more records, or change [target] or [split] of the experiment."
            )
