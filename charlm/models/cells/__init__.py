"""CHOICE: what one layer does with its input and its state.

A cell reads a whole window; torch's fused kernels do so in one call. Laws, tested over the table: a window
equals its steps one by one, the state is not changed in place, and gradient reaches every parameter.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from torch import Tensor

from charlm.choices import Loaded
from charlm.config.networks import CELLS as TABLE
from charlm.shapes import State


class Cell(Protocol):
    """One recurrent layer, an `nn.Module`.

    Its state has any number of leaves, each (B, …) of a shape of its own that depends on H alone. Asked for where they
    exist: `trace(x, state) -> {name: Tensor (B, T, …)}` for gates; `gates`, how many stand in each matrix one below
    the other; `drop_weights(rate)`, for `--weight-drop`; `begin_to_forget(bias)`, for `--forget-bias`;
    `of_memory(gradient of h, output gate, memory)`, where the second leaf is a memory that h is made of. `unroll` makes
    a cell of a hand-written step.
    """

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    def __call__(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, …)  ->  hidden (B, T, H), state after the window"""


def _maker(name: str) -> Callable[..., Any]:
    module, _, function = TABLE[name].partition(":")
    make: Callable[..., Any] = getattr(import_module(module), function)
    return make


# What makes the cells of the table, each imported when it is asked for; ConfigError for a name that is not there.
CELLS: Mapping[str, Callable[..., Any]] = Loaded(TABLE, _maker)
