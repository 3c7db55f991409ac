"""What `charlm inspect` finds, as a terminal shows it in 80 columns: bars, and curves as rows of a table."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.grid import columns

if TYPE_CHECKING:
    from charlm.inspecting.gates import Insides
    from charlm.inspecting.neurons import Knowledge
    from charlm.inspecting.planted import Learned
    from charlm.inspecting.radius import Radius
    from charlm.jobs.inspect import Learning, Remembering

BAR = 36  # cells of the longest bar
TOP = 3  # units that are shown for each feature
EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int) -> str:
    """A bar of so many cells for a share of 1, in eighths of a cell.

    >>> bar(0.5, 4), bar(1, 2)
    ('██', '██')
    """
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def short(number: float | None) -> str:
    """A number in few cells.

    >>> short(0.00012), short(0.5), short(None), short(float("inf"))
    ('0.00012', '0.5', '–', 'endless')
    """
    if number is None or math.isnan(number):
        return "–"
    return "endless" if math.isinf(number) else f"{number:.2g}"


def doubling(first: int, last: int) -> list[int]:
    """Numbers that double, from the first to the last, which is always one of them.

    >>> doubling(1, 20)
    [1, 2, 4, 8, 16, 20]
    """
    found = [first]
    while found[-1] * 2 < last:
        found.append(found[-1] * 2)
    return found if found[-1] == last else [*found, last]


def gradients(one: "Learning") -> Iterator[str]:
    """How far back the gradients of one network reach."""
    yield f"{one.run}, {one.cell}, {one.stage}"
    factor = f"{one.singular.mean:.3f} [{one.singular.low:.3f}, {one.singular.high:.3f}]"
    yield f"  largest singular value, a step: {factor}"
    if one.clipped is not None:
        yield f"  clipped steps of its training: {one.clipped:.1%}"
    lags = doubling(1, len(one.decays[0].curve.mean) - 1)
    rows = [("  layer", *(f"G({lag})" for lag in lags), "half-life")]
    for decay in one.decays:
        shown = (short(float(decay.curve.mean[lag])) for lag in lags)
        last = decay.half_life
        rows.append((f"  {decay.layer} {decay.vector}", *shown, f"{last:.1f}" if last and last < 1e6 else short(last)))
    yield from columns(rows)


def memory(found: Sequence["Remembering"]) -> Iterator[str]:
    """How far back each run looks."""
    lags = doubling(1, len(found[0].effect.curve.mean))
    rows = [("bits, k tokens back", *(f"{lag}" for lag in lags), "half within", "nothing beyond")]
    for one in found:
        effect, last = one.effect, len(one.effect.curve.mean)
        reach = f"{effect.reach}" if effect.reach < last else f"(> {last})"
        half = "–" if effect.half is None else f"{effect.half}"
        numbers = (short(float(effect.curve.mean[lag - 1])) for lag in lags)
        rows.append((Path(one.run).name[-24:], *numbers, half, reach))
    yield from columns(rows)
    for one in found:
        if one.lines:
            yield ""
            yield f"{one.run}: bits, by the line in which a token was replaced"
            told = [("  lines back", "its last token", "another one", "positions")]
            told += [
                (f"  {line.back}", short(line.ends), short(line.inside), f"{line.positions:,}") for line in one.lines
            ]
            yield from columns(told)


def gates(insides: "Insides") -> Iterator[str]:
    """What gates do."""
    yield f"tokens  {insides.tokens:,}"
    if insides.gates:
        yield ""
        rows = [("layer, gate", "mean", "below 0.1", "above 0.9")]
        rows += [
            (f"{use.layer} {use.gate}", f"{use.mean:.3f}", f"{use.closed:.1%}", f"{use.open:.1%}")
            for use in insides.gates
        ]
        yield from columns(rows)
    for lasting in insides.lasting:
        yield ""
        yield f"layer {lasting.layer}, {lasting.gate}: time constants in tokens, of all gates and of units"
        names = [
            "below 1",
            *(f"{2**power} to {2 ** (power + 1)}" for power in range(len(lasting.values) - 2)),
            "beyond",
        ]
        total, most = sum(lasting.values), max(lasting.values)
        counted = zip(names, lasting.values, lasting.unit_octaves, strict=True)
        yield from columns(
            [(name, f"{n / total:.1%}".rjust(6), bar(n / most, BAR), f"{units:,} units") for name, n, units in counted]
        )
    yield ""
    rows_ = [("layer, vector", "beyond ±0.9")]
    rows_ += [(f"{one.layer} {one.vector}", f"{one.share:.1%}") for one in insides.saturation]
    yield from columns(rows_)


def neurons(found: "Knowledge") -> Iterator[str]:
    """What layers and units know."""
    rows: list[tuple[str, ...]] = [("feature", "layer", "held out", "shuffled", "base", "")]
    for each in found.probes:
        kind = "R²" if each.kind == "r2" else each.kind
        rows.append((each.feature, each.layer, *(f"{n:.3f}" for n in (each.score, each.shuffled, each.baseline)), kind))
    yield from columns(rows)
    yield ""
    told = [("feature", "unit", "correlation", "alone, held out")]
    seen: dict[str, int] = {}
    for one in found.best:
        seen[one.feature] = seen.get(one.feature, 0) + 1
        if seen[one.feature] <= TOP:
            told.append((one.feature, found.units[one.unit], f"{one.correlation:+.3f}", f"{one.score:.3f}"))
    yield from columns(told)


def lags(found: Sequence["Learned"]) -> Iterator[str]:
    """How far each cell learned a planted task."""
    shown = found[0].lags
    rows = [("accuracy at lag", *(f"{lag}" for lag in shown), "learned to", "clipped")]
    rows += [(one.cell, *(f"{a:.2f}" for a in one.curves[-1]), f"{one.reach}", f"{one.clipped:.0%}") for one in found]
    yield from columns(rows)


def radii(found: Sequence["Radius"]) -> Iterator[str]:
    """The gradients of each spectral radius."""
    last = len(found[0].curve) - 1
    rows: list[tuple[str, ...]] = [("cell", "radius", f"G({last})", "a step", "length", "clipped", "far half's share")]
    for one in found:
        factor = "–" if one.factor is None else f"{one.factor:.3f}"
        lengths = short(one.norm), short(one.clipped)
        rows.append((one.cell, f"{one.radius:g}", short(float(one.curve[-1])), factor, *lengths, f"{one.far:.1%}"))
    yield from columns(rows)
    yield "The share is the same after clipping, which cures what explodes and not what"
    yield "vanishes."
