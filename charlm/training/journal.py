"""What a training tells the world, and what it asks to be kept.

A Journal keeps checkpoints, the best weights and the history; `runs/journal.py` implements it with a run directory,
`MemoryJournal` in memory alone. An OnEvent is told what happens, for whoever watches. So the loop knows neither files
nor terminals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from charlm import jsonfiles
from charlm.tensorfiles import Rows
from charlm.training.schedules import Place

Weights: TypeAlias = Mapping[str, Tensor] | Mapping[str, Rows]  # tensors, or long arrays that are written in blocks


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is needed to go on as if nothing had happened.

    tensors  weights/…, state/…, generator, and those of each part, such as optimizer/…: on the CPU
    facts    JSON: the place, the best so far, the kinds of the parts, counters
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Figures(Protocol):
    """What a measure of the validation text tells: a Score, or a PseudoScore, which has no bits per character."""

    @property
    def nats(self) -> float:
        """Total surprise."""

    @property
    def tokens(self) -> int:
        """Targets that it is the surprise of."""

    @property
    def bits_per_char(self) -> float | None:
        """The same in bits for each character."""


@dataclass(frozen=True)
class Measured:
    """One validation. nats and bits are None where there is no validation text, and infinite where it is impossible.

    clipped  share of the steps since the one before whose gradient was scaled down; runs of older versions do not tell
    The nats of a cloze model are those of the pseudo-likelihood; it has no bits.
    """

    step: int
    epoch: float
    seconds: float
    learning_rate: float
    train_nats: float | None
    valid_nats: float | None = None
    valid_bits_per_char: float | None = None
    tokens_per_second: float | None = None
    gradient_norm: float | None = None
    is_best: bool = False
    clipped: float | None = None

    @classmethod
    def of_one_pass(cls, score: Figures | None = None, *, seconds: float = 0.0) -> "Measured":
        """What is known of a model that was made in one pass, and how it did on a validation text if there was one."""
        once = cls(step=1, epoch=1.0, seconds=seconds, learning_rate=0.0, train_nats=None)
        if score is None:
            return once
        return replace(
            once, valid_nats=score.nats / score.tokens, valid_bits_per_char=score.bits_per_char, is_best=True
        )


# What a Measured that was written down must say, as `jsonfiles.misfit` reads it.
ENTRY = {f"{name}{'?' * (name == 'clipped')}": kind for name, kind in jsonfiles.shape_of(Measured).items()}


class Journal(Protocol):
    """Keeps what a training must not lose."""

    def restore(self) -> Checkpoint | None:
        """The last checkpoint, or None where there is none yet."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint in place of the one before."""

    def keep(self, weights: Weights, measured: Measured) -> None:
        """Keep these weights as the model."""

    def record(self, measured: Measured) -> None:
        """Add a line to the history."""

    def stop_signal(self) -> int | None:
        """The signal that asks the training to stop, if one came."""


@dataclass(frozen=True)
class Progress:
    """One step is over."""

    place: Place
    share: float
    loss: float
    tokens_per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class Notice:
    """Something that a watcher should know."""

    message: str


Event: TypeAlias = Progress | Measured | Notice
OnEvent: TypeAlias = Callable[[Event], None]  # whoever watches


@dataclass
class MemoryJournal:
    """A Journal that keeps everything in memory: for trials and tests."""

    checkpoint: Checkpoint | None = None
    weights: Weights | None = None
    history: list[Measured] = field(default_factory=list)
    signal: int | None = None

    def restore(self) -> Checkpoint | None:
        return self.checkpoint

    def save(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def keep(self, weights: Weights, measured: Measured) -> None:  # noqa: ARG002 (a protocol's)
        self.weights = weights

    def record(self, measured: Measured) -> None:
        self.history.append(measured)

    def stop_signal(self) -> int | None:
        return self.signal


@dataclass(frozen=True)
class Listening:
    """The Journal of a rank that keeps nothing, since the first one does; it only hears who asks to stop."""

    stop_signal: Callable[[], int | None]

    def restore(self) -> Checkpoint | None:
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Not here."""

    def keep(self, weights: Weights, measured: Measured) -> None:
        """Not here."""

    def record(self, measured: Measured) -> None:
        """Not here."""
