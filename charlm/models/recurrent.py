"""The recurrent language model: embedding, stacked cells, vocabulary.

Mikolov et al. 2010 with the cells of the table, stacked (Graves 2013), and locked dropout before, between and after
the layers.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.models import RecurrentConfig
from charlm.models.base import Product
from charlm.models.cells import CELLS, Cell
from charlm.models.network import FREQUENT, SAMPLED_UNTIL, SMALLEST_SAMPLED, Network
from charlm.shapes import Ids, State


class Recurrent(Network):
    """A stacked recurrent network over a vocabulary.

    State: the cells' leaves, the layers of each stacked: `(h,)` for rnn and gru, `(h, c)` for lstm, each (B, L, H).
    """

    def __init__(self, config: RecurrentConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        self.config = config
        widths = [config.embedding] + [config.hidden] * (config.layers - 1)
        make, of_cell = CELLS[config.cell], config.of_cell
        self.cells = nn.ModuleList(cast(nn.Module, make(width, config.hidden, **of_cell)) for width in widths)
        self.finish(config, config.hidden)
        self.start = _learned(self._cells_start(1)) if config.learned_start else None

    def initial_state(self, batch_size: int) -> State:
        if self.start is None:
            return self._cells_start(batch_size)
        # A list of its own keeps a row for the batch in each leaf, so that none passes for a matrix.
        leaves = self.start if isinstance(self.start, nn.ParameterList) else self.start[:, None]
        return tuple(leaf.expand(batch_size, *leaf.shape[1:]) for leaf in leaves)

    def _cells_start(self, batch_size: int) -> State:
        starts = [cast(Cell, cell).initial_state(batch_size) for cell in self.cells]
        return tuple(torch.stack(leaf, dim=1) for leaf in zip(*starts, strict=True))

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        x = self.dropout(self.embed(inputs))
        after = []
        for layer, cell in enumerate(self.cells):
            x, leaves = cell(x, tuple(leaf[:, layer] for leaf in state))
            x = self.dropout(x)
            after.append(leaves)
        return self.narrowed(x), tuple(torch.stack(leaf, dim=1) for leaf in zip(*after, strict=True))

    def trace(self, inputs: Ids, state: State, *, gates: bool = True) -> dict[str, Tensor]:
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}, and the gates that its cells can name."""
        x, layers = self.embed(inputs), []
        for layer, cell in enumerate(self.cells):
            before = tuple(leaf[:, layer] for leaf in state)
            trace = getattr(cell, "trace", None) if gates else None
            shown = {} if trace is None else trace(x, before)
            x, _ = cell(x, before)
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
        if sampled and self.vocab_size >= SMALLEST_SAMPLED:
            some = self.vocab_size // FREQUENT + max(1, round(sampled * self.vocab_size))
            found.append(Product(tokens, width, some, SAMPLED_UNTIL))
            return [*found, Product(tokens, width, self.vocab_size, 1 - SAMPLED_UNTIL)]
        return [*found, Product(tokens, width, self.vocab_size)]

    def small(self) -> "Recurrent":
        """A network of the same kind with a few weights, on which can be tried what a machine is able to."""
        with torch.random.fork_rng(devices=[]):
            return Recurrent(replace(self.config, layers=1, hidden=8, embedding=8), 8)


def _learned(start: State) -> nn.Parameter | nn.ParameterList:
    """Leaves (1, L, …) as what is learned: one tensor (leaves, L, …) where they are alike, else a list."""
    if len({leaf.shape for leaf in start}) == 1:
        return nn.Parameter(torch.cat(start).detach().clone())
    return nn.ParameterList([nn.Parameter(leaf.detach().clone()) for leaf in start])
