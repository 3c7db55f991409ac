"""Text to n-gram counts, in bounded memory: sort, count equal neighbours, merge.

An n-gram is known by a pair: the number of its first n-1 tokens among the n-grams one shorter, and its last
token. Packed into 64 bits, `context × V + token`, pairs of any order sort as integers; sorted, they are at
once the table of a trie. Pieces of the text that fit the memory are sorted one by one, their runs go to the
disk, and the runs are merged as streams.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charlm import memory as process
from charlm.errors import TrainingError
from charlm.ngrams.columns import BLOCK, Array, Column, Numbers, Scratch, blocks, mapped
from charlm.ngrams.counts import CountLevel, Counts, unigrams, word_type
from charlm.text.vocab import EOS

NONE = np.uint32(0xFFFFFFFF)  # in place of an n-gram's number: there is none
TOKEN_BYTES = 80  # memory that counting one token of a piece takes at its peak
SMALLEST_PIECE = 1 << 16  # tokens
PAIR_BYTES = 160  # memory that merging one pair takes at its peak
FEWEST_PAIRS = 1 << 15  # that are merged at once, whatever the memory
MOST_RUNS = 64  # that are merged at once; more are merged in several passes
OnOrder = Callable[[int], None]  # is told the order that is being counted


@dataclass(frozen=True)
class SortedPairs:
    """Sorted pairs, each once: keys (entries,) uint64, counts, and the number of each n-gram's last n-1 tokens."""

    keys: Numbers
    counts: Numbers
    suffixes: Numbers


@dataclass(frozen=True)
class Merged:
    """Some of the merged pairs, and for each run where its next pairs came to stand among all."""

    keys: Array
    counts: Array
    suffixes: Array
    ranks: list[Array]


def count(
    ids: Array,
    beginnings: Array,
    vocab_size: int,
    order: int,
    *,
    memory: int,
    scratch: Scratch,
    report: OnOrder | None = None,
) -> Counts:
    """Count the n-grams of all orders up to `order`.

    ids         (tokens,)     the text, as a rule mapped
    beginnings  (documents,)  where a document begins: there only `<EOS>` has been read
    memory      bytes that the process may hold, what it holds already included
    report      is told the order that is being counted, now and then; it may raise to stop
    An n-gram ends at a token and never reaches back over the `<EOS>` before its document.
    Raises TrainingError where there are more than 2^32 - 1 n-grams of one order.
    """
    left = memory - process.held()
    piece = max(SMALLEST_PIECE, left // TOKEN_BYTES)
    pairs = min(BLOCK, max(FEWEST_PAIRS, left // PAIR_BYTES))
    levels = [unigrams(_tokens(ids, vocab_size))]
    shorter: Numbers = ids  # for each token the number of the (n-1)-gram that ends there
    for n in range(2, order + 1):
        runs, places = [], []
        for first, last in blocks(len(ids), piece):
            if report is not None:
                report(n)
            run, place = _piece(ids, shorter, beginnings, first, last, n, vocab_size, scratch)
            runs.append(run)
            places.append(place)
        level, ranks = build_level(runs, len(levels[-1].counts), vocab_size, scratch, pairs)
        if n < order:
            numbers = scratch.column(np.uint32)
            for (first, last), place, rank in zip(blocks(len(ids), piece), places, ranks, strict=True):
                found = np.full(last - first, NONE)
                found[_contexts(shorter, beginnings, first, last, n) != NONE] = rank[:][place[:]]
                numbers.append(found)
                del found
            _drop(shorter)
            shorter = numbers
        for column in (*places, *ranks, *(column for run in runs for column in vars(run).values())):
            _drop(column)
        levels.append(level)
    _drop(shorter)
    return Counts(vocab_size, levels)


def _tokens(ids: Array, vocab_size: int) -> Array:
    total = np.zeros(vocab_size, dtype=np.int64)
    for first, last in blocks(len(ids)):
        total += np.bincount(ids[first:last], minlength=vocab_size)
    return total


def _piece(
    ids: Array, shorter: Numbers, beginnings: Array, first: int, last: int, n: int, vocab_size: int, scratch: Scratch
) -> tuple[SortedPairs, Column]:
    """The n-grams that end in ids[first:last], sorted; and which of them ends at each token where one does."""
    contexts = _contexts(shorter, beginnings, first, last, n)
    real = contexts != NONE
    keys = contexts[real].astype(np.uint64)
    keys *= np.uint64(vocab_size)
    keys += ids[first:last][real].astype(np.uint64)
    del contexts
    unique, representative, inverse, counts = distinct(keys)
    suffixes = shorter[first:last][real][representative].astype(np.uint32)
    return SortedPairs(_kept(scratch, unique), _kept(scratch, counts), _kept(scratch, suffixes)), _kept(
        scratch, inverse
    )


def _contexts(shorter: Numbers, beginnings: Array, first: int, last: int, n: int) -> Array:
    """Which (n-1)-gram stands before each token, NONE where none does."""
    contexts = np.empty(last - first, dtype=np.uint32)
    contexts[1:] = shorter[first : last - 1]
    contexts[0] = shorter[first - 1 : first][0] if first else NONE
    inside = beginnings[np.searchsorted(beginnings, first) : np.searchsorted(beginnings, last)] - first
    contexts[inside] = EOS if n == 2 else NONE
    return contexts


def distinct(keys: Array) -> tuple[Array, Array, Array, Array]:
    """Sorted distinct keys, a place where each stands, the number of each key among them, and how often each stands."""
    order = np.argsort(keys)
    ranked = keys[order]
    new = np.ones(len(keys), dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=new[1:])
    begins = np.flatnonzero(new)
    inverse = np.empty(len(keys), dtype=np.uint32)
    inverse[order] = np.cumsum(new, dtype=np.uint32) - np.uint32(1)
    return ranked[begins], order[begins], inverse, np.diff(begins, append=len(keys))


def build_level(
    runs: Sequence[SortedPairs], contexts: int, vocab_size: int, scratch: Scratch, size: int = BLOCK
) -> tuple[CountLevel, list[Column]]:
    """Merge sorted runs into the level of a trie; also where each run's pairs came to stand in it.

    contexts  how many n-grams there are one order below
    size      pairs that are worked on at once
    """
    if len(runs) > MOST_RUNS:
        groups = [_joined(runs[first:last], scratch, size) for first, last in blocks(len(runs), MOST_RUNS)]
        level, places = build_level([run for run, _ in groups], contexts, vocab_size, scratch, size)
        final = []
        for (run, inner), place in zip(groups, places, strict=True):
            final += [_through(ranks, place, scratch, size) for ranks in inner]
            for column in (*vars(run).values(), *inner, place):
                _drop(column)
        return level, final
    words = scratch.column(word_type(vocab_size))
    counts, suffixes, starts = (scratch.column(dtype) for dtype in (np.int64, np.uint32, np.uint32))
    ranks = [scratch.column(np.uint32) for _ in runs]
    opened = 0  # contexts whose beginning is written
    for merged in merge(runs, size):
        parents, tokens = np.divmod(merged.keys, np.uint64(vocab_size))
        upto = int(parents[-1]) + 1
        if len(words) + len(tokens) > int(NONE):
            raise _too_many()
        for first, last in blocks(upto - opened, size):
            asked = np.arange(opened + first, opened + last, dtype=np.uint64)
            starts.append(len(words) + np.searchsorted(parents, asked))
        opened = max(opened, upto)
        words.append(tokens)
        counts.append(merged.counts)
        suffixes.append(merged.suffixes)
        for column, rank in zip(ranks, merged.ranks, strict=True):
            column.append(rank)
    for first, last in blocks(contexts + 1 - opened, size):
        starts.append(np.full(last - first, len(words)))
    return CountLevel(words, starts, counts, suffixes), ranks


def _joined(runs: Sequence[SortedPairs], scratch: Scratch, size: int) -> tuple[SortedPairs, list[Column]]:
    """Several sorted runs as one; also where each run's pairs came to stand in it."""
    keys, counts, suffixes = (scratch.column(dtype) for dtype in (np.uint64, np.int64, np.uint32))
    ranks = [scratch.column(np.uint32) for _ in runs]
    for merged in merge(runs, size):
        keys.append(merged.keys)
        counts.append(merged.counts)
        suffixes.append(merged.suffixes)
        for column, rank in zip(ranks, merged.ranks, strict=True):
            column.append(rank)
        if len(keys) >= int(NONE):
            raise _too_many()
    return SortedPairs(keys, counts, suffixes), ranks


def _through(ranks: Column, places: Column, scratch: Scratch, size: int) -> Column:
    """Where the pairs of a run stand in the end: its ranks in a joined run, then that one's places."""
    final, whole = scratch.column(np.uint32), mapped(places)
    for first, last in blocks(len(ranks), size):
        final.append(whole[ranks[first:last]])
    return final


def _too_many() -> TrainingError:
    return TrainingError(
        "there are more than 4,294,967,294 different n-grams of one order",
        hint="choose a lower --order, or rarer tokens as <UNK> (--min-count)",
    )


def merge(runs: Sequence[SortedPairs], size: int = BLOCK) -> Iterator[Merged]:
    """Merge sorted runs, adding the counts of equal keys, in blocks of about `size` pairs of all runs together."""
    size = max(1, size // max(1, len(runs)))  # of each run
    done = [0] * len(runs)
    standing = 0
    while True:
        fronts = [run.keys[place : place + size] for run, place in zip(runs, done, strict=True)]
        # Beyond the least of the last keys that are loaded, a run might still hold something smaller.
        ends = [front[-1] for front, run, place in zip(fronts, runs, done, strict=True) if place + size < len(run.keys)]
        if ends:
            limit = min(ends)
            fronts = [front[: np.searchsorted(front, limit, side="right")] for front in fronts]
        if not any(len(front) for front in fronts):
            return
        parts = [slice(place, place + len(front)) for place, front in zip(done, fronts, strict=True)]
        counts = np.concatenate([run.counts[part] for run, part in zip(runs, parts, strict=True)])
        suffixes = np.concatenate([run.suffixes[part] for run, part in zip(runs, parts, strict=True)])
        if len(runs) == 1:
            keys, inverse = fronts[0], np.arange(len(fronts[0]))
        else:
            keys, representative, inverse, _ = distinct(np.concatenate(fronts))
            counts = np.bincount(inverse, weights=counts, minlength=len(keys)).astype(np.int64)
            suffixes = suffixes[representative]
        numbers = standing + inverse
        ranks = np.split(numbers, np.cumsum([len(front) for front in fronts])[:-1])
        yield Merged(keys, counts, suffixes, ranks)
        standing += len(keys)
        done = [place + len(front) for place, front in zip(done, fronts, strict=True)]


def _kept(scratch: Scratch, numbers: Array) -> Column:
    column = scratch.column(numbers.dtype)
    column.append(numbers)
    return column


def _drop(column: Numbers) -> None:
    if isinstance(column, Column):
        column.drop()
