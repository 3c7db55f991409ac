"""Curves as a PNG, with matplotlib, which is an extra."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from charlm import storage
from charlm.errors import MissingExtra
from charlm.inspecting.bands import Numbers


@dataclass(frozen=True)
class Series:
    """One curve. Those of one `colour` (a number) are drawn alike but for their style.

    low, high  its band, if it has one
    """

    name: str
    x: Sequence[float]
    y: Numbers
    colour: int
    style: str = "-"
    low: Numbers | None = None
    high: Numbers | None = None


@dataclass(frozen=True)
class Panel:
    """One set of axes; its y axis is logarithmic unless it says otherwise."""

    title: str
    x: str
    y: str
    series: list[Series] = field(default_factory=list)
    logarithmic: bool = True
    log_x: bool = False


def need_matplotlib() -> None:
    """Raise MissingExtra, before any work is done, where no picture can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtra("matplotlib", "plot", "a picture (--plot)") from error


def draw(panels: Sequence[Panel], path: Path) -> Path:
    """Write panels side by side as a PNG, whole or not at all; raises MissingExtra without matplotlib."""
    need_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 5 * len(panels), 4.8), dpi=120, layout="constrained")
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number)
        for index, one in enumerate(panel.series, 1):
            # The fonts that matplotlib brings have no Chinese.
            name = one.name if one.name.isascii() else f"curve {index}"
            y = np.where(one.y > 0, one.y, np.nan) if panel.logarithmic else one.y
            axes.plot(one.x, y, one.style, color=f"C{one.colour % 10}", linewidth=1.5, label=name)
            if one.low is not None and one.high is not None:
                low = np.maximum(one.low, np.finfo(float).tiny) if panel.logarithmic else one.low
                axes.fill_between(one.x, low, one.high, color=f"C{one.colour % 10}", alpha=0.15, linewidth=0)
        if panel.logarithmic:
            axes.set_yscale("log")
        if panel.log_x:
            axes.set_xscale("log")
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(panel.x)
        axes.set_ylabel(panel.y)
        axes.grid(alpha=0.3)
        if panel.series:
            axes.legend(fontsize=8)
    with storage.whole_file(path) as temporary, temporary.open("wb") as handle:
        figure.savefig(handle, format="png")
    return path
