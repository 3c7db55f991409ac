"""How far a gain can be trusted: folds that keep groups together, and intervals by paired bootstrap.

The bootstrap (Efron 1979; for error rates Bisani and Ney 2004) draws as many utterances, or groups of them, as there
are, with replacement, and each time divides the sum of errors by the sum of reference units. Paired: both systems are
measured on the same draw, so what is hard for both does not count.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charlm.reranking.problem import Floats, Ints

DRAWS = 2000
LEVEL = 0.95
_AT_ONCE = 4_000_000  # numbers drawn together


@dataclass(frozen=True)
class Interval:
    """A rate, and between which bounds LEVEL of the draws lie. Shares: 0.01 is 1 %."""

    value: float
    low: float
    high: float


def folds_of(keys: Sequence[str], count: int, seed: int = 1) -> Ints:
    """(U,) a fold for each key, equal keys in the same one; by hash, and as even as whole groups allow.

    Fewer than `count` where there are fewer different keys.
    """
    sizes = Counter(keys)
    order = sorted(sizes, key=lambda key: hashlib.blake2b(f"{seed}\0{key}".encode("utf-8", "replace")).digest())
    filled = [0] * min(count, len(order))
    fold: dict[str, int] = {}
    for key in sorted(order, key=lambda key: -sizes[key]):
        fold[key] = filled.index(min(filled))
        filled[fold[key]] += sizes[key]
    return np.array([fold[key] for key in keys], dtype=np.int64)


def numbered_groups(keys: Sequence[str]) -> Ints:
    """(U,) the number of each key among the different ones, from 0."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def interval(errors: Ints, said: Ints, groups: Ints | None = None, *, seed: int = 1, draws: int = DRAWS) -> Interval:
    """The rate of errors per reference unit, or of a difference of errors, with its interval.

    errors, said  (U,) for each utterance; differences of errors of two systems make the test paired
    groups        (U,) from 0: what is drawn together, such as what one speaker said; None: each alone
    """
    if not len(errors) or not said.sum():
        return Interval(0.0, 0.0, 0.0)
    if groups is not None:
        errors, said = (np.bincount(groups, column).astype(np.int64) for column in (errors, said))
    count, random = len(errors), np.random.default_rng(seed)
    rates: list[Floats] = []
    left = draws
    while left:
        some = min(left, max(1, _AT_ONCE // count))
        drawn = random.multinomial(count, np.full(count, 1 / count), size=some)
        units = drawn @ said
        rates.append((drawn @ errors)[units > 0] / units[units > 0])
        left -= some
    low, high = np.quantile(np.concatenate(rates), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(errors.sum() / said.sum()), float(low), float(high))
