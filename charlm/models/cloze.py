"""What a model of missing words is, and what networks that are one have in common.

Where a language model knows all that stands before a token, a cloze model knows both sides of a place:

    P(x_t | x_<t, x_>t) = softmax of a layer over l_t + r_t

where l_t comes of the tokens before the place alone, and r_t of those behind it alone. No side has read the token
itself, so every position of a text is a blank at once: one reading forwards, one backwards, and each pair of neighbours
says what stands between them (Schuster & Paliwal 1997). Nothing has to be hidden for that.

What is missing may be more than one token. Two ways, and both give probabilities that add to one:

    of known length   the blank's tokens are found one after the other, each with the ones found before it on the left;
                      on the right those still missing are read as a vector of their own, `missing`
    of any length     r stays what stands behind the whole blank, and beside the tokens the network may say `<EOS>`:
                      the blank is over. So P(x_1 … x_m) = P(x_1) … P(x_m) P(over), for words of all lengths together

A place is `ALONE` in the first way, in the second `FIRST`, where at least one token is missing, and then `LATER`, where
the blank may be over. Each has a vector that is added to l + r.
"""

from abc import ABC, abstractmethod
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from charlm.config.networks import BlanksConfig, NetworkConfig
from charlm.models.base import Product
from charlm.models.network import FREQUENT, SAMPLED_UNTIL, TokenNetwork
from charlm.models.output import target_log_probs
from charlm.shapes import Ids, LogProbs, Mask, State
from charlm.text.vocab import EOS

ALONE, FIRST, LATER = range(3)
# Of the rows of a step: those that train blanks of any length, and those in which pieces are missing on the right.
OPEN, THINNED = 0.15, 0.15
MISSING = 0.3  # of the pieces of a thinned row


class ClozeModel(Protocol):
    """A distribution over the token at a place, given what stands before it and what stands behind it.

    It is no LanguageModel: there is no next token, and no state that goes on. A text begins with `<EOS>`, which is read
    before it, and ends with the one among its ids where there is one.
    """

    vocab_size: int

    def sides(self, ids: Ids, lengths: Tensor, missing: Mask | None = None) -> tuple[Tensor, Tensor]:
        """What is known at each place of some texts, before and behind it.

        ids (B, T), lengths (B,), missing (B, T): what is read from the right as a missing token
        ->  left, right (B, T + 1, D): `left[:, i]` of the ids before i alone, `right[:, j]` of those from j on alone
        """

    def between(self, left: Tensor, right: Tensor, place: Tensor) -> LogProbs:
        """What stands between two sides (N, D), at places (N,) of the three kinds  ->  log_probs (N, V), nats"""

    def likelihood(self, left: Tensor, right: Tensor, place: Tensor, targets: Ids) -> LogProbs:
        """The same of one token at each place alone: sides (…, D), place and targets (…)  ->  (…), nats"""


class ClozeNetwork(TokenNetwork, ABC):
    """A ClozeModel of `look_left` and `look_right`, which a subclass writes.

    A subclass makes its layers between `__init__` and `finish`, which is told the width of the two sides.
    """

    def __init__(self, config: BlanksConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.longest_blank = config.longest_blank
        # Where blanks are single tokens, none is ever missing beside another.
        self.missing = nn.Parameter(torch.zeros(config.embedding), requires_grad=config.longest_blank > 1)

    def finish(self, config: NetworkConfig, width: int) -> None:
        """The layers above both sides; those over the vocabulary last."""
        self.places = nn.Parameter(torch.zeros(3, width))
        super().finish(config, width)

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """What is carried from window to window of a long text: the state of the side before, and nothing behind."""

    @abstractmethod
    def look_left(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Vectors of tokens (B, T, E)  ->  what each, with those before it, says of the place behind it (B, T, D)"""

    @abstractmethod
    def look_right(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of tokens (B, T, E)  ->  what those from each place on say of the place before (B, T + 1, D)

        Beyond the length of its row nothing is known.
        """

    def above(self, joint: Tensor) -> Tensor:
        """What both sides say of a place together (…, D)  ->  hidden vectors (…, D)"""
        return torch.tanh(joint)

    def join(self, left: Tensor, right: Tensor, place: Tensor) -> Tensor:
        """Sides (…, D), place (…)  ->  the vectors that the vocabulary is compared with (…, E or D)"""
        hidden = self.above(left + right + self.places[place])
        return self.narrowed(hidden)

    def behind(self, ids: Ids, lengths: Tensor, missing: Mask | None) -> Tensor:
        """The side behind each place (B, T + 1, D)."""
        x = self.embed(ids)
        if missing is not None:
            x = torch.where(missing[..., None], self.missing * self.input_scale, x)
        return self.look_right(x, lengths)

    # ── a ClozeModel ────────────────────────────────────────────────────────────────────────────

    def sides(self, ids: Ids, lengths: Tensor, missing: Mask | None = None) -> tuple[Tensor, Tensor]:
        inputs = torch.cat([torch.full_like(ids[:, :1], EOS), ids], dim=1)
        left, _ = self.look_left(self.embed(inputs), self.initial_state(len(ids)))
        return left, self.behind(ids, lengths, missing)

    def between(self, left: Tensor, right: Tensor, place: Tensor) -> LogProbs:
        return self.log_probs(self.join(left, right, place))

    def likelihood(self, left: Tensor, right: Tensor, place: Tensor, targets: Ids) -> LogProbs:
        return target_log_probs(self.join(left, right, place), self.output_weight, self.bias, targets)

    # ── while it learns ─────────────────────────────────────────────────────────────────────────

    def forward(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """How likely each target was between what stands before and behind it, as a training reads a window.

        inputs, targets (B, T), the targets one token later  ->  log_probs (B, T), nats, and the state after `inputs`

        While it learns, some rows are read with pieces missing on the right, and some as blanks of any length, the last
        token of each with the end of the blank besides; unless blanks are single tokens. A document that goes on behind
        the window is one whose end was not read.
        """
        left, after = self.look_left(self.embed(inputs), state)
        lengths = lengths_of(targets)
        drawn = self._draw(targets, lengths) if self.training and self.longest_blank > 1 else None
        right = self.behind(targets, lengths, drawn.missing if drawn else None)
        place = torch.full_like(targets, ALONE) if drawn is None else drawn.place
        behind = torch.arange(1, targets.shape[1] + 1, device=targets.device).expand_as(targets)
        if drawn is not None:
            behind = torch.where(drawn.open, drawn.ends + 1, behind)
        x = self.join(left, _picked(right, behind), place)
        if drawn is None:
            return target_log_probs(x, self.output_weight, self.bias, targets), after
        rows, columns = drawn.over
        over = self.join(left[rows, columns + 1], right[rows, columns + 1], place.new_full(rows.shape, LATER))
        found = self.compared(
            torch.cat([x.flatten(0, 1), over]), torch.cat([targets.flatten(), torch.full_like(rows, EOS)])
        )
        log_probs = found[: targets.numel()].view(targets.shape)
        return log_probs.index_put((rows, columns), found[targets.numel() :], accumulate=True), after

    def _draw(self, targets: Ids, lengths: Tensor) -> "_Drawn":
        """Cut each row into pieces of 1 to `longest_blank` tokens, and choose what its blanks are."""
        rows, width = targets.shape
        device, generator = targets.device, self.dropout.generator
        sizes = torch.randint(1, self.longest_blank + 1, (rows, width), generator=generator, device=device)
        chances = torch.rand(rows, 1 + width, generator=generator, device=device)
        along = torch.arange(width, device=device).expand(rows, width)
        real = lengths[:, None] - (targets.gather(1, lengths[:, None] - 1) == EOS).long()  # tokens without the end
        last = torch.zeros(rows, width + 1, dtype=torch.bool, device=device)
        last.scatter_(1, (sizes.cumsum(1) - 1).clamp(max=width), True)
        last = last[:, :width] | (along == real - 1)
        first = torch.cat([torch.ones_like(last[:, :1]), last[:, :-1]], dim=1)
        piece = first.long().cumsum(1) - 1
        # The next last token from each position on, found from the right.
        ends = torch.where(last, along, width - 1).flip(1).cummin(1).values.flip(1)
        row, of_piece = chances[:, :1], chances[:, 1:].gather(1, piece)
        is_open = (row < OPEN).expand_as(last)
        missing = (row >= OPEN) & (row < OPEN + THINNED) & (of_piece < MISSING) & (along < real)
        place = torch.where(is_open, torch.where(first, FIRST, LATER), ALONE)
        over = (is_open & last & (along < real) & (along + 1 < width)).nonzero(as_tuple=True)
        return _Drawn(is_open, missing, place, ends, over)

    def products(self, rows: int, window: int) -> list[Product]:
        """The matrix products of a step of training; a subclass adds those of its sides."""
        tokens, width = rows * window, self.output_weight.shape[1]
        found = []
        if self.projection is not None:
            found.append(Product(tokens, self.projection.in_features, self.projection.out_features))
        if self.may_sample:
            some = self.vocab_size // FREQUENT + max(1, round(self.share_sampled * self.vocab_size))
            found.append(Product(tokens, width, some, SAMPLED_UNTIL))
            return [*found, Product(tokens, width, self.vocab_size, 1 - SAMPLED_UNTIL)]
        return [*found, Product(tokens, width, self.vocab_size)]


class _Drawn:
    """How the rows of a step are read.

    open     (B, T)  rows whose blanks have any length
    missing  (B, T)  tokens that are not read from the right
    place    (B, T)  of the three kinds
    ends     (B, T)  the last position of the piece that each position is in
    over     rows and columns of the tokens that are the last of a blank of any length
    """

    def __init__(self, is_open: Mask, missing: Mask, place: Tensor, ends: Tensor, over: tuple[Tensor, ...]) -> None:
        self.open, self.missing, self.place, self.ends = is_open, missing, place, ends
        self.over = cast(tuple[Tensor, Tensor], over)


def lengths_of(targets: Ids) -> Tensor:
    """How many targets of each row (B, T) stand before its padding: all up to the first `<EOS>`, where there is one."""
    ended = targets == EOS
    return torch.where(ended.any(1), ended.long().argmax(1) + 1, targets.shape[1])


def _picked(side: Tensor, places: Tensor) -> Tensor:
    """side (B, T + 1, D), places (B, T)  ->  (B, T, D)"""
    return side.gather(1, places[..., None].expand(*places.shape, side.shape[2]))
