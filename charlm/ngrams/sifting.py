"""Entries taken out of a trie: what begins with a left-out n-gram goes with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charlm.ngrams.columns import Array, Column, Numbers, Scratch, family_blocks, sums


@dataclass(frozen=True)
class Order:
    """One order of any trie: its structure, and the numbers that each entry carries."""

    words: Numbers
    starts: Numbers
    suffixes: Numbers
    carried: Sequence[Numbers]


@dataclass(frozen=True)
class Sifted:
    """What is left of an order."""

    words: Column
    starts: Column
    suffixes: Column
    carried: list[Column]


def sift(orders: Sequence[Order], keep: Sequence[Array], scratch: Scratch) -> Iterator[Sifted]:
    """The orders 2, 3, … without the entries that are marked False. Order 1 keeps all and is not given.

    keep  for each order (entries,) bool
    The number of a suffix that is left out itself means nothing any more.
    """
    above: Array | None = None  # which contexts are kept; None: all
    ranks: Array | None = None  # where those stand now
    for order, marked in zip(orders, keep, strict=True):
        mask = marked.copy()
        words, starts, suffixes = (scratch.column(dtype) for dtype in (order.words.dtype, np.uint32, np.uint32))
        carried = [scratch.column(numbers.dtype) for numbers in order.carried]
        starts.append(np.zeros(1))
        for first, last, begins in family_blocks(order.starts):
            part = slice(int(begins[0]), int(begins[-1]))
            here = mask[part]
            sizes = sums(here.view(np.int8), begins - begins[0])
            if above is not None:
                here &= np.repeat(above[first:last], np.diff(begins))
                sizes = sums(here.view(np.int8), begins - begins[0])[above[first:last]]
            starts.append(len(words) + np.cumsum(sizes))
            words.append(order.words[part][here])
            numbers = order.suffixes[part][here]
            suffixes.append(numbers if ranks is None else ranks[numbers])
            for new, old in zip(carried, order.carried, strict=True):
                new.append(old[part][here])
        yield Sifted(words, starts, suffixes, carried)
        above, ranks = mask, np.cumsum(mask, dtype=np.uint32) - np.uint32(1)
