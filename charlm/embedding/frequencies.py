"""What the counts of words decide: who is passed over, who is drawn, and the Huffman tree. No torch.

A word whose count is 0 here takes no part: the ends of lines, what is unknown, white space.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.text.vocab import SPECIALS

NOISE_POWER = 0.75  # of counts, for the words that are drawn (Mikolov et al. 2013b, §2.2)

Numbers = npt.NDArray[np.float64]


def counts_of(tokens: Sequence[str], counts: Sequence[int]) -> Numbers:
    """How often each token of a vocabulary was seen, 0 for those that are no words."""
    return np.array(
        [
            0 if place < len(SPECIALS) or token.isspace() else count
            for place, (token, count) in enumerate(zip(tokens, counts, strict=True))
        ],
        dtype=np.float64,
    )


def kept_shares(counts: Numbers, subsample: float) -> Numbers:
    """The share of each word's occurrences that is read: (sqrt(f / t) + 1) t / f for a word with share f of the text.

    That is the form of the word2vec program; the paper's (§2.3) is sqrt(t / f).
    subsample  t; with 0 everything is read
    """
    shares = counts / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = (np.sqrt(shares / subsample) + 1) * subsample / shares if subsample else np.ones_like(shares)
    found: Numbers = np.where(counts > 0, np.minimum(kept, 1.0), 0.0)
    return found


def alias_table(counts: Numbers, power: float = NOISE_POWER) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Two columns from which a word is drawn in one step, as often as its count to `power` says (Walker 1977).

    Draw a row: it is the row's own word with the probability of the first column, and else that of the second.
    """
    weights = np.where(counts > 0, counts**power, 0.0)
    left = weights / weights.sum() * len(weights)
    own, other = np.ones(len(weights)), np.arange(len(weights))
    small = [row for row in range(len(left)) if left[row] < 1]
    large = [row for row in range(len(left)) if left[row] >= 1]
    while small and large:
        row, giver = small.pop(), large[-1]
        own[row], other[row] = left[row], giver
        left[giver] -= 1 - left[row]
        if left[giver] < 1:
            small.append(large.pop())
    for row in small:  # by rounding a trifle was left; a word that is never drawn must not get it
        if not weights[row]:
            own[row], other[row] = 0.0, int(np.argmax(weights))
    return own, other


@dataclass(frozen=True)
class HuffmanTree:
    """Each word as a path from the root: at each inner node to the left or the right.

    offsets  (words + 1,) where the path of each word begins
    nodes    (all steps,) inner nodes, the root first
    rights   (all steps,) 1 where the path goes to the right, to the more frequent side
    inner    how many inner nodes there are
    """

    offsets: npt.NDArray[np.int64]
    nodes: npt.NDArray[np.int32]
    rights: npt.NDArray[np.uint8]
    inner: int


def huffman_tree(counts: Numbers) -> HuffmanTree:
    """The tree whose paths, weighted by the counts, are the shortest (Huffman 1952); a count of 0 has no path."""
    parent, right = dict[int, int](), dict[int, int]()
    heap = [(float(count), word) for word, count in enumerate(counts) if count > 0]
    heapq.heapify(heap)
    made = 0
    while len(heap) > 1:
        rarer, frequent = heapq.heappop(heap), heapq.heappop(heap)
        for side, (_, child) in enumerate((rarer, frequent)):
            parent[child], right[child] = made, side
        heapq.heappush(heap, (rarer[0] + frequent[0], len(counts) + made))
        made += 1
    offsets, nodes, rights = [0], list[int](), list[int]()
    for word in range(len(counts)):
        path, here = list[tuple[int, int]](), word
        while here in parent:
            path.append((parent[here], right[here]))
            here = len(counts) + parent[here]
        for node, side in reversed(path):
            nodes.append(node)
            rights.append(side)
        offsets.append(len(nodes))
    steps = np.array(nodes, dtype=np.int32), np.array(rights, dtype=np.uint8)
    return HuffmanTree(np.array(offsets, dtype=np.int64), *steps, made)
