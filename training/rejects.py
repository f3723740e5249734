"""Refused applications in training: who they are, and fuzzy parcelling, by which each enters as part bad and part good.

Whether an application was refused is told by `loans`: the newest state of the request that came from it. Where `loans`
names no application, granted but undrawn cannot be told from refused, and nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from data_contracts.errors import TrainingError
from data_contracts.folder import TableFolder
from features.sequences import EventSequences
from features.sets import feature_set
from training.boosted import BoostedClassifier
from training.calibration import choose_calibrator
from training.estimator import Floats, Integers
from training.experiment import Experiment, Rejects
from training.hybrid import HybridClassifier
from training.inputs import Inputs
from training.targets import LeftOut

if TYPE_CHECKING:
    from training.run import Progress, Rows


@dataclass(frozen=True)
class Refused:
    """Refused applications of a folder.

    Parameters
    ----------
    features : DataFrame, shape (n, n_features)
        Indexed by `application_id`.
    events : EventSequences
        Raw events of the same rows.
    customers, applied_at : Series
        Of the same rows.
    train, test : ndarray of int64
        Positions of those that may be learnt from and of those that no model of this split has learnt from.
    left_out : tuple of LeftOut
        Refused applications of the training period that are not in `train`.
    """

    features: pd.DataFrame
    events: EventSequences
    customers: pd.Series
    applied_at: pd.Series
    train: Integers
    test: Integers
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Learnt:
    """Rows to train on.

    Parameters
    ----------
    features, events, defaulted, customers
        Granted applications first, then the refused ones as bad, then the same as good.
    weights : ndarray of float64, shape (n,), or None
        How much each row counts; None where all count alike.
    granted, applications : int
        How many of the first rows are granted applications; how many of them stand for an application each.
    facts : dict
        What the bundle tells of the refused ones; empty where none are used.
    """

    features: pd.DataFrame
    events: EventSequences
    defaulted: Integers
    customers: np.ndarray[Any, Any]
    weights: Floats | None
    granted: int
    applications: int
    facts: dict[str, Any]


def refused_applications(folder: TableFolder) -> pd.DataFrame:
    """Applications that were refused and have no outcome: `customer_id` and `applied_at` by `application_id`."""
    applications = folder.read("applications", ["application_id", "customer_id", "applied_at"])
    refused: pd.Series = pd.Series(dtype=str)
    if "loans" in folder.tables:
        states = folder.read("loans", ["loan_id", "application_id", "status", "known_at"]).dropna(
            subset="application_id"
        )
        newest = states.sort_values("known_at", kind="stable").drop_duplicates("loan_id", keep="last")
        refused = newest.loc[newest["status"] == "refused", "application_id"]
    found = applications["application_id"].isin(refused)
    if "outcomes" in folder.tables:
        found &= ~applications["application_id"].isin(folder.read("outcomes", ["application_id"])["application_id"])
    return applications[found].set_index("application_id").sort_index()


def divide_refused(
    customers: pd.Series, applied_at: pd.Series, rows: Rows, *, test_share: float, seed: int
) -> tuple[Integers, Integers, tuple[LeftOut, ...]]:
    """Divide refused applications as the granted ones were divided, no customer on both sides.

    Out of time, those up to the last application learnt from may be learnt from unless their customers are in the test;
    those from the test's first day to its last are tested on unless their customers are in the training. In a random
    split each stands on its customer's side, and customers who were never granted anything are drawn in like shares.

    Returns
    -------
    train, test : ndarray of int64
        Positions.
    left_out : tuple of LeftOut
        Refused ones of the training period that are in neither.
    """
    learnt, tested = (rows.customers.iloc[at] for at in (rows.sample.train, rows.sample.test))
    if rows.sample.cutoff is None:
        in_test = customers.isin(tested) | customers.isin(_drawn(customers, rows, test_share, seed))
        return np.flatnonzero(~in_test), np.flatnonzero(in_test), ()
    learning = applied_at <= rows.applied_at.iloc[rows.sample.train].max()
    train = learning & ~customers.isin(tested)
    known = customers.isin(learnt) | customers.isin(customers[train])
    last = rows.applied_at.iloc[rows.sample.test].max()
    test = (applied_at >= rows.sample.cutoff) & (applied_at <= last) & ~known
    left_out = LeftOut(
        "refused in the training period, as their customers are in the test",
        "训练期内被拒、其客户在测试样本中",
        int((learning & ~train).sum()),
    )
    return np.flatnonzero(train), np.flatnonzero(test), (left_out,) if left_out.count else ()


def _drawn(customers: pd.Series, rows: Rows, share: float, seed: int) -> Any:
    """Customers of the test among those who were never granted anything."""
    never = np.sort(customers[~customers.isin(rows.customers)].unique().astype(str))
    return np.random.default_rng(seed).permutation(never)[: round(len(never) * share)]


def refused_rows(
    experiment: Experiment, folder: TableFolder, rows: Rows, progress: Progress | None = None
) -> Refused | None:
    """Refused applications of a folder with what an experiment reads of them; None where none can be told."""
    who = refused_applications(folder)
    if not len(who):
        return None
    inputs = rows.refused
    if inputs is None:
        length = rows.events.source.shape[1]
        inputs = Inputs.read(folder, feature_set(experiment.feature_set), length, progress).of(who.index)
    customers, applied_at = who["customer_id"], who["applied_at"]
    split = experiment.split
    train, test, left_out = divide_refused(
        customers, applied_at, rows, test_share=split.test_share, seed=experiment.seed
    )
    return Refused(inputs.features, inputs.events, customers, applied_at, train, test, left_out)


def learnt_rows(
    experiment: Experiment,
    folder: TableFolder,
    rows: Rows,
    *,
    boosted: BoostedClassifier,
    progress: Progress | None = None,
) -> Learnt:
    """Rows of an experiment to train on: the granted ones, and refused ones where `[rejects]` says so.

    Parameters
    ----------
    boosted : BoostedClassifier
        What the model that is learnt first, from granted applications only, is made of; stays unfitted.

    Raises
    ------
    TrainingError
        Where refused applications are asked for and the folder tells of none in the training period.
    """
    at = rows.sample.train
    features, events, customers = rows.features.iloc[at], rows.events.take(at), rows.customers.to_numpy()[at]
    granted = Learnt(features, events, rows.defaulted[at], customers, None, len(at), len(at), {})
    if experiment.rejects.method == "none":
        return granted
    refused = refused_rows(experiment, folder, rows, progress)
    if refused is None or not len(refused.train):
        raise TrainingError(
            f"Experiment {experiment.name} wants to learn from refused applications; {folder.path} tells of none in "
            "the training period. An application is refused where `loans` names it with status refused and it has no "
            'outcome. Map the decisions onto `loans`, or set method = "none" in [rejects].'
        )
    first = HybridClassifier(
        boosted=boosted, tabular_net=None, sequence_net=None, n_folds=experiment.folds, random_state=experiment.seed
    )
    first.fit(features, granted.defaulted, groups=customers)
    # The blend of a single part is Platt's calibration; a step function would say nothing beyond the granted ones.
    inferred = first.raw_log_odds(refused.features.iloc[refused.train])
    return parcelled(granted, refused, inferred, experiment.rejects)


def parcelled(granted: Learnt, refused: Refused, log_odds: Floats, settings: Rejects) -> Learnt:
    """Add the refused applications of the training twice: as bad with their PD as weight, as good with the rest.

    Parameters
    ----------
    granted : Learnt
        Granted applications.
    refused : Refused
    log_odds : ndarray, shape (len(refused.train),)
        What a model of the granted ones says of them; `settings.odds_factor` makes them worse.
    settings : Rejects
    """
    at, n = refused.train, len(refused.train)
    pd_bad = expit(log_odds + np.log(settings.odds_factor))
    each = 1.0 if settings.weight is None else settings.weight * granted.granted / n
    events, twice = refused.events.take(at), np.tile(refused.customers.to_numpy()[at], 2)
    both = refused.features.iloc[np.tile(at, 2)]
    return Learnt(
        features=pd.concat([granted.features, both]),
        events=_joined(granted.events, events, events),
        defaulted=np.concatenate([granted.defaulted, np.repeat([1, 0], n)]),
        customers=np.concatenate([granted.customers, twice]),
        weights=np.concatenate([np.ones(granted.granted), each * pd_bad, each * (1.0 - pd_bad)]),
        granted=granted.granted,
        applications=granted.granted + n,
        facts={
            "method": settings.method,
            "refused": n,
            "weight": float(each * n / granted.granted),
            "odds_factor": settings.odds_factor,
            "inferred_bad_rate": float(pd_bad.mean()),
            "granted_bad_rate": float(granted.defaulted.mean()),
            "left_out": [{"en": left.en, "zh": left.zh, "count": left.count} for left in refused.left_out],
        },
    )


def calibrate_on_granted(hybrid: HybridClassifier, learnt: Learnt, seed: int) -> None:
    """Fit a hybrid's calibrator again, on the granted applications alone: what is inferred is no observation."""
    rows = slice(0, learnt.granted)
    choice = choose_calibrator(
        hybrid.oof_log_odds_["blend"].to_numpy()[rows],
        learnt.defaulted[rows],
        groups=learnt.customers[rows],
        seed=seed,
    )
    hybrid.calibrator_, hybrid.calibration_log_loss_ = choice.calibrator, choice.log_loss
    hybrid.oof_log_odds_["calibrated"] = choice.calibrator(hybrid.oof_log_odds_["blend"].to_numpy())


def _joined(*parts: EventSequences) -> EventSequences:
    """Sequences of several samples below each other."""
    names = [field.name for field in fields(EventSequences) if isinstance(getattr(parts[0], field.name), np.ndarray)]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **arrays)
