"""The largest singular value of a product of Jacobians, ∂s_T/∂s_{T-K} = J_T J_{T-1} … J_{T-K+1}.

s_t is the whole state of a network after the token x_t, all leaves of all layers, and J_t = ∂s_t/∂s_{t-1}. The singular
value is the most by which a gradient may grow on its way back, whatever its direction (Pascanu, Mikolov & Bengio 2013,
§2.1); its K-th root is a factor a step, whose logarithm is a finite-time Lyapunov exponent.

Power iteration on Jᵀ J. Products with Jᵀ are backward passes. Products with J are central differences in float64, since
torch's fused layers and steps with a way back of their own have no forward derivative; they are taken step by
step, with vectors brought back to length 1 in between, so that neither vanishing nor exploding products lose digits.
"""

from typing import cast

import torch
from torch import Tensor

from charlm.inspecting.positions import Excerpts, state_before
from charlm.inspecting.stepping import Stacked, leaves_of
from charlm.models.base import LanguageModel
from charlm.shapes import Ids, State

DIFFERENCE = 1e-5  # of the step of a central difference, beside states around 1
TOLERANCE = 1e-4  # of the logarithm of the singular value, from one round to the next
ROUNDS = 60


def largest_singular_values(network: Stacked, asked: Excerpts, *, seed: int) -> Tensor:
    """ln σ_max of the product of the Jacobians of all but the first token of each excerpt (N,), in float64.

    -inf where nothing at all comes through.
    """
    start = state_before(cast(LanguageModel, network), asked.before)
    with torch.no_grad():
        _, state = network.read(asked.inputs[:, :1], start)
        states = [state]
        for ids in asked.inputs[:, 1:].unbind(1):
            states.append(network.read(ids[:, None], states[-1])[1])
    draw = torch.Generator().manual_seed(seed)
    direction, _ = _unit(torch.randn(_flat(state).shape, generator=draw, dtype=torch.float64))
    before = torch.full((len(asked),), torch.inf, dtype=torch.float64)
    for _ in range(ROUNDS):
        pushed, gain = _ahead(network, asked.inputs[:, 1:], states, direction)
        direction, back = _back(network, asked.inputs[:, 1:], states, pushed)
        now = (gain + back) / 2  # ‖JᵀJv‖ is nearly σ² as soon as v is nearly the singular vector
        if torch.equal(now.isfinite(), before.isfinite()) and ((now - before).abs() < TOLERANCE)[now.isfinite()].all():
            break
        before = now
    return now


def _flat(state: State) -> Tensor:
    return torch.cat([leaf.flatten(1) for leaf in state], dim=1)


def _like(flat: Tensor, state: State) -> State:
    parts = torch.split(flat, [leaf[0].numel() for leaf in state], dim=1)
    return tuple(part.reshape(leaf.shape) for part, leaf in zip(parts, state, strict=True))


def _unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (N, D) of length 1, and the logarithms of the lengths that they had."""
    lengths = vectors.norm(dim=1)
    return vectors / lengths.clamp(min=torch.finfo(vectors.dtype).tiny)[:, None], lengths.log()


@torch.no_grad()
def _ahead(network: Stacked, inputs: Ids, states: list[State], direction: Tensor) -> tuple[Tensor, Tensor]:
    """J v, as a unit vector and the logarithm of its length."""
    total = torch.zeros(len(inputs), dtype=torch.float64)
    for ids, state in zip(inputs.unbind(1), states, strict=False):
        here = _flat(state)
        small = DIFFERENCE * here.norm(dim=1, keepdim=True).clamp(min=1.0)
        both = torch.cat([here + small * direction, here - small * direction])
        moved = _flat(network.read(ids.repeat(2)[:, None], _like(both, tuple(torch.cat([x, x]) for x in state)))[1])
        above, below = moved.chunk(2)
        direction, gain = _unit((above - below) / (2 * small))
        total += gain
    return direction, total


def _back(network: Stacked, inputs: Ids, states: list[State], direction: Tensor) -> tuple[Tensor, Tensor]:
    """Jᵀ v, as a unit vector and the logarithm of its length."""
    total = torch.zeros(len(inputs), dtype=torch.float64)
    for step in range(inputs.shape[1] - 1, -1, -1):
        begun = leaves_of(states[step])
        _, after = network.read(inputs[:, step : step + 1], begun)
        grads = torch.autograd.grad(_flat(after), begun, direction, allow_unused=True)
        whole = (torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(begun, grads, strict=True))
        direction, gain = _unit(_flat(tuple(whole)))
        total += gain
    return direction, total
