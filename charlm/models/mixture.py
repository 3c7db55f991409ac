"""A weighted mixture of models is a model (Jelinek & Mercer 1980).

    P(w | text) = Σ_m λ_m P_m(w | text)          λ_m >= 0, Σ_m λ_m = 1

The weights may depend on the context, as theirs did: a member that sorts contexts into classes then guides
the others, and every class has weights of its own.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Protocol, cast

import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.models.base import LanguageModel, branch, device_of, renewed
from charlm.shapes import Ids, LogProbs, State

ROUNDING = 1e-6  # by how much a row of weights may miss one


class Classifier(Protocol):
    """What a guide offers besides being a language model: a class for every context."""

    class_count: int

    def classes(self, inputs: Ids, state: State) -> Tensor:
        """The class of the context after each of `inputs`, the one in which its successor is predicted.

        inputs (B, T)  ->  (B, T) int64, from 0 to class_count - 1
        """


class Mixture:
    """Members and their weights. State: the members' leaves, end to end.

    weights  (C, M)  for each class of contexts one weight per member; one row where nobody guides
    guide    number of the member whose `classes` choose the row

    Each member reads on its own device, one without leaves on the CPU; what they say is added up in float64
    where the first leaf lives. Raises ConfigError for members or weights that do not fit together.
    """

    def __init__(self, members: Sequence[LanguageModel], weights: Tensor, *, guide: int | None = None) -> None:
        self.members = tuple(members)
        if not self.members:
            raise ConfigError("a mixture of no models", hint="give at least one member")
        sizes = [member.vocab_size for member in self.members]
        if len(set(sizes)) > 1:
            raise ConfigError(
                f"the members' vocabularies have {', '.join(map(str, sizes))} tokens",
                hint="only models of one and the same vocabulary can be mixed; train them with one --vocab",
            )
        self.vocab_size = sizes[0]
        self.guide = guide
        self.weights = self._checked(weights, 1 if guide is None else self._classifier(guide).class_count)
        self._log_weights = self.weights.log()
        ends = accumulate((len(member.initial_state(1)) for member in self.members), initial=0)
        self._leaves = [slice(start, end) for start, end in pairwise(ends)]
        if any(hasattr(member, "branch") for member in self.members):
            self.branch = self._branch

    def _classifier(self, number: int) -> Classifier:
        if not 0 <= number < len(self.members):
            raise ConfigError(
                f"member {number} cannot guide a mixture of {len(self.members)}", hint="members are counted from 0"
            )
        member = self.members[number]
        if not hasattr(member, "classes") or not hasattr(member, "class_count"):
            raise ConfigError(
                f"member {number} sorts no contexts into classes, so it cannot guide",
                hint="choose a member that does, or mix without a guide",
            )
        return cast(Classifier, member)

    def _checked(self, weights: Tensor, class_count: int) -> Tensor:
        """The weights in float64, without the rounding of where they come from."""
        expected = (class_count, len(self.members))
        if tuple(weights.shape) != expected:
            raise ConfigError(
                f"the weights of the mixture have the shape {tuple(weights.shape)}, not {expected}",
                hint="give one row per class of contexts, one without a guide, and in it one weight per member",
            )
        weights = weights.detach().cpu().double()
        totals = weights.sum(1, keepdim=True)
        # Not `> ROUNDING`, which nan would pass.
        wrong = (weights < 0).any(1) | ~((totals[:, 0] - 1).abs() <= ROUNDING)
        if wrong.any():
            row = int(wrong.nonzero()[0])
            raise ConfigError(
                f"the mixture weights {weights[row].tolist()} are no probabilities",
                hint="weights are finite numbers, none below 0, that add up to 1",
            )
        return weights / totals

    def member_states(self, state: State) -> list[State]:
        """The state of each member."""
        return [state[leaves] for leaves in self._leaves]

    def initial_state(self, batch_size: int) -> State:
        return tuple(leaf for member in self.members for leaf in member.initial_state(batch_size))

    def renewed(self, state: State) -> State:
        """The members' states at the beginning of the next document."""
        own = zip(self.members, self.member_states(state), strict=True)
        return tuple(leaf for member, leaves in own for leaf in renewed(member, leaves))

    def over(self, members: Sequence[LanguageModel]) -> "Mixture":
        """Other members with the same weights."""
        return Mixture(members, self.weights, guide=self.guide)

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        home = device_of(state)
        log_weights = self._log_weights_after(ids[:, None], state)[:, 0]
        terms: list[Tensor] = []
        after: list[Tensor] = []
        for number, (member, own) in enumerate(zip(self.members, self.member_states(state), strict=True)):
            log_probs, leaves = member.step(ids.to(device_of(own)), own)
            terms.append(log_weights[:, number, None] + log_probs.to(home, torch.float64))
            after += leaves
        return _sum(terms), tuple(after)

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        home = device_of(state)
        log_weights = self._log_weights_after(inputs, state)
        terms: list[Tensor] = []
        after: list[Tensor] = []
        for number, (member, own) in enumerate(zip(self.members, self.member_states(state), strict=True)):
            there = device_of(own)
            log_probs, leaves = member.score(inputs.to(there), targets.to(there), own)
            terms.append(log_weights[..., number] + log_probs.to(home, torch.float64))
            after += leaves
        return _sum(terms), tuple(after)

    def _branch(self, ids: Ids, state: State, parents: Ids, targets: Ids) -> tuple[LogProbs, State]:
        """See `models.base.branch`; offered where a member offers it."""
        home = device_of(state)
        log_weights = self._log_weights_after(ids[:, None], state)[:, 0].expand(len(ids), -1)[parents]
        terms: list[Tensor] = []
        after: list[Tensor] = []
        for number, (member, own) in enumerate(zip(self.members, self.member_states(state), strict=True)):
            there = [tensor.to(device_of(own)) for tensor in (ids, parents, targets)]
            log_probs, leaves = branch(member, there[0], own, *there[1:])
            terms.append(log_weights[:, number] + log_probs.to(home, torch.float64))
            after += leaves
        return _sum(terms), tuple(after)

    def _log_weights_after(self, inputs: Ids, state: State) -> Tensor:
        """inputs (B, T)  ->  the members' log-weights after each of them, (B, T, M), or (1, 1, M) for all alike"""
        home = device_of(state)
        log_weights = self._log_weights.to(home)
        if self.guide is None:
            return log_weights[None]
        own = self.member_states(state)[self.guide]
        return log_weights[self._classifier(self.guide).classes(inputs.to(device_of(own)), own).to(home)]


def _sum(terms: Sequence[LogProbs]) -> LogProbs:
    """Add up probabilities by their logarithms; what nobody holds possible stays at -inf."""
    return torch.logsumexp(torch.stack(list(terms)), dim=0)
