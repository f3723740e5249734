"""Drawings of a run: one file each that needs nothing else, in both languages, the same bytes for the same figures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from training.curves import as_svg, learning_plots, search_plots
from training.tune import Tuning

TRIALS = pd.DataFrame(
    {
        "number": [0, 1, 2, 3],
        "value": [0.70, 0.74, 0.72, None],
        "state": ["COMPLETE", "COMPLETE", "PRUNED", "FAIL"],
    }
)


def texts(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own


@pytest.mark.parametrize("importances", [{}, {"max_depth": 0.8, "learning_rate": 0.2}])
def test_a_search_is_drawn(importances):
    found = Tuning({"max_depth": 2}, 0.74, TRIALS, importances)
    svg = as_svg(search_plots(found))
    assert "参数搜索历史 · Optimisation history" in texts(svg)
    assert ("参数重要性" in texts(svg)) == bool(importances)
    assert "var(--" not in svg
    assert svg == as_svg(search_plots(found))


def test_losses_are_drawn_a_part_each():
    plots = learning_plots(
        {"boosted": [[0.6, 0.5, 0.55], [0.6, 0.52]], "tabular_net": [[0.7, 0.6]], "sequence_net": [[]]}
    )
    assert [plot.title.en for plot in plots] == ["Trees: held-out log loss", "Tabular net: held-out log loss"]
    told = texts(as_svg(plots))
    assert "轮次 · Round" in told
    assert "训练周期 · Epoch" in told
    assert "其他种子 · other seeds" in told


def test_nothing_was_held_out():
    assert learning_plots({"boosted": [], "tabular_net": [[]]}) == []
