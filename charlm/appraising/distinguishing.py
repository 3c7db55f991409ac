"""Can a simple reader tell two sets of poems apart? Logistic regression over characters and runs of two and three.

It learns from one half of either set and is asked about the other. What it finds is told as the area under the ROC
curve (Hanley & McNeil 1982): how often a poem of the one set looks more like it than one of the other; 0.5 is a guess.
The interval is a percentile bootstrap over the poems that were asked about (Efron 1979). Linear in its counts, it
hears words that one set likes better; it hears no rhyme, no sense, and not that a line is in the wrong poem.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from charlm.appraising.verses import Lines

LONGEST = 3  # characters of a run
BITS = 21  # of a character's number
FEWEST = 20  # poems of either set, below which nothing is told
MOST = 5_000  # of either set that are looked at, which bounds memory and time
PRIORS = (0.3, 3.0, 30.0)  # how much weights may grow; the best for a fifth of the poems that are learned from
RESAMPLED = 1000
STEPS = 60  # of L-BFGS
Grams = NDArray[np.uint64]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Distinction:
    """How well two sets are told apart: the area under the curve, its 95 % interval, and poems of either set."""

    auc: float
    low: float
    high: float
    poems: int


def told_apart(one: Sequence[Lines], other: Sequence[Lines], seed: int) -> Distinction | None:
    """Learn to tell `one` from `other` from half of either; None where there are too few of them.

    As many of both are taken, drawn by lot; the same for the same poems and seed.
    """
    size = min(len(one), len(other), MOST) // 2 * 2
    if size < FEWEST:
        return None
    chance = np.random.default_rng(seed)
    drawn = [[poems[n] for n in chance.permutation(len(poems))[:size]] for poems in (one, other)]
    learned, asked = ([[_grams(poem) for poem in part] for part in half] for half in _parted(drawn))
    reader = _best_reader(learned)
    mine, theirs = (reader.scores(part) for part in asked)
    low, high = _interval(mine, theirs, chance)
    return Distinction(auc(mine, theirs), low, high, size)


def _parted(drawn: list[list[Lines]]) -> tuple[list[list[Lines]], list[list[Lines]]]:
    middle = len(drawn[0]) // 2
    return [poems[:middle] for poems in drawn], [poems[middle:] for poems in drawn]


def auc(mine: Scores, theirs: Scores) -> float:
    """How often a score of mine is above one of theirs, equal ones counted half."""
    return _weighed(mine, theirs, np.ones(len(mine)), np.ones(len(theirs)))


def _weighed(mine: Scores, theirs: Scores, my_weights: Scores, their_weights: Scores) -> float:
    order = np.argsort(theirs, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(their_weights[order])])
    ordered = theirs[order]
    half = below[np.searchsorted(ordered, mine, "left")] + below[np.searchsorted(ordered, mine, "right")]
    return float((my_weights * half).sum() / 2 / my_weights.sum() / their_weights.sum())


def _interval(mine: Scores, theirs: Scores, chance: np.random.Generator) -> tuple[float, float]:
    even = [np.full(len(scores), 1 / len(scores)) for scores in (mine, theirs)]
    found = [
        _weighed(mine, theirs, *(chance.multinomial(len(e), e).astype(np.float64) for e in even))
        for _ in range(RESAMPLED)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _grams(poem: Lines) -> Grams:
    """The different runs of one to three characters of a poem, line ends among them, as numbers."""
    codes = np.frombuffer("\n".join(poem).encode("utf-32-le"), np.uint32).astype(np.uint64)
    runs = [codes]
    for size in range(2, LONGEST + 1):
        if len(codes) >= size:
            runs.append((runs[-1][:-1] << np.uint64(BITS)) | codes[size - 1 :])
    return np.unique(np.concatenate(runs))


@dataclass(frozen=True)
class _Reader:
    """Weights of runs, in the order of their numbers."""

    runs: Grams
    weights: Scores

    def scores(self, poems: Sequence[Grams]) -> Scores:
        """How much each poem looks like the first set."""
        if not len(self.runs):
            return np.zeros(len(poems))
        return np.array([self.weights[known].sum() / math.sqrt(max(1, len(p))) for p, known in self._known(poems)])

    def _known(self, poems: Sequence[Grams]) -> list[tuple[Grams, NDArray[np.int64]]]:
        return [(poem, _places(self.runs, poem)) for poem in poems]


def _places(runs: Grams, poem: Grams) -> NDArray[np.int64]:
    at = np.minimum(np.searchsorted(runs, poem), len(runs) - 1)
    found: NDArray[np.int64] = at[runs[at] == poem]
    return found


def _best_reader(learned: list[list[Grams]]) -> _Reader:
    """The reader whose weights may grow as much as is best for poems that it has not seen, trained on all."""
    fifth = max(1, len(learned[0]) // 5)
    seen, unseen = [part[fifth:] for part in learned], [part[:fifth] for part in learned]
    runs = _shared(seen)
    tried = [_fitted(runs, seen, prior) for prior in PRIORS]
    found = [auc(reader.scores(unseen[0]), reader.scores(unseen[1])) for reader in tried]
    return _fitted(_shared(learned), learned, PRIORS[int(np.argmax(found))])


def _shared(sets: list[list[Grams]]) -> Grams:
    """The runs that two poems or more have: what stands in one alone tells nothing about others."""
    runs, counts = np.unique(np.concatenate([poem for part in sets for poem in part]), return_counts=True)
    return runs[counts > 1]


def _fitted(runs: Grams, sets: list[list[Grams]], prior: float) -> _Reader:
    """Logistic regression with a Gaussian prior (L2), each poem of length one; by L-BFGS, so no rate is to be found."""
    if not len(runs):
        return _Reader(runs, np.zeros(0))
    poems = [poem for part in sets for poem in part]
    known = [_places(runs, poem) for poem in poems]
    rows = np.repeat(np.arange(len(poems)), [len(places) for places in known])
    values = np.repeat([1 / math.sqrt(max(1, len(poem))) for poem in poems], [len(places) for places in known])
    indices = torch.from_numpy(np.stack([rows, np.concatenate(known)]).astype(np.int64))
    table = torch.sparse_coo_tensor(
        indices, torch.from_numpy(values), (len(poems), len(runs)), dtype=torch.float64, check_invariants=False
    ).coalesce()
    turned = table.t().coalesce()
    signs = torch.cat([torch.full((len(part),), sign, dtype=torch.float64) for part, sign in zip(sets, (1, -1))])  # noqa: B905
    weights, bias = torch.zeros(len(runs), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    search = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        margins = signs * (torch.mv(table, weights) + bias)
        slopes = -signs * torch.sigmoid(-margins)
        weights.grad, bias.grad = torch.mv(turned, slopes) + weights / prior, slopes.sum()
        return torch.nn.functional.softplus(-margins).sum() + (weights @ weights) / (2 * prior)

    search.step(loss)  # type: ignore[no-untyped-call]
    return _Reader(runs, weights.numpy())
