"""From a folder of records and an experiment to a bundle: features, target, split, search, hybrid."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.authorisation import require_authorised
from data_contracts.errors import LendwellError, TrainingError
from data_contracts.folder import TableFolder
from features.algebra import FeatureSet
from features.sequences import SOURCES, EventSequences
from features.sets import feature_set
from training.boosted import BoostedClassifier
from training.bundle import Bundle, ScoreScale
from training.experiment import Experiment, Split, Target
from training.hybrid import HybridClassifier
from training.inputs import Inputs
from training.reference import Reference
from training.reference_rows import ReferenceRows
from training.rejects import calibrate_on_granted, learnt_rows, refused_applications, refused_rows
from training.search_space import check_space
from training.sequence_net import SequenceNetClassifier
from training.splits import Sample, divide, require_both_classes
from training.tabular_net import TabularNetClassifier
from training.targets import LeftOut, label
from training.tune import Tuning, require_storage, tune

Progress = Callable[[str, float], None]
BACKGROUND_ROWS = 100


@dataclass(frozen=True)
class Rows:
    """Labelled applications of a folder, ready to be learnt from or measured on.

    Parameters
    ----------
    features : DataFrame, shape (n, n_features)
        Indexed by `application_id`.
    events : EventSequences
        Raw events of the same rows.
    defaulted : ndarray of int64, shape (n,)
        The target.
    customers, applied_at : Series
        Of the same rows.
    sample : Sample
        Which rows train and which test.
    left_out : tuple of LeftOut
        Applications that are not among the rows, or in neither sample.
    refused : Inputs, optional
        Of `training.rejects.refused_applications` in their order, where they were asked for.
    """

    features: pd.DataFrame
    events: EventSequences
    defaulted: npt.NDArray[np.int64]
    customers: pd.Series
    applied_at: pd.Series
    sample: Sample
    left_out: tuple[LeftOut, ...]
    refused: Inputs | None = None


def prepare(
    folder: TableFolder,
    declared: FeatureSet,
    *,
    target: Target,
    split: Split | None,
    seed: int,
    length: int,
    refused: bool = False,
    inputs: Inputs | None = None,
    progress: Progress | None = None,
) -> Rows:
    """Compute features, raw events, target and split of a folder's labelled applications; without a split all test.

    `length` is that of the raw events, 0 where nobody reads them. With `refused`, what a model reads of refused
    applications is kept, too. `inputs` of all applications are computed where they are not given.

    Raises
    ------
    TrainingError
        Where the target has one class only, over all or on one side of the split, or either side is too small.
    """
    labels = label(folder, target)
    inputs = inputs or Inputs.read(folder, declared, length, progress)
    who = folder.read("applications", ["application_id", "customer_id", "applied_at"])
    who = who.set_index("application_id").loc[labels.defaulted.index]
    if split is None:
        sample = Sample(np.arange(0), np.arange(len(who)), (), None)
    else:
        sample = divide(who["customer_id"], who["applied_at"], split, seed, labels.known_at)
        require_both_classes(labels.defaulted.to_numpy(), sample)
    labelled = inputs.of(labels.defaulted.index)
    return Rows(
        features=labelled.features,
        events=labelled.events,
        defaulted=labels.defaulted.to_numpy(),
        customers=who["customer_id"],
        applied_at=who["applied_at"],
        sample=sample,
        left_out=(*labels.left_out, *sample.left_out),
        refused=inputs.of(refused_applications(folder).index) if refused else None,
    )


def prepare_for(
    experiment: Experiment,
    folder: TableFolder,
    progress: Progress | None = None,
    *,
    divided: bool = True,
    refused: bool = False,
) -> Rows:
    """`prepare` as an experiment declares it, where its tables may be used at its decision point.

    A folder on which nothing is trained is not `divided`: all its rows test, be they as few as they are. Refused
    applications are kept where the experiment learns from them, or where they are asked for.
    """
    declared = feature_set(experiment.feature_set)
    events = SOURCES if "sequence_net" in experiment.parts else ()
    require_authorised((*declared.tables, *events), experiment.decision_point)
    return prepare(
        folder,
        declared,
        target=experiment.target,
        split=experiment.split if divided else None,
        seed=experiment.seed,
        length=experiment.sequence_length if events else 0,
        refused=refused or experiment.rejects.method != "none",
        progress=progress,
    )


def require_search(
    experiment: Experiment, storage: str, *, trials: int | None = None, seconds: float | None = None
) -> bool:
    """Whether there is a budget for a search; what would make it fail is told before any feature is computed.

    Raises
    ------
    DeclarationError
        The space is declared wrongly, or empty.
    TrainingError
        The storage is not there.
    """
    if not any(_budget(experiment, trials, seconds)):
        return False
    check_space(experiment.tuning.space)
    require_storage(storage)
    return True


def search(
    experiment: Experiment,
    rows: Rows,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    storage: str | None = None,
    study: str | None = None,
    progress: Progress | None = None,
) -> Tuning | None:
    """Search XGBoost's parameters on the training rows; None where the experiment has no budget."""
    trials, seconds = _budget(experiment, trials, seconds)
    if not (trials or seconds):
        return None
    train = rows.sample.train
    with _parameters_reported(experiment):
        return tune(
            rows.features.iloc[train],
            rows.defaulted[train],
            experiment.tuning.space,
            groups=rows.customers.to_numpy()[train],
            base=_boosted(experiment, {}),
            n_trials=trials,
            seconds=seconds,
            n_folds=experiment.folds,
            storage=storage,
            study_name=study or experiment.name,
            random_state=experiment.seed,
            progress=progress,
        )


def train(
    experiment: Experiment,
    folder: TableFolder,
    rows: Rows,
    *,
    best: Tuning | None = None,
    progress: Progress | None = None,
    checkpoints: Path | None = None,
) -> Bundle:
    """Train the hybrid on the training rows and put together what scores; the bundle is not saved yet.

    The same experiment, rows and machine give the same bytes. With a folder for `checkpoints` an interrupted training
    goes on from the parts that were trained.
    """
    declared = feature_set(experiment.feature_set)
    found = best.best_params if best else {}
    seed = experiment.seed
    has = experiment.parts
    hybrid = HybridClassifier(
        boosted=_boosted(experiment, found) if "boosted" in has else None,
        tabular_net=(
            TabularNetClassifier(**{"random_state": seed, **experiment.tabular_net}) if "tabular_net" in has else None
        ),
        sequence_net=(
            SequenceNetClassifier(**{"random_state": seed, **experiment.sequence_net})
            if "sequence_net" in has
            else None
        ),
        n_folds=experiment.folds,
        random_state=seed,
    )
    with _parameters_reported(experiment):
        learnt = learnt_rows(experiment, folder, rows, boosted=_boosted(experiment, found), progress=progress)
        hybrid.fit(
            learnt.features,
            learnt.defaulted,
            sequences=learnt.events,
            groups=learnt.customers,
            sample_weight=learnt.weights,
            progress=progress,
            checkpoints=checkpoints,
        )
    if learnt.weights is not None and experiment.rejects.calibrated_on == "granted":
        calibrate_on_granted(hybrid, learnt, seed)
    once = np.arange(learnt.applications)
    features, events = learnt.features.iloc[once], learnt.events.take(once)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(once))[:BACKGROUND_ROWS])
    return Bundle(
        name=experiment.name,
        decision_point=experiment.decision_point,
        feature_set=declared,
        model=hybrid,
        reference=Reference.from_frame(features, hybrid.decision_function(features, events)),
        reference_rows=_reference_rows(experiment, folder, rows, hybrid, progress),
        background_features=features.iloc[drawn].reset_index(drop=True),
        background_sequences=events.take(drawn) if "sequence_net" in hybrid.parts_ else None,
        scale=ScoreScale.of(experiment.scale),
        facts={**_facts(experiment, folder, rows, found), **({"rejects": learnt.facts} if learnt.facts else {})},
    )


def _reference_rows(
    experiment: Experiment, folder: TableFolder, rows: Rows, hybrid: HybridClassifier, progress: Progress | None
) -> ReferenceRows:
    """A sample of rows that were not learnt from: those of the test, and refused ones where such are learnt from."""
    parts = [Inputs(rows.features, rows.events).take(rows.sample.test)]
    refused = None if experiment.rejects.method == "none" else refused_rows(experiment, folder, rows, progress)
    if refused is not None:
        parts.append(Inputs(refused.features, refused.events).take(refused.test))
    filled = [part for part in parts if len(part.features)]
    log_odds = [hybrid.decision_function(part.features, part.events) for part in filled]
    features = pd.concat([part.features for part in filled])
    return ReferenceRows.draw(folder, features, np.concatenate(log_odds), seed=experiment.seed)


def _budget(experiment: Experiment, trials: int | None, seconds: float | None) -> tuple[int | None, float | None]:
    """Trials and seconds of a search, those of the experiment where none are given; None for no bound."""
    declared = experiment.tuning
    return (declared.trials if trials is None else trials) or None, (declared.seconds if seconds is None else seconds)


@contextmanager
def _parameters_reported(experiment: Experiment) -> Iterator[None]:
    """Name the experiment where XGBoost or PyTorch refuses a parameter's value, which only they can judge."""
    try:
        yield
    except LendwellError:
        raise
    except (ValueError, RuntimeError) as fault:  # XGBoost's own error is a ValueError
        first_line = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise TrainingError(
            f"Experiment {experiment.name} cannot be trained: {first_line}. Check the values in its [boosted], "
            "[tabular_net] and [sequence_net]; --debug shows where."
        ) from fault


def _boosted(experiment: Experiment, found: dict[str, Any]) -> BoostedClassifier:
    directions = {f.name: f.risk for f in feature_set(experiment.feature_set).features if f.risk}
    monotone = directions if experiment.monotone else None
    return BoostedClassifier(**{"random_state": experiment.seed, "monotone": monotone, **experiment.boosted, **found})


def _facts(experiment: Experiment, folder: TableFolder, rows: Rows, found: dict[str, Any]) -> dict[str, Any]:
    sample = rows.sample
    packages = ("xgboost", "torch", "scikit-learn", "numpy", "tabm")
    return {
        "experiment": experiment.model_dump(mode="json"),
        "experiment_text": experiment.text,
        "tuned": found,
        "lender": folder.lender,
        "data_identity": folder.identity,
        "data_files": dict(folder.hashes),
        "rows": {"train": len(sample.train), "test": len(sample.test)},
        "cutoff": None if sample.cutoff is None else sample.cutoff.isoformat(),
        "left_out": [{"en": left.en, "zh": left.zh, "count": left.count} for left in rows.left_out],
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
