"""Cells on torch's fused layers: oneDNN on a CPU, cuDNN on a GPU.

The equations stand in the documentation of `torch.nn.LSTM`, `GRU` and `RNN`. Starting values: orthogonal
recurrent matrices, so that gradients neither vanish nor explode at first (Saxe et al. 2014); the identity for
`rnn-relu` (Le, Jaitly & Hinton 2015); and a forget bias of 1 (Jozefowicz et al. 2015).

Weights are dropped before a window is read, so that the same fused kernels read it.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from charlm.models.dropout import WeightDrop
from charlm.models.products import few_by_matrix
from charlm.shapes import State

Look = Callable[[nn.RNNBase, Tensor, Tensor, State], dict[str, Tensor]]
Kernel = Callable[..., tuple[Tensor, ...]]


class FusedCell(nn.Module):
    """A single-layer `torch.nn` recurrent module with its state as a batch-first tuple.

    kernel  what `core` calls: (x, state, weights, …) -> hidden and the leaves of the state after it, time first
    look    (layer, x (B, T, E), hidden vectors before each position (B, T, H), state) -> its gates (B, T, H) by name:
            the kernels do not give them out, but every one can be had from the hidden vectors
    """

    def __init__(self, core: nn.RNNBase, kernel: Kernel, *, leaves: int, look: Look | None = None) -> None:
        super().__init__()
        self.core, self.kernel = core, kernel
        self.leaves, self.look = leaves, look
        self.weight_drop = WeightDrop(0.0)

    def drop_weights(self, rate: float) -> None:
        """While it learns, leave out a share of the weights between hidden units, in each window others."""
        self.weight_drop.rate = rate

    def initial_state(self, batch_size: int) -> State:
        """Zeros: a hidden vector (B, H), and for the LSTM a memory (B, H)."""
        shape = (batch_size, self.core.hidden_size)
        return tuple(_weights(self.core, "weight_hh").new_zeros(shape) for _ in range(self.leaves))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state leaves (B, H)  ->  hidden (B, T, H), state after the window"""
        # torch wants (layers, B, H), contiguous, in the dtype that the kernel computes in.
        before = _for_torch(state, x)
        if self.weight_drop.drops:
            hidden, *leaves = self.kernel(x, before, self._dropped(), True, 1, 0.0, True, False, True)
            return hidden, tuple(leaf[0] for leaf in leaves)
        hidden, after = self.core(x, before)
        after = after if isinstance(after, tuple) else (after,)
        return hidden, tuple(leaf[0] for leaf in after)

    def trace(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """The gates at every position, {name: (B, T, H)}; empty where it has none."""
        if self.look is None:
            return {}
        hidden, _ = self(x, state)
        before = torch.cat([state[0].to(hidden.dtype)[:, None], hidden[:, :-1]], dim=1)
        return self.look(self.core, x, before, state)

    def _dropped(self) -> list[Tensor]:
        """The weights in torch's order, those from hidden units to hidden units thinned out."""
        into, across, *biases = (_weights(self.core, name) for name in NAMES)
        return [into, self.weight_drop(across), *biases]


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class FusedLSTM(FusedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """As every fused cell; a single token without gradient by itself, when a text is drawn.

        The kernel for a processor orders its weights anew at each call, which for one token takes longer than the step.
        """
        plain = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu") and not self.weight_drop.drops
        if x.shape[1] != 1 or torch.is_grad_enabled() or not plain:
            return super().forward(x, state)
        hidden, memory = (leaf.to(x.dtype) for leaf in state)
        read = few_by_matrix(x[:, 0], *(_weights(self.core, name) for name in NAMES[::2]))
        remembered = few_by_matrix(hidden, *(_weights(self.core, name) for name in NAMES[1::2]))
        into, forget, candidate, output = read.add_(remembered).chunk(4, dim=-1)
        memory = forget.sigmoid_().mul_(memory).add_(into.sigmoid_().mul_(candidate.tanh_()))
        hidden = output.sigmoid_().mul_(memory.tanh())
        return hidden[:, None], (hidden, memory)

    def begin_to_forget(self, bias: float) -> None:
        """Let the forget gates begin with this bias."""
        with torch.no_grad():
            _weights(self.core, "bias_ih").chunk(4)[1].fill_(bias)  # torch's order: input, forget, cell, output

    def of_memory(self, of_h: Tensor, output: Tensor, memory: Tensor) -> Tensor:
        """The part of a memory's gradient that comes through the hidden vector of its own step; all (N, H)."""
        return of_h * output * (1 - torch.tanh(memory).square())


def _for_torch(state: State, x: Tensor) -> Tensor | tuple[Tensor, ...]:
    leaves = tuple(leaf.to(x.dtype).unsqueeze(0).contiguous() for leaf in state)
    return leaves if len(leaves) > 1 else leaves[0]


def _weights(core: nn.RNNBase, name: str) -> nn.Parameter:
    return cast(nn.Parameter, getattr(core, f"{name}_l0"))


def _start(core: nn.RNNBase, gates: int) -> None:
    with torch.no_grad():
        for gate in _weights(core, "weight_hh").chunk(gates):
            nn.init.orthogonal_(gate)
        nn.init.xavier_uniform_(_weights(core, "weight_ih"))
        nn.init.zeros_(_weights(core, "bias_ih"))
        nn.init.zeros_(_weights(core, "bias_hh"))


def _products(core: nn.RNNBase, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """What every gate is given by the input and by the state, each with its bias (B, T, gates × H)."""
    read = nn.functional.linear(x, _weights(core, "weight_ih"), _weights(core, "bias_ih"))
    return read, nn.functional.linear(before, _weights(core, "weight_hh"), _weights(core, "bias_hh"))


def _look_at_lstm(core: nn.RNNBase, x: Tensor, before: Tensor, state: State) -> dict[str, Tensor]:
    read, remembered = _products(core, x, before)
    into, forget, candidate, output = (read + remembered).chunk(4, dim=-1)
    into, forget, candidate = into.sigmoid(), forget.sigmoid(), candidate.tanh()
    memory = [state[1].to(into.dtype)]
    for kept, written in zip(forget.unbind(1), (into * candidate).unbind(1), strict=True):
        memory.append(kept * memory[-1] + written)
    gates = {"input": into, "forget": forget, "output": output.sigmoid(), "candidate": candidate}
    return {**gates, "memory": torch.stack(memory[1:], dim=1)}


def _look_at_gru(core: nn.RNNBase, x: Tensor, before: Tensor, _: State) -> dict[str, Tensor]:
    read, remembered = _products(core, x, before)
    reset, update, candidate = read.chunk(3, dim=-1)
    of_reset, of_update, of_candidate = remembered.chunk(3, dim=-1)
    reset = (reset + of_reset).sigmoid()
    return {
        "reset": reset,
        "update": (update + of_update).sigmoid(),
        "candidate": (candidate + reset * of_candidate).tanh(),
    }


def lstm(inputs: int, hidden: int) -> FusedLSTM:
    """Long short-term memory, which begins by remembering."""
    core = nn.LSTM(inputs, hidden, batch_first=True)
    _start(core, gates=4)
    cell = FusedLSTM(core, torch.lstm, leaves=2, look=_look_at_lstm)
    cell.begin_to_forget(1.0)
    return cell


def gru(inputs: int, hidden: int) -> FusedCell:
    """Gated recurrent unit, the state reset after the product: n = tanh(W x + b + r ⊙ (U h + b'))."""
    core = nn.GRU(inputs, hidden, batch_first=True)
    _start(core, gates=3)
    return FusedCell(core, torch.gru, leaves=1, look=_look_at_gru)


def rnn_tanh(inputs: int, hidden: int) -> FusedCell:
    """The simple recurrent network (Elman 1990)."""
    core = nn.RNN(inputs, hidden, nonlinearity="tanh", batch_first=True)
    _start(core, gates=1)
    return FusedCell(core, torch.rnn_tanh, leaves=1)


def rnn_relu(inputs: int, hidden: int) -> FusedCell:
    """A simple recurrent network of rectifiers, which begins by copying its state (Le, Jaitly & Hinton 2015)."""
    core = nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
    _start(core, gates=1)
    nn.init.eye_(_weights(core, "weight_hh"))
    return FusedCell(core, torch.rnn_relu, leaves=1)
