"""LSTMs whose gates look at the memory, or whose input and forget gates are one.

    i_t = σ(W_i x_t + U_i h_{t-1} + p_i ⊙ c_{t-1} + b_i)        input;   coupled: i_t = 1 - f_t
    f_t = σ(W_f x_t + U_f h_{t-1} + p_f ⊙ c_{t-1} + b_f)        forget
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)                     candidate
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    o_t = σ(W_o x_t + U_o h_{t-1} + p_o ⊙ c_t + b_o)            output: it sees the memory as it has become
    h_t = o_t ⊙ tanh c_t

Peepholes: Gers & Schmidhuber 2000, at any of the gates. They are vectors there; a full one is a matrix P, P c in
place of p ⊙ c, so that the gate reads [c, h, x]. Coupled gates: Greff et al. 2017, §3 (CIFG).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from charlm.models.cells.unroll import Unrolled, add_product, product, unroll
from charlm.shapes import State

aten = torch.ops.aten
NAMES = {"i": "input", "f": "forget", "o": "output"}


class Peephole(nn.Module):
    """One step of such an LSTM, and its way back. Rows of the weights: its gates in this order, then the candidate."""

    def __init__(self, inputs: int, hidden: int, *, gates: str, peepholes: str, full: bool) -> None:
        super().__init__()
        self.hidden, self.gates = hidden, gates
        self.looking = [gate for gate in gates if gate in peepholes]
        rows = (len(gates) + 1) * hidden
        square = [nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(len(gates) + 1)]
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, inputs)))
        self.weight_hh = nn.Parameter(torch.cat(square))
        self.bias = nn.Parameter(torch.zeros(rows))
        with torch.no_grad():
            self.bias[self._rows("f")].fill_(1.0)  # as in the fused layer
        size = (hidden, hidden) if full else (hidden,)
        self.peepholes = nn.ParameterDict({gate: nn.Parameter(torch.zeros(size)) for gate in self.looking})

    def _rows(self, gate: str) -> slice:
        place = self.gates.index(gate)
        return slice(place * self.hidden, (place + 1) * self.hidden)

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H) and a memory (B, H)."""
        return self.bias.new_zeros(batch_size, self.hidden), self.bias.new_zeros(batch_size, self.hidden)

    def recurrent(self) -> list[nn.Parameter]:
        return [self.weight_hh, *(self.peepholes[gate] for gate in self.looking)]

    def ahead(self, a: Tensor, before: State, weights: Sequence[Tensor]) -> State:
        (h, c), sees = before, dict(zip(self.looking, weights[1:], strict=True))
        add_product(a, h, weights[0])
        for gate in "if":
            if gate in sees:
                _look(a[:, self._rows(gate)], c, sees[gate])
        a[:, : self._early].sigmoid_()
        candidate, forget, output = a[:, -self.hidden :].tanh_(), a[:, self._rows("f")], a[:, self._rows("o")]
        if "i" in self.gates:
            c = (forget * c).addcmul_(a[:, self._rows("i")], candidate)
        else:
            c = torch.lerp(candidate, c, forget)
        if "o" in sees:
            _look(output, c, sees["o"])
            output.sigmoid_()
        return output * torch.tanh(c), c

    @property
    def _early(self) -> int:
        """How many columns are squashed at once: an output gate that looks at the new memory has to wait for it."""
        return (len(self.gates) - ("o" in self.looking)) * self.hidden

    def back(
        self, gates: Tensor, before: State, after: State, grads: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor]]:
        c, sees, of_h = before[1], dict(zip(self.looking, weights[1:], strict=True)), grads[0]
        output, forget, candidate = gates[:, self._rows("o")], gates[:, self._rows("f")], gates[:, -self.hidden :]
        said = torch.tanh(after[1])
        of_a = torch.empty_like(gates)
        of_output = aten.sigmoid_backward(of_h * said, output)
        of_a[:, self._rows("o")] = of_output
        of_c = grads[1] + aten.tanh_backward(of_h * output, said)
        if "o" in sees:
            _look_back(of_c, of_output, sees["o"])
        kept = of_c * forget
        if "i" in self.gates:
            of_input = aten.sigmoid_backward(of_c * candidate, gates[:, self._rows("i")])
            of_a[:, self._rows("i")] = of_input
            of_forget = aten.sigmoid_backward(of_c * c, forget)
            of_candidate = of_c * gates[:, self._rows("i")]
        else:
            of_forget = aten.sigmoid_backward(of_c * (c - candidate), forget)
            of_candidate = of_c - kept
        of_a[:, self._rows("f")] = of_forget
        of_a[:, -self.hidden :] = aten.tanh_backward(of_candidate, candidate)
        for gate in "if":
            if gate in sees:
                _look_back(kept, of_a[:, self._rows(gate)], sees[gate])
        return of_a, [product(of_a, weights[0]), kept]

    def gradients(self, of_a: Tensor, gates: Tensor, before: State, after: State) -> list[Tensor]:  # noqa: ARG002
        found = [of_a.t() @ before[0]]
        for gate in self.looking:
            of_gate, seen = of_a[:, self._rows(gate)], (after if gate == "o" else before)[1]
            full = self.peepholes[gate].dim() == 2
            found.append(of_gate.t() @ seen if full else (of_gate * seen).sum(0))
        return found

    def named(self, gates: Tensor, after: State) -> dict[str, Tensor]:
        shown = {NAMES[gate]: gates[..., self._rows(gate)] for gate in self.gates}
        shown.setdefault("input", 1 - shown["forget"])
        return {**shown, "candidate": gates[..., -self.hidden :], "memory": after[1]}


def _look(a: Tensor, c: Tensor, peephole: Tensor) -> None:
    """a += p ⊙ c, or P c, in place."""
    if peephole.dim() == 2:
        add_product(a, c, peephole)
    else:
        a.addcmul_(c, peephole)


def _look_back(of_c: Tensor, of_gate: Tensor, peephole: Tensor) -> None:
    """Add to the gradient of the memory what comes through a peephole, in place."""
    of_c += product(of_gate, peephole) if peephole.dim() == 2 else of_gate * peephole


def lstm_peephole(inputs: int, hidden: int, *, peepholes: str = "ifo", full: bool = False) -> Unrolled:
    """Long short-term memory with peepholes at these gates (Gers & Schmidhuber 2000)."""
    return unroll(Peephole(inputs, hidden, gates="ifo", peepholes=peepholes, full=full))


def lstm_coupled(inputs: int, hidden: int, *, peepholes: str = "", full: bool = False) -> Unrolled:
    """Long short-term memory that writes as much as it forgets (Greff et al. 2017), with or without peepholes."""
    return unroll(Peephole(inputs, hidden, gates="fo", peepholes=peepholes, full=full))
