"""Where tokens stand among the continuations of their contexts: a binary search for many tokens side by side."""

from collections.abc import Sequence

import numpy as np

from charlm.ngrams.columns import Array

Trie = tuple[Array, Array]  # words and starts of one order
FEW = 0.6  # when fewer than this share of the searches go on, the others are set aside


def find(words: Array, starts: Array, contexts: Array, tokens: Array) -> Array:
    """The entry of each token after its context, or -1.

    words (entries,), starts (contexts + 1,), contexts (N,), tokens (N,)  ->  entries (N,) int64
    """
    low = starts[contexts].astype(np.int64)
    size = starts[contexts + 1].astype(np.int64) - low
    found = np.full(len(contexts), -1, dtype=np.int64)
    places: Array | None = None  # of the searches that go on, where some are over
    while True:
        going = size > 1
        many = int(np.count_nonzero(going))
        if many < FEW * len(size):
            over = ~going
            _settle(
                words, low[over], size[over], tokens[over], found, over.nonzero()[0] if places is None else places[over]
            )
            if not many:
                return found
            places = going.nonzero()[0] if places is None else places[going]
            low, size, tokens = low[going], size[going], tokens[going]
        elif not many:
            _settle(words, low, size, tokens, found, places)
            return found
        half = size >> 1
        low += half * (words[low + half - 1] < tokens)
        size -= half


def _settle(words: Array, low: Array, size: Array, tokens: Array, found: Array, places: Array | None) -> None:
    """Write down the searches that have one entry left, or none."""
    hit = size > 0
    hit[hit] = words[low[hit]] == tokens[hit]
    if places is None:
        places = np.arange(len(low))
    found[places[hit]] = low[hit]


def numbers_of(tries: Sequence[Trie], ids: Array) -> Array:
    """Where some n-grams stand among all of their order: ids (N, n)  ->  entries (N,), -1 where they do not."""
    found = ids[:, 0].astype(np.int64)
    for (words, starts), tokens in zip(tries[1:], ids.T[1:], strict=False):
        known = found >= 0
        found[known] = find(words, starts, found[known], tokens[known])
    return found
