from __future__ import annotations

import re

import numpy as np

from reporting import plots


def test_drawings_follow_the_page_and_their_numbers():
    first = plots.densities("a", [np.arange(50.0), np.arange(80.0)])
    assert plots.densities("a", [np.arange(50.0), np.arange(80.0)]) == first
    assert plots.densities("a", [np.arange(60.0)]) != first
    assert "var(--a)" in first
    assert "var(--b)" in first
    assert "#2060c0" not in first


def test_a_drawing_asks_nothing_of_the_network_and_keeps_no_ids_of_groups():
    svg = plots.grouped_bars("shares", ["a", "b"], [[0.5, 0.5], [0.4, 0.6]])
    assert "://" not in svg
    assert not re.search(r"<g id=", svg)
    assert 'data-plot="shares"' in svg
