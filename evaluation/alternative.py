"""The plain alternative that a hybrid has to beat: logistic regression on binned features, as scorecards are built."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

from evaluation import metrics
from evaluation.metrics import Metric
from evaluation.paired import SwapSet, swap_set

BINS, KEPT = 5, 60
APPROVED = 0.8


@dataclass(frozen=True)
class Alternative:
    """The scorecard beside the hybrid, on the same rows.

    Parameters
    ----------
    auc, brier : Metric
        Of the scorecard.
    auc_gain : Metric
        AUC of the hybrid minus that of the scorecard, with a paired interval.
    bins : int
        How many bins of features it adds up.
    swaps : SwapSet
        Whom only one of the two approves at an approval rate of 80 %: the scorecard is the champion, the hybrid the
        challenger.
    """

    auc: Metric
    brier: Metric
    auc_gain: Metric
    bins: int
    swaps: SwapSet


def scorecard(X: pd.DataFrame, y: npt.ArrayLike, *, bins: int = BINS, kept: int = KEPT) -> Pipeline:
    """Fit a scorecard: quantile bins, the `kept` of them that tell most, logistic regression on these.

    Missing values take the median and, where a feature has any, a bin of their own. A feature that is the same for
    everybody falls into one bin and counts for nothing.

    Examples
    --------
    >>> X = pd.DataFrame({"dpd_max": [0.0, 1.0, 2.0, 30.0, 60.0, float("nan")] * 5})
    >>> card = scorecard(X, [0, 0, 0, 1, 1, 0] * 5, kept=3)
    >>> risky, safe = card.predict_proba(pd.DataFrame({"dpd_max": [60.0, 0.0]}))[:, 1]
    >>> bool(risky > safe)
    True
    """
    card = make_pipeline(
        FunctionTransformer(_finite),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        KBinsDiscretizer(bins, encode="onehot", strategy="quantile", quantile_method="averaged_inverted_cdf"),
        SelectKBest(chi2, k=min(kept, X.shape[1])),
        LogisticRegression(C=0.1, max_iter=2000),
    )
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.filterwarnings("ignore", "Feature .* is constant")
        warnings.filterwarnings("ignore", "Bins whose width are too small")
        return card.fit(X, np.asarray(y))


def alternative(
    train: pd.DataFrame,
    defaulted: npt.ArrayLike,
    test: pd.DataFrame,
    y: npt.ArrayLike,
    pd_: npt.ArrayLike,
    *,
    seed: int,
) -> Alternative:
    """Fit the scorecard on the training rows and compare it with the hybrid's PD on the test rows.

    Parameters
    ----------
    train, test : DataFrame, shape (n, n_features)
        Features, NaN = missing.
    defaulted, y : array of 0 and 1
        Outcomes of the training and of the test rows.
    pd_ : array
        The hybrid's PD of the test rows.
    seed : int
        Of the bootstrap.
    """
    card = scorecard(train, defaulted)
    other = card.predict_proba(test)[:, 1]
    return Alternative(
        auc=metrics.auc(y, other),
        brier=metrics.brier(y, other),
        auc_gain=metrics.auc_difference(y, pd_, other, seed=seed),
        bins=int(card[-2].get_support().sum()),
        swaps=swap_set(y, other, pd_, APPROVED),
    )


def _finite(X: pd.DataFrame) -> npt.NDArray[Any]:
    """Features as single precision holds them: what lies beyond is cut."""
    largest = float(np.finfo(np.float32).max)
    return np.asarray(np.clip(X.to_numpy(dtype=np.float64), -largest, largest))
