"""How well a model predicts a text: what `charlm eval` and training measure."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from charlm.models.base import LanguageModel
from charlm.scoring import reading
from charlm.scoring.reading import OnTokens, log_probs_in_order, log_probs_of_lines, log_probs_of_stream, read_on
from charlm.scoring.score import LogProbArray, Score, score_of
from charlm.text.codec import Codec, Document, Encoded
from charlm.text.corpus import Corpus
from charlm.text.reader import several
from charlm.text.vocab import UNK

Pieces: TypeAlias = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]  # what `map` is, and that of a pool

WARM_UP = 512  # tokens that a stripe reads before it counts, in place of all the text before it


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
        read = log_probs_of_lines(model, ids(), report=report, fewest=reading.FEWEST_ROWS)
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
        _, warm = read_on(model, _row_ids(corpus, places), model.initial_state(len(places)))
        state = tuple(torch.cat(leaves[not begun :]) for leaves in zip(state, warm, strict=True))
    for begin in range(0, length, reading.WINDOW):
        places = starts + np.arange(begin, min(begin + reading.WINDOW, length))
        real = places < tokens  # the last stripe is a little shorter
        ids = _row_ids(corpus, np.minimum(places, tokens - 1))
        log_probs, state = read_on(model, ids, state)
        yield ids[:, 1:].numpy()[real], log_probs[real]


def _row_ids(corpus: Corpus, places: npt.NDArray[np.int64]) -> torch.Tensor:
    """The ids at `places` (B, T) with the one before them in front: (B, 1 + T)."""
    return torch.from_numpy(np.hstack([corpus.before(places[:, :1]), corpus.ids[places].astype(np.int64)]))
