"""Skip-gram, one pair of words after the other, in machine code (numba, charlm[fast]).

For a word c of the text and a word w near it, with input vectors x and output vectors y (Mikolov et al. 2013b, eq. 4):

    log σ(x_w · y_c) + Σ_k log σ(-x_w · y_k)                     words k drawn
    Σ_node log σ(± x_w · y_node)                                 nodes on c's path in the Huffman tree (eq. 3)

rises by a step along its gradient after each pair, as in the word2vec program. Threads that learn side by side write
into the same vectors without locks (Niu et al. 2011); where one learns alone, everything hangs on the seed.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

WATCHED = 16  # the loss is taken from each 16th word of the text
STEEPEST = 30.0  # beyond which a sigmoid is 0 or 1, and its exponential leaves float32


def is_there() -> bool:
    """Whether machine code can be made here."""
    return find_spec("numba") is not None


@lru_cache(maxsize=1)
def kernels() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """How a piece of text is learned: by negative sampling, and by the Huffman tree.

    Both take a piece of ids (N,), the shares that are read (V,), their own tables, input vectors (V, E), output
    vectors, reach, rate and seed; they change the vectors in place and give nats and how many pairs they are of.
    """
    import numba

    def compile_(function: Callable[..., Any]) -> Any:
        # A division by 0 is no error: vectors that run away are found at the end.
        options: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no place for the cache can be written
            return numba.njit(**options)(function)

    def random_bits(state: Any) -> Any:
        """64 random bits (splitmix64: Steele et al. 2014)."""
        state[0] += np.uint64(0x9E3779B97F4A7C15)
        bits = state[0]
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))

    draw = compile_(random_bits)

    def uniform(state: Any) -> Any:
        return np.float64(draw(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)

    def below(state: Any, number: Any) -> Any:
        return np.int64(((draw(state) >> np.uint64(32)) * np.uint64(number)) >> np.uint64(32))

    share, choose = compile_(uniform), compile_(below)

    def read_document(ids: Any, place: Any, kept: Any, state: Any, read: Any) -> Any:
        """Fill `read` with the words of one document that are not passed over; how many, and where it ends."""
        many = 0
        while place < len(ids) and ids[place] != 0:
            word = ids[place]
            place += 1
            if kept[word] > 0 and (kept[word] >= 1 or share(state) < kept[word]):
                read[many] = word
                many += 1
        return many, place + 1

    def toward(source: Any, row: Any, target: Any, other: Any, label: Any, rate: Any, change: Any) -> Any:
        """One step of σ(x · y) toward its label: y moves, what x shall move by is added to `change`; x · y."""
        product = np.float32(0)
        for unit in range(source.shape[1]):
            product += source[row, unit] * target[other, unit]
        product = min(max(product, np.float32(-STEEPEST)), np.float32(STEEPEST))
        step = (label - np.float32(1) / (np.float32(1) + np.exp(-product))) * rate
        for unit in range(source.shape[1]):
            number = target[other, unit]
            change[unit] += step * number
            target[other, unit] = number + step * source[row, unit]
        return product

    read_next, step_toward = compile_(read_document), compile_(toward)

    def negative_sampling(
        ids: Any, kept: Any, own: Any, other: Any, negatives: Any, source: Any, target: Any, reach: Any, rate: Any,
        seed: Any,
    ) -> Any:  # fmt: skip
        state = np.full(1, seed, np.uint64)
        read, change = np.empty(len(ids), np.int64), np.empty(source.shape[1], np.float32)
        place, nats, pairs = 0, 0.0, 0
        while place < len(ids):
            many, place = read_next(ids, place, kept, state, read)
            for center in range(many):
                near = reach - choose(state, reach)
                for context in range(max(0, center - near), min(many, center + near + 1)):
                    if context == center:
                        continue
                    change[:] = 0
                    for drawn in range(negatives + 1):
                        word, label = read[center], np.float32(1)
                        if drawn > 0:
                            word, label = choose(state, len(own)), np.float32(0)
                            if share(state) >= own[word]:
                                word = other[word]
                            if word == read[center]:
                                continue
                        product = step_toward(source, read[context], target, word, label, rate, change)
                        if center % WATCHED == 0:
                            nats += np.log1p(np.exp(-product if label > 0 else product))
                    for unit in range(source.shape[1]):
                        source[read[context], unit] += change[unit]
                    pairs += center % WATCHED == 0
        return nats, pairs

    def hierarchical_softmax(
        ids: Any, kept: Any, offsets: Any, nodes: Any, rights: Any, source: Any, target: Any, reach: Any, rate: Any,
        seed: Any,
    ) -> Any:  # fmt: skip
        state = np.full(1, seed, np.uint64)
        read, change = np.empty(len(ids), np.int64), np.empty(source.shape[1], np.float32)
        place, nats, pairs = 0, 0.0, 0
        while place < len(ids):
            many, place = read_next(ids, place, kept, state, read)
            for center in range(many):
                near = reach - choose(state, reach)
                for context in range(max(0, center - near), min(many, center + near + 1)):
                    if context == center:
                        continue
                    change[:] = 0
                    for step in range(offsets[read[center]], offsets[read[center] + 1]):
                        label = np.float32(1 - rights[step])
                        product = step_toward(source, read[context], target, nodes[step], label, rate, change)
                        if center % WATCHED == 0:
                            nats += np.log1p(np.exp(-product if label > 0 else product))
                    for unit in range(source.shape[1]):
                        source[read[context], unit] += change[unit]
                    pairs += center % WATCHED == 0
        return nats, pairs

    return compile_(negative_sampling), compile_(hierarchical_softmax)
