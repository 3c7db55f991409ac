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
    """One recurrent layer."""

    leaves: int  # tensors in its state: 1 for rnn and gru, 2 for lstm

    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, H)  ->  hidden (B, T, H), state after the window"""


CELLS: Choices[Callable[[int, int], FusedCell]] = Choices(
    "cell", {"lstm": lstm, "gru": gru, "rnn-tanh": rnn_tanh, "rnn-relu": rnn_relu}
)
