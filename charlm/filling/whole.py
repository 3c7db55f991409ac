"""A language model as the judge of a blank, the exact way: how likely is the whole sentence with each candidate in it?

    P(c | before, behind) ∝ P(before c behind)

Nothing of it is learned for blanks, and it is the right answer of a model that knows one side; but each candidate costs
as much as reading all that stands behind the blank. A backward model judges the text from its end.
"""

from collections.abc import Sequence

import torch

from charlm.filling.blanks import BlankedText
from charlm.filling.searching import Guess
from charlm.models.base import LanguageModel, device_of, pick
from charlm.scoring import BATCH_TOKENS
from charlm.shapes import LogProbs, State
from charlm.text.vocab import EOS


class WholeSentences:
    """A Judge of whole sentences. The log-probability of a guess in the end is that of the sentence with it."""

    def __init__(self, model: LanguageModel, sentence: BlankedText) -> None:
        self.model, self.sentence = model, sentence
        # For the blanks that are full: the state before the last token behind them, and that token.
        self.read: dict[tuple[tuple[int, ...], ...], tuple[State, int]] = {}
        first = [EOS, *sentence.pieces[0]]
        log_probs, state, last = self._score([first], model.initial_state(1))
        self.before = float(log_probs.double().sum())  # of what stands before the first blank
        self.read[()] = state, last[0]

    @torch.no_grad()
    def said(self, guesses: Sequence[Guess], length: int | None) -> LogProbs:
        parts = []
        for some in _parts(guesses, len(guesses[0].begun) + 1):
            state = self._states(some)
            ids = [[self.read[guess.fills][1], *guess.begun] for guess in some]
            _, state, last = self._score(ids, state)
            parts.append(self.model.step(torch.tensor(last, device=device_of(state)), state)[0])
        log_probs = torch.cat(parts).clone()
        if length is None and guesses[0].begun:
            log_probs[:, EOS] = 0.0  # whether the blank is over is told by what follows
        return log_probs

    @torch.no_grad()
    def closed(self, guesses: Sequence[Guess]) -> list[float]:
        piece = self.sentence.pieces[len(guesses[0].fills)] if guesses else ()
        is_last = bool(guesses) and len(guesses[0].fills) == len(self.sentence.lengths)
        found = [0.0] * len(guesses)
        numbers = sorted(range(len(guesses)), key=lambda number: len(guesses[number].fills[-1]))
        for some in _alike(numbers, guesses, len(piece)):
            before = [guesses[number].fills[:-1] for number in some]
            fills = [guesses[number].fills[-1] for number in some]
            ids = [[self.read[known][1], *fill, *piece] for known, fill in zip(before, fills, strict=True)]
            log_probs, state, last = self._score(ids, self._states([Guess(known) for known in before]))
            for row, number in enumerate(some):
                found[number] = float(log_probs[row, len(fills[row]) :].double().sum())
                found[number] += self.before if len(guesses[number].fills) == 1 else 0.0
                if not is_last:
                    self.read[guesses[number].fills] = pick(state, torch.tensor([row])), last[row]
        return found

    def _states(self, guesses: Sequence[Guess]) -> State:
        states = [self.read[guess.fills][0] for guess in guesses]
        if all(state is states[0] for state in states):
            return tuple(leaf.expand(len(states), *leaf.shape[1:]).contiguous() for leaf in states[0])
        return tuple(torch.cat(leaves) for leaves in zip(*states, strict=True))

    def _score(self, ids: list[list[int]], state: State) -> tuple[LogProbs, State, list[int]]:
        """ids (N, 1 + T), the first one already known  ->  log_probs (N, T), the state before the last, the last"""
        rows = torch.tensor(ids, device=device_of(state))
        last = [row[-1] for row in ids]
        if rows.shape[1] == 1:
            return torch.zeros(len(ids), 0), state, last
        with torch.no_grad():
            log_probs, after = self.model.score(rows[:, :-1], rows[:, 1:], state)
        return log_probs, after, last


def _parts(guesses: Sequence[Guess], tokens: int) -> list[Sequence[Guess]]:
    rows = max(1, BATCH_TOKENS // tokens)
    return [guesses[start : start + rows] for start in range(0, len(guesses), rows)]


def _alike(numbers: list[int], guesses: Sequence[Guess], behind: int) -> list[list[int]]:
    """Guesses whose last fills are of one length, few enough to be read at once."""
    found: list[list[int]] = []
    for number in numbers:
        size = len(guesses[number].fills[-1])
        rows = max(1, BATCH_TOKENS // (1 + size + behind))
        if not found or len(guesses[found[-1][0]].fills[-1]) != size or len(found[-1]) >= rows:
            found.append([])
        found[-1].append(number)
    return found
