"""Whether the model treats people alike: fairness at the cut-off by sex and age, and what could stand in for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.fairness import Fairness, age_bands, fairness
from evaluation.measuring.dimensions import persons
from evaluation.measuring.subject import Subject
from evaluation.protected import ProtectedUse, protected_uses
from evaluation.proxies import Proxies, proxies
from reporting.page import Text, Unknown

APPROVED = 0.8
_NOBODY = Unknown(
    Text(
        "数据中没有性别、年龄或婚姻状况，无法分析公平性。",
        "The records tell neither sex nor age nor marital status: fairness cannot be looked at.",
    )
)


@dataclass(frozen=True)
class Treatment:
    """How people fare under a model.

    Parameters
    ----------
    uses : list of ProtectedUse
        What the features do with each protected column.
    fairness : list of Fairness or Unknown
        By sex, age band and marital status, at the cut-off that approves the safest `approved`.
    proxies : list of Proxies or Unknown
        How well the features tell each attribute.
    approved : float
    """

    uses: list[ProtectedUse]
    fairness: list[Fairness] | Unknown
    proxies: list[Proxies] | Unknown
    approved: float = APPROVED


def treatment_of(subject: Subject) -> Treatment:
    """Measure fairness and proxies on the test, as far as the lender keeps the attributes."""
    uses, seed = protected_uses(subject.bundle.feature_set), subject.experiment.seed
    index = subject.rows.features.index[subject.tested]
    known = persons(subject.folder, index)
    if known.empty or not len(known.columns):
        return Treatment(uses, _NOBODY, _NOBODY)
    groups = known.assign(age_band=age_bands(known["age_years"])) if "age_years" in known else known
    groups = groups[[name for name in ("gender", "age_band", "marital_status") if name in groups]]
    pds = np.asarray(subject.test.pd)
    cutoff = float(np.quantile(pds, APPROVED, method="inverted_cdf"))
    return Treatment(
        uses,
        fairness(subject.test.y, pds, groups, cutoff=cutoff, seed=seed),
        proxies(subject.rows.features.iloc[subject.tested], known, seed=seed),
    )
