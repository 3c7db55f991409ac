"""Values as codes into a book: exact where few different values occur, rounded where a user asks for it."""

import numpy as np

from charlm.ngrams.columns import BLOCK, Array, Numbers, Scratch, blocks, mapped
from charlm.ngrams.tables import GROUP, Starts, Values

LARGEST_BOOK = 1 << 16  # different values that two bytes can tell apart


def exact(values: Numbers, scratch: Scratch) -> Values:
    """Codes where that is smaller and loses nothing; the numbers themselves elsewhere.

    Log γ depends on a few small counts, so a million contexts may share a few thousand values.
    """
    book = np.empty(0, dtype=np.float32)
    for first, last in blocks(len(values)):
        book = np.union1d(book, values[first:last])
        if len(book) > LARGEST_BOOK or len(book) * 4 > len(values):
            return Values(values)
    return _coded(values, book, scratch)


def rounded(values: Numbers, bits: int, scratch: Scratch) -> tuple[Values, float]:
    """Codes of `bits` bits, and the largest error that they make, in nats.

    The values are sorted and cut into 2^bits groups of equal size; each group is stored as its mean, as Federico &
    Bertoldi (2006) and Heafield (2011, §5.1) do it.
    """
    ranked = np.sort(values[:].astype(np.float64))
    finite = ranked[np.isfinite(ranked)]
    groups = np.unique(np.linspace(0, len(finite), (1 << bits) + (len(finite) == len(ranked))).astype(np.int64))
    means = np.add.reduceat(finite, groups[:-1]) / np.diff(groups) if len(finite) else finite
    book = np.unique(np.append(means, ranked[: len(finite) < len(ranked)]).astype(np.float32))
    coded = _coded(values, book, scratch)
    error = 0.0
    for first, last in blocks(len(values)):
        with np.errstate(invalid="ignore"):
            gap = np.abs(coded.at(slice(first, last)) - values[first:last])
        error = max(error, float(np.nan_to_num(gap).max(initial=0.0)))
    return coded, error


def grouped(starts: Numbers, scratch: Scratch) -> Starts:
    """The same beginnings, told from the beginning of their group."""
    bases = scratch.column(np.uint32)
    wide = False
    for first, last in blocks(len(starts), BLOCK):  # a multiple of the group
        numbers = starts[first:last]
        bases.append(numbers[::GROUP])
        wide = wide or bool((numbers - np.repeat(numbers[::GROUP], GROUP)[: len(numbers)]).max() >= 1 << 16)
    offsets = scratch.column(np.uint32 if wide else np.uint16)
    for first, last in blocks(len(starts), BLOCK):
        numbers = starts[first:last]
        offsets.append(numbers - np.repeat(numbers[::GROUP], GROUP)[: len(numbers)])
    return Starts(mapped(offsets), mapped(bases))


def _coded(values: Numbers, book: Array, scratch: Scratch) -> Values:
    """Each value as the number of the nearest one in a sorted book."""
    codes = scratch.column(np.uint8 if len(book) <= 256 else np.uint16)
    with np.errstate(invalid="ignore"):
        borders = (book[1:].astype(np.float64) + book[:-1]) / 2
    for first, last in blocks(len(values)):
        codes.append(np.searchsorted(borders, values[first:last].astype(np.float64), side="left"))
    return Values(codes, book)
