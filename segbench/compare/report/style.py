"""The style of the figures: one colour and marker a method, legible without colours and on any ground."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6F47", "#7A68C8")
"""Okabe and Ito's without black and yellow, which vanish on one ground or the other, and two more."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK = "#1b1f24"
FAINT = "#8a8f98"
BETTER, WORSE, LEVEL = "#0072B2", "#D55E00", "#8a8f98"

SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # names may have any characters
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "segbench",
}


def colour(method: int) -> str:
    """The colour of the method of this number."""
    return COLOURS[method % len(COLOURS)]


def marker(method: int) -> str:
    """The marker of the method of this number; with the colour it is unique for 64 methods."""
    return MARKERS[(method + method // len(COLOURS)) % len(MARKERS)]


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib with the settings of this file, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure.

    Args:
        width: inches.
        height: inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def light_grid(axes: Axes, axis: str = "x") -> None:
    """Faint lines behind the data, and no ticks on the other axis."""
    axes.grid(axis=axis)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(length=0, axis="y" if axis == "x" else "x")


def log_axis(axes: Axes, axis: str) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    getattr(axes, f"set_{axis}scale")("log")
    ticks = axes.xaxis if axis == "x" else axes.yaxis
    ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_locator(NullLocator())


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write PNG and SVG.

    Returns:
        The SVG for a page: its text and lines take the page's colour, its ground is clear.
    """
    figure.savefig(folder / f"{name}.png", dpi=150, facecolor="white", bbox_inches="tight")
    figure.set_layout_engine("none")  # laid out already; "tight" makes room for long names
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
    )
    svg = buffer.getvalue()
    ground = '<rect width="100%" height="100%" fill="white"/>'
    (folder / f"{name}.svg").write_text(re.sub(r"(<svg[^>]*>)", rf"\1{ground}", svg, count=1), encoding="utf-8")
    return _for_page(svg, name)


def natural_width(svg: str) -> float:
    """The width in CSS pixels at which a letter of a drawing has the size that it was given: 8 points are 10.7 px."""
    match = re.search(r'viewBox="\S+ \S+ (\S+) ', svg)
    assert match is not None
    return float(match[1]) * 96 / 72


def _for_page(svg: str, name: str) -> str:
    inner = svg[svg.index("<svg") :]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", inner, count=1)
    inner = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", inner, count=1)
    inner = re.sub(re.escape(INK), "currentColor", inner, flags=re.IGNORECASE)
    inner = inner.replace("'DejaVu Sans'", "inherit")
    for reference in ('id="', "url(#", 'xlink:href="#', 'href="#'):
        inner = re.sub(rf"{re.escape(reference)}(?!{name}-)", f"{reference}{name}-", inner)
    return inner
