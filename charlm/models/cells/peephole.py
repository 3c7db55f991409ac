"""LSTMs whose gates look at the memory, or whose input gate is held back by the forget gate.

    i_t = σ(W_i x_t + U_i h_{t-1} + p_i ⊙ c_{t-1} + b_i)        input;   coupled: i_t = 1 - f_t
                                                                       capped: i_t = min(σ(…), 1 - f_t)
    f_t = σ(W_f x_t + U_f h_{t-1} + p_f ⊙ c_{t-1} + b_f)        forget
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)                     candidate
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    o_t = σ(W_o x_t + U_o h_{t-1} + p_o ⊙ c_t + b_o)            output: it sees the memory as it has become
    h_t = o_t ⊙ tanh c_t

Peepholes: Gers & Schmidhuber 2000, at any of the gates. They are vectors there; a full one is a matrix P, P c in
place of p ⊙ c, so that the gate reads [c, h, x]. Coupled gates: Greff et al. 2017, §3 (CIFG). Capped ones
(Melis et al. 2018) let through at most what was forgotten, so that a memory that began between -1 and 1 stays there.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from charlm.models.cells.unroll import Unrolled, add_product, product
from charlm.shapes import State

aten = torch.ops.aten
NAMES = {"i": "input", "f": "forget", "o": "output"}


class Peephole(nn.Module):
    """One step of such an LSTM, and its way back. Rows of the weights: its gates in this order, then the candidate."""

    def __init__(
        self, inputs: int, hidden: int, *, gates: str, peepholes: str = "", full: bool = False, capped: bool = False
    ) -> None:
        super().__init__()
        self.hidden, self.gates, self.full, self.capped = hidden, gates, full, capped
        self.looking = [gate for gate in gates if gate in peepholes]
        self.early = [gate for gate in self.looking if gate != "o"]  # they look at the memory before this step
        rows = (len(gates) + 1) * hidden
        square = [nn.init.orthogonal_(torch.empty(hidden, hidden)) for _ in range(len(gates) + 1)]
        self.weight_ih = nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, inputs)))
        self.weight_hh = nn.Parameter(torch.cat(square))
        self.bias = nn.Parameter(torch.zeros(rows))
        self.begin_to_forget(1.0)  # as in the fused layer
        size = (hidden, hidden) if full else (hidden,)
        self.peepholes = nn.ParameterDict({gate: nn.Parameter(torch.zeros(size)) for gate in self.looking})

    def begin_to_forget(self, bias: float) -> None:
        """Let the forget gates begin with this bias."""
        with torch.no_grad():
            self.bias[self._rows("f")].fill_(bias)

    def _rows(self, gate: str) -> slice:
        place = self.gates.index(gate)
        return slice(place * self.hidden, (place + 1) * self.hidden)

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H) and a memory (B, H)."""
        return self.bias.new_zeros(batch_size, self.hidden), self.bias.new_zeros(batch_size, self.hidden)

    def recurrent(self) -> list[Tensor]:
        """U, then the peepholes of input and forget gate in one, then that of the output gate, as far as there are."""
        early = [torch.cat([self.peepholes[gate] for gate in self.early])] if self.early else []
        return [self.weight_hh, *early, *(self.peepholes[gate] for gate in self.looking if gate == "o")]

    def _peepholes(self, weights: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None]:
        return weights[1] if self.early else None, weights[-1] if "o" in self.looking else None

    @property
    def _early_rows(self) -> slice:
        return slice(self._rows(self.early[0]).start, self._rows(self.early[-1]).stop)

    def ahead(self, a: Tensor, before: State, weights: Sequence[Tensor]) -> State:
        (h, c), (early, late) = before, self._peepholes(weights)
        add_product(a, h, weights[0])
        if early is not None:
            _look(a[:, self._early_rows], c, early)
        # An output gate that looks has to wait for the new memory.
        a[:, : (len(self.gates) - (late is not None)) * self.hidden].sigmoid_()
        candidate, forget, output = a[:, -self.hidden :].tanh_(), a[:, self._rows("f")], a[:, self._rows("o")]
        if "i" in self.gates:
            entering = a[:, self._rows("i")]
            if self.capped:
                torch.minimum(entering, 1 - forget, out=entering)
            c = (forget * c).addcmul_(entering, candidate)
        else:
            c = torch.lerp(candidate, c, forget)
        if late is not None:
            _look(output, c, late)
            output.sigmoid_()
        return output * torch.tanh(c), c

    def back(
        self, gates: Tensor, before: State, after: State, grads: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> tuple[Tensor, Sequence[Tensor]]:
        c, of_h, (early, late) = before[1], grads[0], self._peepholes(weights)
        output, forget, candidate = gates[:, self._rows("o")], gates[:, self._rows("f")], gates[:, -self.hidden :]
        said = torch.tanh(after[1])
        of_a = torch.empty_like(gates)
        of_output, through = self._through_hidden(of_h, output, said, late)
        of_a[:, self._rows("o")] = of_output
        of_c = grads[1] + through
        kept = of_c * forget
        if "i" in self.gates:
            entering, of_entering, of_keeping = gates[:, self._rows("i")], of_c * candidate, of_c * c
            if self.capped:  # where the cap holds, what enters is 1 - f
                held = entering == 1 - forget
                of_keeping = torch.where(held, of_keeping - of_entering, of_keeping)
                of_entering = of_entering.masked_fill(held, 0.0)
            of_a[:, self._rows("i")] = aten.sigmoid_backward(of_entering, entering)
            of_forget = aten.sigmoid_backward(of_keeping, forget)
            of_candidate = of_c * entering
        else:
            of_forget = aten.sigmoid_backward(of_c * (c - candidate), forget)
            of_candidate = of_c - kept
        of_a[:, self._rows("f")] = of_forget
        of_a[:, -self.hidden :] = aten.tanh_backward(of_candidate, candidate)
        if early is not None:
            _look_back(kept, of_a[:, self._early_rows], early)
        return of_a, [product(of_a, weights[0]), kept]

    def _through_hidden(self, of_h: Tensor, output: Tensor, said: Tensor, late: Tensor | None) -> tuple[Tensor, Tensor]:
        """What comes through h = o ⊙ tanh c: the gradients of what the output gate was given, and of the memory."""
        of_output = aten.sigmoid_backward(of_h * said, output)
        of_c = aten.tanh_backward(of_h * output, said)
        if late is not None:
            _look_back(of_c, of_output, late)
        return of_output, of_c

    def of_memory(self, of_h: Tensor, output: Tensor, memory: Tensor) -> Tensor:
        """The part of a memory's gradient that comes through the hidden vector of its own step; all (N, H)."""
        return self._through_hidden(of_h, output, torch.tanh(memory), self._peepholes(self.recurrent())[1])[1]

    def gradients(self, of_a: Tensor, gates: Tensor, before: State, after: State) -> list[Tensor]:  # noqa: ARG002
        found = [of_a.t() @ before[0]]
        looks = [(self._early_rows, before[1])] if self.early else []
        if "o" in self.looking:
            looks.append((self._rows("o"), after[1]))
        for rows, seen in looks:
            of_gates = of_a[:, rows]
            both = (of_gate * seen for of_gate in of_gates.chunk(of_gates.shape[1] // self.hidden, dim=1))
            found.append(of_gates.t() @ seen if self.full else torch.cat([each.sum(0) for each in both]))
        return found

    def named(self, gates: Tensor, after: State) -> dict[str, Tensor]:
        shown = {NAMES[gate]: gates[..., self._rows(gate)] for gate in self.gates}
        shown.setdefault("input", 1 - shown["forget"])
        return {**shown, "candidate": gates[..., -self.hidden :], "memory": after[1]}


def _gates(a: Tensor, peepholes: Tensor, hidden: int) -> Iterable[tuple[Tensor, Tensor]]:
    """Columns (N, gates × H) and peepholes (gates × H,), gate by gate."""
    count = len(peepholes) // hidden
    return zip(a.chunk(count, dim=1), peepholes.chunk(count), strict=True)


def _look(a: Tensor, c: Tensor, peepholes: Tensor) -> None:
    """a += p ⊙ c, or P c, in place, for some gates at once."""
    if peepholes.dim() == 2:
        add_product(a, c, peepholes)
    else:
        for of_gate, peephole in _gates(a, peepholes, c.shape[1]):
            of_gate.addcmul_(c, peephole)


def _look_back(of_c: Tensor, of_gates: Tensor, peepholes: Tensor) -> None:
    """Add to the gradient of the memory what comes through some peepholes, in place."""
    if peepholes.dim() == 2:
        of_c += product(of_gates, peepholes)
    else:
        for of_gate, peephole in _gates(of_gates, peepholes, of_c.shape[1]):
            of_c.addcmul_(of_gate, peephole)


class UnrolledLSTM(Unrolled):
    """A cell of such a step, whose forget gates may begin elsewhere."""

    def begin_to_forget(self, bias: float) -> None:
        """Let the forget gates begin with this bias."""
        cast(Peephole, self.step).begin_to_forget(bias)

    def of_memory(self, of_h: Tensor, output: Tensor, memory: Tensor) -> Tensor:
        """The part of a memory's gradient that comes through the hidden vector of its own step; all (N, H)."""
        return cast(Peephole, self.step).of_memory(of_h, output, memory)


def lstm_capped(inputs: int, hidden: int) -> UnrolledLSTM:
    """Long short-term memory that writes at most as much as it forgets (Melis et al. 2018)."""
    return UnrolledLSTM(Peephole(inputs, hidden, gates="ifo", capped=True))


def lstm_peephole(inputs: int, hidden: int, *, peepholes: str = "ifo", full: bool = False) -> UnrolledLSTM:
    """Long short-term memory with peepholes at these gates (Gers & Schmidhuber 2000)."""
    return UnrolledLSTM(Peephole(inputs, hidden, gates="ifo", peepholes=peepholes, full=full))


def lstm_coupled(inputs: int, hidden: int, *, peepholes: str = "", full: bool = False) -> UnrolledLSTM:
    """Long short-term memory that writes as much as it forgets (Greff et al. 2017), with or without peepholes."""
    return UnrolledLSTM(Peephole(inputs, hidden, gates="fo", peepholes=peepholes, full=full))
