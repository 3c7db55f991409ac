"""Simple recurrent networks (Elman 1990) whose squashing function torch has no fused layer for.

h_t = φ(W_x x_t + W_h h_{t-1} + b)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from charlm.models.cells.unroll import Unrolled, add_product, product, unroll
from charlm.shapes import State


class Simple(nn.Module):
    """One step of a simple recurrent network, and its way back.

    squash   φ, in place
    derived  (gradient of h, h) -> gradient of what φ was given
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        squash: Callable[[Tensor], Tensor],
        derived: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.squash, self.derived = squash, derived
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, inputs)))
        self.weight_hh = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden, hidden)))
        self.bias = nn.Parameter(torch.zeros(hidden))

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H)."""
        return (self.bias.new_zeros(batch_size, len(self.bias)),)

    def recurrent(self) -> list[nn.Parameter]:
        return [self.weight_hh]

    def ahead(self, a: Tensor, before: State, weights: Sequence[Tensor]) -> State:
        add_product(a, before[0], weights[0])
        return (self.squash(a),)

    def back(
        self,
        gates: Tensor,  # noqa: ARG002 (a protocol's)
        before: State,  # noqa: ARG002
        after: State,
        grads: Sequence[Tensor],
        weights: Sequence[Tensor],
    ) -> tuple[Tensor, Sequence[Tensor]]:
        of_a = self.derived(grads[0], after[0])
        return of_a, [product(of_a, weights[0])]

    def gradients(self, of_a: Tensor, gates: Tensor, before: State, after: State) -> list[Tensor]:  # noqa: ARG002
        return [of_a.t() @ before[0]]

    def named(self, gates: Tensor, after: State) -> dict[str, Tensor]:  # noqa: ARG002
        """It has no gates."""
        return {}


def rnn_sigmoid(inputs: int, hidden: int) -> Unrolled:
    """φ is the logistic function, as Elman had it."""
    return unroll(Simple(inputs, hidden, torch.sigmoid_, torch.ops.aten.sigmoid_backward))


def rnn_linear(inputs: int, hidden: int) -> Unrolled:
    """φ is the identity: h_t = Σ_k W_h^k (W_x x_{t-k} + b), so that everything about it can be worked out."""
    return unroll(Simple(inputs, hidden, lambda a: a, lambda grad, _: grad))
