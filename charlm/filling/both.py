"""A cloze model as the judge of a blank: what stands before it and what stands behind it, at once.

The blanks of a text are filled from the first to the last. Those still empty are read from the right as missing tokens:
as many as they have, and one where nobody knows. So the probabilities of several blanks multiply to that of all.
"""

from collections.abc import Sequence

import torch

from charlm.filling.blanks import BlankedText
from charlm.filling.likelihood import device_of_cloze
from charlm.filling.searching import Guess
from charlm.models.cloze import ALONE, FIRST, LATER, ClozeModel
from charlm.scoring import BATCH_TOKENS
from charlm.shapes import LogProbs
from charlm.text.vocab import EOS


class BothSides:
    """A Judge of both sides. Log-probabilities of guesses add to that of all blanks together."""

    def __init__(self, model: ClozeModel, sentence: BlankedText) -> None:
        self.model, self.sentence = model, sentence

    @torch.no_grad()
    def said(self, guesses: Sequence[Guess], length: int | None) -> LogProbs:
        rows = [self._row(guess, length) for guess in guesses]
        each = max(1, BATCH_TOKENS // max(len(ids) for ids, _, _ in rows))
        parts = [self._said(rows[start : start + each]) for start in range(0, len(rows), each)]
        log_probs = torch.cat(parts)
        if length is not None or not guesses[0].begun:  # a blank that must go on is not over
            log_probs[:, EOS] = -torch.inf
            log_probs = torch.log_softmax(log_probs, dim=-1)
        return log_probs

    def closed(self, guesses: Sequence[Guess]) -> list[float]:
        return [0.0] * len(guesses)

    def _row(self, guess: Guess, length: int | None) -> tuple[list[int], list[bool], tuple[int, int, int]]:
        """The ids of the text as far as it is known, which are missing, and the place: left, right, kind."""
        pieces, number = self.sentence.pieces, len(guess.fills)
        before = list(pieces[0])
        for fill, piece in zip(guess.fills, pieces[1:], strict=False):
            before += [*fill, *piece]
        before += guess.begun
        rest = 0 if length is None else length - len(guess.begun)
        behind, missing = [EOS] * rest, [True] * rest
        for empty, piece in zip((0, *(size or 1 for size in self.sentence.lengths[number + 1 :])), pieces[number + 1 :],
                                strict=True):  # fmt: skip
            behind += [*[EOS] * empty, *piece]
            missing += [*[True] * empty, *[False] * len(piece)]
        place = ALONE if length is not None else LATER if guess.begun else FIRST
        left = len(before)
        return before + behind, [False] * left + missing, (left, left + (rest > 0), place)

    def _said(self, rows: list[tuple[list[int], list[bool], tuple[int, int, int]]]) -> LogProbs:
        device = device_of_cloze(self.model)
        longest = max(1, *(len(ids) for ids, _, _ in rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        missing = torch.zeros(len(rows), longest, dtype=torch.bool)
        for row, (known, unread, _) in enumerate(rows):
            ids[row, : len(known)], missing[row, : len(known)] = torch.tensor(known), torch.tensor(unread)
        lengths = torch.tensor([len(known) for known, _, _ in rows])
        left, right = self.model.sides(ids.to(device), lengths.to(device), missing.to(device))
        places = torch.tensor([place for _, _, place in rows], device=device)
        every = torch.arange(len(rows), device=device)
        return self.model.between(left[every, places[:, 0]], right[every, places[:, 1]], places[:, 2])
