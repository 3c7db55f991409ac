"""How well each token of a text is foretold by all the others: the pseudo-log-likelihood (Besag 1975).

    PLL(x) = Σ_t log P(x_t | x_<t, x_>t)

Every term is a log-probability, and their sum is none: no chain rule makes a probability of the text of it. So its
exponential per token is a pseudo-perplexity, compares with other pseudo-perplexities over the same tokens, and is never
called a perplexity. As a score of one candidate beside another it serves (Wang & Cho 2019; Salazar et al. 2020).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from charlm.models.base import device_of
from charlm.models.cloze import ALONE, ClozeModel
from charlm.scoring import (
    BATCH_TOKENS,
    BATCHES_PER_CHUNK,
    UNKNOWN_UNIT_NATS,
    LogProbArray,
    OnTokens,
    Pieces,
    perplexity_of,
)
from charlm.text.codec import Encoded
from charlm.text.corpus import Corpus, charged_units
from charlm.text.vocab import EOS, UNK

LONGEST = 512  # tokens that are read at once; of longer texts a piece with what is near it on both sides
MARGIN = 64  # tokens that are read on either side of such a piece

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PseudoScore:
    """A running total of the surprise at each token given all the others. PseudoScores add.

    nats          total of -log P(token | all others)
    tokens        those that were asked for: line ends and control tokens are not
    unknown       how many of them are `<UNK>`
    unknown_nats  the part of `nats` that those cost
    units         UTF-16 units that the unknown tokens have
    """

    nats: float = 0.0
    tokens: int = 0
    unknown: int = 0
    unknown_nats: float = 0.0
    units: int = 0

    def __add__(self, other: "PseudoScore") -> "PseudoScore":
        return PseudoScore(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(PseudoScore)))

    @property
    def pseudo_perplexity(self) -> float:
        """Per token. It compares with no perplexity: a token is easily foretold by those on both sides of it."""
        return perplexity_of(self.nats / self.tokens) if self.tokens else math.nan

    @property
    def charged_nats(self) -> float:
        """Nats if every unknown token is also spelled out, at 16 bits for each UTF-16 unit."""
        return self.nats + self.units * UNKNOWN_UNIT_NATS

    @property
    def bits_per_char(self) -> None:
        """None: no text can be written down in so many bits."""


def pseudo_score_of(encoded: Encoded, log_probs: LogProbArray) -> PseudoScore:
    """The PseudoScore of one document: log_probs (T,), nats, one for each id, of which some count."""
    ids = np.asarray(encoded.ids)
    counts = ids != EOS
    counts[: encoded.controls] = False
    unknown = counts & (ids == UNK)
    return PseudoScore(
        nats=float(-log_probs[counts].sum()),
        tokens=int(counts.sum()),
        unknown=int(unknown.sum()),
        unknown_nats=float(-log_probs[unknown].sum()),
        units=charged_units(encoded.unknown),
    )


def pseudo_log_probs(
    model: ClozeModel, documents: Iterable[Sequence[int]], *, report: OnTokens | None = None
) -> Iterator[LogProbArray]:
    """log P(x_t | all others) of every id of some documents (T,), in order; what it says of line ends means nothing.

    Documents of like length are read side by side. Of one longer than LONGEST the ends are not seen from everywhere:
    each piece is read with MARGIN tokens on either side.
    """
    chunk: list[Sequence[int]] = []
    tokens = 0
    for document in documents:
        chunk.append(document)
        tokens += len(document)
        if tokens >= BATCH_TOKENS * BATCHES_PER_CHUNK:
            yield from _chunk(model, chunk, report)
            chunk, tokens = [], 0
    yield from _chunk(model, chunk, report)


def _chunk(model: ClozeModel, documents: list[Sequence[int]], report: OnTokens | None) -> Iterator[LogProbArray]:
    order = sorted(range(len(documents)), key=lambda number: len(documents[number]))
    found: list[LogProbArray] = [np.empty(0)] * len(documents)
    while order:
        longest = len(documents[order[-1]])
        if longest > LONGEST:
            number = order.pop()
            ids = np.asarray(documents[number], dtype=np.int64)
            found[number] = np.concatenate(list(_pieces(model, ids)))
            continue
        rows = max(1, BATCH_TOKENS // max(1, longest))
        batch, order = order[-rows:], order[:-rows]
        for number, log_probs in zip(batch, _read(model, [documents[number] for number in batch]), strict=True):
            found[number] = log_probs
        if report is not None:
            report(sum(len(documents[number]) for number in batch))
    yield from found


@torch.no_grad()
def _read(model: ClozeModel, documents: list[Sequence[int]]) -> list[LogProbArray]:
    """log P (T,) of every id of some documents, read side by side."""
    lengths = torch.tensor([len(document) for document in documents])
    ids = torch.zeros(len(documents), int(lengths.max()), dtype=torch.int64)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = torch.as_tensor(np.asarray(document, dtype=np.int64))
    if not ids.numel():
        return [np.empty(0)] * len(documents)
    device = device_of_cloze(model)
    ids = ids.to(device)
    left, right = model.sides(ids, lengths.to(device))
    found = model.likelihood(left[:, :-1], right[:, 1:], torch.full_like(ids, ALONE), ids).cpu().double().numpy()
    return [found[row, :length] for row, length in enumerate(lengths.tolist())]


def _pieces(model: ClozeModel, ids: Numbers) -> Iterator[LogProbArray]:
    """log P of a long document, piece by piece, each read with what is near it."""
    for start in range(0, len(ids), LONGEST - 2 * MARGIN):
        end = min(start + LONGEST - 2 * MARGIN, len(ids))
        first, last = max(0, start - MARGIN), min(end + MARGIN, len(ids))
        (log_probs,) = _read(model, [ids[first:last].tolist()])
        yield log_probs[start - first : end - first]


def device_of_cloze(model: ClozeModel) -> torch.device:
    """Where a model's input belongs."""
    parameters = getattr(model, "parameters", None)
    parameter = None if parameters is None else next(iter(parameters()), None)
    return device_of(() if parameter is None else (parameter,))


def evaluate_blanks(
    model: ClozeModel, corpus: Corpus, *, carried: bool, shares: int = 1, run: Pieces = map
) -> PseudoScore:
    """The PseudoScore of an encoded text: what the training of a cloze model measures itself by.

    carried  the text is one, not documents
    shares   pieces that are measured one by one, or side by side where `run` is the map of a pool of threads
    """
    found = list(run(partial(_of_share, model, corpus, carried, shares), range(shares)))
    score = sum(found, PseudoScore())
    return score


def _of_share(model: ClozeModel, corpus: Corpus, carried: bool, shares: int, share: int) -> PseudoScore:
    score = PseudoScore()
    for ids, log_probs in (
        _of_stream(model, corpus, shares, share) if carried else _of_lines(model, corpus, shares, share)
    ):
        counts = corpus.predicted(ids) & (ids != EOS)
        unknown = counts & (ids == UNK)
        score += PseudoScore(
            -float(log_probs[counts].sum()),
            int(counts.sum()),
            int(unknown.sum()),
            -float(log_probs[unknown].sum()),
            0,
        )
    return score


def _of_lines(model: ClozeModel, corpus: Corpus, shares: int, share: int) -> Iterator[tuple[Numbers, LogProbArray]]:
    mine = range(share, len(corpus), shares)
    scored = pseudo_log_probs(model, (corpus.document(number).tolist() for number in mine))
    for number, log_probs in zip(mine, scored, strict=True):
        yield corpus.document(number), log_probs


def _of_stream(model: ClozeModel, corpus: Corpus, shares: int, share: int) -> Iterator[tuple[Numbers, LogProbArray]]:
    length = -(-len(corpus.ids) // shares)
    ids = corpus.ids[share * length : (share + 1) * length].astype(np.int64)
    if len(ids):
        yield ids, np.concatenate(list(_pieces(model, ids)))
