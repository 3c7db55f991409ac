"""Vectors from counts: how much oftener than by chance two tokens stand near each other, in few dimensions.

Of the tokens that stand up to REACH apart, nearer ones weighed more, the positive pointwise mutual information

    PPMI(w, c) = max(0, ln P(w, c) / (P(w) P(c)))

is factored into U S V, which skip-gram does implicitly (Levy & Goldberg 2014); rare contexts are made less so by the
power NOISE_POWER of their counts (Levy, Goldberg & Dagan 2015, §3.1). A vector is a row of U √S at length 1.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.embedding.frequencies import NOISE_POWER
from charlm.embedding.vectors import Matrix
from charlm.text.corpus import Corpus
from charlm.text.vocab import EOS

Ids = npt.NDArray[np.int64]

REACH = 5  # tokens
MOST_TOKENS = 10_000_000  # of one text, in blocks from all over it
BLOCK = 1 << 19  # tokens that are counted together
MOST_CELLS = 25_000_000  # of the table: larger vocabularies have their most frequent tokens as contexts alone
MORE_THAN_ASKED = 16  # dimensions that are searched besides those that are kept (Halko et al. 2011, §4.2)
TURNS = 3  # of the search, each nearer to the largest dimensions


def vectors_from_counts(texts: Iterable[tuple[Corpus, float]], tokens: int, size: int, seed: int = 1) -> Matrix:
    """A vector of unit length for each token (tokens, size), zeros for one that has no neighbours in the texts.

    texts   each with a weight of its counts
    tokens  in the vocabulary; must be more than `size`, as must the contexts
    """
    contexts = max(size + 1, min(tokens, MOST_CELLS // tokens))
    table = np.zeros((tokens, contexts), dtype=np.float32)
    for text, weight in texts:
        for ids in _blocks(text):
            _count(ids, weight, table)
    information = _information(table)
    rows = _reduced(torch.from_numpy(information), size, seed).numpy()
    rows[~information.any(axis=1)] = 0.0  # and not what rounding has left there
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Matrix = np.divide(rows, lengths, out=rows, where=lengths > 0)
    return found


def _blocks(text: Corpus) -> Iterator[Ids]:
    """The ids of a text, or of blocks that are spread evenly over one that is too long."""
    whole = len(text.ids)
    number = -(-whole // BLOCK)
    kept = min(number, max(1, MOST_TOKENS // BLOCK))
    for place in range(kept):
        start = place * number // kept * BLOCK
        yield text.ids[start : start + BLOCK].astype(np.int64)


def _count(ids: Ids, weight: float, table: Matrix) -> None:
    """Add the pairs of some ids to the table (tokens, contexts), either being the context of the other.

    No pair has the end of a document between its two, but either may be that end itself.
    """
    contexts = table.shape[1]
    ends = np.concatenate([[0], np.cumsum(ids == EOS)])  # before each place
    for apart in range(1, min(REACH, len(ids) - 1) + 1):
        left, right = ids[:-apart], ids[apart:]
        together = ends[apart : len(ids)] == ends[1 : len(ids) - apart + 1]
        left, right = left[together], right[together]
        for word, context in ((left, right), (right, left)):
            near = context < contexts  # ids stand by frequency
            # Whole numbers, which float32 adds without rounding.
            np.add.at(
                table.reshape(-1), word[near] * contexts + context[near], np.float32(weight * (REACH + 1 - apart))
            )


def _information(table: Matrix) -> Matrix:
    """Positive pointwise mutual information of words and contexts, from their counts (tokens, contexts)."""
    words, contexts = table.sum(axis=1, dtype=np.float64), table.sum(axis=0, dtype=np.float64) ** NOISE_POWER
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(table)
        found -= np.log(words / contexts.sum()).astype(np.float32)[:, None]
        found -= np.log(contexts).astype(np.float32)
    found[~(found > 0)] = 0.0  # never seen together, or less often than by chance
    return found


def _reduced(table: Tensor, size: int, seed: int) -> Tensor:
    """U √S of the largest dimensions of a table, (rows, size), by turns of a random subspace (Halko et al. 2011)."""
    generator = torch.Generator().manual_seed(seed)
    width = min(size + MORE_THAN_ASKED, *table.shape)
    sample = table @ torch.randn(table.shape[1], width, generator=generator)
    for _ in range(TURNS):
        back = torch.linalg.qr(table.T @ torch.linalg.qr(sample).Q).Q
        sample = table @ back
    basis = torch.linalg.qr(sample).Q
    inner, sizes, _ = torch.linalg.svd(basis.T @ table, full_matrices=False)
    found: Tensor = (basis @ inner)[:, :size] * sizes[:size].sqrt()
    return found
