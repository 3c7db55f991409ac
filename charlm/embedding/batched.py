"""Skip-gram, blocks of text as matrix products: what is learned without a compiler.

The words of a block predict each other at once. With the input vectors x of its words and of those beside it, the
output vectors y of its words, and a mask that says who is near whom, the gradient is two matrix products; the words
that are drawn are the same for the whole block (Ji et al. 2016), weighed so that each neighbour has as many as it
should. With the Huffman tree, y are the nodes on the paths of the block's words.

Many pairs of a block move the same vector from where it was before the block. Added up as they are, these steps
overshoot at frequent words and at the root of the tree; one after the other they would not, since each sees the one
before. So the step of a row is divided by 1 + rate × the curvature of its terms, as in implicit gradient descent
(Toulis & Airoldi 2017): small steps stay what they are, and no row is carried beyond its goal.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from charlm.embedding.frequencies import HuffmanTree

BLOCK = 64  # words that predict at once
DRAWN = 64  # words drawn for a block
PADDING = -1  # the document of what stands before the first word and after the last


def words_read(ids: Tensor, kept: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The words of a piece of text that are not passed over, and the number of the document of each: (N,), (N,)."""
    documents = (ids == 0).cumsum(0)
    chosen = torch.rand(len(ids), generator=generator, dtype=torch.float64) < kept[ids]
    return ids[chosen], documents[chosen]


def neighbours(documents: Tensor, center: slice, near: Tensor, reach: int) -> Tensor:
    """Who is near whom: 1 where a word of the block, or of `reach` words beside it, is predicted by one of the block.

    documents (N + 2 reach,), near (n,)  ->  (n + 2 reach, n)
    """
    around = documents[center.start : center.stop + 2 * reach]
    inside = documents[center.start + reach : center.stop + reach]
    distance = (torch.arange(len(around))[:, None] - torch.arange(reach, reach + len(near))).abs()
    return ((distance > 0) & (distance <= near) & (around[:, None] == inside)).float()


def learn(
    ids: Tensor,
    kept: Tensor,
    source: Tensor,
    target: Tensor,
    *,
    reach: int,
    rate: float,
    generator: torch.Generator,
    noise: Tensor | None = None,
    negatives: int = 0,
    tree: HuffmanTree | None = None,
) -> tuple[float, int]:
    """Learn a piece of text in place; nats, and how many pairs they are of.

    ids     (N,) int64; 0 ends a document
    kept    (V,) the share of each word that is read
    source  (V, E) input vectors; target (V or nodes, E) output vectors
    noise   (V,) the cumulated probabilities of the words that are drawn; without them `tree` is used
    """
    words, documents = words_read(ids, kept, generator)
    near = torch.randint(1, reach + 1, (len(words),), generator=generator)
    padded, documents = (functional.pad(row, (reach, reach), value=PADDING) for row in (words, documents))
    nats, pairs = 0.0, 0
    for first in range(0, len(words), BLOCK):
        block = slice(first, min(first + BLOCK, len(words)))
        mask = neighbours(documents, block, near[block], reach)
        rows = padded[block.start : block.stop + 2 * reach].clamp(min=0)
        if noise is not None:
            uniform = torch.rand(DRAWN, generator=generator, dtype=torch.float64)
            drawn = torch.searchsorted(noise, uniform).clamp(max=len(noise) - 1)
            others = torch.cat([words[block], drawn])
            each = mask.sum(1, keepdim=True) * (negatives / DRAWN)
            wanted = functional.pad(mask, (0, DRAWN))
            weights = torch.cat([mask, each.expand(-1, DRAWN)], dim=1)
        else:
            assert tree is not None
            others, passed, left = _nodes(words[block], tree)
            wanted, weights = mask @ left, mask @ passed
        nats += _step(source, target, rows, others, wanted, weights, rate)
        pairs += int(mask.sum())
    return nats, pairs


def _step(
    source: Tensor, target: Tensor, rows: Tensor, others: Tensor, wanted: Tensor, weights: Tensor, rate: float
) -> float:
    """One step of all pairs of a block; nats.

    rows (m,), others (u,); weights (m, u) how often each pair is compared, wanted (m, u) how often with the label 1
    """
    rows, of_row = torch.unique(rows, return_inverse=True)  # one row, one step: what is to bound it must see all of it
    others, of_other = torch.unique(others, return_inverse=True)
    wanted, weights = (_gathered(each, of_row, of_other, len(rows), len(others)) for each in (wanted, weights))
    x, y = source[rows], target[others]
    products = x @ y.t()
    said = torch.sigmoid(products)
    slopes = wanted - weights * said
    curvature = weights * said * (1 - said)
    for_x, for_y = slopes @ y, slopes.t() @ x
    firmness_x = 1 + rate * (curvature @ y.square().sum(1))
    firmness_y = 1 + rate * (curvature.t() @ x.square().sum(1))
    source[rows] = torch.add(x, for_x / firmness_x[:, None], alpha=rate)
    target[others] = torch.add(y, for_y / firmness_y[:, None], alpha=rate)
    return float((weights * functional.softplus(products) - wanted * products).sum())


def _gathered(counts: Tensor, of_row: Tensor, of_other: Tensor, rows: int, others: int) -> Tensor:
    """Counts of pairs (m, u) added up where they are of the same two vectors: (rows, others)."""
    narrow = counts.new_zeros(len(counts), others).index_add_(1, of_other, counts)
    return counts.new_zeros(rows, others).index_add_(0, of_row, narrow)


def _nodes(words: Tensor, tree: HuffmanTree) -> tuple[Tensor, Tensor, Tensor]:
    """The nodes on the paths of some words (u,); which of them each word passes (n, u), and where it goes left."""
    chosen = words.numpy()
    starts, lengths = tree.offsets[chosen], tree.offsets[chosen + 1] - tree.offsets[chosen]
    first = np.cumsum(lengths) - lengths
    steps = np.arange(lengths.sum()) + np.repeat(starts - first, lengths)
    found, columns = np.unique(tree.nodes[steps], return_inverse=True)
    passed = np.zeros((len(chosen), len(found)), dtype=np.float32)
    passed[np.repeat(np.arange(len(chosen)), lengths), columns] = 1
    left = np.zeros_like(passed)
    left[np.repeat(np.arange(len(chosen)), lengths), columns] = 1 - tree.rights[steps]
    return torch.from_numpy(found.astype(np.int64)), torch.from_numpy(passed), torch.from_numpy(left)
