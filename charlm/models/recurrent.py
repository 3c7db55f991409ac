"""The recurrent language model: embedding, stacked cells, vocabulary.

Mikolov et al. 2010 with the cells of the table, stacked (Graves 2013), and dropout before, between and after the
layers. What else helps it to learn from little text (Merity et al. 2018; Melis et al. 2018) is off unless the
config asks for it.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.networks import RecurrentConfig
from charlm.models.base import Product
from charlm.models.dropout import WordDropout
from charlm.models.network import FREQUENT, SAMPLED_UNTIL, Network
from charlm.models.output import wide
from charlm.models.stack import Stack, unit_dropouts
from charlm.shapes import Ids, LogProbs, State


class Recurrent(Network, Stack):
    """A stacked recurrent network over a vocabulary.

    State: the cells' leaves, the layers of each stacked: `(h,)` for rnn and gru, `(h, c)` for lstm, each (B, L, H).
    """

    def __init__(self, config: RecurrentConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.config = config
        self.stack(config)
        self.finish(config, config.hidden)
        self.words = WordDropout(config.word_dropout)
        self.input_dropout, _, self.output_dropout = unit_dropouts(config)
        self.dropout = self.output_dropout  # a network's own is the one after its last layer
        self.learn_start(config)

    def initial_state(self, batch_size: int) -> State:
        return Stack.initial_state(self, batch_size)

    def embed(self, inputs: Ids) -> Tensor:
        vectors = self.words(inputs, self.embedding(inputs), self.vocab_size)
        return cast(Tensor, vectors) * self.input_scale

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        _, x, after = self.felt(inputs, state)
        return x, after

    def felt(self, inputs: Ids, state: State) -> tuple[Tensor, Tensor, State]:
        """inputs (B, T)  ->  what the last layer says (B, T, H), what `read` makes of it, state after"""
        said, after = self._layers(inputs, state)
        return said, self.narrowed(self.dropout(said)), after

    def _layers(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  what the last layer says (B, T, H), state after"""
        return self.climb(self.input_dropout(self.embed(inputs)), state)

    def forward(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """As every network's; and its gradient, not its value, has the penalties on hidden units."""
        if not self.training or not (self.config.ar > 0 or self.config.tar > 0):
            return super().forward(inputs, targets, state)
        said, after = self._layers(inputs, state)
        dropped = self.dropout(said)
        penalty = activation_penalty(said, dropped, self.config.ar, self.config.tar)
        return self.compared(self.narrowed(dropped), targets) - (penalty - penalty.detach()), after

    def hidden_matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Matrices between hidden vectors, each with how many gates stand in it one below the other."""
        matrices = [matrix for matrix in self.cells.parameters() if matrix.dim() == 2]
        found = [(matrix, max(1, len(matrix) // self.config.hidden)) for matrix in matrices]
        return found if self.projection is None else [*found, (cast(nn.Parameter, self.projection.weight), 1)]

    def trace(self, inputs: Ids, state: State, *, gates: bool = True) -> dict[str, Tensor]:
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}, and the gates that its cells can name."""
        x, layers = self.embed(inputs), []
        for layer, cell in enumerate(self.cells):
            before = tuple(leaf[:, layer] for leaf in state)
            trace = getattr(cell, "trace", None) if gates else None
            shown = {} if trace is None else trace(x, before)
            x, _ = self.layer(layer, cell, x, before)
            layers.append({"hidden": x, **shown})
        return {name: torch.stack([each[name] for each in layers], dim=2) for name in layers[0]}

    def products(self, rows: int, window: int) -> list[Product]:
        """The matrix products of a step of training, those of a cell's own state one position after the other."""
        tokens, found = rows * window, []
        for name, matrix in self.cells.named_parameters():
            if matrix.dim() == 2:
                columns, inner = matrix.shape
                found.append(
                    Product(rows, inner, columns, window) if "_hh" in name else Product(tokens, inner, columns)
                )
        if self.projection is not None:
            found.append(Product(tokens, self.config.hidden, self.config.embedding))
        width, sampled = self.output_weight.shape[1], self.config.sampled
        if self.may_sample:
            some = self.vocab_size // FREQUENT + max(1, round(sampled * self.vocab_size))
            found.append(Product(tokens, width, some, SAMPLED_UNTIL))
            return [*found, Product(tokens, width, self.vocab_size, 1 - SAMPLED_UNTIL)]
        return [*found, Product(tokens, width, self.vocab_size)]

    def small(self) -> "Recurrent":
        """A network of the same kind with a few weights, on which can be tried what a machine is able to."""
        with torch.random.fork_rng(devices=[]):
            return Recurrent(replace(self.config, layers=min(2, self.config.layers), hidden=8, embedding=8), 8)


def activation_penalty(said: Tensor, dropped: Tensor, ar: float, tar: float) -> Tensor:
    """ar · mean x_t² + tar · mean (y_t - y_t-1)² over the units, x after dropout, y before it (Merity et al. 2017, §3).

    said y, dropped x (B, T, H)  ->  (B, T), nats; the first token of a window has no change
    """
    large = wide(dropped).square().mean(-1)
    change = wide(said).diff(dim=1).square().mean(-1)
    return ar * large + tar * nn.functional.pad(change, (1, 0))
