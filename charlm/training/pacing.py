"""Which of two ways takes a step faster, on this machine and as busy as it is.

Together, the threads of the crew read rows of their own, each with one core (`crew.py`). Alone, one thread reads all
rows and torch shares every operation among the cores. Alone is faster on an idle processor whose units want many rows:
each operation reads the weights once, and not once for each thread. Together is faster beside other programs, for which
torch's threads wait a thousand times a step. So the first steps try both in turn, and others do so again when the speed
has changed much. Both compute the same sums in another order, and draw other dropout masks. What was found stands in
checkpoints, so a training that is resumed takes its steps as it would have, unless the machine is another or busier.
"""

from dataclasses import dataclass, field
from statistics import median

from charlm.training.standing import Standing

STEPS = 8  # of a trial, both ways in turn; the first of each warms up, and does not count
FASTER = 1.15  # by so much alone must win: where the ways are near each other, a repeated training shall take the same
WATCHED = 20.0  # seconds of steps whose speed is compared
CHANGED = 1.6  # times as fast or as slow, for which both ways are tried again


@dataclass
class Pacing:
    """How the steps of one training are taken.

    now    keeps what was found, so that a training that is resumed goes on in the same way, as long as it is as fast
    tries  whether there are two ways at all
    """

    now: Standing
    tries: bool
    tokens: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)

    @property
    def alone(self) -> bool:
        """Whether the next step is taken by one thread."""
        if not self.tries:
            return False
        return len(self.now.paces) % 2 == 1 if self.now.alone is None else self.now.alone

    def took(self, tokens: int, seconds: float) -> None:
        """A step is over."""
        if not self.tries:
            return
        if self.now.alone is not None:
            self._watch(tokens, seconds)
            return
        self.now.paces.append(tokens / max(seconds, 1e-9))
        if len(self.now.paces) == STEPS:
            together, alone = self.now.paces[2::2], self.now.paces[3::2]
            self.now.alone, self.now.paces = median(alone) > FASTER * median(together), []
            self.now.usual, self.tokens, self.seconds = None, 0, 0.0

    def _watch(self, tokens: int, seconds: float) -> None:
        """Try again if the speed is another than it was after the last trial."""
        self.tokens, self.seconds = self.tokens + tokens, self.seconds + seconds
        if self.seconds < WATCHED:
            return
        speed, self.tokens, self.seconds = self.tokens / self.seconds, 0, 0.0
        if self.now.usual is None:
            self.now.usual = speed
        elif not 1 / CHANGED < speed / self.now.usual < CHANGED:
            self.now.alone = None
