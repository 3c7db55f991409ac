"""The least number of errors along a line of weights, found exactly (Och 2003, section 5).

On a line w + t·d every candidate's sum is a straight line in t, and the chosen candidate of a list is the upper
envelope of them. So the errors of all lists are a step function of t, whose steps are where two candidates of an
envelope cross. All envelopes are walked at once from t = -∞: from the line that is on top, the next one is that which
crosses it first; what is no steeper than it can never come on top again.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.reranking.problem import Floats, Ints, Problem

Flags = npt.NDArray[np.bool_]

COMPACT = 0.7  # share of the lists below which those that are done are left behind: copying takes time too
NARROW = 1e-9  # of its place: plateaus that are narrower may be mere rounding


@dataclass(frozen=True)
class Staircase:
    """Errors along a line: `errors[0]` before the first step, `errors[k]` between places[k-1] and places[k].

    places  (K,) rising
    errors  (K + 1,)
    """

    places: Floats
    errors: Ints


@dataclass(frozen=True)
class Plateau:
    """Where the errors are least: from `low` to `high`, which may be infinite; `middle` is inside and finite.

    At single points inside, where candidates that err alike cross, sums are equal and the first candidate is chosen,
    which may err more or less. If `middle` is such a point, `beside` is none.
    """

    errors: int
    low: float
    high: float
    middle: float

    @property
    def beside(self) -> float:
        """Another place inside, a little to the right of the middle, at no ratio that scores of few digits have."""
        width = min(self.high - self.middle, 1.0 + abs(self.middle))
        return self.middle + width * math.sqrt(0.02)


def steps_along(problem: Problem, weights: Floats, direction: Floats) -> Staircase:
    """The errors of all lists at weights + t · direction, for every t. weights, direction (S,)"""
    heights, slopes = problem.scores @ weights, problem.scores @ direction
    start = 0
    places: list[Floats] = []
    changes: list[Ints] = []
    for _, rows in problem.blocks:
        start += _walk(heights[rows], slopes[rows], problem.errors[rows], places, changes)
    where = np.concatenate(places) if places else np.empty(0)
    change = np.concatenate(changes) if changes else np.empty(0, dtype=np.int64)
    order = np.argsort(where)
    where, sums = where[order], np.cumsum(change[order])
    last = np.append(where[1:] > where[:-1], True) if len(where) else np.zeros(0, dtype=bool)
    return Staircase(where[last], np.append(start, start + sums[last]))


def _walk(heights: Floats, slopes: Floats, errors: Ints, places: list[Floats], changes: list[Ints]) -> int:
    """Walk the envelopes of lists side by side, one a column, adding where their errors change; errors at t = -∞.

    heights, slopes, errors (H, B)
    """
    columns = np.arange(heights.shape[1])
    # At t = -∞ the least slope is on top; of equal slopes the highest, of equal lines the first.
    top = np.where(slopes == slopes.min(axis=0), heights, -math.inf).argmax(axis=0)
    begun = int(errors[top, columns].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        while len(columns):
            rise = slopes - slopes[top, columns]
            crossing = np.where(rise > 0, (heights[top, columns] - heights) / rise, math.inf)
            nearest = crossing.min(axis=0)
            goes_on = nearest < math.inf
            following = _steepest(crossing == nearest, rise, goes_on, top)
            change = errors[following, columns] - errors[top, columns]
            counts = change != 0
            places.append(nearest[counts])
            changes.append(change[counts])
            top = following
            alive = np.count_nonzero(goes_on)
            if alive < COMPACT * len(columns):
                heights, slopes, errors = (one.compress(goes_on, axis=1) for one in (heights, slopes, errors))
                top, columns = top[goes_on], np.arange(alive)
            elif not alive:
                break
    return begun


def _steepest(nearest: Flags, rise: Floats, goes_on: Flags, top: Ints) -> Ints:
    """Of the lines that are nearest the steepest, since it is on top afterwards; where none comes, what is on top."""
    rows, columns = np.nonzero(nearest & goes_on)
    if len(columns) == np.count_nonzero(goes_on):
        following = top.copy()
        following[columns] = rows
        return following
    return np.where(goes_on, np.where(nearest, rise, -math.inf).argmax(axis=0), top)


def best_plateau(steps: Staircase, low: float = -math.inf, high: float = math.inf) -> Plateau:
    """The widest part of [low, high] on which the errors are least; neighbours that are level are one plateau.

    What is unbounded is entered by as much as the middle half of the steps is wide.
    """
    inner = steps.places[(steps.places > low) & (steps.places < high)]
    skipped = int(np.searchsorted(steps.places, low, side="right"))
    errors = steps.errors[skipped : skipped + len(inner) + 1]
    lows, highs = np.append(low, inner), np.append(inner, high)
    bounds = np.minimum(np.abs(lows), np.abs(highs))
    wide = highs - lows > NARROW * (1 + np.where(np.isfinite(bounds), bounds, 0))
    if not wide.any():
        wide[:] = True
    least = int(errors[wide].min())
    level = (errors == least) & wide
    begins = np.flatnonzero(level & ~np.append(False, level[:-1]))
    ends = np.flatnonzero(level & ~np.append(level[1:], False))
    widths = highs[ends] - lows[begins]
    widest = int(np.argmax(np.where(np.isnan(widths), math.inf, widths)))
    left, right = float(lows[begins[widest]]), float(highs[ends[widest]])
    return Plateau(least, left, right, _middle(left, right, inner))


def _middle(left: float, right: float, places: Floats) -> float:
    if math.isfinite(left) and math.isfinite(right):
        return (left + right) / 2
    spread = float(np.subtract(*np.percentile(places, [75, 25]))) if len(places) else 0.0
    if math.isfinite(left):
        return left + max(spread, NARROW + abs(left) / 2)
    if math.isfinite(right):
        return right - max(spread, NARROW + abs(right) / 2)
    return 0.0
