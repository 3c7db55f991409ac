"""The steps of a recurrent network one by one, with every layer's hidden vector and leaves within reach."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from charlm.errors import RunError
from charlm.models.base import LanguageModel
from charlm.shapes import Ids, LogProbs, State


class Stacked(Protocol):
    """A language model of recurrent layers, whose cells can be watched."""

    vocab_size: int
    cells: nn.ModuleList

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        """inputs (B, T)  ->  vectors (B, T, …), state after"""

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """inputs, targets (B, T)  ->  log_probs (B, T), state after"""

    def trace(self, inputs: Ids, state: State) -> dict[str, Tensor]:
        """Hidden vectors and gates, {name: (B, T, L, …)}"""


class Said(NamedTuple):
    """What a cell gave at one step: its hidden vector (B, H), or (B, 1, H) where no leaf holds it, and its leaves."""

    hidden: Tensor
    leaves: State


def stacked(model: LanguageModel, name: str) -> Stacked:
    """A copy of a model in float64 whose weights want no gradient; raises RunError where it has no recurrent layers."""
    if not isinstance(getattr(model, "cells", None), nn.ModuleList):
        if getattr(model, "members", None):
            hint = f"it is a mixture; its networks lie in {name}/members"
        else:
            hint = "it takes a network of `charlm train --model recurrent`; `charlm inspect memory` takes any model"
        raise RunError(f"{name} has no recurrent layers to look into", hint=hint)
    return cast(Stacked, copy.deepcopy(cast(nn.Module, model)).double().eval().requires_grad_(False))


@contextmanager
def watching(network: Stacked) -> Iterator[list[Said]]:
    """A list to which every cell adds what it gives, layer by layer and step by step: windows must be of one token.

    A cell gives the hidden vector twice, upwards and as the first leaf of its state; here both become one tensor, so
    that a gradient with respect to it is the total one.
    """
    seen: list[Said] = []

    def saw(_: nn.Module, __: Any, given: tuple[Tensor, State]) -> tuple[Tensor, State]:
        hidden, leaves = given
        first = leaves[0]
        if first.shape == hidden[:, 0].shape and torch.equal(first, hidden[:, 0]):
            seen.append(Said(first, leaves))
            return first[:, None], leaves
        seen.append(Said(hidden, leaves))
        return given

    handles = [cell.register_forward_hook(saw) for cell in network.cells]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def leaves_of(state: State) -> State:
    """The same state as the beginning of a graph."""
    return tuple(leaf.detach().requires_grad_() for leaf in state)
