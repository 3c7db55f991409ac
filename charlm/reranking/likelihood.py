"""The weights by which the best candidates are likeliest: a smooth aim beside the count of errors.

Over the candidates of a list the weights w of its scores s make a distribution,

    P(c) = exp(w·s_c) / Σ exp(w·s),

and the aim is the sum over the lists of log P(one of the best), less RIDGE |w|² for each list, in standardised scores.
Errors are counts, and where they are fewest hangs on single lists; every list pulls at a likelihood, so weights by it
often do better on new lists, most of all where there are many scores and few lists.

A score that raises the aim by less than a parameter is worth (Akaike 1974) is left out.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.reranking.listing import IMPOSSIBLE
from charlm.reranking.problem import Floats, Ints, Problem

Bools = npt.NDArray[np.bool_]

RIDGE = 1e-3
WORTH = 1.0  # nats by which a score must raise the aim, after Akaike
BELOW = 3.0  # standard deviations below the lowest possible candidate of its list at which an impossible one counts
CLOSE = 1e-8  # nats a list by which the last step of a climb still rises
MOST_STEPS = 100
TINY = 1e-12  # a deviation that comes of rounding


def likeliest(problem: Problem, fixed_sign: Collection[str] = ()) -> Floats:
    """Weights (S,) in the order of the problem's names; zero for what is left out.

    fixed_sign  names of the scores whose weights must not be below zero
    """
    matters = problem.undecided()
    weights = np.zeros(len(problem.names))
    if not len(matters.starts):
        return weights
    inside, scale = _standardised(matters)
    positive = np.array([name in fixed_sign for name in problem.names], dtype=bool)
    hill = _Hill(inside, matters)
    # A score that is the same in all candidates has nothing to say.
    kept = np.flatnonzero((inside**2).sum(axis=0) > 0)
    lower: _Top | None = hill.climb(kept, np.zeros(len(kept)))
    while lower is not None:
        top = lower
        lower = _without_one(hill, top, positive)
    weights[top.kept] = top.weights / scale[top.kept]
    return weights


def _standardised(problem: Problem) -> tuple[Floats, Floats]:
    """The scores (N, S) around the middle of their lists, in standard deviations, and the size of these (S,).

    Middle and deviation are those of what is possible, for one impossible candidate would outweigh a thousand others.
    """
    known = problem.scores > IMPOSSIBLE
    counts = np.add.reduceat(known, problem.starts, axis=0, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, problem.scores, 0.0), problem.starts, axis=0)
    inside = np.where(known, problem.scores - (sums / np.maximum(counts, 1))[problem.of_list], 0.0)
    scale = np.sqrt((inside**2).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    scale = np.where(scale > TINY, scale, 1.0)
    inside /= scale
    lowest = np.minimum.reduceat(inside, problem.starts, axis=0)[problem.of_list]
    return np.where(known | (counts == 0)[problem.of_list], inside, lowest - BELOW), scale


def _without_one(hill: "_Hill", top: "_Top", positive: Bools) -> "_Top | None":
    """The top without a score whose weight has a wrong sign, or is worth too little; None where all are in order."""
    wrong = np.where(positive[top.kept], top.weights, 0.0)
    is_wrong = wrong.min(initial=0.0) < 0
    ways = [int(np.argmin(wrong))] if is_wrong else range(len(top.kept))
    tops = [hill.climb(np.delete(top.kept, number), np.delete(top.weights, number)) for number in ways]
    best = max(tops, key=lambda one: one.height, default=None)
    if best is None or (not is_wrong and top.height - best.height >= WORTH):
        return None
    return best


@dataclass(frozen=True)
class _Top:
    """Where a climb ended: which scores it went by, the aim there in nats, and their weights (K,)."""

    kept: Ints
    height: float
    weights: Floats


class _Hill:
    """The aim over the weights of standardised scores (N, S)."""

    def __init__(self, scores: Floats, problem: Problem) -> None:
        self.scores, self.starts, self.lists = scores, problem.starts, len(problem.starts)
        self.of_list, self.best = problem.of_list, problem.is_best

    def climb(self, kept: Ints, weights: Floats) -> _Top:
        """Newton's steps by some of the scores (K,) from some weights (K,), halved while they go too far."""
        scores = np.ascontiguousarray(self.scores[:, kept])
        height, shares, of_best = self._shares(scores, weights)
        for _ in range(MOST_STEPS):
            slope = scores.T @ (of_best - shares) - 2 * RIDGE * self.lists * weights
            step = np.linalg.solve(self._bend(scores, shares), slope)
            there = self._shares(scores, weights + step)
            while there[0] < height and np.abs(step).max() > CLOSE:
                step = step / 2
                there = self._shares(scores, weights + step)
            risen = there[0] - height
            if risen <= 0:
                break
            weights, (height, shares, of_best) = weights + step, there
            if risen < CLOSE * self.lists:
                break
        return _Top(kept, height, weights)

    def _shares(self, scores: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
        """The height, and the shares (N,) of all candidates and of the best ones among themselves."""
        totals = scores @ weights
        powers = np.exp(totals - np.maximum.reduceat(totals, self.starts)[self.of_list])
        # The best ones have a maximum of their own, since theirs may lie far below.
        of_best = np.where(self.best, totals, -np.inf)
        peak = np.maximum.reduceat(of_best, self.starts)
        powers_of_best = np.exp(of_best - peak[self.of_list])
        whole, right = np.add.reduceat(powers, self.starts), np.add.reduceat(powers_of_best, self.starts)
        logs = peak + np.log(right) - np.maximum.reduceat(totals, self.starts) - np.log(whole)
        height = float(logs.sum() - RIDGE * self.lists * (weights @ weights))
        return height, powers / whole[self.of_list], powers_of_best / right[self.of_list]

    def _bend(self, scores: Floats, shares: Floats) -> Floats:
        """How the log of the sum over all candidates bends, with the ridge (S, S): no less than the whole aim does."""
        weighted = scores * shares[:, None]
        means = np.add.reduceat(weighted, self.starts, axis=0)
        bend: Floats = scores.T @ weighted - means.T @ means + 2 * RIDGE * self.lists * np.eye(scores.shape[1])
        return bend
