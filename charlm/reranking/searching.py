"""The weights with the fewest errors: exact steps along single weights and along random directions, from many starts.

A line is searched whole (`lines.py`), so a step never ends in a valley between two others on its line. A weight that
does as well at zero is zero: the zero is asked for itself each time, and once more at the end. Weights stand in the
middle of a plateau, not at its edge, since an edge is where the next utterance would tip over.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from charlm.reranking.lines import best_plateau, steps_along
from charlm.reranking.problem import Floats, Problem

MOST_SWEEPS = 12  # over all weights, of one descent


@dataclass(frozen=True)
class Found:
    """Weights and their errors.

    weights  (S,) in the order of the problem's names
    errors   of all lists
    """

    weights: Floats
    errors: int


@dataclass(frozen=True)
class Search:
    """How weights are looked for.

    starts      descents, the first from what stands to reason, the others from random weights
    directions  random ones that are tried after each descent
    fixed_sign  names of the scores whose weights must not be below zero
    seed        of everything random
    """

    starts: int = 4
    directions: int = 4
    fixed_sign: Collection[str] = ()
    seed: int = 1

    def best(self, problem: Problem, begin: Iterable[Floats] = ()) -> Found:
        """The best weights that were found. begin: weights (S,) to descend from first, instead of reasonable ones"""
        matters = problem.undecided()
        certain = int(problem.oracle.sum() - matters.oracle.sum())
        scale = spread(matters)
        descent = _Descent(matters, scale, self)
        found: Found | None = None
        for start in self._starts(matters, scale, list(begin)):
            one = descent.from_(start)
            if found is None or _better(one, found):
                found = one
        assert found is not None
        return Found(found.weights / scale, found.errors + certain)

    def _starts(self, problem: Problem, scale: Floats, begin: list[Floats]) -> list[Floats]:
        """Weights of standardised scores: those given, all alike, and random ones."""
        random = np.random.default_rng(self.seed)
        positive = np.array([name in self.fixed_sign for name in problem.names])
        starts = [one * scale for one in begin]
        if not starts:
            starts = [positive.astype(float), np.where(np.array(problem.names) == "length", 0.0, 1.0)]
        while len(starts) < max(1, self.starts):
            drawn = random.normal(size=len(problem.names))
            starts.append(np.where(positive, np.abs(drawn), drawn))
        return starts[: max(1, self.starts)]


def spread(problem: Problem) -> Floats:
    """(S,) the standard deviation of each score inside the lists; 1 where it says nothing."""
    if not len(problem.starts):
        return np.ones(len(problem.names))
    means = np.add.reduceat(problem.scores, problem.starts, axis=0) / problem.sizes[:, None]
    inside = problem.scores - np.repeat(means, problem.sizes, axis=0)
    # Of what is impossible there are few and enormous ones: a middle size is meant.
    typical = np.sqrt((np.clip(inside, -1e3, 1e3) ** 2).mean(axis=0))
    return np.asarray(np.where(typical > 1e-12, typical, 1.0))


def _better(one: Found, other: Found) -> bool:
    """Fewer errors; of equal ones fewer weights."""
    return (one.errors, np.count_nonzero(one.weights)) < (other.errors, np.count_nonzero(other.weights))


class _Descent:
    """Steps along lines, in standardised scores."""

    def __init__(self, problem: Problem, scale: Floats, search: Search) -> None:
        self.problem = replace(problem, scores=problem.scores / scale)
        self.positive = np.array([name in search.fixed_sign for name in problem.names], dtype=bool)
        self.random = np.random.default_rng(search.seed + 1)
        self.directions = search.directions

    def from_(self, start: Floats) -> Found:
        """Descend until neither a weight nor a random direction brings anything, then settle."""
        now = Found(start, self._errors(start))
        size = len(start)
        for _ in range(MOST_SWEEPS):
            before = now.errors
            for number in self.random.permutation(size):
                now = self._along(now, np.eye(size)[number], int(number))
            if now.errors == before:
                for _ in range(self.directions if size > 1 else 0):
                    now = self._along(now, self.random.normal(size=size), None)
                if now.errors == before:
                    break
        return self._settled(now)

    def _errors(self, weights: Floats) -> int:
        return int(self.problem.errors_by(weights).sum())

    def _along(self, now: Found, direction: Floats, number: int | None, *, level: bool = False) -> Found:
        """The best place on a line; with `level`, a better place among those that are as good."""
        low, high = self._bounds(now.weights, direction)
        if low >= high:
            return now
        steps = steps_along(self.problem, now.weights, direction)
        plateau = best_plateau(steps, low, high)
        if number is not None and (plateau.errors <= now.errors or level):
            zero = now.weights.copy()
            zero[number] = 0.0
            if (errors := self._errors(zero)) <= min(plateau.errors, now.errors):
                return Found(zero, errors)
        if plateau.errors > now.errors or (plateau.errors == now.errors and not level):
            return now
        for place in (plateau.middle, plateau.beside):
            moved = now.weights + place * direction
            moved = np.where(self.positive, np.maximum(moved, 0.0), moved)
            errors = self._errors(moved)
            if errors < now.errors or (level and errors == now.errors):
                return Found(moved, errors)
        return now

    def _bounds(self, weights: Floats, direction: Floats) -> tuple[float, float]:
        """How far one may go without a weight of fixed sign falling below zero."""
        low, high = -math.inf, math.inf
        for weight, step in zip(weights[self.positive], direction[self.positive], strict=True):
            if step > 0:
                low = max(low, -weight / step)
            elif step < 0:
                high = min(high, -weight / step)
        return low, high

    def _settled(self, now: Found) -> Found:
        """Each weight zero where that is as good, else in the middle of its plateau."""
        for number in np.argsort(np.abs(now.weights)):
            if now.weights[number]:
                now = self._along(now, np.eye(len(now.weights))[number], int(number), level=True)
        return now
