"""A model that is told something, more or less strongly than it was in training (classifier-free guidance).

    log P_s(w) ∝ log P(w | less) + s · (log P(w | more) - log P(w | less))

Read side by side are a prefix that tells more, such as a theme, and one that tells less. At s = 1 this is the model
that is told more, at 0 the other one; above 1 it says what the theme makes likelier more often than it learned to (Ho &
Salimans 2022; of language models Sanchez et al. 2023).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.shapes import Ids, LogProbs, State
from charlm.text.vocab import EOS


class Guided:
    """A model under two prefixes at once.

    more, less  ids that are read after the opening `<EOS>`, with what is told and without it
    strength    s, from 0

    State: that of the model under `more`, that under `less`, and (B, 1) whether the opening `<EOS>` is still to be
    read; what stands in its place is the last id of each prefix.
    """

    def __init__(self, model: LanguageModel, more: Sequence[int], less: Sequence[int], strength: float) -> None:
        if not 0 <= strength < math.inf:
            raise ConfigError(f"a strength of {strength} cannot be", hint="0 or more and finite; 1 is as in training")
        self.model, self.prefixes, self.strength = model, ([EOS, *more], [EOS, *less]), strength
        self.vocab_size = model.vocab_size
        self._leaves = len(model.initial_state(1))

    def initial_state(self, batch_size: int) -> State:
        states = []
        for prefix in self.prefixes:
            state = self.model.initial_state(batch_size)
            if len(prefix) > 1:
                read = torch.tensor([prefix] * batch_size).reshape(batch_size, -1)
                read = read.to(state[0].device) if state else read
                _, state = self.model.score(read[:, :-1], read[:, 1:], state)
            states.append(state)
        begins = torch.ones(batch_size, 1, dtype=torch.bool)
        return (*states[0], *states[1], begins.to(states[0][0].device) if states[0] else begins)

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        begins = state[-1][:, 0]
        found: list[Tensor] = []
        after: list[Tensor] = []
        for number, prefix in enumerate(self.prefixes):
            mine = state[number * self._leaves : (number + 1) * self._leaves]
            log_probs, mine = self.model.step(torch.where(begins, torch.full_like(ids, prefix[-1]), ids), mine)
            found.append(log_probs)
            after += mine
        more, less = found
        guided = less + self.strength * (more - less)
        # What neither believes possible stays so.
        guided = guided.masked_fill(guided.isnan(), -math.inf)
        return torch.log_softmax(guided, dim=-1), (*after, torch.zeros_like(state[-1]))

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        columns = []
        for ids, following in zip(inputs.unbind(1), targets.unbind(1), strict=True):
            every, state = self.step(ids, state)
            columns.append(every.gather(1, following[:, None]))
        return torch.cat(columns, dim=1) if columns else inputs.new_empty(inputs.shape, dtype=torch.float32), state
