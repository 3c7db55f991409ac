"""Networks whose memory is not learned: the last tokens, or their own former outputs, held in a delay line.

    h_t = tanh(W [x_t, x_{t-1}, …] + U m_t + b)         and further such layers above it

`Window` has no m: it answers to the last N tokens and to nothing before them, a finite response. In `Jordan` and `Narx`
m holds former outputs. An output is a distribution over the vocabulary; it enters as the expected embedding

    y_t = Σ_v P_t(v) e_v

so that what is heard is what was said, whatever came after it in the text.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from charlm.config.networks import JordanConfig, NarxConfig, NetworkConfig, WindowConfig
from charlm.models.network import Network
from charlm.shapes import Ids, LogProbs, State

NOTHING = -1  # in a delay line of tokens: the text has not begun yet


class _Layers(Network):
    """Layers of tanh over the last `taps` tokens, and over a memory of width `remembered` if there is one."""

    def __init__(self, config: NetworkConfig, vocab_size: int, *, taps: int, remembered: int) -> None:
        super().__init__(config, vocab_size)
        self.taps = taps
        self.first = nn.Linear(taps * config.embedding, config.hidden)
        self.memory = nn.Linear(remembered, config.hidden, bias=False) if remembered else None
        self.others = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in range(config.layers - 1))
        self.finish(config, config.hidden)
        for layer in (self.first, *self.others):
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def empty(self, batch_size: int) -> State:
        """The delay line of tokens (B, taps - 1), newest last, before anything was read; no leaf for a single tap."""
        line = torch.full((batch_size, self.taps - 1), NOTHING, device=self.bias.device)
        return (line,) if self.taps > 1 else ()

    def delayed(self, inputs: Ids, line: State) -> tuple[Tensor, State]:
        """What the first layer is given by tokens: inputs (B, T)  ->  (B, T, H), the line after them

        Where the text had not begun yet, a tap gives nothing.
        """
        ids = torch.cat([*line, inputs], dim=1)
        x = self.dropout(self.embed(ids.clamp(min=0)).masked_fill((ids == NOTHING)[..., None], 0.0))
        seen = x.unfold(1, self.taps, 1).transpose(2, 3).flatten(2)  # (B, T, taps × E)
        found: Tensor = self.first(seen)
        return found, tuple(ids[:, -leaf.shape[1] :] for leaf in line)

    def above(self, a: Tensor, masks: list[Tensor]) -> list[Tensor]:
        """What the first layer was given (B, T, H)  ->  the hidden vectors of every layer, as others read them"""
        hidden = [torch.tanh(a) * masks[0]]
        for layer, mask in zip(self.others, masks[1:], strict=True):
            hidden.append(torch.tanh(layer(hidden[-1])) * mask)
        return hidden

    def masks(self, a: Tensor) -> list[Tensor]:
        """The units that are left of each layer through this window (B, 1, H)."""
        return [self.dropout(torch.ones_like(a[:, :1])) for _ in range(1 + len(self.others))]


class Window(_Layers):
    """The neural probabilistic language model (Bengio et al. 2003), a time-delay network.

    It is the one without the direct connections from the token vectors to the output, which are optional there.
    State: `(line,)`, (B, taps - 1) int64, the tokens before the next one, newest last; with one tap a leaf (B, 0).
    """

    def __init__(self, config: WindowConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, taps=config.taps, remembered=0)
        self.config = config

    def initial_state(self, batch_size: int) -> State:
        return self.empty(batch_size) or (self.bias.new_zeros(batch_size, 0),)

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        a, line = self.delayed(inputs, state if self.taps > 1 else ())
        return self.narrowed(self.above(a, self.masks(a))[-1]), line or state

    def trace(self, inputs: Ids, state: State, *, gates: bool = True) -> dict[str, Tensor]:  # noqa: ARG002 (a protocol's)
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}; there are no gates."""
        a, _ = self.delayed(inputs, state if self.taps > 1 else ())
        return {"hidden": torch.stack(self.above(a, self.masks(a)), dim=2)}


class _Hearing(_Layers):
    """A network that hears its own outputs. A subclass says what it keeps of them."""

    @abstractmethod
    def heard(self, memory: State) -> Tensor:
        """What the first layer is given: leaves (B, …)  ->  (B, remembered)"""

    @abstractmethod
    def kept(self, memory: State, output: Tensor) -> State:
        """The memory after one more output (B, E)."""

    def _walk(self, inputs: Ids, state: State) -> tuple[list[LogProbs], list[Tensor], State]:
        """The distributions (B, V) and hidden vectors (B, L, H) at each position, and the state after the last."""
        lines = 1 if self.taps > 1 else 0
        a, line = self.delayed(inputs, state[:lines])
        memory, said, hidden = state[lines:], [], []
        assert self.memory is not None
        masks = self.masks(a)
        for tokens in a.unbind(1):
            layers = self.above((tokens + self.memory(self.heard(memory)))[:, None], masks)
            log_probs = self.log_probs(self.narrowed(layers[-1])[:, 0])
            output = (log_probs.exp().to(self.embedding.weight.dtype) @ self.embedding.weight) * self.input_scale
            memory = self.kept(memory, output)
            said.append(log_probs)
            hidden.append(torch.cat(layers, dim=1))
        return said, hidden, (*line, *memory)

    def read(self, inputs: Ids, state: State) -> tuple[Tensor, State]:
        _, hidden, after = self._walk(inputs, state)
        return self.narrowed(torch.stack([layers[:, -1] for layers in hidden], dim=1)), after

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        said, _, after = self._walk(ids[:, None], state)
        return said[0], after

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        said, _, after = self._walk(inputs, state)
        found = [log_probs.gather(1, ids[:, None]) for log_probs, ids in zip(said, targets.unbind(1), strict=True)]
        return torch.cat(found, dim=1), after

    def branch(
        self, ids: Ids, state: State, parents: Ids, targets: Ids, *, temperature: float = 1.0
    ) -> tuple[LogProbs, State]:
        every, after = self.step(ids, state)
        said = every if temperature == 1 else torch.log_softmax(every / temperature, dim=-1)
        return said[parents, targets], after

    def trace(self, inputs: Ids, state: State, *, gates: bool = True) -> dict[str, Tensor]:  # noqa: ARG002 (a protocol's)
        """The hidden vectors of every layer, {"hidden": (B, T, L, H)}; there are no gates."""
        return {"hidden": torch.stack(self._walk(inputs, state)[1], dim=1)}


class Jordan(_Hearing):
    """A network whose memory is the mean of all its former outputs; nothing in that is learned (Jordan 1986).

    Jordan's own is a decaying sum of them; the mean forgets nothing and weighs all alike.
    State: `(mean, count)`, (B, E) and (B, 1).
    """

    def __init__(self, config: JordanConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, taps=1, remembered=config.embedding)
        self.config = config

    def initial_state(self, batch_size: int) -> State:
        zeros = self.bias.new_zeros
        return zeros(batch_size, self.config.embedding), zeros(batch_size, 1)

    def heard(self, memory: State) -> Tensor:
        return memory[0]

    def kept(self, memory: State, output: Tensor) -> State:
        mean, count = memory[0], memory[1] + 1
        return mean + (output - mean) / count, count


class Narx(_Hearing):
    """A nonlinear autoregressive network with exogenous inputs (Lin et al. 1996): the last outputs and inputs.

    State: `(line, outputs)`, (B, taps - 1) int64 and (B, output taps, E), newest last; with one tap the outputs alone.
    """

    def __init__(self, config: NarxConfig, vocab_size: int) -> None:
        remembered = config.output_taps * config.embedding
        super().__init__(config, vocab_size, taps=config.taps, remembered=remembered)
        self.config = config

    def initial_state(self, batch_size: int) -> State:
        outputs = self.bias.new_zeros(batch_size, self.config.output_taps, self.config.embedding)
        return (*self.empty(batch_size), outputs)

    def heard(self, memory: State) -> Tensor:
        return memory[0].flatten(1)

    def kept(self, memory: State, output: Tensor) -> State:
        return (torch.cat([memory[0][:, 1:], output[:, None]], dim=1),)
