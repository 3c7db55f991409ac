"""A cell of a hand-written step: one equation a line, read position by position.

A leaf of the state may have any width, and gates can be looked at. Automatic differentiation finds the way back through
any step, but at every position it adds to the gradient of whole matrices. A step that brings its own way back
(`StepByHand`) leaves that to a few products over all positions together.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from charlm.shapes import State


class StepByHand(Protocol):
    """A step with its gradient: first what depends on the input alone, then what waits for the state.

        a_t = W x_t + b                for the whole window at once
        s_t = ahead(a_t, s_{t-1})      its first leaf is the hidden vector

    G is the width of a_t, and N = T × B are all positions of a window.
    """

    weight_ih: nn.Parameter  # W (G, E)
    bias: nn.Parameter  # b (G,)

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    def recurrent(self) -> Sequence[Tensor]:
        """The weights that read the state, in the form and order in which the other methods are given them."""

    def ahead(self, a: Tensor, before: State, weights: Sequence[Tensor]) -> State:
        """a (B, G), which becomes the gates in place, leaves (B, …)  ->  the state after it"""

    def back(
        self, gates: Tensor, before: State, after: State, grads: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Gradients of the leaves after (B, …)  ->  that of a (B, G), and those of the leaves before"""

    def gradients(self, of_a: Tensor, gates: Tensor, before: State, after: State) -> list[Tensor]:
        """The gradient of a at all positions (N, G), gates (N, G), leaves (N, …)  ->  those of the weights"""

    def named(self, gates: Tensor, after: State) -> dict[str, Tensor]:
        """What there is to look at: gates (B, T, G) and leaves (B, T, …)  ->  {name: (B, T, …)}"""


def add_product(a: Tensor, x: Tensor, weight: Tensor) -> None:
    """a += x Wᵀ in place, multiplied in the dtype of W: a (B, G), x (B, H), weight (G, H)."""
    if a.dtype == weight.dtype:
        a.addmm_(x, weight.t())
    else:
        a += x.to(weight.dtype) @ weight.t()


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x W, multiplied in the dtype of W: x (B, G), weight (G, H)  ->  (B, H)"""
    return x @ weight if x.dtype == weight.dtype else (x.to(weight.dtype) @ weight).to(x.dtype)


class ThroughTime(torch.autograd.Function):
    """Back-propagation through time (Werbos 1990) of a StepByHand.

    x (B, T, E), W (G, E), b (G,), leaves (B, …), recurrent weights  ->  gates (B, T, G), the leaves after every
    position (B, T, …)

    Under autocast products are computed in half precision; gates and states stay in float32.
    """

    @staticmethod
    def forward(ctx: Any, step: StepByHand, leaves: int, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        device = x.device.type
        low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        wide = torch.float32 if low in (torch.bfloat16, torch.float16) else low
        weight, bias, state, recurrent = given[0], given[1], given[2 : 2 + leaves], given[2 + leaves :]
        with torch.autocast(device, enabled=False):
            quick = [each.to(low) for each in recurrent]
            gates = nn.functional.linear(x.transpose(0, 1).to(low), weight.to(low), bias.to(low)).to(wide)
            states = [tuple(leaf.to(wide) for leaf in state)]
            for a in gates.unbind(0):
                states.append(step.ahead(a, states[-1], quick))
            through = [torch.stack(leaf) for leaf in zip(*states, strict=True)]  # (1 + T, B, …)
        ctx.save_for_backward(x, weight, bias, *given[2:])
        ctx.step, ctx.leaves, ctx.low, ctx.gates, ctx.through = step, leaves, low, gates, through
        ctx.set_materialize_grads(False)
        shown = gates.transpose(0, 1)
        ctx.mark_non_differentiable(shown)
        return shown, *(leaf[1:].transpose(0, 1) for leaf in through)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, _: None, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        step: StepByHand = ctx.step
        x, weight, bias, *given = ctx.saved_tensors
        gates: Tensor = ctx.gates
        quick = [each.to(ctx.low) for each in given[ctx.leaves :]]
        before, after = tuple(leaf[:-1] for leaf in ctx.through), tuple(leaf[1:] for leaf in ctx.through)
        of_a = torch.empty_like(gates)
        grads: Sequence[Tensor] = [torch.zeros_like(leaf[0]) for leaf in after]
        with torch.autocast(x.device.type, enabled=False):
            for t in range(len(gates) - 1, -1, -1):
                grads = [
                    grad if come is None else grad + come[:, t] for grad, come in zip(grads, arriving, strict=True)
                ]
                here = tuple(leaf[t] for leaf in before), tuple(leaf[t] for leaf in after)
                of_a[t], grads = step.back(gates[t], *here, grads, quick)
            flat = of_a.flatten(0, 1)
            of_weights = step.gradients(flat, gates.flatten(0, 1), *(_flat(leaves) for leaves in (before, after)))
            low, read = flat.to(ctx.low), x.transpose(0, 1).to(ctx.low).flatten(0, 1)
            of_x = (low @ weight.to(ctx.low)).unflatten(0, gates.shape[:2]).transpose(0, 1)
            found = [of_x, low.t() @ read, flat.sum(0), *grads, *of_weights]
        kinds = [tensor.dtype for tensor in (x, weight, bias, *given)]
        return None, None, *(grad.to(kind) for grad, kind in zip(found, kinds, strict=True))


def _flat(leaves: State) -> State:
    """Leaves (T, B, …)  ->  (N, …)"""
    return tuple(leaf.flatten(0, 1) for leaf in leaves)


class Unrolled(nn.Module):
    """A cell that takes its step for one position after another."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read: the step's own."""
        return cast(Callable[[int], State], self.step.initial_state)(batch_size)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, …)  ->  hidden (B, T, H), state after the window"""
        if hasattr(self.step, "back"):
            _, *leaves = self._through_time(x, state)
            return leaves[0], tuple(leaf[:, -1] for leaf in leaves)
        hidden = []
        for vectors in x.unbind(1):
            vector, state = self.step(vectors, state)
            hidden.append(vector)
        return torch.stack(hidden, dim=1), state

    def trace(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """The step's gates at every position, {name: (B, T, …)}; empty where it shows none."""
        if hasattr(self.step, "back"):
            gates, *leaves = self._through_time(x, state)
            return cast(StepByHand, self.step).named(gates, tuple(leaves))
        look = cast(Callable[[Tensor, State], dict[str, Tensor]] | None, getattr(self.step, "gates", None))
        if look is None:
            return {}
        seen = []
        for vectors in x.unbind(1):
            seen.append(look(vectors, state))
            _, state = self.step(vectors, state)
        return {name: torch.stack([each[name] for each in seen], dim=1) for name in seen[0]}

    def _through_time(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        step = cast(StepByHand, self.step)
        given = (step.weight_ih, step.bias, *state, *step.recurrent())
        found: tuple[Tensor, ...] = ThroughTime.apply(step, len(state), x, *given)  # type: ignore[no-untyped-call]
        return found


def unroll(step: nn.Module) -> Unrolled:
    """A Cell of `step`, an `nn.Module` that reads one position.

    step.initial_state(batch_size)  ->  its leaves, each (B, …)
    step(x (B, E), state)           ->  hidden (B, H), state after
    step.gates(x (B, E), state)     ->  {name: (B, …)}, if there is anything to look at

    A StepByHand has its own way back instead, and needs neither of the last two.
    """
    return Unrolled(step)
