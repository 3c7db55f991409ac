"""The gated recurrent unit of Cho et al. 2014, which resets the state before it is multiplied.

    z_t = σ(W_z x_t + U_z h_{t-1} + b_z)                    update
    r_t = σ(W_r x_t + U_r h_{t-1} + b_r)                    reset
    n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t-1}) + b_n)         candidate
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ n_t

The fused layer (`gru`) has r_t ⊙ (U_n h_{t-1} + b) instead, for which the state waits for one product less. The two
are different networks: weights of the one mean nothing to the other, except where U_n is diagonal.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from charlm.models.cells.unroll import Unrolled, add_product, product, unroll
from charlm.shapes import State

aten = torch.ops.aten


class ResetFirst(nn.Module):
    """One step, and its way back. Rows of the weights: reset, update, candidate, as in torch's own."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * hidden, inputs)))
        self.weight_hh = nn.Parameter(torch.cat([nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(3)]))
        self.bias = nn.Parameter(torch.zeros(3 * hidden))

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H)."""
        return (self.bias.new_zeros(batch_size, self.hidden),)

    def recurrent(self) -> list[nn.Parameter]:
        return [self.weight_hh]

    def ahead(self, a: Tensor, before: State, weights: Sequence[Tensor]) -> State:
        (h,), (weight,), two = before, weights, 2 * self.hidden
        add_product(a[:, :two], h, weight[:two])
        reset, update = a[:, :two].sigmoid_().chunk(2, dim=1)
        add_product(a[:, two:], reset * h, weight[two:])
        candidate = a[:, two:].tanh_()
        return (torch.lerp(candidate, h, update),)

    def back(
        self,
        gates: Tensor,
        before: State,
        after: State,  # noqa: ARG002 (a protocol's)
        grads: Sequence[Tensor],
        weights: Sequence[Tensor],
    ) -> tuple[Tensor, Sequence[Tensor]]:
        (h,), (grad,), (weight,), two = before, grads, weights, 2 * self.hidden
        reset, update, candidate = gates.chunk(3, dim=1)
        kept = grad * update
        of_candidate = aten.tanh_backward(grad - kept, candidate)
        of_reset_state = product(of_candidate, weight[two:])
        of_gates = torch.cat([of_reset_state * h, grad * (h - candidate)], dim=1)
        of_gates = aten.sigmoid_backward(of_gates, gates[:, :two])
        of_h = kept.addcmul_(of_reset_state, reset).add_(product(of_gates, weight[:two]))
        return torch.cat([of_gates, of_candidate], dim=1), [of_h]

    def gradients(self, of_a: Tensor, gates: Tensor, before: State, after: State) -> list[Tensor]:  # noqa: ARG002
        (h,), two = before, 2 * self.hidden
        return [torch.cat([of_a[:, :two].t() @ h, of_a[:, two:].t() @ (gates[:, : self.hidden] * h)])]

    def named(self, gates: Tensor, after: State) -> dict[str, Tensor]:  # noqa: ARG002
        return dict(zip(("reset", "update", "candidate"), gates.chunk(3, dim=-1), strict=True))


def gru_reset_first(inputs: int, hidden: int) -> Unrolled:
    """Gated recurrent unit, the state reset before the product (Cho et al. 2014, eq. 5-8)."""
    return unroll(ResetFirst(inputs, hidden))
