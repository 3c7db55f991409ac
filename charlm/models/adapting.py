"""Dynamic evaluation: a network goes on learning from the text that it predicts (Krause et al. 2018, arXiv:1709.07432).

Each segment is predicted first and learned from afterwards, by one step down the gradient of its mean surprise; how
that moves the weights is told in `models/descents.py`. What was learned is a part of the state: the trained weights
stay as they are, rows of a batch learn apart, and an adapting model keeps the laws of every language model. A figure
measured so is called dynamic, never mixed up with a static one.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.models.descents import Stepping
from charlm.models.dropout import without_dropout
from charlm.shapes import Ids, LogProbs, State
from charlm.text.vocab import EOS


class RanAway(ConfigError):
    """Weights that were moved so far that nothing is predicted any more."""


@dataclass
class _Reader:
    """One row while it is read: states have one row, weights belong to nobody else once `own`."""

    state: State
    origin: State  # before the pending tokens
    pending: list[int]  # read, not yet learned from
    weights: list[Tensor]
    own: bool = False
    said: LogProbs | None = None  # of the pending tokens, with the way back to the weights


class Adapting:
    """A network that learns from each segment after it has predicted it.

    State: the network's leaves; the same at the beginning of the segment; `pending` (B, S) int64, the tokens read
    since; `filled` (B,) int64, how many they are; and the weights, one leaf (B, …) for each parameter.

    segment   tokens that are predicted between two steps, S
    controls  how many control tokens the vocabulary has; they are read, and nothing is learned from predicting them
    """

    def __init__(self, network: nn.Module, way: Stepping, *, segment: int, controls: int = 0) -> None:
        self.network = without_dropout(copy.deepcopy(network))
        self.parameters = [each for each in self.network.parameters() if each.requires_grad]
        self.trained = [parameter.detach().clone() for parameter in self.parameters]
        self.way, self.segment = way, segment
        self.silent = range(EOS + 2, EOS + 2 + controls)
        self.vocab_size = self._model.vocab_size
        self.leaves = len(self._model.initial_state(1))

    @property
    def _model(self) -> LanguageModel:
        return cast(LanguageModel, self.network)

    def initial_state(self, batch_size: int) -> State:
        start = tuple(leaf.detach() for leaf in self._model.initial_state(batch_size))
        device = self.trained[0].device
        pending = torch.zeros(batch_size, self.segment, dtype=torch.int64, device=device)
        filled = torch.zeros(batch_size, dtype=torch.int64, device=device)
        weights = (weight[None].expand(batch_size, *weight.shape) for weight in self.trained)
        return (*start, *start, pending, filled, *weights)

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        def read(reader: _Reader, inputs: Ids, _: Ids) -> LogProbs:
            log_probs, reader.state = self._model.step(inputs[:, 0], reader.state)
            return log_probs

        return self._read(ids[:, None], ids[:, None], state, read)

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        def read(reader: _Reader, inputs: Ids, targets: Ids) -> LogProbs:
            log_probs, reader.state = self._model.score(inputs, targets, reader.state)
            if log_probs.requires_grad:
                reader.said = log_probs
            return log_probs.detach()

        return self._read(inputs, targets, state, read, learns=True)

    def tempered(self, inputs: Ids, targets: Ids, state: State, temperature: float) -> tuple[LogProbs, State]:
        """`score` at another temperature; what is learned is what the network would learn without."""
        own = cast(Callable[..., tuple[LogProbs, State]], self.network.tempered)

        def read(reader: _Reader, inputs: Ids, targets: Ids) -> LogProbs:
            log_probs, reader.state = own(inputs, targets, reader.state, temperature)
            return log_probs

        return self._read(inputs, targets, state, read)

    def trace(self, inputs: Ids, state: State, *, gates: bool = True) -> dict[str, Tensor]:
        """The network's hidden vectors with the weights of each moment, {"hidden": (B, T, L, H)}."""
        own = cast(Callable[..., dict[str, Tensor]], self.network.trace)

        def read(reader: _Reader, inputs: Ids, targets: Ids) -> Tensor:
            hidden = own(inputs, reader.state, gates=gates)["hidden"]
            _, reader.state = self._model.score(inputs, targets, reader.state)
            return hidden

        return {"hidden": self._read(inputs, inputs, state, read)[0]}

    def renewed(self, state: State) -> State:
        """Learn from what is pending, closed by `<EOS>`, and begin anew with the weights as they are then."""
        after = []
        for row in range(len(state[0])):
            reader = self._reader(state, row)
            if reader.pending:
                self._learn(reader, EOS)
            reader.state = reader.origin = tuple(leaf.detach() for leaf in self._model.initial_state(1))
            after.append(self._state(reader))
        return _stacked(after)

    # ── one row ─────────────────────────────────────────────────────────────────────────────────

    def _read(
        self,
        inputs: Ids,
        targets: Ids,
        state: State,
        read: Callable[[_Reader, Ids, Ids], Tensor],
        *,
        learns: bool = False,
    ) -> tuple[Tensor, State]:
        """Read row by row and segment by segment, and learn between two segments.

        learns  `read` leaves the way back to the weights in `said` where it is asked to
        """
        found, after = [], []
        for row in range(len(inputs)):
            reader, ids = self._reader(state, row), inputs[row].tolist()
            pieces, place = [], 0
            while place < len(ids):
                if len(reader.pending) == self.segment:
                    self._learn(reader, ids[place])
                end = min(len(ids), place + self.segment - len(reader.pending))
                part = slice(place, end)
                # What is predicted is what will be learned from, so one reading serves both.
                both = learns and not reader.pending and end - place == self.segment and end < len(ids)
                both = both and ids[place + 1 : end + 1] == targets[row, part].tolist()
                self._put(reader.weights)
                with torch.set_grad_enabled(both):
                    pieces.append(read(reader, inputs[row : row + 1, part], targets[row : row + 1, part]))
                reader.state = tuple(leaf.detach() for leaf in reader.state)
                reader.pending += ids[part]
                place = end
            found.append(torch.cat(pieces, dim=1) if pieces else self.trained[0].new_empty(1, 0))
            after.append(self._state(reader))
        return torch.cat(found), _stacked(after)

    def _reader(self, state: State, row: int) -> _Reader:
        leaves = [leaf[row : row + 1] for leaf in state]
        here, origin, (pending, filled) = (
            tuple(leaves[: self.leaves]),
            tuple(leaves[self.leaves : 2 * self.leaves]),
            leaves[2 * self.leaves : 2 * self.leaves + 2],
        )
        weights = [leaf[0] for leaf in leaves[2 * self.leaves + 2 :]]
        return _Reader(here, origin, pending[0, : int(filled)].tolist(), weights)

    def _state(self, reader: _Reader) -> State:
        device = self.trained[0].device
        pending = torch.zeros(1, self.segment, dtype=torch.int64, device=device)
        pending[0, : len(reader.pending)] = torch.tensor(reader.pending, dtype=torch.int64)
        filled = torch.tensor([len(reader.pending)], device=device)
        return (*reader.state, *reader.origin, pending, filled, *(weight[None] for weight in reader.weights))

    def _put(self, weights: Sequence[Tensor]) -> None:
        """Let the network read with these weights."""
        for parameter, weight in zip(self.parameters, weights, strict=True):
            if weight.device.type == "cuda":  # where the layers want to keep theirs in one piece
                parameter.data.copy_(weight)
            else:
                parameter.data = weight

    def _learn(self, reader: _Reader, following: int) -> None:
        """Move the weights by the surprise of the pending tokens, of which `following` is the last target."""
        targets = torch.tensor([[*reader.pending[1:], following]], device=self.trained[0].device)
        log_probs, reader.said = reader.said, None
        with torch.enable_grad():
            if log_probs is None:
                self._put(reader.weights)
                inputs = torch.tensor([reader.pending], device=targets.device)
                log_probs, _ = self._model.score(inputs, targets, reader.origin)
            if self.silent:
                log_probs = log_probs * ((targets < self.silent.start) | (targets >= self.silent.stop))
            # Divided by a whole segment also where it is short, so that a short one moves the weights less.
            nats = -log_probs.sum() / self.segment
            gradient = torch.autograd.grad(nats, self.parameters, allow_unused=True)
        if not bool(nats.isfinite()):
            raise RanAway(
                "dynamic evaluation ran away: the weights were moved so far that nothing is predicted any more",
                hint="a smaller --rate, or let --tune find one",
            )
        if not reader.own:  # what a state holds is never changed
            reader.weights, reader.own = [weight.clone() for weight in reader.weights], True
        self.way.move(reader.weights, gradient, self.trained)
        reader.origin, reader.pending = reader.state, []


def _stacked(rows: Sequence[State]) -> State:
    return rows[0] if len(rows) == 1 else tuple(torch.cat(leaves) for leaves in zip(*rows, strict=True))


def networks_of(model: LanguageModel) -> list[nn.Module]:
    """The networks of which a model is made and that can adapt, in order; none where it only counts."""
    if isinstance(model, nn.Module):
        return [model]
    inside = [*getattr(model, "members", ()), *([model.model] if hasattr(model, "model") else [])]
    return [network for part in inside for network in networks_of(part)] if hasattr(model, "over") else []


def adapting(model: LanguageModel, make: Callable[[nn.Module], LanguageModel]) -> LanguageModel:
    """The same model with what `make` makes of each of its networks, asked in the order of `networks_of`."""
    if isinstance(model, nn.Module):
        return make(model)
    if not networks_of(model):
        return model
    over = cast(Callable[..., LanguageModel], model.over)  # type: ignore[attr-defined]
    if hasattr(model, "members"):
        return over([adapting(member, make) for member in model.members])
    return over(adapting(model.model, make))  # type: ignore[attr-defined]
