"""The best candidates for the blanks of a text, found from the first token to the last, whatever judges them.

A Judge says how likely each token is to come next in a blank, and perhaps, when a blank is filled, how well what
follows goes with it. The search keeps the best so far (a beam); of a blank of one token nothing is lost by that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from charlm.filling.blanks import BlankedText
from charlm.shapes import LogProbs
from charlm.text.vocab import EOS, UNK


@dataclass(frozen=True)
class Guess:
    """What stands in the blanks, as far as it was found, in the order of reading.

    fills     the ids of the blanks that are full
    begun     those of the one that is being filled
    log_prob  nats, as the judge reckons
    """

    fills: tuple[tuple[int, ...], ...] = ()
    begun: tuple[int, ...] = ()
    log_prob: float = 0.0


class Judge(Protocol):
    """Who says what may stand in a blank."""

    def said(self, guesses: Sequence[Guess], length: int | None) -> LogProbs:
        """The next token of the blank that each guess is filling: (N, V), nats.

        length  how many tokens the blank has, None: any number; then `<EOS>` says that it is over
        """

    def closed(self, guesses: Sequence[Guess]) -> list[float]:
        """What the text behind the blank that was just filled adds to each guess, nats."""


def search(
    judge: Judge,
    sentence: BlankedText,
    *,
    width: int,
    longest: int,
    silent: Sequence[int] = (),
    among: Sequence[tuple[int, ...]] = (),
) -> list[Guess]:
    """What may stand in the blanks, likeliest first.

    width    guesses that are kept after each token, and after each blank
    longest  tokens of a blank of any length, at most
    silent   ids that stand in no text, such as control tokens
    among    the only candidates; then nothing is lost, unless there are more ways to combine them than `width`
    """
    guesses = [Guess()]
    sizes = {len(candidate) for candidate in among}
    for length in sentence.lengths:
        if among and len(sizes) == 1:
            length = next(iter(sizes))
        limit = length if length is not None else max(sizes, default=longest)
        full: list[Guess] = []
        begun = guesses
        for done in range(limit + 1):
            if done == length:
                full += begun
                break
            said = judge.said(begun, length).cpu().to(torch.float64, copy=True)
            if length is None and done:
                over = said[:, EOS].tolist()
                full += [
                    replace(guess, log_prob=guess.log_prob + more)
                    for guess, more in zip(begun, over, strict=True)
                    if not among or guess.begun in among
                ]
            if done == limit:
                break
            said[:, [EOS, UNK, *silent]] = -math.inf
            begun = _longer(begun, said, width, among)
            if not begun:
                break
        closing = [Guess((*guess.fills, guess.begun), (), guess.log_prob) for guess in full]
        added = judge.closed(closing)
        closing = [replace(g, log_prob=g.log_prob + more) for g, more in zip(closing, added, strict=True)]
        guesses = sorted(closing, key=lambda guess: -guess.log_prob)[:width]
    return [guess for guess in guesses if guess.log_prob > -math.inf]


def _longer(begun: list[Guess], said: torch.Tensor, width: int, among: Sequence[tuple[int, ...]]) -> list[Guess]:
    """The best `width` guesses with one token more; with `among`, all that one of it begins with."""
    if among:
        ways = [
            (row, candidate[len(guess.begun)])
            for row, guess in enumerate(begun)
            for candidate in among
            if len(candidate) > len(guess.begun) and candidate[: len(guess.begun)] == guess.begun
        ]
        ways = list(dict.fromkeys(ways))
        found = [_with(begun[row], token, float(said[row, token])) for row, token in ways]
    else:
        totals = said + torch.tensor([guess.log_prob for guess in begun], dtype=torch.float64)[:, None]
        best = totals.flatten().topk(min(width, totals.numel())).indices.tolist()
        rows = [divmod(place, said.shape[1]) for place in best]
        found = [_with(begun[row], token, float(said[row, token])) for row, token in rows]
    return [guess for guess in found if guess.log_prob > -math.inf]


def _with(guess: Guess, token: int, log_prob: float) -> Guess:
    return Guess(guess.fills, (*guess.begun, token), guess.log_prob + log_prob)
