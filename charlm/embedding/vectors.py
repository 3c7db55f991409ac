"""Words and their vectors, whoever made them. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charlm.errors import VectorsError

Matrix = npt.NDArray[np.float32]
SPELLINGS = 5  # offered for a word that has no vector


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors.

    words   each once; in files of word2vec, and in ours, the most frequent first
    matrix  (words, size) float32
    """

    words: list[str]
    matrix: Matrix

    def __len__(self) -> int:
        return len(self.words)

    @property
    def size(self) -> int:
        """Numbers of each vector."""
        return int(self.matrix.shape[1])

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each word stands."""
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def directions(self) -> Matrix:
        """The vectors at length 1, so that their products are cosines; a vector of zeros stays one."""
        lengths = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        found: Matrix = (self.matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        return found

    def place(self, word: str) -> int:
        """Where a word stands; raises VectorsError that offers the nearest spellings."""
        found = self.places.get(word)
        if found is None:
            near = self.spellings(word)
            hint = f"did you mean {', '.join(near)}?" if near else "is it cut otherwise, or too rare? try another word"
            raise VectorsError(f"{word!r} has no vector: it is not among the {len(self):,} words", hint=hint)
        return found

    def several(self, words: Iterable[str]) -> list[int]:
        """Where some words stand; raises VectorsError for the first that has no vector."""
        return [self.place(word) for word in words]

    def spellings(self, word: str, most: int = SPELLINGS) -> list[str]:
        """The words that are spelled most like one: by few edits, half of it right; its parts; what it is part of."""
        from rapidfuzz import process  # here, not above: it is wanted for a misspelt word alone
        from rapidfuzz.distance import Levenshtein

        furthest = max(1, (len(word) - 1) // 2) if len(word) > 1 else 0
        inside = [other for other in self.words if len(word) > 1 and word in other][:most]
        found = process.extract(
            word, self.words, scorer=Levenshtein.distance, limit=most, score_cutoff=furthest
        )  # sorted by distance, equal ones in the order of the words
        lengths = range(len(word) - 1, 1, -1)
        parts = [word[first : first + length] for length in lengths for first in range(len(word) - length + 1)]
        known = [part for part in parts if part in self.places]
        return list(dict.fromkeys([other for other, _, _ in found] + known + inside))[:most]


def some_of(words: Sequence[str], matrix: Matrix, keep: Iterable[int]) -> WordVectors:
    """Some rows of a larger table, in order."""
    rows = list(keep)
    return WordVectors([words[row] for row in rows], np.ascontiguousarray(matrix[rows], dtype=np.float32))
