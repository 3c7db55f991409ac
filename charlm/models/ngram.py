"""The count-based language model: tables of n-grams, asked like any other model.

    log P(w | h) = log_probs[hw]                     where hw stands in the table
                 = backoffs[h] + log P(w | h')       where it does not; h' is h without its first token

The state is where the last 1, 2, …, N-1 tokens stand among the n-grams of their length, -1 where they do not:
reading a token is one search per order, and nothing of the text itself has to be kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from charlm.errors import RunError
from charlm.ngrams.columns import Array
from charlm.ngrams.search import extend, find
from charlm.ngrams.tables import Starts, Tables, check
from charlm.shapes import Ids, LogProbs, State

WORTH_COMPILING = 1 << 24  # searches: a second with numpy, as long as numba needs to start
CLASS_BITS = 6  # classes for each length of matched context: 1, 2-3, 4-7, 8-15, 16-31, 32 or more continuations


class Ngram:
    """A back-off model over tables. State: `(entries,)`, int64 (B, N-1), column k for the last k+1 tokens.

    rounding  why the probabilities of a context add to one only nearly; None where they do
    """

    def __init__(self, tables: Tables, *, rounding: str | None = None) -> None:
        self.rounding = rounding
        self.tables = tables
        self.vocab_size = tables.vocab_size
        self.searches = 0
        self.is_checked = False
        self.even = np.float32(-np.log(tables.vocab_size))

    @property
    def entries(self) -> list[int]:
        """How many n-grams it holds of each order, single tokens first."""
        return [len(level) for level in self.tables.levels]

    def check(self) -> str | None:
        """Read everything: what is wrong with the tables, or None."""
        return check(self.tables)

    def initial_state(self, batch_size: int) -> State:
        return (torch.full((batch_size, self.tables.order - 1), -1, dtype=torch.int64),)

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        with self._damage_named():
            return self._step(ids, state)

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        with self._damage_named():
            return self._score(inputs, targets, state)

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Opening tables looks at none of their numbers; where a bad one leads astray, say so."""
        try:
            yield
        except (IndexError, ValueError, MemoryError) as error:
            self._refuse_damage(error)
            raise

    def _refuse_damage(self, cause: Exception | None = None) -> None:
        if wrong := self.check():
            raise RunError(
                f"the tables of the n-gram model are damaged: {wrong}",
                hint="`charlm run check RUN` looks at every file; restore what is damaged",
            ) from cause

    def _in_machine_code(self) -> bool:
        """Whether so much is asked that compiling pays. Machine code looks at no bounds: the tables must be sound."""
        if self.searches <= WORTH_COMPILING:
            return False
        if not self.is_checked:
            self._refuse_damage()
            self.is_checked = True
        return True

    def _step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        after = self._read(ids.numpy(), state[0].numpy())
        unigrams = self.tables.levels[0].log_probs.at(slice(None))
        found = np.repeat(unigrams[None], len(ids), axis=0)
        for n, level in enumerate(self.tables.levels[1:], 2):
            self._extend(found, n, level.words, level.starts, after[:, n - 2])
        return torch.from_numpy(found), (torch.from_numpy(after),)

    def _extend(self, log_probs: Array, n: int, words: Array, starts: Starts, contexts: Array) -> None:
        """Turn P(· | h') into P(· | h) in place, in the rows (B, V) whose context h is known."""
        rows = np.flatnonzero(contexts >= 0)
        contexts = contexts[rows]
        log_probs[rows] = self._left(n - 1, contexts)[:, None] + (self.even if self.tables.uniform else log_probs[rows])
        first = starts.at(contexts)
        sizes = starts.at(contexts + 1) - first
        if int(sizes.max(initial=0)) > len(words):  # damaged: looked at before gigabytes are asked for
            raise IndexError("a context has more continuations than there are")
        # All continuations of all contexts, end to end.
        entries = np.arange(sizes.sum()) + np.repeat(first - np.cumsum(sizes) + sizes, sizes)
        log_probs[np.repeat(rows, sizes), words[entries]] = self.tables.levels[n - 1].log_probs.at(entries)

    def _score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        if not inputs.shape[1]:
            return torch.empty(inputs.shape, dtype=torch.float32), state
        read, wanted = inputs.numpy(), targets.numpy()
        # As a rule the next input is the target: then what was found for the one serves as context of the next.
        chained = read.shape[1] < 2 or np.array_equal(read[:, 1:], wanted[:, :-1])
        levels = self.tables.levels
        log_probs = levels[0].log_probs.at(wanted)
        contexts = read.astype(np.int64)
        after = np.empty((len(read), self.tables.order - 1), dtype=np.int64)
        before = state[0].numpy()
        compiled = self._in_machine_code()
        for n, (below, level) in enumerate(pairwise(levels), 2):
            after[:, n - 2] = contexts[:, -1]
            assert below.backoffs is not None
            found = extend(
                level,
                below.backoffs,
                contexts.reshape(-1),
                wanted.reshape(-1),
                log_probs.reshape(-1),
                even=self.even if self.tables.uniform else None,
                compiled=compiled,
            )
            self.searches += contexts.size
            if n < len(levels):
                contexts = self._longer(n, read, contexts, found.reshape(read.shape) if chained else None, before)
        return torch.from_numpy(log_probs), (torch.from_numpy(after),)

    def _longer(self, n: int, read: Array, contexts: Array, found: Array | None, before: Array) -> Array:
        """Where the n-grams that end at each input stand: contexts and result (B, T)."""
        longer = np.full(read.shape, -1, dtype=np.int64)
        if found is not None:
            longer[:, 1:] = found[:, :-1]
            columns = slice(0, 1)
        else:
            columns = slice(0, None)
        preceding = np.concatenate([before[:, n - 2 : n - 1], contexts[:, :-1]], axis=1)[:, columns]
        if (preceding >= 0).any():
            longer[:, columns] = self._find(n, preceding, read[:, columns])
        return longer

    def _find(self, n: int, contexts: Array, tokens: Array) -> Array:
        """The entries of order n of tokens after contexts of any shape; -1 where there is none."""
        found = np.full(contexts.shape, -1, dtype=np.int64)
        known = contexts >= 0
        level = self.tables.levels[n - 1]
        found[known] = find(level.words, level.starts, contexts[known], tokens[known])
        return found

    def _read(self, ids: Array, before: Array) -> Array:
        """The state after one more token per row: ids (B,), before (B, N-1)."""
        after = np.full_like(before, -1)
        if before.shape[1]:
            after[:, 0] = ids
        for n in range(2, self.tables.order):
            after[:, n - 1] = self._find(n, before[:, n - 2], ids)
        return after

    def _left(self, n: int, contexts: Array) -> Array:
        """log γ of known contexts of length n."""
        backoffs = self.tables.levels[n - 1].backoffs
        assert backoffs is not None
        return backoffs.at(contexts)

    @property
    def class_count(self) -> int:
        """How many classes of contexts `classes` tells apart."""
        return (self.tables.order - 1) * CLASS_BITS + 1

    def classes(self, inputs: Ids, state: State) -> Tensor:
        """How well each context is known: the longest one in the table, and in how many ways it went on.

        inputs (B, T)  ->  (B, T) int64: 0 where none is known, else CLASS_BITS classes for each length, by the
        logarithm of the number of different continuations
        """
        with self._damage_named():
            return self._classes(inputs, state)

    def _classes(self, inputs: Ids, state: State) -> Tensor:
        read, before = inputs.numpy(), state[0].numpy()
        found = np.zeros(read.shape, dtype=np.int64)
        contexts = read.astype(np.int64)
        for n in range(1, self.tables.order):
            starts = self.tables.levels[n].starts
            known = contexts >= 0
            places = contexts[known]
            ways = starts.at(places + 1) - starts.at(places)
            bucket = np.minimum(np.frexp(ways)[1] - 1, CLASS_BITS - 1)
            found[known] = np.where(ways > 0, (n - 1) * CLASS_BITS + 1 + bucket, found[known])
            if n + 1 < self.tables.order:
                contexts = self._longer(n + 1, read, contexts, None, before)
        return torch.from_numpy(found)
