"""Measure a bundle on rows it has not learnt from and write the reviewer's report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_contracts.folder import TableFolder
from evaluation.comparison import Comparison
from evaluation.measuring.subject import Subject
from evaluation.measuring.whole import report_input
from evaluation.metrics import Metric
from evaluation.missing_sources import WithoutSource
from evaluation.report.build import build_report
from evaluation.report.explanation import residuals
from training.bundle import Bundle
from training.experiment import Experiment
from training.run import Progress, Rows, prepare_for


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Parameters
    ----------
    metrics : dict of str to Metric
        On the rows the model has not learnt from.
    rows : int
        How many those are.
    additivity_error : float
        Largest difference between attributions and log-odds over the explained rows.
    report : str
        The reviewer's report as HTML.
    without : tuple of WithoutSource
        How it fares on the same rows without each of its sources.
    """

    metrics: dict[str, Metric]
    rows: int
    additivity_error: float
    report: str
    without: tuple[WithoutSource, ...] = ()

    def figures(self) -> dict[str, float]:
        """Plain numbers: every metric with its interval, `auc`, `auc_low`, ..., and `auc_without_bureau`, ..."""
        found: dict[str, float] = {}
        for name, metric in self.metrics.items():
            for suffix, value in (("", metric.value), ("_low", metric.low), ("_high", metric.high)):
                if value is not None:
                    found[f"{name}{suffix}"] = float(value)
        for missing in self.without:
            found |= missing.figures()
        return {**found, "additivity_error": self.additivity_error}


def evaluate(
    bundle: Bundle,
    folder: TableFolder,
    *,
    rows: Rows | None = None,
    created: str = "",
    owner: str = "",
    challenger: Comparison | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a bundle on a folder's labelled applications and write its report.

    On the folder it was trained on, only the test rows count; on any other folder, all rows.

    Parameters
    ----------
    bundle : Bundle
        What to measure.
    folder : TableFolder
        Records with outcomes.
    rows : Rows, optional
        The folder's rows, where they are at hand from training.
    created : str
        Printed in the report; empty prints none.
    owner : str
        Who answers for the model, as the report prints it; empty says that it is not known.
    challenger : Comparison, optional
        Of this model with another on the same applications.
    progress : callable, optional
        Called with a step and the share that is done.
    """
    own = folder.identity == bundle.facts["data_identity"]
    if rows is None:
        rows = prepare_for(Experiment(**bundle.facts["experiment"]), folder, progress, divided=own)
    tell: Callable[[str, float], None] = progress or (lambda step, share: None)
    tell("evaluation: scores", 0.0)
    subject = Subject(bundle, folder, rows, own)
    report = report_input(subject, tell, created=created, owner=owner, challenger=challenger)
    tell("evaluation: report", 0.95)
    page = build_report(report)
    error = float(np.abs(residuals(report)).max(initial=0.0))
    return Evaluation(report.figures[subject.test.name], len(subject.tested), error, page, tuple(report.without))
