"""N-gram probabilities as sorted arrays: a trie that is mapped into memory and searched for many tokens at once.

The n-grams of an order stand sorted, those with the same first n-1 tokens side by side, so one number per
context says where its continuations begin (Germann, Joanis & Larkin 2009; Heafield 2011 §3.2). A text is
followed through the trie token by token: what continues the (n-1)-gram that ended at the token before is the
n-gram that ends here, so each order costs one search for each token, and all tokens are searched side by side.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charlm.config.models import LARGEST_ORDER
from charlm.errors import RunError
from charlm.ngrams.columns import Array, Numbers, blocks
from charlm.ngrams.counts import root

GROUP_BITS = 6
GROUP = 1 << GROUP_BITS  # contexts that share a base


@dataclass(frozen=True)
class Values:
    """Numbers that are looked up: plain, or as codes into a book of those that occur.

    numbers  (entries,) float32, or uint8 or uint16 codes
    book     (values,) float32, or None
    """

    numbers: Numbers
    book: Array | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, entries: Any) -> Array:
        """The values of some entries, or of a slice."""
        found: Array = self.numbers[entries]
        return found if self.book is None else self.book[found]


@dataclass(frozen=True)
class Starts:
    """Where the continuations of each context begin, in about two bytes a context.

    offsets  (contexts + 1,)  uint16 or uint32, from the beginning of the group of GROUP contexts
    bases    (groups,)        uint32, where each group begins
    """

    offsets: Array
    bases: Array

    @classmethod
    def plain(cls, starts: Array) -> "Starts":
        """Numbers as they are, in one type and without groups that differ."""
        return cls(starts, np.zeros((len(starts) - 1) // GROUP + 1, dtype=np.uint32))

    def __len__(self) -> int:
        return len(self.offsets)

    def at(self, contexts: Array) -> Array:
        """Where some contexts' continuations begin: (N,)  ->  (N,) int64"""
        found = self.offsets[contexts].astype(np.int64)
        found += self.bases[contexts >> GROUP_BITS]
        return found

    def whole(self) -> Array:
        """All of them."""
        return self.at(np.arange(len(self.offsets)))


@dataclass(frozen=True)
class StoredLevel:
    """One order of the trie.

    words      (entries,)       last token, ascending within a context; at order 1 the entry is the token
    starts     (contexts + 1,)  where the continuations of each (n-1)-gram begin
    log_probs  (entries,)       nats
    backoffs   (entries,)       nats, log γ of the n-gram as a context; None for the highest order
    """

    words: Array
    starts: Starts
    log_probs: Values
    backoffs: Values | None

    def __len__(self) -> int:
        return len(self.log_probs)


@dataclass(frozen=True)
class Tables:
    """A back-off model: P(w | h) stands in the table, or is γ(h) P(w | h').

    uniform  what a context leaves over is spread evenly (add-k) instead of by the shorter context
    """

    vocab_size: int
    levels: list[StoredLevel]
    uniform: bool = False

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.levels)

    def grams(self, n: int, size: int = 1 << 18) -> Iterator[tuple[Array, Array, Array | None]]:
        """All n-grams of an order in blocks: ids (k, n), log_probs (k,), backoffs (k,) or None."""
        starts = [level.starts.whole() for level in self.levels[1:n]]  # once, not for each block
        for first, last in blocks(len(self.levels[n - 1]), size):
            entries = np.arange(first, last)
            level = self.levels[n - 1]
            backoffs = level.backoffs.at(slice(first, last)) if level.backoffs is not None else None
            yield self._spelled(n, entries, starts), level.log_probs.at(slice(first, last)), backoffs

    def spelled(self, n: int, entries: Array) -> Array:
        """The tokens of some n-grams: entries (k,)  ->  ids (k, n)"""
        return self._spelled(n, entries, [level.starts.whole() for level in self.levels[1:n]])

    def _spelled(self, n: int, entries: Array, starts: Sequence[Array]) -> Array:
        """The same, given the starts of orders 2 to n."""
        ids = np.empty((len(entries), n), dtype=np.int64)
        for k in range(n, 1, -1):
            level = self.levels[k - 1]
            ids[:, k - 1] = level.words[entries]
            entries = np.searchsorted(starts[k - 2], entries, side="right") - 1
        ids[:, 0] = entries
        return ids


def even(vocab_size: int) -> Tables:
    """A model that has seen nothing: every token is as likely as any other."""
    return Tables(
        vocab_size, [single_level(vocab_size, Values(np.full(vocab_size, -np.log(vocab_size), np.float32)), None)]
    )


def single_level(vocab_size: int, log_probs: Values, backoffs: Values | None) -> StoredLevel:
    """Order 1, where the entry is the token."""
    words, starts = root(vocab_size)
    return StoredLevel(words, Starts.plain(starts), log_probs, backoffs)


def tensors_of(tables: Tables) -> dict[str, Numbers]:
    """The arrays by the names they have in a file: `N.words`, `N.starts`, `N.log_probs`, `N.backoffs`, and books."""
    named: dict[str, Numbers] = {}
    for n, level in enumerate(tables.levels, 1):
        if n > 1:  # at order 1 they say nothing
            named |= {f"{n}.words": level.words, f"{n}.starts": level.starts.offsets, f"{n}.bases": level.starts.bases}
        for name, values in (("log_probs", level.log_probs), ("backoffs", level.backoffs)):
            if values is not None:
                named[f"{n}.{name}"] = values.numbers
                if values.book is not None:
                    named[f"{n}.{name}.book"] = values.book
    return named


def from_tensors(named: Mapping[str, Array], vocab_size: int, *, uniform: bool, source: str) -> Tables:
    """The tables again; raises RunError where an array is missing or has another shape or type than it must have.

    Looks at shapes and types only, so that opening a large model costs nothing; `check` reads everything.
    """

    def problem(what: str) -> RunError:
        return RunError(f"{source}: {what}", hint="restore it from a copy of the run")

    def array(name: str, kinds: str, length: int | None = None) -> Array:
        if name not in named:
            raise problem(f"{name} is missing")
        found = named[name]
        if found.ndim != 1 or found.dtype.str[1:] not in kinds.split() or length not in (None, len(found)):
            raise problem(f"{name} is {found.dtype}{list(found.shape)}, which does not fit")
        return found

    def values(name: str, length: int | None) -> Values:
        if f"{name}.book" in named:
            return Values(array(name, "u1 u2", length), array(f"{name}.book", "f4"))
        return Values(array(name, "f4", length))

    levels: list[StoredLevel] = []
    order = max((n for n in range(1, LARGEST_ORDER + 1) if f"{n}.log_probs" in named), default=1)
    for n in range(1, order + 1):
        entries = len(array(f"{n}.words", "u2 u4")) if n > 1 else vocab_size
        backoffs = values(f"{n}.backoffs", entries) if n < order else None
        log_probs = values(f"{n}.log_probs", entries)
        if n == 1:
            levels.append(single_level(vocab_size, log_probs, backoffs))
            continue
        contexts = len(levels[-1])
        starts = Starts(array(f"{n}.starts", "u2 u4", contexts + 1), array(f"{n}.bases", "u4", contexts // GROUP + 1))
        levels.append(StoredLevel(named[f"{n}.words"], starts, log_probs, backoffs))
    tables = Tables(vocab_size, levels, uniform)
    if left := named.keys() - tensors_of(tables).keys():
        raise problem(f"{min(left)} belongs to an order that is not there")
    return tables


def check(tables: Tables) -> str | None:
    """Read every array: what is wrong with the first bad one, or None."""
    for n, level in enumerate(tables.levels, 1):
        for name, values in (("log_probs", level.log_probs), ("backoffs", level.backoffs)):
            if values is None:
                continue
            for first, last in blocks(len(values)):
                if values.book is not None and int(values.numbers[first:last].max(initial=0)) >= len(values.book):
                    return f"{n}.{name} has codes that are not in its book"
                found = values.at(slice(first, last))
                if bool(np.isnan(found).any() | np.isposinf(found).any()):
                    return f"{n}.{name} holds numbers that are not finite"
                if name == "log_probs" and bool((found > 1e-4).any()):
                    return f"{n}.{name} holds probabilities above 1"
        starts = level.starts.whole()
        if starts[0] != 0 or starts[-1] != len(level) or bool((np.diff(starts) < 0).any()):
            return f"{n}.starts does not cut {n}.words into contexts"
        words = level.words.astype(np.int64)
        if len(words) and int(words.max()) >= tables.vocab_size:
            return f"{n}.words has tokens that are not in the vocabulary"
        rising = np.diff(words) > 0
        inner = starts[(starts > 0) & (starts < len(words))] - 1  # a new context may begin with a smaller token
        rising[inner] = True
        if not bool(rising.all()):
            return f"{n}.words is not sorted within its contexts"
    return None
