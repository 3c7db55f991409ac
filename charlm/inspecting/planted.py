"""Tasks with a planted long-distance dependency, and how a cell learns them.

    copy      c a b b d c a ?  →  the first symbol again; the others are of the same kinds
    brackets  { b ( ) c [ ] a  →  the bracket that closes the first one; pairs between them distract

The lag k is the number of steps between the token that decides and the last one that is read. All else is noise, so
that whoever forgets the token can only guess (after Hochreiter & Schmidhuber 1997, §5, and Bengio et al. 1994, §II).
Every step of a training has a lag of its own, drawn evenly by its logarithm: near ones open the way for far ones.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from charlm.choices import Choices
from charlm.config.networks import RecurrentConfig
from charlm.models.recurrent import Recurrent
from charlm.shapes import Ids

LAGS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 350, 500)  # at which accuracy is measured
KINDS = 32  # of what must be remembered: so many that no few units can tell them apart by their signs
NOISE = 4  # kinds of tokens between brackets that mean nothing
MEASURED = 256  # sequences for each lag
PASSED = 0.9  # the accuracy from which on a lag counts as learned
RATE, ROWS, CLIP = 3e-3, 32, 1.0
PAIRS = 0.3  # share of the noise of `brackets` that is pairs


@dataclass(frozen=True)
class Task:
    """A generator of sequences: draw(lag, rows, generator) -> inputs (B, lag + 1), targets (B,), ids below `size`."""

    size: int
    draw: Callable[[int, int, torch.Generator], tuple[Ids, Ids]]


def _copy(lag: int, rows: int, generator: torch.Generator) -> tuple[Ids, Ids]:
    symbols = torch.randint(KINDS, (rows, lag), generator=generator)
    return torch.cat([symbols, torch.full((rows, 1), KINDS)], dim=1), symbols[:, 0]


def _brackets(lag: int, rows: int, generator: torch.Generator) -> tuple[Ids, Ids]:
    opened = torch.randint(KINDS, (rows, 1), generator=generator)
    noise = torch.randint(2 * KINDS, 2 * KINDS + NOISE, (rows, lag), generator=generator)
    paired = torch.rand(rows, lag // 2, generator=generator) < PAIRS
    kinds = torch.randint(KINDS, (rows, lag // 2), generator=generator)
    for offset, kind in ((0, kinds), (1, kinds + KINDS)):
        places = noise[:, offset : 2 * (lag // 2) : 2]
        places.copy_(torch.where(paired, kind, places))
    return torch.cat([opened, noise], dim=1), opened[:, 0] + KINDS


TASKS: Choices[Task] = Choices("task", {"copy": Task(KINDS + 1, _copy), "brackets": Task(2 * KINDS + NOISE, _brackets)})


@dataclass(frozen=True)
class Learned:
    """What a cell made of a task.

    curves   after each of `steps` the accuracy at each of `lags`
    clipped  share of the steps whose gradient was scaled down
    """

    cell: str
    seed: int
    lags: tuple[int, ...]
    steps: list[int]
    curves: list[list[float]]
    clipped: float

    @property
    def reach(self) -> int:
        """The largest lag up to which every measured one has an accuracy of 0.9 in the end; 0 where none has."""
        return self.reaches[-1]

    @property
    def reaches(self) -> list[int]:
        """The same after each of `steps`."""
        learned = (len([*takewhile(lambda accuracy: accuracy >= PASSED, curve)]) for curve in self.curves)
        return [self.lags[count - 1] if count else 0 for count in learned]

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "cell": self.cell,
            "seed": self.seed,
            "reach": self.reach,
            "clipped": self.clipped,
            "lags": list(self.lags),
            "steps": self.steps,
            "accuracy": self.curves,
        }


def lags_up_to(longest: int) -> tuple[int, ...]:
    """The measured lags of a task whose longest one this is."""
    return (*(lag for lag in LAGS if lag < longest), longest)


def learn(
    task: str,
    cell: str,
    *,
    longest: int,
    steps: int,
    hidden: int = 32,
    seed: int = 1,
    measurements: int = 5,
    report: Callable[[int], None] | None = None,
) -> Learned:
    """Train one layer of a cell on a task, by Adam on the last token alone, and measure it on the way.

    report  is told of every step
    """
    planted, lags = TASKS[task], lags_up_to(longest)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = RecurrentConfig(cell=cell, layers=1, hidden=hidden, embedding=hidden // 2, tied=False, dropout=0.0)
        network = Recurrent(config, planted.size)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    draw = torch.Generator().manual_seed(seed)
    ends = [math.ceil(steps * part / measurements) for part in range(1, measurements + 1)]
    curves, clipped = [], 0
    for step in range(1, steps + 1):
        lag = round(math.exp(float(torch.rand((), generator=draw)) * math.log(longest)))
        loss = nn.functional.nll_loss(*_answer(network, *planted.draw(lag, ROWS, draw)))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clipped += int(nn.utils.clip_grad_norm_(network.parameters(), CLIP) > CLIP)
        optimizer.step()
        if report is not None:
            report(1)
        if step in ends:  # of few steps several ends may be one
            curves += [accuracies(network, planted, lags, seed)] * ends.count(step)
    return Learned(cell, seed, lags, ends, curves, clipped / steps)


def _answer(network: Recurrent, inputs: Ids, targets: Ids) -> tuple[Tensor, Ids]:
    vectors, _ = network.read(inputs, network.initial_state(len(inputs)))
    return network.log_probs(vectors[:, -1]), targets


@torch.no_grad()
def accuracies(network: Recurrent, task: Task, lags: Sequence[int], seed: int) -> list[float]:
    """The share of right answers at each lag, on the same sequences each time."""
    found = []
    for lag in lags:
        said, targets = _answer(network, *task.draw(lag, MEASURED, torch.Generator().manual_seed(10_000 + seed)))
        found.append(float((said.argmax(1) == targets).double().mean()))
    return found
