"""A feed-forward network on the tokens around a place: N before it and N behind it, each at its distance.

    h = tanh(W [x_{t-N} … x_{t-1}, x_{t+1} … x_{t+N}])          and further such layers above it

The window of Bengio et al. 2003 turned towards both sides. The continuous bag of words (Mikolov et al. 2013) has the
same input and forgets the order of it. What stands farther off than N changes nothing.
"""

from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.networks import SurroundingConfig
from charlm.models.base import Product
from charlm.models.cloze import ClozeNetwork
from charlm.shapes import State


class Surrounding(ClozeNetwork):
    """A cloze model of the nearest tokens. State: `(line,)`, (B, taps - 1, E), the vectors before the next one.

    With one tap the leaf is (B, 0, E). Before the text has begun, and behind its end, a tap gives nothing.
    """

    def __init__(self, config: SurroundingConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.config, self.taps = config, config.taps
        self.before = nn.Linear(config.taps * config.embedding, config.hidden)
        self.behind_it = nn.Linear(config.taps * config.embedding, config.hidden, bias=False)
        self.others = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in range(config.layers - 1))
        self.finish(config, config.hidden)
        for layer in (self.before, self.behind_it, *self.others):
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def initial_state(self, batch_size: int) -> State:
        return (self.missing.new_zeros(batch_size, self.taps - 1, self.config.embedding),)

    def look_left(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        line = torch.cat([state[0].to(x.dtype), x], dim=1)
        return self.before(_windows(self.dropout(line), self.taps)), (line[:, line.shape[1] - self.taps + 1 :],)

    def look_right(self, x: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        x = self.dropout(x) * real[..., None]
        found: Tensor = self.behind_it(_windows(nn.functional.pad(x, (0, 0, 0, self.taps)), self.taps))
        return found

    def above(self, joint: Tensor) -> Tensor:
        hidden = torch.tanh(joint)
        for layer in self.others:
            hidden = torch.tanh(layer(hidden))
        return hidden

    def hidden_matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Matrices of the layers above the first."""
        return [(cast(nn.Parameter, layer.weight), 1) for layer in self.others]

    def products(self, rows: int, window: int) -> list[Product]:
        """The matrix products of a step of training."""
        first = Product(rows * window, self.taps * self.config.embedding, self.config.hidden, 2)
        above = [Product(rows * window, self.config.hidden, self.config.hidden)] * len(self.others)
        return [first, *above, *super().products(rows, window)]


def _windows(x: Tensor, taps: int) -> Tensor:
    """Each `taps` vectors that follow on each other, side by side: (B, T, E)  ->  (B, T - taps + 1, taps × E)"""
    return x.unfold(1, taps, 1).transpose(2, 3).flatten(2)
