"""Counts of shards into counts of the whole, exactly; and counts of a shard taken away again."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from charlm.errors import TextError
from charlm.ngrams.columns import Array, Numbers, Scratch, blocks, family_blocks, mapped
from charlm.ngrams.counting import SortedPairs, build_level
from charlm.ngrams.counts import CountLevel, Counts, too_rare, unigrams
from charlm.ngrams.sifting import Order, sift


def add(parts: Sequence[tuple[Counts, int]], scratch: Scratch) -> Counts:
    """The sum of counts over one vocabulary: (counts, 1) is added, (counts, -1) is taken away.

    The same as if the texts had been counted together, to the last bit. Raises TextError where more would be
    taken away than there is.
    """
    vocab_size = parts[0][0].vocab_size
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]
    order = min(counts.order for counts, _ in parts)
    singles = np.zeros(vocab_size, dtype=np.int64)
    for counts, sign in parts:
        singles += sign * counts.levels[0].counts[:]
    levels = [unigrams(_checked(singles))]
    ranks: list[Numbers] = [np.arange(vocab_size, dtype=np.uint32) for _ in parts]  # of one order below, in the sum
    for n in range(2, order + 1):
        runs = [
            _run(counts.levels[n - 1], sign, rank, vocab_size, scratch)
            for (counts, sign), rank in zip(parts, ranks, strict=True)
        ]
        level, columns = build_level(runs, len(levels[-1].counts), vocab_size, scratch)
        for first, last in blocks(len(level.counts)):
            _checked(level.counts[first:last])
        levels.append(level)
        ranks = list(columns)
    whole = Counts(vocab_size, levels)
    if all(sign > 0 for _, sign in parts):
        return whole
    for below, level in pairwise(levels):
        if too_rare(below.counts, level):  # so it is where a carried text is cut
            raise _no_part("n-grams would stay whose parts are taken away")
    return _without_zeros(whole, scratch)


def _run(level: CountLevel, sign: int, place: Numbers, vocab_size: int, scratch: Scratch) -> SortedPairs:
    """The pairs of one shard, renumbered as in the sum; their order stays, since that of their contexts does."""
    keys, counts, suffixes = (scratch.column(dtype) for dtype in (np.uint64, np.int64, np.uint32))
    ranks = mapped(place)  # only here: what is mapped holds a file open
    for first, last, begins in family_blocks(level.starts):
        part = slice(int(begins[0]), int(begins[-1]))
        contexts = np.repeat(ranks[first:last], np.diff(begins))
        keys.append(contexts.astype(np.uint64) * np.uint64(vocab_size) + level.words[part].astype(np.uint64))
        counts.append(sign * level.counts[part].astype(np.int64))
        suffixes.append(ranks[level.suffixes[part]])
    return SortedPairs(keys, counts, suffixes)


def _checked(counts: Array) -> Array:
    if len(counts) and int(counts.min()) < 0:
        raise _no_part("more n-grams would be taken away than there are")
    return counts


def _no_part(what: str) -> TextError:
    return TextError(
        f"{what}: these counts are not a part of the others",
        hint="--without takes counts of documents that are among those of --counts",
    )


def _without_zeros(counts: Counts, scratch: Scratch) -> Counts:
    orders = [Order(level.words, level.starts, level.suffixes, [level.counts]) for level in counts.levels[1:]]
    keep = [_seen(level.counts) for level in counts.levels[1:]]
    sifted = [CountLevel(s.words, s.starts, s.carried[0], s.suffixes) for s in sift(orders, keep, scratch)]
    return Counts(counts.vocab_size, [counts.levels[0], *sifted])


def _seen(counts: Numbers) -> Array:
    seen: Array = counts[:] > 0
    return seen
