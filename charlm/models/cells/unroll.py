"""A cell of a hand-written step: one equation a line, read position by position.

Slower than the fused layers, and open: a leaf of the state may have any width, and gates can be looked at.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from charlm.shapes import State


class Unrolled(nn.Module):
    """A cell that takes its step for one position after another."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read: the step's own."""
        return cast(Callable[[int], State], self.step.initial_state)(batch_size)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, …)  ->  hidden (B, T, H), state after the window"""
        hidden = []
        for vectors in x.unbind(1):
            vector, state = self.step(vectors, state)
            hidden.append(vector)
        return torch.stack(hidden, dim=1), state

    def trace(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """The step's gates at every position, {name: (B, T, …)}; empty where it shows none."""
        gates = cast(Callable[[Tensor, State], dict[str, Tensor]] | None, getattr(self.step, "gates", None))
        if gates is None:
            return {}
        seen = []
        for vectors in x.unbind(1):
            seen.append(gates(vectors, state))
            _, state = self.step(vectors, state)
        return {name: torch.stack([each[name] for each in seen], dim=1) for name in seen[0]}


def unroll(step: nn.Module) -> Unrolled:
    """A Cell of `step`, an `nn.Module` that reads one position.

    step.initial_state(batch_size)  ->  its leaves, each (B, …)
    step(x (B, E), state)           ->  hidden (B, H), state after
    step.gates(x (B, E), state)     ->  {name: (B, …)}, if there is anything to look at
    """
    return Unrolled(step)
