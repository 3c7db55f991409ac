"""The temperature of the posteriors: what makes them honest, or what makes expected errors choose best.

For the highest sum a temperature changes no choice, so it is that at which the best candidates of the lists are
likeliest (Guo et al. 2017). For minimum Bayes risk it is tuned on the errors, in the middle of the best plateau.
"""

from collections.abc import Callable

import numpy as np

from charlm.reranking.deciding import MOST_COMPARED, posteriors
from charlm.reranking.problem import Floats, Ints, Problem

_GRID = np.geomspace(1e-2, 1e2, 81)  # times how far the sums of a list lie apart
_RISK_GRID = np.geomspace(1e-2, 1e2, 41)

# The place of a list, and some of its candidates (H,) -> edits between any two of them (H, H).
Distances = Callable[[int, Ints], Floats]


def nowhere(_place: int, rows: Ints) -> Floats:
    """No distances, where none are needed."""
    return np.zeros((len(rows), len(rows)))


def _apart(problem: Problem, totals: Floats) -> float:
    means = np.add.reduceat(totals, problem.starts) / problem.sizes
    inside = np.clip(totals - np.repeat(means, problem.sizes), -1e3, 1e3)
    return float(max(np.sqrt((inside**2).mean()), 1e-9))


def honest(problem: Problem, weights: Floats) -> float:
    """The temperature at which the posterior of the best candidates of each list is greatest; 1 without such lists."""
    matters = problem.undecided()
    if not len(matters.starts):
        return 1.0
    totals = matters.scores @ weights
    shifted = totals - np.maximum.reduceat(totals, matters.starts)[matters.of_list]
    grid = _GRID * _apart(matters, totals)
    costs = []
    for temperature in grid:
        powers = np.exp(shifted / temperature)
        whole = np.add.reduceat(powers, matters.starts)
        right = np.add.reduceat(np.where(matters.is_best, powers, 0.0), matters.starts)
        costs.append(-np.log(np.maximum(right / whole, 1e-12)).sum())
    return float(grid[int(np.argmin(costs))])


def risky_choices(problem: Problem, weights: Floats, temperatures: Floats, distances: Distances) -> Ints:
    """(T, U) errors of what expected errors choose at each temperature."""
    totals = problem.scores @ weights
    found = np.empty((len(temperatures), len(problem.starts)), dtype=np.int64)
    for number, (start, size, place) in enumerate(zip(problem.starts, problem.sizes, problem.places, strict=True)):
        rows = np.arange(start, start + size)
        order = np.argsort(-totals[rows], kind="stable")[:MOST_COMPARED]
        edits = distances(int(place), order)
        shares = np.array([posteriors(totals[rows], float(t))[order] for t in temperatures])
        chosen = order[np.argmin(np.round(shares @ edits, 9), axis=1)]
        found[:, number] = problem.errors[rows[chosen]]
    return found


def risky(problem: Problem, weights: Floats, distances: Distances) -> float:
    """The temperature at which minimum Bayes risk makes the fewest errors: the middle of the widest best plateau."""
    matters = problem.undecided()
    if not len(matters.starts):
        return 1.0
    grid = _RISK_GRID * _apart(matters, matters.scores @ weights)
    errors = risky_choices(matters, weights, grid, distances).sum(axis=1)
    level = np.flatnonzero(errors == errors.min())
    runs = np.split(level, np.flatnonzero(np.diff(level) > 1) + 1)
    widest = max(runs, key=len)
    return float(np.sqrt(grid[widest[0]] * grid[widest[-1]]))
