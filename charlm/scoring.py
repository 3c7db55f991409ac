"""How well a model predicts a text.

Pure: no files, no printing, no choice of device. Natural logarithms throughout. Sums first, quotients last:
a Score adds, so shards may be scored anywhere and a mean of means never happens.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from charlm.models.base import LanguageModel, device_of, renewed
from charlm.shapes import State
from charlm.text.codec import Codec, Document, Encoded
from charlm.text.corpus import Corpus, charged_units
from charlm.text.reader import several
from charlm.text.vocab import EOS, UNK

LogProbArray = npt.NDArray[np.float64]
Pieces: TypeAlias = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]  # what `map` is, and that of a pool
OnTokens = Callable[[int], None]  # is told how many more tokens are done

BATCH_TOKENS = 8192  # tokens of one forward pass
WINDOW = 512  # tokens of one row in one forward pass
BATCHES_PER_CHUNK = 16  # documents of so many batches are sorted by length together
WARM_UP = 512  # tokens that a stripe reads before it counts, in place of all the text before it
FEWEST_ROWS = 16  # read at once where figures shall not hang on their neighbours: see `log_probs_of_lines`
NATS_GRID = 2.0**20  # figures of documents are multiples of 1 / NATS_GRID, so that float64 adds them without rounding
UNKNOWN_UNIT_NATS = 16 * math.log(2)  # charge for one UTF-16 unit of an unknown token: as if spelled out in bits


@dataclass(frozen=True)
class Score:
    """A running total of surprise.

    Totals of `evaluate` are sums of multiples of 1 / NATS_GRID, about a millionth of a nat, so that floats add them
    exactly, in any order and grouping, up to 8 · 10⁹ nats.

    nats          total of -log P(target)
    tokens        targets predicted: `<EOS>` counts, padding and control tokens do not
    characters    code points that those targets spell, one for each predicted line end
    unknown       targets that were `<UNK>`
    unknown_nats  the part of `nats` that those cost
    units         UTF-16 units that the unknown tokens have
    """

    nats: float = 0.0
    tokens: int = 0
    characters: int = 0
    unknown: int = 0
    unknown_nats: float = 0.0
    units: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Score)))

    def on_grid(self) -> "Score":
        """The same with nats that are multiples of 1 / NATS_GRID: such Scores add exactly."""
        return replace(self, nats=_on_grid(self.nats), unknown_nats=_on_grid(self.unknown_nats))

    @property
    def perplexity(self) -> float:
        """Per token, `<UNK>` counted as a token: comparable only between models that share a vocabulary."""
        return _exp(self.nats, self.tokens)

    @property
    def perplexity_known(self) -> float:
        """Per token, `<UNK>` left out of the sum and of the count (SRILM's habit)."""
        return _exp(self.nats - self.unknown_nats, self.tokens - self.unknown)

    @property
    def charged_nats(self) -> float:
        """Nats if every unknown token is also spelled out, at 16 bits for each UTF-16 unit."""
        return self.nats + self.units * UNKNOWN_UNIT_NATS

    @property
    def perplexity_charged(self) -> float:
        """Per token, with unknown tokens spelled out."""
        return _exp(self.charged_nats, self.tokens)

    @property
    def nats_per_char(self) -> float:
        """Unknown tokens spelled out: comparable between any two models of the same text."""
        return self.charged_nats / self.characters if self.characters else math.nan

    @property
    def bits_per_char(self) -> float:
        """`nats_per_char` in bits."""
        return self.nats_per_char / math.log(2)

    @property
    def unknown_rate(self) -> float:
        """Share of targets that are `<UNK>`."""
        return self.unknown / self.tokens if self.tokens else math.nan


def perplexity_of(nats_per_token: float) -> float:
    """The perplexity of a mean surprise; infinite where no float holds it.

    >>> perplexity_of(0.0), perplexity_of(1e6)
    (1.0, inf)
    """
    try:
        return math.exp(nats_per_token)
    except OverflowError:
        return math.inf


def _on_grid(nats: float) -> float:
    # What is too large for the grid, or infinite, stays as it is.
    return round(nats * NATS_GRID) / NATS_GRID if abs(nats) < 2**53 / NATS_GRID else nats


def _exp(nats: float, tokens: int) -> float:
    return perplexity_of(nats / tokens) if tokens else math.nan


def score_of(encoded: Encoded, log_probs: LogProbArray) -> Score:
    """The Score of one document: log_probs (T,), nats, one for each id; those of control tokens do not count."""
    targets, log_probs = encoded.targets, log_probs[encoded.controls :]
    unknown = np.asarray(targets) == UNK
    return Score(
        nats=float(-log_probs.sum()),
        tokens=len(targets),
        characters=encoded.characters,
        unknown=int(unknown.sum()),
        unknown_nats=float(-log_probs[unknown].sum()),
        units=charged_units(encoded.unknown),
    )


def log_probs_of_lines(
    model: LanguageModel, documents: Iterable[Sequence[int]], *, report: OnTokens | None = None, fewest: int = 1
) -> Iterator[LogProbArray]:
    """Token log-probabilities of documents that know nothing of each other, in order.

    Documents of like length are read side by side, which changes the time, and of a network the last bits.

    fewest  rows that are read at once, empty ones if need be, unless a document is longer than WINDOW. Matrices of a
            few rows are multiplied in another order than larger ones, and then a document's last bits hang on how
            many stood beside it; from 16 rows on they do not where the kernels are those of AVX-512
    """
    chunk: list[Sequence[int]] = []
    tokens = 0
    for document in documents:
        chunk.append(document)
        tokens += len(document)
        if tokens >= BATCH_TOKENS * BATCHES_PER_CHUNK:
            yield from _chunk_of_lines(model, chunk, report, fewest)
            chunk, tokens = [], 0
    yield from _chunk_of_lines(model, chunk, report, fewest)


def _chunk_of_lines(
    model: LanguageModel, documents: list[Sequence[int]], report: OnTokens | None, fewest: int
) -> Iterator[LogProbArray]:
    order = sorted(range(len(documents)), key=lambda number: len(documents[number]))
    found: list[LogProbArray] = [np.empty(0)] * len(documents)
    while order:
        longest = len(documents[order[-1]])
        rows = max(1, BATCH_TOKENS // max(1, min(longest, WINDOW)))
        batch, order = order[-rows:], order[:-rows]
        height = max(len(batch), fewest) if longest <= WINDOW else len(batch)
        ids = np.zeros((height, longest + 1), dtype=np.int64)
        for row, number in enumerate(batch):
            ids[row, 1 : len(documents[number]) + 1] = documents[number]
        log_probs, _ = _read(model, torch.from_numpy(ids), model.initial_state(height))
        for row, number in enumerate(batch):
            found[number] = log_probs[row, : len(documents[number])]
        if report is not None:
            report(sum(len(documents[number]) for number in batch))
    yield from found


@torch.no_grad()
def _read(model: LanguageModel, ids: torch.Tensor, state: State) -> tuple[LogProbArray, State]:
    """ids (B, 1 + T), the first one already known  ->  log_probs (B, T) in float64 on the CPU, state after T"""
    ids = ids.to(device_of(state))
    columns = []
    for start in range(0, ids.shape[1] - 1, WINDOW):
        window = ids[:, start : start + WINDOW + 1]
        log_probs, state = model.score(window[:, :-1], window[:, 1:], state)
        columns.append(log_probs.cpu().double().numpy())
    return np.concatenate(columns, axis=1) if columns else np.empty((len(ids), 0)), state


def log_probs_of_stream(
    model: LanguageModel, documents: Iterable[Sequence[int]], *, report: OnTokens | None = None
) -> Iterator[LogProbArray]:
    """Token log-probabilities of documents that follow on each other: the state is carried from one to the next."""
    state, last = model.initial_state(1), EOS
    chunk: list[Sequence[int]] = []
    tokens = 0

    def flush() -> Iterator[LogProbArray]:
        nonlocal state, last
        ids = np.concatenate([[last], *chunk]).astype(np.int64)
        log_probs, state = _read(model, torch.from_numpy(ids)[None], state)
        last = int(ids[-1])
        yield from np.split(log_probs[0], np.cumsum([len(document) for document in chunk])[:-1])
        if report is not None:
            report(tokens)

    for document in documents:
        chunk.append(document)
        tokens += len(document)
        if tokens >= BATCH_TOKENS:
            yield from flush()
            chunk, tokens = [], 0
    if chunk:
        yield from flush()


def log_probs_in_order(
    model: LanguageModel, documents: Iterable[Sequence[int]], *, report: OnTokens | None = None
) -> Iterator[LogProbArray]:
    """Token log-probabilities of closed documents, each begun anew but for what the model has learned: `renewed`."""
    state: State | None = None
    for document in documents:
        state = model.initial_state(1) if state is None else renewed(model, state)
        log_probs, state = _read(model, torch.tensor([[EOS, *document]]), state)
        yield log_probs[0]
        if report is not None:
            report(len(document))


def evaluate(
    model: LanguageModel,
    codec: Codec,
    documents: Iterable[Document],
    *,
    carried: bool,
    in_order: bool = False,
    report: OnTokens | None = None,
) -> Score:
    """The Score of a text. Scores of parts add up when the state is not carried, and of models of counts exactly.

    Those of a network add within the rounding of its float32; exactly where the processor gives a document the same
    bits beside any others, as AVX-512 does for documents of up to WINDOW tokens, and AVX2 and GPUs do not.

    in_order  one document after the other, for a model that adapts to what it reads; then parts do not add up
    """
    found = details(model, codec, documents, carried=carried, in_order=in_order, report=report)
    return sum((score.on_grid() for _, score, _ in found), Score())


def details(
    model: LanguageModel,
    codec: Codec,
    documents: Iterable[Document],
    *,
    carried: bool,
    in_order: bool = False,
    report: OnTokens | None = None,
) -> Iterator[tuple[Encoded, Score, LogProbArray]]:
    """Each document's ids, Score and log-probabilities of its targets, in order and with bounded memory."""
    pending: deque[Encoded] = deque()

    def ids() -> Iterator[list[int]]:
        for document in several(documents):
            pending.append(codec.encode(document))
            yield pending[-1].ids

    if carried:
        read = log_probs_of_stream(model, ids(), report=report)
    elif in_order:
        read = log_probs_in_order(model, ids(), report=report)
    else:
        read = log_probs_of_lines(model, ids(), report=report, fewest=FEWEST_ROWS)
    # The readers give each document back in the order in which they took it, so the oldest one is meant.
    for log_probs in read:
        encoded = pending.popleft()
        yield encoded, score_of(encoded, log_probs), log_probs[encoded.controls :]


def evaluate_corpus(
    model: LanguageModel, corpus: Corpus, *, carried: bool, stripes: int = 16, shares: int = 1, run: Pieces = map
) -> Score:
    """The Score of an encoded text, fast: what training measures itself by.

    A carried text is read under several heads at once, each warmed up by the `WARM_UP` tokens before its
    stripe; `evaluate` reads it under one.

    shares  pieces that are measured one by one, or side by side where `run` is the map of a pool of threads
    """
    found = list(run(partial(_nats_of, model, corpus, carried, stripes, shares), range(shares)))
    nats, unknown_nats = (sum(column) for column in zip(*found, strict=True))
    facts = corpus.facts
    return Score(nats, facts.tokens, facts.characters, facts.unknown, unknown_nats, facts.units)


def _nats_of(
    model: LanguageModel, corpus: Corpus, carried: bool, stripes: int, shares: int, share: int
) -> tuple[float, float]:
    """Nats of one of several shares of a corpus, and those of its unknown tokens."""
    nats = unknown_nats = 0.0
    if carried:
        read = _striped(model, corpus, stripes, slice(share, None, shares))
    else:
        mine = range(share, len(corpus), shares)
        scored = log_probs_of_lines(model, (corpus.document(number).tolist() for number in mine))
        read = ((corpus.document(number), log_probs) for number, log_probs in zip(mine, scored, strict=True))
    for ids, log_probs in read:
        nats -= float(log_probs[corpus.predicted(ids)].sum())
        unknown_nats -= float(log_probs[ids == UNK].sum())
    return nats, unknown_nats


def _striped(
    model: LanguageModel, corpus: Corpus, stripes: int, mine: slice
) -> Iterator[tuple[npt.NDArray[np.int64], LogProbArray]]:
    """Target ids and their log-probabilities (N,) of some of the stripes, window by window."""
    tokens = len(corpus.ids)
    rows = max(1, min(stripes, tokens // (4 * WARM_UP)))
    length = -(-tokens // rows)
    starts = (np.arange(rows) * length)[mine, None]
    if not len(starts):
        return
    begun, state = int(starts[0, 0] == 0), model.initial_state(1)
    if len(starts) > begun:
        places = starts[begun:] + np.arange(-WARM_UP, 0)
        _, warm = _read(model, _row_ids(corpus, places), model.initial_state(len(places)))
        state = tuple(torch.cat(leaves[not begun :]) for leaves in zip(state, warm, strict=True))
    for begin in range(0, length, WINDOW):
        places = starts + np.arange(begin, min(begin + WINDOW, length))
        real = places < tokens  # the last stripe is a little shorter
        ids = _row_ids(corpus, np.minimum(places, tokens - 1))
        log_probs, state = _read(model, ids, state)
        yield ids[:, 1:].numpy()[real], log_probs[real]


def _row_ids(corpus: Corpus, places: npt.NDArray[np.int64]) -> torch.Tensor:
    """The ids at `places` (B, T) with the one before them in front: (B, 1 + T)."""
    return torch.from_numpy(np.hstack([corpus.before(places[:, :1]), corpus.ids[places].astype(np.int64)]))
