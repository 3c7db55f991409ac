"""Cells one above the other, with dropout between them: what a recurrent network reads with, one way."""

from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.networks import RecurrentConfig
from charlm.errors import ConfigError
from charlm.models.cells import CELLS, Cell
from charlm.models.dropout import UnitDropout
from charlm.shapes import State

FORGET_BIAS = 1.0  # of a cell that was told nothing else


class Stack(nn.Module):
    """Stacked cells. State: the cells' leaves, the layers of each stacked: (B, L, …).

    A class that is one as well makes its layers with `stack`, and then the start that is learned with `learn_start`.
    """

    cells: nn.ModuleList
    between_dropout: UnitDropout
    start: nn.Parameter | nn.ParameterList | None

    def stack(self, config: RecurrentConfig) -> None:
        """Make the cells; ConfigError where they have not what is asked for."""
        widths = [config.embedding] + [config.hidden] * (config.layers - 1)
        make, of_cell = CELLS[config.cell], config.of_cell
        self.skips = config.skips
        self.cells = nn.ModuleList(cast(nn.Module, make(width, config.hidden, **of_cell)) for width in widths)
        for asked, method, value in (
            (config.weight_drop > 0, "drop_weights", config.weight_drop),
            (config.forget_bias != FORGET_BIAS, "begin_to_forget", config.forget_bias),
        ):
            if asked:
                self._tell_cells(config.cell, method, value)
        self.between_dropout = unit_dropouts(config)[1]

    def learn_start(self, config: RecurrentConfig) -> None:
        """Begin with zeros, or with a state that is learned."""
        self.start = _learned(self._cells_start(1)) if config.learned_start else None

    def _tell_cells(self, name: str, method: str, value: float) -> None:
        """Hand every cell a knob that only some kinds of cells have; ConfigError where this kind has it not."""
        for cell in self.cells:
            told = getattr(cell, method, None)
            if told is None:
                option = {"drop_weights": "--weight-drop", "begin_to_forget": "--forget-bias"}[method]
                raise ConfigError(f"{option} {value:g} is not for --cell {name}", hint="leave it out")
            told(value)

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""
        if self.start is None:
            return self._cells_start(batch_size)
        # A list of its own keeps a row for the batch in each leaf, so that none passes for a matrix.
        leaves = self.start if isinstance(self.start, nn.ParameterList) else self.start[:, None]
        return tuple(leaf.expand(batch_size, *leaf.shape[1:]) for leaf in leaves)

    def _cells_start(self, batch_size: int) -> State:
        starts = [cast(Cell, cell).initial_state(batch_size) for cell in self.cells]
        return tuple(torch.stack(leaf, dim=1) for leaf in zip(*starts, strict=True))

    def climb(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Through all layers: x (B, T, E)  ->  what the last one says (B, T, H), state after"""
        after = []
        for layer, cell in enumerate(self.cells):
            if layer:
                x = self.between_dropout(x)
            x, leaves = self.layer(layer, cell, x, tuple(leaf[:, layer] for leaf in state))
            after.append(leaves)
        return x, tuple(torch.stack(leaf, dim=1) for leaf in zip(*after, strict=True))

    def layer(self, layer: int, cell: nn.Module, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One layer over a window, with the way past it where there is one."""
        said, after = cell(x, state)
        return (said + x if self.skips and layer else said), after


def unit_dropouts(config: RecurrentConfig) -> tuple[UnitDropout, UnitDropout, UnitDropout]:
    """Dropout of token vectors, between layers and after the last one."""
    first, between, last = (UnitDropout(rate, fresh=config.fresh_dropout) for rate in config.dropouts)
    return first, between, last


def _learned(start: State) -> nn.Parameter | nn.ParameterList:
    """Leaves (1, L, …) as what is learned: one tensor (leaves, L, …) where they are alike, else a list."""
    if len({leaf.shape for leaf in start}) == 1:
        return nn.Parameter(torch.cat(start).detach().clone())
    return nn.ParameterList([nn.Parameter(leaf.detach().clone()) for leaf in start])
