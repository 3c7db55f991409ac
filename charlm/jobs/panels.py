"""What `charlm inspect` draws: its results as panels of curves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from charlm.inspecting.bands import half_life
from charlm.inspecting.pictures import Panel, Series
from charlm.inspecting.planted import Learned
from charlm.inspecting.radius import Radius
from charlm.jobs.inspect import Learning, Remembering


def of_gradients(found: Sequence[Learning]) -> list[Panel]:
    """G(k) of each run's top layer, hidden vectors and memories: fresh dashed, trained drawn through."""
    panels = [Panel("gradients by time lag, top layers", "k, tokens back", "G(k)")]
    runs = list(dict.fromkeys(one.run for one in found))
    top = {one.run: max(decay.layer for decay in one.decays) for one in found}
    if any(decay.vector == "memory" for one in found for decay in one.decays):
        panels.append(Panel("memories c", "k, tokens back", "G(k)"))
    for one in found:
        for decay in one.decays:
            if decay.layer != top[one.run]:
                continue
            curve, style = decay.curve, "--" if one.stage == "fresh" else "-"
            last = half_life(curve.mean)
            name = f"{Path(one.run).name}, {one.stage}" + (f", half-life {last:.1f}" if last is not None else "")
            series = Series(name, range(len(curve.mean)), curve.mean, runs.index(one.run), style, curve.low, curve.high)
            panels[decay.vector == "memory"].series.append(series)
    return panels


def of_memory(found: Sequence[Remembering]) -> list[Panel]:
    """M(k) of each run."""
    panel = Panel("what replacing one token changes", "k, tokens back", "bits")
    for number, one in enumerate(found):
        curve = one.effect.curve
        lags = range(1, len(curve.mean) + 1)
        panel.series.append(Series(Path(one.run).name, lags, curve.mean, number, "-", curve.low, curve.high))
    return [panel]


def of_lags(found: Sequence[Learned]) -> list[Panel]:
    """Accuracy by lag in the end, and on the way, for the cell that came farthest and the one that did not."""
    final = Panel("accuracy by lag, in the end", "lag", "accuracy", logarithmic=False, log_x=True)
    for number, one in enumerate(found):
        final.series.append(Series(one.cell, one.lags, np.array(one.curves[-1]), number, "-o"))
    panels = [final]
    for one in sorted(found, key=lambda learned: learned.reach)[:: max(1, len(found) - 1)][:2]:
        panel = Panel(f"{one.cell}, by lag", "steps", "accuracy", logarithmic=False)
        for number, lag in enumerate(one.lags):
            panel.series.append(Series(f"{lag}", one.steps, np.array([c[number] for c in one.curves]), number, "-o"))
        panels.append(panel)
    return panels


def of_radii(found: Sequence[Radius], clip: float) -> list[Panel]:
    """The gradient by lag for each radius, cell by cell, and what clipping does to its length."""
    panels = []
    cells = list(dict.fromkeys(one.cell for one in found))
    for cell in cells:
        panel = Panel(f"{cell}: by spectral radius", "k, steps back", "G(k)")
        for number, one in enumerate(each for each in found if each.cell == cell):
            panel.series.append(Series(f"{one.radius:g}", range(len(one.curve)), one.curve, number))
        panels.append(panel)
    last = Panel(f"clipping at {clip:g}: length of the gradient, share of its far half", "spectral radius", "")
    for number, cell in enumerate(cells):
        own = [one for one in found if one.cell == cell]
        radii = [one.radius for one in own]
        last.series.extend(
            [
                Series(f"{cell}, length", radii, np.array([one.norm for one in own]), number),
                Series(f"{cell}, length clipped", radii, np.array([one.clipped for one in own]), number, "--"),
                Series(f"{cell}, far share, clipped or not", radii, np.array([one.far for one in own]), number, ":"),
            ]
        )
    return [*panels, last]
