"""Documents to the log-probabilities of their tokens, in order and with bounded memory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch

from charlm.models.base import LanguageModel, device_of, renewed
from charlm.scoring.score import LogProbArray
from charlm.shapes import State
from charlm.text.vocab import EOS

OnTokens = Callable[[int], None]  # is told how many more tokens are done

BATCH_TOKENS = 8192  # tokens of one forward pass
WINDOW = 512  # tokens of one row in one forward pass
BATCHES_PER_CHUNK = 16  # documents of so many batches are sorted by length together
FEWEST_ROWS = 16  # read at once where figures shall not hang on their neighbours: see `log_probs_of_lines`
LANES = 32  # numbers that torch's functions take at a time, two registers of AVX-512


def log_probs_of_lines(
    model: LanguageModel, documents: Iterable[Sequence[int]], *, report: OnTokens | None = None, fewest: int = 1
) -> Iterator[LogProbArray]:
    """Token log-probabilities of documents that know nothing of each other, in order.

    Documents of like length are read side by side, which changes the time, and of a network the last bits.

    fewest  rows that are read at once, empty ones if need be, unless a document is longer than WINDOW. Matrices of a
            few rows are multiplied in another order than larger ones, and then a document's last bits hang on how
            many stood beside it; from 16 rows on they do not where the kernels are those of AVX-512. See `height_of`
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
    one = model.initial_state(1)
    while order:
        longest = len(documents[order[-1]])
        rows = max(1, BATCH_TOKENS // max(1, min(longest, WINDOW)))
        batch, order = order[-rows:], order[:-rows]
        height = height_of(len(batch), fewest, one) if longest <= WINDOW else len(batch)
        some = [documents[number] for number in batch]
        lengths = np.fromiter(map(len, some), np.int64, len(some))
        flat = np.fromiter(chain.from_iterable(some), np.int64, int(lengths.sum()))
        real = np.arange(longest) < lengths[:, None]
        ids = np.zeros((height, longest + 1), dtype=np.int64)
        ids[: len(some), 1:][real] = flat
        log_probs, _ = read_on(model, torch.from_numpy(ids), model.initial_state(height))
        for number, own, length in zip(batch, log_probs, lengths.tolist(), strict=False):
            found[number] = own[:length]
        if report is not None:
            report(sum(len(documents[number]) for number in batch))
    yield from found


def height_of(rows: int, fewest: int, state: State) -> int:
    """How many rows are read where these are wanted: as they are with `fewest` 1, else so many that they fill lanes.

    On AVX-512 torch computes σ of 32 numbers at a time, and of what is left behind the last 32 by another function,
    whose last bits are others: so those of a network whose width is no multiple of 32 would hang on how many rows
    there are.

    state  of the model, of any number of rows
    """
    if fewest == 1:
        return rows
    widths = [leaf.shape[-1] for leaf in state if leaf.is_floating_point() and leaf.dim() > 1]
    together = LANES // math.gcd(LANES, *widths)
    return -(-max(rows, fewest) // together) * together


@torch.no_grad()
def read_on(model: LanguageModel, ids: torch.Tensor, state: State) -> tuple[LogProbArray, State]:
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
        log_probs, state = read_on(model, torch.from_numpy(ids)[None], state)
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
        log_probs, state = read_on(model, torch.tensor([[EOS, *document]]), state)
        yield log_probs[0]
        if report is not None:
            report(len(document))
