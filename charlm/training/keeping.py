"""What of a training is kept: its best weights, and all that it needs to go on as if it had never stopped.

A checkpoint has the weights, the optimizer, the random numbers, the hidden state, the place in the text and the figures
so far. One that does not fit is told apart from one that is not there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from charlm import jsonfiles
from charlm.errors import TrainingError
from charlm.training.feeding import Feed
from charlm.training.journal import Checkpoint, Journal, Measured, Notice, OnEvent
from charlm.training.learner import FIRST_KINDS, Learner, broken, own_tensors
from charlm.training.ranks import Ranks
from charlm.training.standing import FACTS, Standing


class NotFiniteError(Exception):
    """Weights, loss or gradient that are no numbers any more; carries the cause."""


@dataclass
class Keeper:
    """What of one training is handed to its journal, and taken up from there.

    order  what decides which batch comes next: a checkpoint's place means nothing without it
    """

    learner: Learner
    feed: Feed
    now: Standing
    order: Mapping[str, int]
    ranks: Ranks
    journal: Journal
    report: OnEvent

    def keep(self, measured: Measured) -> None:
        """The weights as they are, for use."""
        with self.learner.averaged():
            self.journal.keep(self.weights(), measured)
        self.now.best = measured

    def weights(self) -> dict[str, Tensor]:
        """The weights on the CPU; raises NotFiniteError rather than give broken ones."""
        weights = self.learner.weights()
        if (name := broken(weights)) is not None:
            raise NotFiniteError(f"the weights {name} are not finite at step {self.now.place.step}")
        return weights

    def save(self) -> None:
        """Hand the journal everything that `restore` needs."""
        self.weights()
        facts: dict[str, Any] = {
            **self.now.facts(),
            "order": self.order,
            "feed": self.feed.where(),
            "parts": self.learner.kinds(),
        }
        mine = self.learner.tensors()
        others = self.ranks.gather({name: mine[name] for name in self.learner.own(mine)})[1:]
        own = {f"ranks/{rank}/{name}": held for rank, each in enumerate(others, 1) for name, held in each.items()}
        self.journal.save(Checkpoint(mine | own, facts))

    def restore(self) -> bool:
        """Take up the journal's checkpoint; False where there is none, TrainingError where it does not fit."""
        checkpoint = self.ranks.of_first(self.journal.restore)
        if checkpoint is None:
            return False
        try:
            self._take_up(checkpoint)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise TrainingError(
                f"the checkpoint does not fit this training: {first_line(error)}",
                hint="was its configuration edited? restore it, or begin anew from the weights: --init-from",
            ) from error
        return True

    def _take_up(self, checkpoint: Checkpoint) -> None:
        if wrong := jsonfiles.misfit(FACTS, checkpoint.facts):
            raise ValueError(wrong)
        if checkpoint.facts["order"] != self.order:
            raise ValueError(f"it reads the text by {checkpoint.facts['order']}, not by {self.order}")
        tensors = own_tensors(checkpoint.tensors, self.ranks)
        if not self.learner.take_up(tensors, checkpoint.facts.get("parts", FIRST_KINDS)):
            self.report(Notice("another kind of device than before: dropout draws new random numbers"))
        self.feed.go_to(checkpoint.facts.get("feed", []))
        self.now.take_up(checkpoint.facts)


def first_line(error: BaseException) -> str:
    """What an error says, short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
