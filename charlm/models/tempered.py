"""A model whose distributions are made flatter or sharper by one number (softmax temperature: Guo et al. 2017, §4).

    P_T(w | text) = P(w | text)^(1/T) / Σ_v P(v | text)^(1/T)

A network that has learned its text too well is too sure of itself on another: T above 1 flattens it. Dropout leaves a
network too unsure: T below 1 sharpens it. T is found on a validation text; the logarithm of the likelihood is concave
in 1/T, so there is one best value.
"""

import math
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.models.base import LanguageModel, renewed
from charlm.shapes import Ids, LogProbs, State


class Tempered:
    """A model at another temperature. State: the model's own.

    A model that offers `tempered(inputs, targets, state, temperature)`, which is `score` at that temperature, is asked
    for it; of any other the whole distribution is needed at each position.
    """

    def __init__(self, model: LanguageModel, temperature: float) -> None:
        if not 0 < temperature < math.inf:
            raise ConfigError(f"a temperature of {temperature} cannot be", hint="above 0 and finite; 1 changes nothing")
        self.model = model
        self.temperature = temperature
        self.vocab_size = model.vocab_size
        self.initial_state = model.initial_state
        if hasattr(model, "trace"):  # what was felt stays; only what is said of it changes
            self.trace = model.trace
        if hasattr(model, "tempered") and hasattr(model, "branch"):
            self.branch = partial(model.branch, temperature=temperature)
        if hasattr(model, "felt"):  # with what says something of the vectors that were felt
            self.felt, self.spoken = model.felt, partial(cast(Any, model).spoken, temperature=temperature)
            self.log_probs = self._log_probs

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        log_probs, after = self.model.step(ids, state)
        return torch.log_softmax(log_probs / self.temperature, dim=-1), after

    def _log_probs(self, vectors: Tensor) -> LogProbs:
        said: LogProbs = cast(Any, self.model).log_probs(vectors)
        return torch.log_softmax(said / self.temperature, dim=-1)

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        own: Any = getattr(self.model, "tempered", None)
        if own is not None:
            log_probs, after = own(inputs, targets, state, self.temperature)
            return log_probs, after
        columns = []
        for ids, following in zip(inputs.unbind(1), targets.unbind(1), strict=True):
            every, state = self.step(ids, state)
            columns.append(every.gather(1, following[:, None]))
        return torch.cat(columns, dim=1) if columns else inputs.new_empty(inputs.shape, dtype=torch.float32), state

    def renewed(self, state: State) -> State:
        """See `models.base.renewed`."""
        return renewed(self.model, state)

    def over(self, model: LanguageModel) -> "Tempered":
        """Another model at the same temperature."""
        return Tempered(model, self.temperature)
