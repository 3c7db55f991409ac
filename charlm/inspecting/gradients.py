"""How far back a network learns: the gradient of a loss by the distance of the state that it reaches.

    G(k) = mean over positions T of ‖∂ℓ_T/∂h_{T-k}‖ ÷ ‖∂ℓ_T/∂h_T‖          ℓ_T = -log P(x_{T+1} | x_1 … x_T)

h_t is the hidden vector of one layer after the token x_t, and the derivative is the total one: whatever ways lead from
it to ℓ_T, through later steps and through the layers above. Of an LSTM the same is told of its memory c, whose gradient
includes the way through h_t = o_t ⊙ tanh c_t. Where G falls by a constant factor at each step, gradients vanish; where
it grows, they explode (Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013, eq. 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from charlm.inspecting.bands import Band, band, half_life, slope
from charlm.inspecting.positions import Excerpts, state_before
from charlm.inspecting.stepping import Stacked, leaves_of, watching
from charlm.models.base import LanguageModel, pick
from charlm.shapes import State

ROWS = 64  # positions whose graphs are held at once

Norms = dict[str, Tensor]  # name of a vector of the state -> (N, K + 1, L)


@dataclass(frozen=True)
class Decay:
    """G(k) of one layer, for k = 0 … K.

    layer   from 1, the lowest
    vector  hidden or memory
    """

    layer: int
    vector: str
    curve: Band

    @property
    def half_life(self) -> float | None:
        """Steps after which half is left, by the slope of ln G(k)."""
        return half_life(self.curve.mean)

    @property
    def factor(self) -> float | None:
        """By what G changes from step to step, by the same slope."""
        fitted = slope(self.curve.mean)
        return None if fitted is None else float(np.exp(fitted))

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "layer": self.layer,
            "vector": self.vector,
            "half_life": self.half_life,
            "factor": self.factor,
            **self.curve.to_json(),
        }


def decays(network: Stacked, asked: Excerpts, *, seed: int) -> list[Decay]:
    """G(k) of every layer and vector, with a band from documents drawn again.

    Positions whose loss has no gradient at all, since the target was certain, are left out.
    """
    found = norms(network, asked)
    shares = {name: norm / norm[:, :1] for name, norm in found.items()}
    sound = torch.stack([share.isfinite().flatten(1).all(1) for share in shares.values()]).all(0)
    groups = asked.groups[sound].numpy()
    return [
        Decay(layer + 1, name, band(share[sound, :, layer].numpy(), groups, seed=seed))
        for layer in range(len(network.cells))
        for name, share in shares.items()
    ]


def norms(network: Stacked, asked: Excerpts) -> Norms:
    """‖∂ℓ_T/∂h_{T-k}‖ at each position, (N, K + 1, L) by name, k = 0 first."""
    start = state_before(cast(LanguageModel, network), asked.before)
    parts = [
        _norms(network, asked.inputs[rows], asked.targets[rows], pick(start, rows))
        for rows in torch.split(torch.arange(len(asked)), ROWS)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _norms(network: Stacked, inputs: Tensor, targets: Tensor, start: State) -> Norms:
    state = begun = leaves_of(start)
    with watching(network) as seen:
        for ids in inputs[:, :-1].unbind(1):
            _, state = network.read(ids[:, None], state)
        log_probs, _ = network.score(inputs[:, -1:], targets[:, None], state)
    layers = len(network.cells)
    surprise = -log_probs.sum()
    hidden = _gradients(surprise, [said.hidden for said in seen])
    found = {"hidden": _by_lag([grad.flatten(1).norm(dim=1) for grad in hidden], layers)}
    if all(hasattr(cell, "of_memory") for cell in network.cells):
        memories = _gradients(surprise, [said.leaves[1] for said in seen])
        with torch.no_grad():
            gates = network.trace(inputs, begun)
        for number, onward in enumerate(memories):
            step, layer = divmod(number, layers)
            now = gates["output"][:, step, layer], gates["memory"][:, step, layer]
            memories[number] = onward + cast(Any, network.cells[layer]).of_memory(hidden[number], *now)
        found["memory"] = _by_lag([grad.norm(dim=1) for grad in memories], layers)
    return found


def _gradients(surprise: Tensor, vectors: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of some vectors; zeros for those that nothing hangs on."""
    grads = torch.autograd.grad(surprise, vectors, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(x) if grad is None else grad for x, grad in zip(vectors, grads, strict=True)]


def _by_lag(of_steps: list[Tensor], layers: int) -> Tensor:
    """Numbers (B,), step by step and layer by layer  ->  (B, K + 1, L), the last step first"""
    return torch.stack(of_steps, dim=1).reshape(len(of_steps[0]), -1, layers).flip(1)
