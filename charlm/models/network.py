"""What networks over a vocabulary have in common: vectors of tokens and an output layer (`TokenNetwork`), and of those
that predict what comes next, the three methods (`Network`).

The output matrix may be tied to the embedding (Press & Wolf 2017; Inan et al. 2017). What lies between is the
subclass's own.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.networks import NetworkConfig
from charlm.models.dropout import UnitDropout
from charlm.models.output import Shortlist, sampled_log_probs, successor_log_probs, target_log_probs
from charlm.models.products import few_by_matrix, linear
from charlm.shapes import Ids, LogProbs, State

FREQUENT = 8  # the most frequent 1/8 of the vocabulary is in every sample
SAMPLED_UNTIL = 0.8  # share of a training's budget
SMALLEST_SAMPLED = 2000  # tokens of a vocabulary; of a smaller one the whole is cheap


class TokenNetwork(nn.Module):
    """Vectors of tokens below, and above an output layer over the vocabulary; no model yet.

    A subclass makes its layers between `__init__` and `finish`, which is told the width of their vectors.
    """

    def __init__(self, config: NetworkConfig, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding)
        self.share_sampled = float(getattr(config, "sampled", 0.0))
        self.samples = False

    def finish(self, config: NetworkConfig, width: int) -> None:
        """Dropout and the layers above the subclass's own, whose vectors have this width."""
        self.dropout = UnitDropout(config.dropout)
        # Tied matrices have the embedding's width, so the hidden vector is brought down to it.
        narrow = config.tied and width != config.embedding
        self.projection = nn.Linear(width, config.embedding) if narrow else None
        self.output = None if config.tied else nn.Linear(width, self.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.vocab_size))
        # As rows of the output, vectors want to be short; as input, of unit size (Vaswani et al. 2017, §3.4).
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        self.input_scale: float = config.embedding**0.5
        self.embedding.weight.requires_grad_(not config.freeze_embeddings)

    @property
    def output_weight(self) -> Tensor:
        """(V, E) when tied, (V, H) when not."""
        return self.embedding.weight if self.output is None else self.output.weight

    def set_prior(self, log_probs: Tensor) -> None:
        """Begin with these log-probabilities (V,) of the tokens instead of learning them first."""
        with torch.no_grad():
            self.bias.copy_(log_probs)

    def embed(self, inputs: Ids) -> Tensor:
        """The vectors that the first layer reads: inputs (B, T)  ->  (B, T, E)"""
        return cast(Tensor, self.embedding(inputs)) * self.input_scale

    def narrowed(self, x: Tensor) -> Tensor:
        """Hidden vectors (…, H) in the width of the output matrix."""
        return x if self.projection is None else linear(x, self.projection.weight, self.projection.bias)

    def log_probs(self, x: Tensor) -> LogProbs:
        """Vectors (B, E or H)  ->  the distribution (B, V), nats"""
        logits = few_by_matrix(x, self.output_weight, self.bias)
        return torch.log_softmax(logits if logits.dtype == torch.float64 else logits.float(), dim=-1)

    @property
    def may_sample(self) -> bool:
        """Whether a part of its training compares with a part of the vocabulary."""
        return self.share_sampled > 0 and self.vocab_size >= SMALLEST_SAMPLED

    def at(self, share: float) -> None:
        """Training has used up this share of its budget: the last part of it compares with the whole vocabulary."""
        self.samples = self.may_sample and share < SAMPLED_UNTIL

    def compared(self, x: Tensor, targets: Ids) -> LogProbs:
        """Vectors (B, T, E or H), targets (B, T)  ->  log P (B, T), by a part of the vocabulary while `at` says so."""
        if not self.samples:
            return target_log_probs(x, self.output_weight, self.bias, targets)
        sizes = self.vocab_size // FREQUENT, max(1, round(self.share_sampled * self.vocab_size))
        shortlist = Shortlist.draw(targets, self.vocab_size, *sizes, self.dropout.generator)
        return sampled_log_probs(x, self.output_weight, self.bias, shortlist)


class Network(TokenNetwork, ABC):
    """A LanguageModel of `read`, which a subclass writes, and `initial_state`."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    @abstractmethod
    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  the vectors that the vocabulary is compared with (B, T, E or H), state after"""

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(ids[:, None], state)
        return self.log_probs(x[:, 0]), after

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        x, after = self.read(inputs, state)
        return target_log_probs(x, self.output_weight, self.bias, targets), after

    def tempered(self, inputs: Ids, targets: Ids, state: State, temperature: float) -> tuple[LogProbs, State]:
        """`score` at another temperature: the logits are divided by it."""
        x, after = self.read(inputs, state)
        return self.spoken(x, targets, temperature), after

    def spoken(self, x: Tensor, targets: Ids, temperature: float = 1.0) -> LogProbs:
        """Vectors that `read` gave (B, T, E or H), targets (B, T)  ->  their log P (B, T), nats"""
        return target_log_probs(x / temperature, self.output_weight, self.bias / temperature, targets)

    def branch(
        self, ids: Ids, state: State, parents: Ids, targets: Ids, *, temperature: float = 1.0
    ) -> tuple[LogProbs, State]:
        """Some successors of each row: see `models.base.branch`; at another temperature as `tempered`."""
        x, after = self.read(ids[:, None], state)
        weight, bias = self.output_weight, self.bias / temperature
        return successor_log_probs(x[:, 0] / temperature, weight, bias, parents, targets), after

    def forward(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """`score`, that of a subclass too: what wraps a module for several processes sees only its calls.

        In training, while `at` says so, it is estimated from a part of the vocabulary.
        """
        if not (self.training and self.samples):
            return self.score(inputs, targets, state)
        x, after = self.read(inputs, state)
        return self.compared(x, targets), after
