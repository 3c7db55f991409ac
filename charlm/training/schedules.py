"""How far a training has come, and the learning rate that belongs there.

Both are pure: a budget of epochs, steps or minutes becomes a share of the work that is done, and the
learning rate is a function of that share alone. So one schedule fits every budget, and a resumed training
goes on where it was.
"""

import math
from dataclasses import dataclass
from typing import Literal

from charlm.config.training import TrainingConfig


@dataclass(frozen=True)
class Place:
    """Where a training stands.

    step      optimizer steps taken
    epoch     passes over the text begun, from 0
    in_epoch  steps taken within this epoch
    done      share of this epoch that is over
    seconds   time spent so far, validations included
    """

    step: int = 0
    epoch: int = 0
    in_epoch: int = 0
    done: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """How much work there is to do."""

    unit: Literal["epochs", "steps", "minutes"]
    amount: float

    @classmethod
    def of(cls, config: TrainingConfig) -> "Budget":
        """The one budget that a config gives; ten epochs where it gives none."""
        if config.steps is not None:
            return cls("steps", config.steps)
        if config.minutes is not None:
            return cls("minutes", config.minutes)
        return cls("epochs", 10.0 if config.epochs is None else config.epochs)

    def share(self, place: Place, reserve: float = 0.0) -> float:
        """The share of the budget that is used up, at most 1.

        reserve  seconds of a budget in minutes that the last validation will need
        """
        match self.unit:
            case "steps":
                used = place.step / self.amount
            case "epochs":
                used = (place.epoch + place.done) / self.amount
            case "minutes":
                used = place.seconds / max(self.amount * 60 - reserve, 1e-9)
        # The division may fall short of 1 by a rounding; the last step must be the last.
        return 1.0 if used > 1 - 1e-9 else used

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


def learning_rate(share: float, config: TrainingConfig) -> float:
    """A linear rise, then half a cosine down to a small rest (Loshchilov & Hutter 2017).

    share  of the budget used, 0 to 1  ->  learning rate
    """
    if share < config.warmup:
        # From a hundredth of the top on, so that the first step is not wasted.
        return config.learning_rate * (0.01 + 0.99 * share / config.warmup)
    along = (share - config.warmup) / (1 - config.warmup)
    height = 0.5 * (1 + math.cos(math.pi * min(along, 1.0)))
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * height)
