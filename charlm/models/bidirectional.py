"""The bidirectional recurrent network (Schuster & Paliwal 1997): two stacks of cells, one for each direction.

    l_t = A h→_{t-1}        h→ has read the tokens before t, from the first on
    r_t = B h←_{t+1}        h← has read those behind t, from the last on

They meet at the blank and nowhere before: were the layers joined one by one, the second would have read, through the
other direction's first, the very token that it is asked for.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.networks import ClozeConfig
from charlm.models.base import Product
from charlm.models.cloze import ClozeNetwork
from charlm.models.dropout import WordDropout
from charlm.models.stack import Stack, unit_dropouts
from charlm.shapes import Ids, State


class Direction(Stack):
    """A stack of cells that reads one way, and what it gives to the layer where both meet."""

    def __init__(self, config: ClozeConfig) -> None:
        super().__init__()
        self.stack(config)
        self.learn_start(config)
        self.given = nn.Linear(config.hidden, config.hidden)
        nn.init.xavier_uniform_(self.given.weight)
        nn.init.zeros_(self.given.bias)


class Bidirectional(ClozeNetwork):
    """A cloze model of two recurrent networks. State: the leaves of the one that reads forwards, each (B, L, H)."""

    def __init__(self, config: ClozeConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.config = config
        self.forwards, self.backwards = Direction(config), Direction(config)
        self.finish(config, config.hidden)
        self.words = WordDropout(config.word_dropout)
        self.input_dropout, _, self.output_dropout = unit_dropouts(config)
        self.dropout = self.output_dropout

    def initial_state(self, batch_size: int) -> State:
        return self.forwards.initial_state(batch_size)

    def embed(self, inputs: Ids) -> Tensor:
        vectors: Tensor = self.words(inputs, self.embedding(inputs), self.vocab_size)
        return vectors * self.input_scale

    def look_left(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        said, after = self.forwards.climb(self.input_dropout(x), state)
        return self.forwards.given(self.output_dropout(said)), after

    def look_right(self, x: Tensor, lengths: Tensor) -> Tensor:
        rows, width, _ = x.shape
        # From the last token of each row to its first; what stands behind its end comes last, and is not asked for.
        along = torch.arange(width, device=x.device)
        order = (lengths[:, None] - 1 - along).clamp(min=0)[..., None]
        said, _ = self.backwards.climb(
            self.input_dropout(x.gather(1, order.expand_as(x))), self.backwards.initial_state(rows)
        )
        said = torch.cat([said.new_zeros(rows, 1, said.shape[2]), self.output_dropout(said)], dim=1)
        read = (lengths[:, None] - torch.arange(width + 1, device=x.device)).clamp(min=0)[..., None]
        found: Tensor = self.backwards.given(said).gather(1, read.expand(-1, -1, said.shape[2]))
        return found

    def hidden_matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Matrices between hidden vectors, each with how many gates stand in it one below the other."""
        inner = [*self.forwards.parameters(), *self.backwards.parameters()]
        found = [(matrix, max(1, len(matrix) // self.config.hidden)) for matrix in inner if matrix.dim() == 2]
        return found if self.projection is None else [*found, (cast(nn.Parameter, self.projection.weight), 1)]

    def products(self, rows: int, window: int) -> list[Product]:
        """The matrix products of a step of training, those of a cell's own state one position after the other."""
        found = []
        for direction in (self.forwards, self.backwards):
            for name, matrix in direction.named_parameters():
                if matrix.dim() == 2:
                    columns, inner = matrix.shape
                    times, high = (window, rows) if "_hh" in name else (1, rows * window)
                    found.append(Product(high, inner, columns, times))
        return [*found, *super().products(rows, window)]

    def small(self) -> "Bidirectional":
        """A network of the same kind with a few weights, on which can be tried what a machine is able to."""
        with torch.random.fork_rng(devices=[]):
            return Bidirectional(replace(self.config, layers=min(2, self.config.layers), hidden=8, embedding=8), 8)
