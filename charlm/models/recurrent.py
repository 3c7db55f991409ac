"""The recurrent language model: embedding, stacked cells, vocabulary.

Mikolov et al. 2010 with the cells of the table, stacked (Graves 2013), the output matrix tied to the
embedding (Press & Wolf 2017; Inan et al. 2017) and locked dropout before, between and after the layers.
"""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.models import RecurrentConfig
from charlm.models.base import Product
from charlm.models.cells import CELLS, Cell
from charlm.models.dropout import LockedDropout
from charlm.models.output import Shortlist, sampled_log_probs, target_log_probs
from charlm.shapes import Ids, LogProbs, State

FREQUENT = 8  # the most frequent 1/8 of the vocabulary is in every sample
SAMPLED_UNTIL = 0.8  # share of a training's budget
SMALLEST_SAMPLED = 2000  # tokens of a vocabulary; of a smaller one the whole is cheap


class Recurrent(nn.Module):
    """A stacked recurrent network over a vocabulary.

    State: the cells' leaves, the layers of each stacked: `(h,)` for rnn and gru, `(h, c)` for lstm, each (B, L, H).
    """

    def __init__(self, config: RecurrentConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding)
        widths = [config.embedding] + [config.hidden] * (config.layers - 1)
        self.cells = nn.ModuleList(cast(nn.Module, CELLS[config.cell](width, config.hidden)) for width in widths)
        self.dropout = LockedDropout(config.dropout)
        # Tied matrices have the embedding's width, so the hidden vector is brought down to it.
        narrow = config.tied and config.hidden != config.embedding
        self.projection = nn.Linear(config.hidden, config.embedding) if narrow else None
        self.output = None if config.tied else nn.Linear(config.hidden, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.start = _learned(self._cells_start(1)) if config.learned_start else None
        # As rows of the output, vectors want to be short; as input, of unit size (Vaswani et al. 2017, §3.4).
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        self.input_scale: float = config.embedding**0.5
        self.samples = False

    @property
    def output_weight(self) -> Tensor:
        """(V, E) when tied, (V, H) when not."""
        return self.embedding.weight if self.output is None else self.output.weight

    def set_prior(self, log_probs: Tensor) -> None:
        """Begin with these log-probabilities (V,) of the tokens instead of learning them first."""
        with torch.no_grad():
            self.bias.copy_(log_probs)

    def initial_state(self, batch_size: int) -> State:
        if self.start is None:
            return self._cells_start(batch_size)
        # A list of its own keeps a row for the batch in each leaf, so that none passes for a matrix.
        leaves = self.start if isinstance(self.start, nn.ParameterList) else self.start[:, None]
        return tuple(leaf.expand(batch_size, *leaf.shape[1:]) for leaf in leaves)

    def _cells_start(self, batch_size: int) -> State:
        starts = [cast(Cell, cell).initial_state(batch_size) for cell in self.cells]
        return tuple(torch.stack(leaf, dim=1) for leaf in zip(*starts, strict=True))

    def embed(self, inputs: Ids) -> Tensor:
        """The vectors that the first layer reads: inputs (B, T)  ->  (B, T, E)"""
        return cast(Tensor, self.embedding(inputs)) * self.input_scale

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  the vectors that the vocabulary is compared with (B, T, E or H), state after"""
        x = self.dropout(self.embed(inputs))
        after = []
        for layer, cell in enumerate(self.cells):
            x, leaves = cell(x, tuple(leaf[:, layer] for leaf in state))
            x = self.dropout(x)
            after.append(leaves)
        if self.projection is not None:
            x = self.projection(x)
        return x, tuple(torch.stack(leaf, dim=1) for leaf in zip(*after, strict=True))

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(ids[:, None], state)
        logits = nn.functional.linear(x[:, 0], self.output_weight, self.bias)
        return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1), after

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(inputs, state)
        return target_log_probs(x, self.output_weight, self.bias, targets), after

    def tempered(self, inputs: Ids, targets: Ids, state: State, temperature: float) -> tuple[LogProbs, State]:
        """`score` at another temperature: the logits are divided by it."""
        x, after = self.read(inputs, state)
        return target_log_probs(x / temperature, self.output_weight, self.bias / temperature, targets), after

    def at(self, share: float) -> None:
        """Training has used up this share of its budget: the last part of it compares with the whole vocabulary."""
        self.samples = self.config.sampled > 0 and share < SAMPLED_UNTIL and self.vocab_size >= SMALLEST_SAMPLED

    def forward(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """`score`, that of a subclass too: what wraps a module for several processes sees only its calls.

        In training, while `at` says so, it is estimated from a part of the vocabulary.
        """
        if not (self.training and self.samples):
            return self.score(inputs, targets, state)
        x, after = self.read(inputs, state)
        sizes = self.vocab_size // FREQUENT, max(1, round(self.config.sampled * self.vocab_size))
        shortlist = Shortlist.draw(targets, self.vocab_size, *sizes, self.dropout.generator)
        return sampled_log_probs(x, self.output_weight, self.bias, shortlist), after

    def trace(self, inputs: Ids, state: State) -> dict[str, Tensor]:
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}, and the gates that its cells can name."""
        x, layers = self.embed(inputs), []
        for layer, cell in enumerate(self.cells):
            before = tuple(leaf[:, layer] for leaf in state)
            trace = getattr(cell, "trace", None)
            gates = {} if trace is None else trace(x, before)
            x, _ = cell(x, before)
            layers.append({"hidden": x, **gates})
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
