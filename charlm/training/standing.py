"""Where a training stands, in numbers: its place in the text, what it has counted, and what it has reached.

Everything here but what was counted since it was begun or resumed stands in a checkpoint.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from charlm import jsonfiles
from charlm.training.feeding import Where
from charlm.training.journal import ENTRY, Measured
from charlm.training.schedules import Place

# Those that stand in a checkpoint as they are.
COUNTS, NUMBERS = ("stale", "skips", "rollbacks", "sum_tokens"), ("sum_nats", "sum_seconds", "norm", "rate", "reserve")
# What a checkpoint must say besides its tensors, as `jsonfiles.misfit` reads it.
FACTS = {
    "place": jsonfiles.shape_of(Place),
    "measured_at": jsonfiles.shape_of(Place),
    "order": {"*": int},
    "feed?": [jsonfiles.shape_of(Where)],
    "parts?": {"*": str},
    "best": (ENTRY, type(None)),
    "clipped?": int,
    "alone?": (bool, type(None)),
    "paces?": [float],
    "usual?": (float, type(None)),
    **dict.fromkeys(COUNTS, int),
    **dict.fromkeys(NUMBERS, float),
}


@dataclass
class Standing:
    """The numbers of a training.

    place        in the text and in the budget
    measured_at  the place of the last validation
    best         what was measured of the weights that are kept
    stale        validations since then
    skips        steps left out in a row
    rollbacks    returns to the last good state
    sum_nats, sum_tokens, sum_seconds, clipped   of the steps since the last validation; `clipped` had their gradient
                 scaled down
    all_tokens, all_seconds   of the steps since it was begun or resumed
    norm, rate   gradient and learning rate of the last step
    reserve      seconds that the last validation took
    alone        whether one thread takes all rows of a step; None while that is tried
    paces        tokens/s of the steps of the trial so far
    usual        tokens/s soon after the trial
    """

    place: Place = field(default_factory=Place)
    measured_at: Place = field(default_factory=Place)
    best: Measured | None = None
    stale: int = 0
    skips: int = 0
    rollbacks: int = 0
    sum_nats: float = 0.0
    sum_tokens: int = 0
    sum_seconds: float = 0.0
    clipped: int = 0
    all_tokens: int = 0
    all_seconds: float = 0.0
    norm: float = math.nan
    rate: float = 0.0
    reserve: float = 0.0
    alone: bool | None = None
    paces: list[float] = field(default_factory=list)
    usual: float | None = None

    def learned(self, nats: float, tokens: int, *, clipped: bool) -> None:
        """The weights were moved by a step."""
        self.skips = 0
        self.sum_nats, self.sum_tokens = self.sum_nats + nats, self.sum_tokens + tokens
        self.clipped += clipped

    def went_on(self, tokens: int, taken: float, seconds: float, *, done: float | None) -> None:
        """A step is over, whatever became of it.

        taken    seconds of the step
        seconds  of the training so far
        done     share of the epoch that is read; None where the step was of other text
        """
        self.sum_seconds += taken
        self.all_tokens, self.all_seconds = self.all_tokens + tokens, self.all_seconds + taken
        self.place = replace(self.place, step=self.place.step + 1, seconds=seconds)
        if done is not None:
            self.place = replace(self.place, in_epoch=self.place.in_epoch + 1, done=done)

    def next_epoch(self) -> None:
        """The text was read to its end."""
        self.place = replace(self.place, epoch=self.place.epoch + 1, in_epoch=0, done=0.0)

    def was_measured(self, measured: Measured, seconds: float) -> None:
        """Count from here: a validation was made, `seconds` after the beginning."""
        self.stale = 0 if measured.is_best else self.stale + 1
        self.sum_nats, self.sum_tokens, self.sum_seconds, self.clipped = 0.0, 0, 0.0, 0
        self.place = self.measured_at = replace(self.place, seconds=seconds)

    def is_better(self, nats: float) -> bool:
        """Whether this is less than the best so far."""
        return self.best is None or self.best.valid_nats is None or nats < self.best.valid_nats

    @property
    def speed(self) -> float:
        """Tokens per second since the last validation."""
        return self.sum_tokens / self.sum_seconds if self.sum_seconds else 0.0

    @property
    def measured(self) -> Measured:
        """What is known now, without looking at the validation text."""
        epoch = self.place.epoch + self.place.done
        return Measured(
            step=self.place.step,
            epoch=round(epoch, 4),
            seconds=round(self.place.seconds, 1),
            learning_rate=self.rate,
            train_nats=self.sum_nats / self.sum_tokens if self.sum_tokens else None,
            tokens_per_second=round(self.speed) if self.sum_seconds else None,
            gradient_norm=self.norm if math.isfinite(self.norm) else None,
            clipped=self.clipped / steps if (steps := self.place.step - self.measured_at.step) > 0 else None,
        )

    def facts(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {
            "place": asdict(self.place),
            "measured_at": asdict(self.measured_at),
            "best": asdict(self.best) if self.best else None,
            "clipped": self.clipped,
            "alone": self.alone,
            "paces": list(self.paces),
            "usual": self.usual,
            **{name: getattr(self, name) for name in COUNTS + NUMBERS},
        }

    def take_up(self, facts: Mapping[str, Any]) -> None:
        """Go back to what `facts` gave, which fit FACTS."""
        self.place, self.measured_at = Place(**facts["place"]), Place(**facts["measured_at"])
        self.best = Measured(**facts["best"]) if facts["best"] else None
        for name in COUNTS + NUMBERS:
            setattr(self, name, facts[name])
        # Which checkpoints of older versions do not have.
        self.clipped = facts.get("clipped", 0)
        self.alone, self.paces = facts.get("alone"), list(facts.get("paces", []))
        self.usual = facts.get("usual")
