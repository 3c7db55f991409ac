"""N-gram counts: a trie of sorted arrays, order by order. Counts add, and what was added can be taken away again."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from charlm.ngrams.columns import Array, Numbers, blocks


@dataclass(frozen=True)
class CountLevel:
    """All n-grams of one order, sorted by their first n-1 tokens, then by the last one.

    words     (entries,)       the last token of each
    starts    (contexts + 1,)  where the continuations of each (n-1)-gram begin; the empty one is the only 0-gram
    counts    (entries,)       how often each was seen
    suffixes  (entries,)       the number of its last n-1 tokens among the (n-1)-grams
    """

    words: Numbers
    starts: Numbers
    counts: Numbers
    suffixes: Numbers


def unigrams(counts: Array) -> CountLevel:
    """Order 1, where every token of the vocabulary has an entry, seen or not."""
    return CountLevel(*root(len(counts)), counts, np.zeros(len(counts), dtype=np.uint32))


def root(vocab_size: int) -> tuple[Array, Array]:
    """words and starts of order 1."""
    return np.arange(vocab_size, dtype=word_type(vocab_size)), np.array([0, vocab_size], dtype=np.uint32)


def word_type(vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every token."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def too_rare(below: Numbers, level: CountLevel) -> bool:
    """Whether an n-gram was seen more often than its own last n-1 tokens, which no text makes possible."""
    left = below[:].astype(np.int64)
    for first, last in blocks(len(level.counts)):
        np.subtract.at(left, level.suffixes[first:last], level.counts[first:last])
    return bool((left < 0).any())


@dataclass(frozen=True)
class Counts:
    """Counts of all orders over a vocabulary."""

    vocab_size: int
    levels: list[CountLevel]

    @property
    def order(self) -> int:
        """The highest order that was counted."""
        return len(self.levels)

    def upto(self, order: int) -> "Counts":
        """The lower orders alone, without those that no document was long enough for."""
        longest = max((n for n, level in enumerate(self.levels, 1) if len(level.counts)), default=1)
        return Counts(self.vocab_size, self.levels[: min(order, longest)])
