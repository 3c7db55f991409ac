"""An LSTM whose input gate is capped, so that its memory stays bounded (Melis et al. 2018).

    f, o = σ(W x + U h + b)     i = min(1 - f, σ(…))     g = tanh(…)
    c' = f c + i g              h' = o tanh c'

Since f + i ≤ 1, no memory ever leaves the range from -1 to 1 that it was begun in. torch has no fused layer of it: what
is read is multiplied for the whole window at once, and then position follows position.
"""

import torch
from torch import Tensor, nn

from charlm.models.dropout import WeightDrop
from charlm.shapes import State


class CappedLSTM(nn.Module):
    """One layer. Its rows are torch's: input gate, forget gate, what is written, output gate."""

    gates = 4

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        self.weight_drop = WeightDrop(0.0)
        with torch.no_grad():
            for gate in self.weight_hh.chunk(4):
                nn.init.orthogonal_(gate)
            nn.init.xavier_uniform_(self.weight_ih)
        self.begin_to_forget(1.0)

    def begin_to_forget(self, bias: float) -> None:
        """Let the forget gates begin with this bias."""
        with torch.no_grad():
            self.bias.chunk(4)[1].fill_(bias)

    def drop_weights(self, rate: float) -> None:
        """While it learns, leave out a share of the weights between hidden units, in each window others."""
        self.weight_drop.rate = rate

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H), and a memory (B, H)."""
        return tuple(self.bias.new_zeros(batch_size, self.hidden) for _ in range(2))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, H)  ->  hidden (B, T, H), state after the window"""
        across = self.weight_drop(self.weight_hh).t()
        read = nn.functional.linear(x, self.weight_ih, self.bias)
        said = []
        for vectors in read.unbind(1):
            _, state = self._step(vectors, across, state)
            said.append(state[0])
        return torch.stack(said, dim=1), state

    @staticmethod
    def _step(read: Tensor, across: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        hidden, memory = state
        raw = torch.addmm(read, hidden.to(read.dtype), across)
        raw_in, raw_keep, written, raw_out = raw.chunk(4, dim=1)
        keep, open_out = raw_keep.sigmoid(), raw_out.sigmoid()
        open_in = torch.minimum(raw_in.sigmoid(), 1 - keep)
        memory = keep * memory + open_in * written.tanh()
        return {"input": open_in, "forget": keep, "output": open_out}, (open_out * memory.tanh(), memory)

    def trace(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """The gates at every position, {"input", "forget", "output": (B, T, H)}."""
        across = self.weight_hh.t()
        seen = []
        for vectors in nn.functional.linear(x, self.weight_ih, self.bias).unbind(1):
            gates, state = self._step(vectors, across, state)
            seen.append(gates)
        return {name: torch.stack([each[name] for each in seen], dim=1) for name in seen[0]}
