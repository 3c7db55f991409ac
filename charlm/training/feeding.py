"""Which text the next step reads: the one that is learned, and at first other text of its kind as well.

Other text is read in steps between those of the text itself: for each of them as many as its weight says, at the
beginning; the number falls in a straight line and is none from `ANNEALED` of the budget on. So the end, where the
learning rate is low, belongs to the text that counts, and the beginning to all there is (as MiniCPM mixes texts while
its rate decays, Hu et al. 2024).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from charlm.training.batches import Batch

ANNEALED = 0.8  # share of the budget


class Steps(Protocol):
    """A corpus as steps: a pure function of the epoch."""

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The steps of one epoch, the first `skip` left out."""


@dataclass
class _Other:
    """Other text, and how far it was read.

    owed  steps that it has coming
    """

    source: Steps
    weight: float
    epoch: int = 0
    in_epoch: int = 0
    owed: float = 0.0
    ahead: Batch | None = None
    rest: Iterator[Batch] | None = None

    def look(self) -> Batch:
        """The next batch, which is still to be taken."""
        while self.ahead is None:
            if self.rest is None:
                self.rest = self.source.batches(self.epoch, skip=self.in_epoch)
            self.ahead = next(self.rest, None)
            if self.ahead is None:
                self.epoch, self.in_epoch, self.rest = self.epoch + 1, 0, None
        return self.ahead

    def take(self) -> Batch:
        batch = self.look()
        self.ahead, self.in_epoch = None, self.in_epoch + 1
        return batch

    @property
    def goes_on(self) -> bool:
        """Whether the next batch belongs to documents that were begun."""
        return self.in_epoch > 0 and not self.look().fresh


@dataclass(frozen=True)
class Where:
    """How far one other text was read: what a checkpoint says of it."""

    epoch: int
    in_epoch: int
    owed: float


class Feed:
    """The batches of a training in their order; each with whether it is of the text itself.

    others  sources of other text, each with the steps of it for each step of the text, at the beginning
    """

    def __init__(self, source: Steps, others: Sequence[tuple[Steps, float]]) -> None:
        self.source, self.others = source, [_Other(other, weight) for other, weight in others]

    def batches(self, epoch: int, skip: int, share: Callable[[], float]) -> Iterator[tuple[bool, Batch]]:
        """The rest of one epoch of the text, with what is read between.

        share  of the budget that is used up, asked before each step
        """
        for batch in self.source.batches(epoch, skip):
            for other in self.others if batch.fresh else ():
                while other.owed >= 1 or other.goes_on:
                    other.owed -= 1
                    yield False, other.take()
            left = max(0.0, 1 - share() / ANNEALED)
            for other in self.others:
                other.owed += other.weight * left
            yield True, batch

    def where(self) -> list[dict[str, Any]]:
        """How far other text was read."""
        return [asdict(Where(other.epoch, other.in_epoch, other.owed)) for other in self.others]

    def go_to(self, places: Sequence[dict[str, Any]]) -> None:
        """Go on where `where` was; raises ValueError for another number of texts."""
        if len(places) != len(self.others):
            raise ValueError(f"it reads {len(places)} other texts, not {len(self.others)}")
        for other, place in zip(self.others, places, strict=True):
            other.epoch, other.in_epoch, other.owed = place["epoch"], place["in_epoch"], place["owed"]
            other.ahead = other.rest = None
