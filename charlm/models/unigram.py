"""Token frequencies, whatever came before: the simplest count-based language model.

    P(w) = (count(w) + k) / (N + k V)                     add-k smoothing (Lidstone 1920)

It shares the interface of the neural models, which is the point: everything that evaluates, samples and
scores does not ask what kind of model it has.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.config.models import UnigramConfig
from charlm.errors import TrainingError
from charlm.shapes import Ids, LogProbs, State


class Unigram:
    """Counts of a vocabulary (V,). State: `(nothing,)`, a leaf (B, 0) that only knows how many rows there are."""

    def __init__(self, counts: Tensor, config: UnigramConfig) -> None:
        self.config = config
        self.vocab_size = len(counts)
        self.count(counts)

    @classmethod
    def from_counts(cls, counts: Sequence[int], config: UnigramConfig) -> "Unigram":
        """counts (V,) of each token id"""
        return cls(torch.tensor(counts), config)

    def count(self, counts: Tensor) -> None:
        """Take these counts (V,) in place of the ones before; raises TrainingError where they add to no number."""
        smoothed = counts.double() + self.config.add_k
        total = smoothed.sum()
        if not bool(total.isfinite()):
            raise TrainingError(
                "the smoothed counts add to no finite number; nothing was saved",
                hint="what is added to each count is too large: choose a smaller --add-k",
            )
        self.log_probs: LogProbs = (smoothed / total).log()

    @property
    def entries(self) -> list[int]:
        """How many n-grams it holds of each order: tokens alone."""
        return [self.vocab_size]

    def initial_state(self, batch_size: int) -> State:
        return (self.log_probs.new_empty(batch_size, 0),)

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        return self.log_probs.expand(len(ids), -1), state

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:  # noqa: ARG002 (a protocol's)
        return self.log_probs[targets], state
