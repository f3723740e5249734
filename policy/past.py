"""Past applications, ready to be decided again: what was known then, their PD, and what became of them.

Scores are out of sample: of the folder that a model was trained on, only applications of its test period and of
customers whom it has not learnt from are taken; of any other folder all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from data_contracts.authorisation import require_authorised
from data_contracts.errors import LendwellError, SourceError
from data_contracts.folder import TableFolder
from evaluation.measuring.dimensions import dimensions
from features.sequences import SOURCES
from features.sets import feature_set
from policy.outcomes import Flags, Floats, Outcomes, of_records, of_truth
from policy.products import FEN
from policy.rules.facts import read_facts
from policy.rules.fields import FEATURE_SET
from reporting.page import Text
from training.bundle import Bundle
from training.experiment import Experiment
from training.inputs import Inputs
from training.rejects import refused_applications, refused_rows
from training.run import prepare

Progress = Callable[[str, float], None]
SMALL, LARGE = 5_000, 100_000  # CNY: decided at once, and decided with care
BANDS = (f"up to {SMALL:,}", f"{SMALL:,} to {LARGE:,}", f"above {LARGE:,}")


@dataclass(frozen=True)
class Past:
    """Past applications, n of them.

    Parameters
    ----------
    frame : DataFrame
        By `application_id`: what `Policy.decide_frame` and the rules read; columns of applications in fen, features in
        CNY, `pd` and `score`.
    outcomes : Outcomes
    granted : ndarray of bool, shape (n,)
        What the lender decided then: the legacy policy.
    legacy_rate : ndarray of float64, shape (n,)
        Rate a year of the loan as it was granted or asked for; NaN where that is not told.
    customers : Series
    levels : DataFrame
        By what figures are told apart: month, product, channel and the like, and `amount_band` in CNY.
    sample : Text
        Which applications these are.
    """

    frame: pd.DataFrame
    outcomes: Outcomes
    granted: Flags
    legacy_rate: Floats
    customers: pd.Series
    levels: pd.DataFrame
    sample: Text

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: npt.NDArray[Any]) -> Past:
        """The given applications, by a mask or by place."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        said, true_pd = self.outcomes, self.outcomes.true_pd
        outcomes = replace(
            said, defaults=said.defaults[at], bad=said.bad[at], known=said.known[at],
            true_pd=None if true_pd is None else true_pd[at],
        )  # fmt: skip
        return replace(
            self, frame=self.frame.iloc[at], outcomes=outcomes, granted=self.granted[at],
            legacy_rate=self.legacy_rate[at], customers=self.customers.iloc[at], levels=self.levels.iloc[at],
        )  # fmt: skip

    def offered(self, products: Sequence[str]) -> Past:
        """Without applications for products that are not offered, whose loans no strategy prices; `sample` counts them.

        Raises
        ------
        SourceError
            Where none is left.
        """
        among = self.frame["product"].isin(products).to_numpy()
        if not among.any():
            asked = ", ".join(sorted(map(str, self.frame["product"].unique())))
            raise SourceError(
                f"None of the applications is for a product that is offered: they are for {asked}, offered are "
                f"{', '.join(products)}. Declare the lender's products and give them with --products."
            )
        if among.all():
            return self
        n = int((~among).sum())
        told = Text(
            f"{self.sample.zh}另有{n:,}笔申请的产品不在供应范围内，未计入。",
            f"{self.sample.en} Left out are {n:,} applications for products that are not offered.",
        )
        return replace(self.take(among), sample=told)

    def halves(self, seed: int) -> tuple[Past, Past]:
        """Two parts of about half of the customers each, drawn by the seed; no customer is in both."""
        names = np.sort(self.customers.unique().astype(str))
        drawn = np.random.default_rng(seed).permutation(names)[: len(names) // 2]
        first = self.customers.isin(drawn).to_numpy()
        return self.take(first), self.take(~first)


def read_past(
    bundle: Bundle, folder: TableFolder, *, truth: pd.DataFrame | None = None, progress: Progress | None = None
) -> Past:
    """Read the applications of a folder that a model has not learnt from, scored by it.

    Parameters
    ----------
    truth : DataFrame, optional
        What would have become of every application, as the simulated lender tells it.

    Raises
    ------
    LendwellError
        Where the bundle decides at another point than the application.
    SourceError
        Where no application is left, or nothing tells what became of them.
    """
    if bundle.decision_point != "application":
        raise LendwellError(
            f"{bundle.name} decides at {bundle.decision_point}; a strategy needs a model of applications."
        )
    experiment = Experiment(**bundle.facts["experiment"])
    length = bundle.sequence_length or 0
    require_authorised((*bundle.feature_set.tables, *(SOURCES if length else ())), bundle.decision_point)
    inputs = Inputs.read(folder, bundle.feature_set, length, progress)
    who = folder.read("applications").set_index("application_id").loc[inputs.features.index]
    unseen, sample = _unseen(bundle, experiment, folder, inputs, who)
    places = np.flatnonzero(unseen)
    if not len(places):
        raise SourceError(f"{bundle.name} has learnt from all of {folder.path}; give a folder with newer applications.")
    inputs, who = inputs.take(places), who.iloc[places]
    log_odds = bundle.model.decision_function(inputs.features, inputs.events if length else None)
    features = inputs.features
    if bundle.feature_set.name != FEATURE_SET:
        features = Inputs.read(folder, feature_set(FEATURE_SET), 0, progress).features
    refused = who.index.isin(refused_applications(folder).index)
    if truth is not None:
        outcomes = of_truth(truth, who.index)
    else:
        factor = experiment.rejects.odds_factor
        outcomes = of_records(folder, who.index, experiment.target, log_odds, refused, factor)
    frame = read_facts(folder, features).loc[who.index].assign(pd=expit(log_odds), score=bundle.scale.points(log_odds))
    return Past(frame, outcomes, ~refused, _rates(folder, who.index), who["customer_id"], _levels(folder, who), sample)


def _unseen(
    bundle: Bundle, experiment: Experiment, folder: TableFolder, inputs: Inputs, who: pd.DataFrame
) -> tuple[Flags, Text]:
    """Whose applications the model has not learnt from, and which these are in words."""
    if bundle.facts["data_identity"] != folder.identity:
        return np.ones(len(who), dtype=bool), Text(
            "模型未见过该数据，全部申请均为样本外。",
            "The model has not seen these tables: all applications are out of sample.",
        )
    rows = prepare(
        folder, bundle.feature_set, target=experiment.target, split=experiment.split, seed=experiment.seed,
        length=bundle.sequence_length or 0, inputs=inputs,
    )  # fmt: skip
    learnt = rows.customers.iloc[rows.sample.train]
    if experiment.rejects.method != "none":
        known = replace(rows, refused=inputs.of(refused_applications(folder).index))
        if (refused := refused_rows(experiment, folder, known)) is not None:
            learnt = pd.concat([learnt, refused.customers.iloc[refused.train]])
    unseen = ~who["customer_id"].isin(learnt).to_numpy()
    if rows.sample.cutoff is None:
        return unseen, Text("仅含模型未学习过的客户。", "Customers whom the model has not learnt from.")
    since = f"{rows.sample.cutoff:%Y-%m-%d}"
    return unseen & (who["applied_at"] >= rows.sample.cutoff).to_numpy(), Text(
        f"仅含{since}起、模型未学习过的客户的申请。",
        f"Applications since {since} of customers whom the model has not learnt from.",
    )


def _rates(folder: TableFolder, applications: pd.Index[Any]) -> Floats:
    """Rate a year of the loan that came from each application, or was asked for with it."""
    if "loans" not in folder.tables:
        return np.full(len(applications), np.nan)
    loans = folder.read("loans", ["application_id", "annual_rate", "known_at"]).dropna(subset="application_id")
    first = loans.sort_values("known_at", kind="stable").drop_duplicates("application_id")
    return first.set_index("application_id")["annual_rate"].reindex(applications).to_numpy(np.float64)


def _levels(folder: TableFolder, who: pd.DataFrame) -> pd.DataFrame:
    """Segments of applications, with the band of the amount asked for."""
    found = dimensions(folder, who.index)
    if "product" not in found:
        found.insert(0, "product", who["product"])
    return found.assign(amount_band=amount_bands(who["amount_requested"]))


def amount_bands(fen: pd.Series) -> pd.Series:
    """Band of each amount.

    Examples
    --------
    >>> amount_bands(pd.Series([500_000, 500_001, 10_000_001, None])).tolist()
    ['up to 5,000', '5,000 to 100,000', 'above 100,000', nan]
    """
    return pd.cut(fen.astype("float64") / FEN, [-np.inf, SMALL, LARGE, np.inf], labels=list(BANDS))
