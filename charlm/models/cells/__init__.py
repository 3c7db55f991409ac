"""CHOICE: what one layer does with its input and its state.

A cell reads a whole window; torch's fused kernels do so in one call. Laws, tested over the table: a window
equals its steps one by one, the state is not changed in place, and gradient reaches every parameter.
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from charlm.choices import Choices
from charlm.models.cells.fused import FusedCell, gru, lstm, rnn_relu, rnn_tanh
from charlm.shapes import State


class Cell(Protocol):
    """One recurrent layer, an `nn.Module`.

    Its state has any number of leaves, each (B, …) of a shape of its own that depends on H alone. Asked for where it
    exists: `trace(x, state) -> {name: Tensor (B, T, …)}` for gates. `unroll` makes a cell of a hand-written step.
    """

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, …)  ->  hidden (B, T, H), state after the window"""


CELLS: Choices[Callable[[int, int], FusedCell]] = Choices(
    "cell", {"lstm": lstm, "gru": gru, "rnn-tanh": rnn_tanh, "rnn-relu": rnn_relu}
)
