"""A text read as often as the budget says, by several threads that move the same vectors (Mikolov et al. 2013).

The text is a mapped file of ids, of which each thread takes a piece at a time, so memory holds the vectors and no text.
The learning rate falls with the share of the budget that is used up.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from charlm.config.embedding import EmbeddingConfig
from charlm.embedding import batched, compiled
from charlm.embedding.frequencies import Numbers, alias_table, huffman_tree, kept_shares
from charlm.embedding.vectors import Matrix
from charlm.errors import MissingExtra, Stopped, TextError, TrainingError
from charlm.text.corpus import Corpus
from charlm.training.journal import OnEvent, Progress
from charlm.training.schedules import Place

PIECE = 1 << 14  # ids that a thread takes at once


class PairLearning(Protocol):
    """How a piece of text is learned."""

    source: Matrix

    def learn(self, ids: Any, rate: float, seed: int) -> tuple[float, int]:
        """Move the vectors by the words of a piece; nats, and how many pairs they are of."""


class Compiled:
    """One pair after the other, in machine code."""

    def __init__(self, config: EmbeddingConfig, counts: Numbers, source: Matrix) -> None:
        self.reach, self.kept, self.source = config.reach, kept_shares(counts, config.subsample), source
        negative, hierarchical = compiled.kernels()
        self.kernel: Callable[..., Any]
        self.tables: tuple[Any, ...]
        if config.objective == "negative":
            self.kernel, self.tables, rows = negative, (*alias_table(counts), config.negatives), len(counts)
        else:
            tree = huffman_tree(counts)
            self.kernel, self.tables, rows = hierarchical, (tree.offsets, tree.nodes, tree.rights), tree.inner
        self.target = np.zeros((max(1, rows), config.size), dtype=np.float32)

    def learn(self, ids: Any, rate: float, seed: int) -> tuple[float, int]:
        vectors = self.source, self.target
        nats, pairs = self.kernel(
            np.array(ids), self.kept, *self.tables, *vectors, self.reach, np.float32(rate), np.uint64(seed)
        )
        return float(nats), int(pairs)


class Batched:
    """Blocks of text as matrix products."""

    def __init__(self, config: EmbeddingConfig, counts: Numbers, source: Matrix) -> None:
        self.config, self.source = config, source
        self.kept = torch.from_numpy(kept_shares(counts, config.subsample))
        self.vectors = torch.from_numpy(source)  # the same memory
        noise = counts**0.75
        self.noise = torch.from_numpy(np.cumsum(noise / noise.sum())) if config.objective == "negative" else None
        self.tree = None if config.objective == "negative" else huffman_tree(counts)
        rows = len(counts) if self.tree is None else max(1, self.tree.inner)
        self.target = torch.zeros(rows, config.size)

    def learn(self, ids: Any, rate: float, seed: int) -> tuple[float, int]:
        return batched.learn(
            torch.from_numpy(np.asarray(ids).astype(np.int64)),
            self.kept,
            self.vectors,
            self.target,
            reach=self.config.reach,
            rate=rate,
            generator=torch.Generator().manual_seed(seed % (1 << 63)),
            noise=self.noise,
            negatives=self.config.negatives,
            tree=self.tree,
        )


def learning_of(config: EmbeddingConfig, counts: Numbers) -> PairLearning:
    """What learns by this config, at its beginning; raises MissingExtra where machine code is wanted and cannot be."""
    if config.method == "compiled" and not compiled.is_there():
        raise MissingExtra("numba", "fast", "--method compiled")
    random = np.random.default_rng(config.seed)
    source = ((random.random((len(counts), config.size), dtype=np.float32) - 0.5) / config.size).astype(np.float32)
    in_machine_code = config.method != "batched" and compiled.is_there()
    return Compiled(config, counts, source) if in_machine_code else Batched(config, counts, source)


def pieces(starts: Any, size: int = PIECE) -> Iterator[tuple[int, int]]:
    """The ids of a text in pieces of about `size`, cut where a document begins, or in one that is longer than two.

    >>> list(pieces(np.array([0, 3, 6, 8]), 5)), list(pieces(np.array([0, 9]), 3))
    ([(0, 3), (3, 8)], [(0, 6), (6, 9)])
    """
    first, end = 0, int(starts[-1])
    while first < end:
        last = int(starts[np.searchsorted(starts, first + size, side="right") - 1])
        if last <= first:
            last = int(starts[np.searchsorted(starts, first, side="right")])
            last = min(last, first + 2 * size)
        yield first, last
        first = last


@dataclass
class _Walk:
    """Where the threads are: who comes next takes the next piece."""

    corpus: Corpus
    config: EmbeddingConfig
    report: OnEvent
    signal: Callable[[], int | None]
    begun: float = field(default_factory=time.monotonic)
    lock: Any = field(default_factory=threading.Lock)
    number: int = 0  # of pieces that were taken
    words: int = 0
    nats: float = 0.0
    pairs: int = 0
    share: float = 0.0
    failed: bool = False

    def __post_init__(self) -> None:
        self._taken = self._all()

    def _all(self) -> Iterator[tuple[int, int, int]]:
        epoch = 0
        while True:
            for first, last in pieces(self.corpus.starts):
                yield epoch, first, last
            epoch += 1

    def take(self) -> tuple[int, int, float, int] | None:
        """The next piece: its ids from and to, the rate, and the seed of what is random in it; None at the end."""
        with self.lock:
            if (number := self.signal()) is not None:
                raise Stopped(number)
            epoch, first, last = next(self._taken)
            seconds = time.monotonic() - self.begun
            done = first / int(self.corpus.starts[-1])
            self.share = self.config.share(epoch + done, seconds)
            if self.share >= 1 or self.failed:
                return None
            self.number += 1
            if self.number > 1:
                place = Place(step=self.number - 1, epoch=epoch, done=done, seconds=seconds)
                left = seconds / self.share * (1 - self.share) if self.share else None
                speed = self.words / seconds if seconds else 0.0
                self.report(Progress(place, self.share, self.loss, speed, left))
            return first, last, self.config.rate(self.share), self.config.seed * (1 << 32) + self.number

    def tell(self, words: int, nats: float, pairs: int) -> None:
        """A piece is learned."""
        with self.lock:
            self.words += words
            if self.pairs > 1 << 17:  # the loss of late, not that of the beginning
                self.nats, self.pairs = self.nats / 2, self.pairs // 2
            self.nats += nats
            self.pairs += pairs

    @property
    def loss(self) -> float:
        """Nats of a pair, of late."""
        return self.nats / max(1, self.pairs)


@dataclass(frozen=True)
class VectorsLearned:
    """Vectors, one for each token of the vocabulary, and what they took.

    words    of the text that were read, those that were passed over included
    loss     nats of a pair in the last pieces: of a neighbour and the words drawn for it, or of a path
    """

    matrix: Matrix
    words: int
    seconds: float
    loss: float
    threads: int
    method: str


def learn(
    corpus: Corpus,
    counts: Numbers,
    config: EmbeddingConfig,
    *,
    report: OnEvent,
    signal: Callable[[], int | None],
) -> VectorsLearned:
    """The vectors of a text's words.

    counts  (V,) how often each token was seen, 0 for what is no word
    Raises TextError where there are not two words, Stopped at a signal, TrainingError where the vectors diverge.
    """
    if np.count_nonzero(counts) < 2:
        raise TextError(
            "the text has fewer than two words that are frequent enough", hint="try a lower --min-count, or more text"
        )
    learning = learning_of(config, counts)
    threads, before = config.threads or torch.get_num_threads(), torch.get_num_threads()
    learning.learn(np.zeros(1, dtype=corpus.ids.dtype), 0.0, 0)  # compiles, which is no part of the time
    walk = _Walk(corpus, config, report, signal)

    def work() -> None:
        try:
            while (piece := walk.take()) is not None:
                first, last, rate, seed = piece
                ids = corpus.ids[first:last]
                walk.tell(int(np.count_nonzero(ids)), *learning.learn(ids, rate, seed))
        except BaseException:
            walk.failed = True  # the others stop as well
            raise

    torch.set_num_threads(1)  # threads share the text, not the products
    try:
        with ThreadPoolExecutor(max(1, threads - 1)) as pool:
            others = [pool.submit(work) for _ in range(threads - 1)]
            work()  # here, so that a signal is heard
            for other in others:
                other.result()
    finally:
        torch.set_num_threads(before)
    if not np.isfinite(learning.source).all():
        raise TrainingError("the vectors grew beyond all bounds", hint="try a smaller --learning-rate")
    seconds = time.monotonic() - walk.begun
    method = "compiled" if isinstance(learning, Compiled) else "batched"
    return VectorsLearned(learning.source, walk.words, seconds, walk.loss, threads, method)
