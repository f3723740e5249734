"""Drawings for reports, as inline SVG whose colours follow the page and whose bytes follow the numbers.

Axis titles are not drawn: the page writes them in both languages. Clouds of points are drawn as pixels inside the
SVG, so that ten thousand of them stay small.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

# Colours that stand for the page's own, put in place once the drawing is text.
_VARIABLES = {
    "#101112": "var(--ink)",
    "#707172": "var(--muted)",
    "#d0d1d2": "var(--line)",
    "#2060c0": "var(--a)",
    "#c05020": "var(--b)",
    "#208070": "var(--c)",
}
INK, MUTED, LINE, A, B, C = _VARIABLES
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.pad": 5,
    "text.color": INK,
    "axes.unicode_minus": False,
}


def draw(name: str, paint: Callable[[Axes], None], *, width: float = 4.4, height: float = 3.1, **margins: float) -> str:
    """Let `paint(axes)` draw and return the SVG; `name` keeps the ids of two drawings on a page apart."""
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), dpi=144)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        paint(axes)
        figure.subplots_adjust(**{"left": 0.11, "right": 0.98, "top": 0.97, "bottom": 0.1, **margins})
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(stream.getvalue(), name)


def _inline(text: str, name: str) -> str:
    """Strip what inline SVG does not need (addresses of standards, ids) and hand the colours to the page."""
    svg = text[text.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" data-plot="{name}" role="img">', svg, count=1
    )
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.strip()


def densities(name: str, samples: Sequence[npt.ArrayLike], *, bins: int = 40) -> str:
    """Histograms of several samples on common bins, as shares: the first in colour `a`, the next in `b`, then `c`."""
    arrays = [np.asarray(sample, dtype=np.float64) for sample in samples if np.size(sample)]
    everything = np.concatenate(arrays)
    low, high = np.quantile(everything, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)

    def paint(axes: Axes) -> None:
        for colour, array in zip((A, B, C), arrays, strict=False):
            share = np.histogram(np.clip(array, edges[0], edges[-1]), edges)[0] / len(array)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.14)
            axes.stairs(share, edges, color=colour, linewidth=1.4)

    return draw(name, paint)


def grouped_bars(
    name: str, labels: Sequence[str], shares: Sequence[npt.ArrayLike], *, colours: Sequence[str] = (A, B, C),
    broad: bool = False, per_cent: bool = False,
) -> str:  # fmt: skip
    """Shares side by side for each label: the first of them in colour `a`, the next in `b`, then `c`."""
    place, width = np.arange(len(labels)), 0.8 / len(shares)
    crowded = sum(map(len, labels)) > (80 if broad else 45)
    tilt: dict[str, Any] = {"rotation": 30, "ha": "right"} if crowded else {}

    def paint(axes: Axes) -> None:
        for k, (colour, share) in enumerate(zip(colours, shares, strict=False)):
            at = place + (k - (len(shares) - 1) / 2) * width
            axes.bar(at, np.asarray(share), 0.95 * width, color=colour, alpha=0.55 if colour == MUTED else 1)
        axes.set_xticks(place, labels, **tilt)
        axes.grid(axis="x", visible=False)
        if per_cent:
            axes.yaxis.set_major_formatter(_per_cent)

    shape = {"width": 7.2, "height": 2.9, "left": 0.07} if broad else {}
    return draw(name, paint, **{**shape, "bottom": 0.22 if tilt else 0.1})


def ranked_bars(
    name: str, labels: Sequence[str], values: Sequence[float], *, colours: Sequence[str], limit: float | None = None,
    start: float = 0.0, per_cent: bool = False,
) -> str:  # fmt: skip
    """One line a label, from the top down; the axis begins at `start`, a line across marks the limit."""
    place = np.arange(len(labels))[::-1]

    def paint(axes: Axes) -> None:
        axes.barh(place, np.asarray(values) - start, 0.7, left=start, color=list(colours))
        for at, value in zip(place, values, strict=True):
            text = f"{100 * value:.1f}%" if per_cent else f"{value:.3f}"
            axes.annotate(text, (value, at), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
        if limit is not None:
            axes.axvline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yticks(place, labels)
        axes.set_xlim(start, start + 1.15 * (max([*values, limit or start]) - start or 1))
        axes.grid(axis="y", visible=False)
        if per_cent:
            axes.xaxis.set_major_formatter(_per_cent)

    margins = {"left": 0.34, "bottom": 0.08, "top": 0.99}
    return draw(name, paint, width=7.2, height=0.6 + 0.23 * len(labels), **margins)


def lines(
    name: str, curves: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], *, ticks: Sequence[str] = (),
    band: tuple[npt.ArrayLike, npt.ArrayLike] | None = None, per_cent: bool = True, marks: bool = True,
    broad: bool = False, colours: Sequence[str] = (A, B, C, MUTED), from_zero: bool = True,
) -> str:  # fmt: skip
    """Lines through (x, y) points, the first in colour `a` and with its band; `ticks` name the places 0, 1, ..."""

    def paint(axes: Axes) -> None:
        for colour, (x, y) in zip(colours, curves, strict=False):
            axes.plot(np.asarray(x), np.asarray(y), color=colour, linewidth=1.6, marker="o" if marks else "", ms=3)
        if band is not None:
            low, high = band
            axes.fill_between(np.asarray(curves[0][0]), np.asarray(low), np.asarray(high), color=colours[0], alpha=0.14)
        if ticks:
            every = -(-len(ticks) // (18 if broad else 10))
            tilt: dict[str, Any] = {"rotation": 30, "ha": "right"} if max(map(len, ticks)) > 3 else {}
            axes.set_xticks(range(0, len(ticks), every), ticks[::every], **tilt)
        if per_cent:
            axes.yaxis.set_major_formatter(_per_cent)
        if from_zero:
            axes.set_ylim(bottom=0)

    shape = {"width": 7.2, "height": 2.9, "left": 0.07} if broad else {}
    return draw(name, paint, **{**shape, **({"bottom": 0.2} if ticks else {})})


def _per_cent(share: float, _place: float) -> str:
    return f"{100 * share:g}%"
