"""The recurrent language model: embedding, stacked cells, vocabulary.

Mikolov et al. 2010 with the cells of the table, stacked (Graves 2013), the output matrix tied to the
embedding (Press & Wolf 2017; Inan et al. 2017) and locked dropout before, between and after the layers. What else
helps it to learn from little text (Merity et al. 2018; Melis et al. 2018) is off unless the config asks for it.
"""

from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.models import RecurrentConfig
from charlm.errors import ConfigError
from charlm.models.cells import CELLS, Cell
from charlm.models.dropout import LockedDropout, WordDropout
from charlm.models.output import Shortlist, sampled_log_probs, target_log_probs, wide
from charlm.shapes import Ids, LogProbs, State

FORGET_BIAS = 1.0  # of a cell that was told nothing else
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
        for asked, method, value in (
            (config.weight_drop > 0, "drop_weights", config.weight_drop),
            (config.forget_bias != FORGET_BIAS, "begin_to_forget", config.forget_bias),
        ):
            if asked:
                self._tell_cells(method, value)
        self.words = WordDropout(config.word_dropout)
        self.input_dropout, self.between_dropout, self.output_dropout = map(LockedDropout, config.dropouts)
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

    def _tell_cells(self, method: str, value: float) -> None:
        """Hand every cell a knob that only some kinds of cells have; ConfigError where this kind has it not."""
        for cell in self.cells:
            told = getattr(cell, method, None)
            if told is None:
                option = {"drop_weights": "--weight-drop", "begin_to_forget": "--forget-bias"}[method]
                raise ConfigError(f"{option} {value:g} is not for --cell {self.config.cell}", hint="leave it out")
            told(value)

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
        vectors = self.words(inputs, self.embedding(inputs), self.vocab_size)
        return cast(Tensor, vectors) * self.input_scale

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  the vectors that the vocabulary is compared with (B, T, E or H), state after"""
        said, after = self._layers(inputs, state)
        return self._narrowed(self.output_dropout(said)), after

    def _layers(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  what the last layer says (B, T, H), state after"""
        x = self.input_dropout(self.embed(inputs))
        after = []
        for layer, cell in enumerate(self.cells):
            if layer:
                x = self.between_dropout(x)
            x, leaves = self._layer(layer, cell, x, tuple(leaf[:, layer] for leaf in state))
            after.append(leaves)
        return x, tuple(torch.stack(leaf, dim=1) for leaf in zip(*after, strict=True))

    def _layer(self, layer: int, cell: nn.Module, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One layer over a window, with the way past it where there is one."""
        said, after = cell(x, state)
        return (said + x if self.config.skips and layer else said), after

    def _narrowed(self, said: Tensor) -> Tensor:
        return said if self.projection is None else cast(Tensor, self.projection(said))

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(ids[:, None], state)
        logits = nn.functional.linear(x[:, 0], self.output_weight, self.bias)
        return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1), after

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(inputs, state)
        return target_log_probs(x, self.output_weight, self.bias, targets), after

    def at(self, share: float) -> None:
        """Training has used up this share of its budget: the last part of it compares with the whole vocabulary."""
        self.samples = self.config.sampled > 0 and share < SAMPLED_UNTIL and self.vocab_size >= SMALLEST_SAMPLED

    def forward(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """`score`, that of a subclass too: what wraps a module for several processes sees only its calls.

        In training, while `at` says so, it is estimated from a part of the vocabulary; and its gradient, not its value,
        has the penalties on hidden units.
        """
        penalised = self.config.ar > 0 or self.config.tar > 0
        if not self.training or not (self.samples or penalised):
            return self.score(inputs, targets, state)
        said, after = self._layers(inputs, state)
        dropped = self.output_dropout(said)
        x = self._narrowed(dropped)
        if self.samples:
            sizes = self.vocab_size // FREQUENT, max(1, round(self.config.sampled * self.vocab_size))
            shortlist = Shortlist.draw(targets, self.vocab_size, *sizes, self.output_dropout.generator)
            log_probs = sampled_log_probs(x, self.output_weight, self.bias, shortlist)
        else:
            log_probs = target_log_probs(x, self.output_weight, self.bias, targets)
        if penalised:
            penalty = activation_penalty(said, dropped, self.config.ar, self.config.tar)
            log_probs = log_probs - (penalty - penalty.detach())
        return log_probs, after

    def hidden_matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Matrices between hidden vectors, each with how many gates stand in it one below the other."""
        found = [
            (matrix, int(getattr(cell, "gates", 1)))
            for cell in self.cells
            for matrix in cell.parameters()
            if matrix.dim() == 2
        ]
        return found if self.projection is None else [*found, (cast(nn.Parameter, self.projection.weight), 1)]

    def trace(self, inputs: Ids, state: State) -> dict[str, Tensor]:
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}, and the gates that its cells can name."""
        x, layers = self.embed(inputs), []
        for layer, cell in enumerate(self.cells):
            before = tuple(leaf[:, layer] for leaf in state)
            trace = getattr(cell, "trace", None)
            gates = {} if trace is None else trace(x, before)
            x, _ = self._layer(layer, cell, x, before)
            layers.append({"hidden": x, **gates})
        return {name: torch.stack([each[name] for each in layers], dim=2) for name in layers[0]}


def activation_penalty(said: Tensor, dropped: Tensor, ar: float, tar: float) -> Tensor:
    """ar · mean x_t² + tar · mean (y_t - y_t-1)² over the units, x after dropout, y before it (Merity et al. 2017, §3).

    said y, dropped x (B, T, H)  ->  (B, T), nats; the first token of a window has no change
    """
    large = wide(dropped).square().mean(-1)
    change = wide(said).diff(dim=1).square().mean(-1)
    return ar * large + tar * nn.functional.pad(change, (1, 0))


def _learned(start: State) -> nn.Parameter | nn.ParameterList:
    """Leaves (1, L, …) as what is learned: one tensor (leaves, L, …) where they are alike, else a list."""
    if len({leaf.shape for leaf in start}) == 1:
        return nn.Parameter(torch.cat(start).detach().clone())
    return nn.ParameterList([nn.Parameter(leaf.detach().clone()) for leaf in start])
