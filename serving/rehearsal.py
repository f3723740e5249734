"""A bundle answers requests as the service would, before it is champion: does it say what batch says, and how fast."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from data_contracts.messages import ScoreRequest
from evaluation.gate.figures import p99
from evaluation.metric import Metric
from evaluation.reason_checks import agreement
from evaluation.tables import share
from features.replay import differ
from features.sequences import EventSequences
from serving.client import requests_from_tables
from serving.scorer import Scored, Scorer
from training.bundle import Bundle

_ROUNDING = 1e-6  # nets work in single precision


def rehearse(
    bundle: Bundle,
    folder: TableFolder,
    features: pd.DataFrame,
    events: EventSequences,
    log_odds: npt.NDArray[np.float64],
) -> dict[str, Metric]:
    """Score applications one by one from their raw records and hold the answers against those of batch.

    Parameters
    ----------
    bundle : Bundle
    folder : TableFolder
        Their records.
    features : DataFrame, shape (n, n_features)
        What the batch engine makes of them, indexed by `application_id`.
    events : EventSequences
        Their raw events, in batch.
    log_odds : ndarray, shape (n,)
        What the bundle says of those in batch.

    Returns
    -------
    dict of str to Metric
        `parity_mismatches`, requests with another feature or another log-odds; `reason_agreement`, share of requests
        whose reasons fresh attributions of the batch rows give too; `latency_p99_ms`, processor time of scoring one.
    """
    try:
        scorer, requests = Scorer(bundle), requests_from_tables(folder, features.index.tolist())
        answers, milliseconds = _answered(scorer, requests)
    except LendwellError as fault:
        unanswered = Metric(None, None, None, len(features), str(fault).rstrip("."), f"请求无法评分（{fault}）")
        return dict.fromkeys(("parity_mismatches", "reason_agreement", "latency_p99_ms"), unanswered)
    told = agreement(bundle, features, events, [answer.reasons for answer in answers])
    return {
        "parity_mismatches": _mismatches(answers, features, log_odds),
        "reason_agreement": share(told.agreed, told.rows),
        "latency_p99_ms": p99(milliseconds),
    }


def _mismatches(answers: Sequence[Scored], features: pd.DataFrame, log_odds: npt.NDArray[np.float64]) -> Metric:
    if not answers:
        return Metric(None, None, None, 0, "no rows", "没有样本")
    served = np.stack([answer.features for answer in answers])
    other = differ(served, features.to_numpy(dtype=np.float64))
    off = np.abs(np.array([answer.log_odds for answer in answers]) - log_odds) > _ROUNDING
    named = [str(features.columns[at]) for at in np.flatnonzero(other.any(axis=0)).tolist()]
    note = (f"features that differ: {', '.join(named)}", f"不一致的特征：{'、'.join(named)}") if named else ("", "")
    return Metric(float((other.any(axis=1) | off).sum()), None, None, len(answers), *note)


def _answered(scorer: Scorer, requests: Sequence[ScoreRequest]) -> tuple[list[Scored], list[float]]:
    answers, milliseconds = [], []
    with _as_served():
        for request in requests:
            started = time.process_time_ns()  # of the processor: another process on this machine decides nothing
            answers.append(scorer.score(request))
            milliseconds.append((time.process_time_ns() - started) / 1e6)
    return answers, milliseconds


@contextmanager
def _as_served() -> Iterator[None]:
    """One thread, and no full collection of what is loaded, as in the service."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(threads)
