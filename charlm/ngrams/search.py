"""Where tokens stand among the continuations of their contexts: binary searches for many tokens side by side.

With numpy every search takes its next step at once; with numba (charlm[fast]) each search runs to its end in
compiled code. Both find the same, to the last bit.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from charlm.ngrams.columns import Array
from charlm.ngrams.tables import GROUP_BITS, Starts, StoredLevel, Values

Trie = tuple[Array, Starts]  # words and starts of one order
FEW = 0.6  # when fewer than this share of the searches go on, the others are set aside


def find(words: Array, starts: Starts, contexts: Array, tokens: Array) -> Array:
    """The entry of each token after its context, or -1.

    words (entries,), contexts (N,), tokens (N,)  ->  entries (N,) int64
    """
    low = starts.at(contexts)
    size = starts.at(contexts + 1) - low
    tokens = tokens.astype(words.dtype)
    found = np.full(len(contexts), -1, dtype=np.int64)
    places: Array | None = None  # of the searches that go on, where some are over
    while True:
        going = size > 1
        many = int(np.count_nonzero(going))
        if not many or many < FEW * len(size):
            over = np.flatnonzero(~going)
            _settle(words, low[over], size[over], tokens[over], found, over if places is None else places[over])
            if not many:
                return found
            on = np.flatnonzero(going)
            places = on if places is None else places[on]
            low, size, tokens = low[on], size[on], tokens[on]
        half = size >> 1
        # A search that is over looks at its neighbour and stays where it is, since half is 0.
        low += half * (words.take(low + half - 1, mode="wrap") < tokens)
        size -= half


def _settle(words: Array, low: Array, size: Array, tokens: Array, found: Array, places: Array) -> None:
    """Write down the searches that have one entry left, or none."""
    some = np.flatnonzero(size > 0)
    low = low[some]
    hit = words[low] == tokens[some]
    found[places[some[hit]]] = low[hit]


def extend(
    level: StoredLevel,
    backoffs: Values,
    contexts: Array,
    tokens: Array,
    log_probs: Array,
    *,
    even: np.float32 | None = None,
    compiled: bool = False,
) -> Array:
    """Turn log P(token | h') into log P(token | h) in place, where h is known; give the entries of the tokens.

    backoffs   of the contexts
    contexts   (N,)  entries of h one order below, -1 where it is not known
    tokens     (N,)
    log_probs  (N,)  float32
    even       what stands for log P(token | h') if what h leaves over is spread evenly
    compiled   use numba, where it is there
    """
    values = level.log_probs
    in_machine_code = _compiled(values.book is not None, backoffs.book is not None) if compiled else None
    if in_machine_code is not None:
        entries = np.empty(len(contexts), dtype=np.int64)
        in_machine_code(
            *(level.words, level.starts.offsets, level.starts.bases, contexts, tokens, log_probs, entries),
            *(values.numbers, _book(values), backoffs.numbers, _book(backoffs)),
            *(even is not None, np.float32(0) if even is None else even),
        )
        return entries
    known = np.flatnonzero(contexts >= 0)
    found = find(level.words, level.starts, contexts[known], tokens[known])
    hit = found >= 0
    there, missed = known[hit], known[~hit]
    log_probs[missed] = backoffs.at(contexts[missed]) + (log_probs[missed] if even is None else even)
    log_probs[there] = values.at(found[hit])
    entries = np.full(len(contexts), -1, dtype=np.int64)
    entries[known] = found
    return entries


def _book(values: Values) -> Array:
    return np.empty(0, dtype=np.float32) if values.book is None else values.book


@lru_cache(maxsize=4)
def _compiled(coded: bool, left_coded: bool) -> Callable[..., None] | None:
    """`extend` for one token after the other, in machine code; None without numba.

    coded, left_coded  whether the values and the back-offs are codes into a book
    """
    if find_spec("numba") is None:
        return None
    import numba

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True)(function)  # beside this file, or in the user's cache: ready at the next start
        except RuntimeError:  # where neither can be written
            return numba.njit(function)

    value = compile_(_from_book if coded else _plain)
    left_value = compile_(_from_book if left_coded else _plain)

    def extend_each(
        words: Any,
        offsets: Any,
        bases: Any,
        contexts: Any,
        tokens: Any,
        log_probs: Any,
        entries: Any,
        numbers: Any,
        book: Any,
        left: Any,
        left_book: Any,
        evenly: bool,
        even: Any,
    ) -> None:
        for i in range(len(contexts)):
            context = contexts[i]
            entries[i] = -1
            if context < 0:
                continue
            low = np.int64(offsets[context]) + np.int64(bases[context >> GROUP_BITS])
            size = np.int64(offsets[context + 1]) + np.int64(bases[(context + 1) >> GROUP_BITS]) - low
            token = tokens[i]
            while size > 1:
                half = size >> 1
                low += half * np.int64(words[low + half - 1] < token)  # no branch, since none could be foreseen
                size -= half
            if size == 1 and words[low] == token:
                entries[i] = low
                log_probs[i] = value(numbers, book, low)
            else:
                log_probs[i] = left_value(left, left_book, context) + (even if evenly else log_probs[i])

    made: Callable[..., None] = compile_(extend_each)
    return made


def _plain(numbers: Any, _book: Any, place: Any) -> Any:
    return numbers[place]


def _from_book(numbers: Any, book: Any, place: Any) -> Any:
    return book[numbers[place]]


def numbers_of(tries: Sequence[Trie], ids: Array) -> Array:
    """Where some n-grams stand among all of their order: ids (N, n)  ->  entries (N,), -1 where they do not."""
    found = ids[:, 0].astype(np.int64)
    for (words, starts), tokens in zip(tries[1:], ids.T[1:], strict=False):
        known = found >= 0
        found[known] = find(words, starts, found[known], tokens[known])
    return found
