"""What is read before each document of a corpus and never predicted: control tokens, and words of its own as a theme.

Nothing of it stands in the ids of a corpus. A prefix is a pure function of the seed, the epoch and the number of the
document, so a training that was stopped reads the same ones again, and each epoch has others: tokens are left out at
random, each for itself and all together, so that a model learns to write when it is told little or nothing; and the
theme is taken from other places of the document.

The form and its like have a token for each thing that can be told (CTRL, Keskar et al. 2019). A theme is words in the
ordinary vocabulary between two control tokens, so that any word can be one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charlm.text.vocab import EOS

Rows: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Chances: TypeAlias = Callable[[int], npt.NDArray[np.float64]]  # what for -> a number in [0, 1) for each document

LOOKED_AT = 128  # tokens of a document, among which its theme is found
WORDS = 2  # of a theme, at most; of one or two characters each
ALL, PLACE, PAIR, MORE = 100, 200, 300, 400  # what for a number is drawn, besides the kinds of tokens


@dataclass(frozen=True)
class Prefixes:
    """What may be read before the documents of a corpus.

    tokens   (documents, kinds)  ids of control tokens, `<EOS>` where a document has none of a kind
    theme    the ids that open and close a theme; None where none is told
    words    (V,)  which tokens may be part of a theme
    verse    (V,)  which tokens are characters of a line; the others part lines
    dropout  the share of tokens that is left out, and of documents that are read without any
    """

    tokens: npt.NDArray[np.int32]
    theme: tuple[int, int] | None
    words: Flags
    verse: Flags
    dropout: float = 0.0

    def of(self, documents: Rows, ids: Rows, seed: int, epoch: int) -> tuple[Rows, Rows]:
        """The prefixes of some documents: ids (B, P), `<EOS>` behind shorter ones, and the length (B,) of each.

        ids  (B, T)  their first tokens, `<EOS>` behind their ends
        """

        def chances(purpose: int) -> npt.NDArray[np.float64]:
            return uniform(documents, seed, epoch, purpose)

        told = chances(ALL) >= self.dropout
        parts = [
            np.where(told & (chances(kind) >= self.dropout), column, EOS)[:, None]
            for kind, column in enumerate(self.tokens[documents].T)
        ]
        if self.theme is not None:
            parts.append(self._themes(ids, told & (chances(len(parts)) >= self.dropout), chances))
        whole = np.hstack([np.zeros((len(documents), 0), np.int64), *parts]).astype(np.int64)
        order = np.argsort(whole == EOS, axis=1, kind="stable")  # what is left out goes to the end
        return np.take_along_axis(whole, order, 1), (whole != EOS).sum(1)

    def _themes(self, ids: Rows, told: Flags, chances: Chances) -> Rows:
        """Themes (B, 2 + 2 · WORDS) with the tokens around them; `<EOS>` where there is nothing."""
        assert self.theme is not None
        found = np.zeros((len(ids), 2 + 2 * WORDS), np.int64)
        possible, heads, rows = self.words[ids], self._heads(ids), np.arange(len(ids))
        counts, order = possible.sum(1), np.cumsum(possible, 1)
        taken: list[Rows] = []
        for number in range(WORDS):
            chosen = (chances(PLACE + number) * counts).astype(np.int64)
            place = (order > chosen[:, None]).argmax(1)
            first = heads[rows, place]
            second = np.minimum(first + 1, ids.shape[1] - 1)
            whole = possible[rows, first] & possible[rows, second] & (heads[rows, second] == first) & (second > first)
            whole &= chances(PAIR + number) < 0.5
            wanted = told & (counts > 0) & (number == 0 or chances(MORE) < 0.5)
            for before in taken:  # nothing is told twice
                wanted &= first != before
            taken.append(first)
            found[:, 1 + 2 * number] = np.where(wanted, ids[rows, np.where(whole, first, place)], EOS)
            found[:, 2 + 2 * number] = np.where(wanted & whole, ids[rows, second], EOS)
        has = found.any(1)
        found[:, 0], found[:, -1] = (np.where(has, token, EOS) for token in self.theme)
        return found

    def _heads(self, ids: Rows) -> Rows:
        """Where (B, T) the pair begins to which each place belongs, as verse is read: 床前 明月 光."""
        places = np.arange(ids.shape[1])
        starts = np.maximum.accumulate(np.where(self.verse[ids], 0, places + 1), 1)
        return np.where(self.verse[ids], places - (places - starts) % 2, places)


def uniform(documents: Rows, seed: int, epoch: int, purpose: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each document: SplitMix64 (Steele et al. 2014) over all four numbers."""
    mixed = np.full(len(documents), seed, np.uint64)
    for number in (np.uint64(epoch), np.uint64(purpose), documents.astype(np.uint64)):
        mixed = (mixed ^ number) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ mixed >> np.uint64(31)
    found: npt.NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) / 2**53
    return found
