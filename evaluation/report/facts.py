"""What several sections of the report need of its input, computed once; and what a section is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from evaluation.metric import Array, Metric
from evaluation.report import explanation
from evaluation.report.inputs import ReportInput, Split
from reporting.page import Text

Weight = Literal["bad", "warn", "open"]

SPLIT_NAMES = {
    "train": Text("训练", "Train"),
    "validation": Text("验证", "Validation"),
    "calibration": Text("校准", "Calibration"),
    "test": Text("测试", "Test"),
}


@dataclass(frozen=True)
class Finding:
    """What a reviewer must see before signing: `bad` speaks against the model, `warn` is to be weighed, `open` unknown.

    Parameters
    ----------
    weight : {"bad", "warn", "open"}
    text : Text
    """

    weight: Weight
    text: Text


class Facts:
    """The input of a report, and figures that more than one section shows."""

    def __init__(self, report: ReportInput) -> None:
        self.report = report

    @property
    def test(self) -> dict[str, Metric]:
        """Every figure of the test."""
        return self.report.figures[self.report.test.name]

    @cached_property
    def ranked(self) -> list[explanation.Importance]:
        """Features and sources of events, the strongest first."""
        return explanation.importances(self.report)

    @cached_property
    def residual(self) -> Array:
        """How far attributions of each explained row are from its log-odds."""
        return explanation.residuals(self.report)

    @property
    def source(self) -> str:
        """Hash of the records that the figures come from."""
        return self.report.identity.data


@dataclass(frozen=True)
class Section:
    """One section of the report: the template `sections/ID.html.j2`, filled with what `context` finds.

    Parameters
    ----------
    id : str
        Where links lead.
    title : Text
    context : callable
        From facts to what the template reads as `it`; its `findings`, where there are any, go to the end of the report,
        and so does every `Unknown`.
    """

    id: str
    title: Text
    context: Callable[[Facts], dict[str, Any]]


def name_of(split: Split) -> Text:
    """What a sample is called."""
    return SPLIT_NAMES.get(split.name, Text(split.name, split.name))


def has_both(split: Split) -> bool:
    """Whether a sample has good and bad loans."""
    return len(np.unique(np.asarray(split.y))) == 2
