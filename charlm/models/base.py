"""What a language model is: three methods over a state that can be held in the hand."""

from typing import NamedTuple, Protocol, cast

import torch

from charlm.shapes import Ids, LogProbs, State


class Product(NamedTuple):
    """A matrix product of a training step's way forward: (rows, inner) times (inner, columns), so many times."""

    rows: int
    inner: int
    columns: int
    times: float = 1


class LanguageModel(Protocol):
    """A distribution over the next token, given everything read so far.

    "Everything read so far" is a State: a flat tuple of tensors, batch first, never changed in place.
    Keep one, copy one, pick rows from one. A text begins by reading `<EOS>`.

    More methods are asked for where they exist, never by type: `loss(inputs, targets, state) -> (nats, State)` where
    training minimises something else than minus `score`, `at(share)` where it changes on the way (told before each step
    how much of the budget is used up), `hidden_matrices() -> [(parameter, gates)]` for Muon, `trace(inputs, state,
    gates=True) -> {name: Tensor (B, T, L, H)}` for hidden states, layer by layer, and gates, `tempered(inputs, targets,
    state, temperature)` for `score` at another temperature, `renewed(state)` where something of one document serves the
    next, `branch(ids, state, parents, targets)` where reading is dear and several successors of a context cost little
    more than one (see `branch` below), `read(inputs, state) -> (vectors, State)` where reading is cheaper than saying
    what comes next, and `over(model)` or `over(members)` where it is made of others.
    What learns by gradient may offer `products(rows, window) -> [Product]`, and `small()`, a network like it to try.
    """

    vocab_size: int

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""

    def step(self, ids: Ids, state: State) -> tuple[LogProbs, State]:
        """Read one token per row; say what comes next.

        ids (B,)  ->  log_probs (B, V), nats, and the state after `ids`
        """

    def score(self, inputs: Ids, targets: Ids, state: State) -> tuple[LogProbs, State]:
        """Read `inputs`; say how likely each of `targets` was.

        inputs, targets (B, T)  ->  log_probs (B, T), nats, and the state after `inputs`
        """


def pick(state: State, rows: torch.Tensor) -> State:
    """The state of some rows: rows (N,) int64 or bool (B,)."""
    return tuple(leaf[rows] for leaf in state)


def detach(state: State) -> State:
    """The same state, from which no gradient travels back: the truncation of back-propagation through time."""
    return tuple(leaf.detach() for leaf in state)


def branch(model: LanguageModel, ids: Ids, state: State, parents: Ids, targets: Ids) -> tuple[LogProbs, State]:
    """Read one token per row; say how likely each of some successors of the rows is.

    ids (B,), parents (C,) rows, ascending and each of them at least once, targets (C,)
    ->  log_probs (C,), nats, of target c after row parents[c], and the state after `ids` (B)

    A model that offers a method of this name reads each row once. Any other is asked for its `score`, a row for each
    successor.
    """
    own = getattr(model, "branch", None)
    if own is not None:
        return cast(tuple[LogProbs, State], own(ids, state, parents, targets))
    log_probs, after = model.score(ids[parents, None], targets[:, None], pick(state, parents))
    return log_probs[:, 0], pick(after, torch.searchsorted(parents, torch.arange(len(ids), device=parents.device)))


def renewed(model: LanguageModel, state: State) -> State:
    """The state in which a model begins the next document, when `<EOS>` has closed the one before.

    It is the initial one, except that a model which adapts to what it reads keeps what it has learned.
    """
    own = getattr(model, "renewed", None)
    if own is not None:
        return cast(State, own(state))
    return model.initial_state(len(state[0]) if state else 1)


def rounding_of(model: object) -> str | None:
    """Why the probabilities of a model, or of something in it, add to one only nearly; None where they add exactly.

    A model whose own do not says why: its `rounding`.
    """
    inside = [*getattr(model, "members", ()), getattr(model, "model", None)]
    found = [getattr(model, "rounding", None), *(rounding_of(part) for part in inside if part is not None)]
    return next((reason for reason in found if reason), None)


def device_of(state: State) -> torch.device:
    """Where a state lives, and so where its model's input belongs."""
    return state[0].device if state else torch.device("cpu")


def to_device(model: LanguageModel, device: torch.device) -> None:
    """Move the weights of a model, and of what it is made of; what counts stays where it is."""
    if isinstance(model, torch.nn.Module):
        model.to(device)
    for part in (*getattr(model, "members", ()), getattr(model, "model", None)):
        if part is not None and not isinstance(model, torch.nn.Module):
            to_device(part, device)
