"""The rows of a step shared among threads that wait for each other once.

torch shares every operation among its threads, and they spin at the end of each for the one that is still at work: a
thousand times a step. Where another program has taken that one's core away, a step lasts ten times as long. Here each
thread reads rows of its own from beginning to end. Which rows are whose, and in which order the gradients are added,
depends on nothing but the number of threads, so a training can still be repeated and resumed to the last bit; one that
also tries whether torch's own way is faster (`pacing.py`), resumed.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from charlm import memory
from charlm.shapes import State
from charlm.training.batches import Batch

# (surprise, batch, state) -> nats of the targets that count, and the state after them
Pass = Callable[[nn.Module, Batch, State | None], tuple[Tensor, State]]


class Crew:
    """Threads that take a step together.

    surprises  one for each thread: the replicas, wrapped as they are called
    """

    def __init__(self, surprises: Sequence[nn.Module], parameters: Sequence[nn.Parameter], read: Pass) -> None:
        self.surprises, self.parameters, self.read = list(surprises), list(parameters), read
        self.pool = ThreadPoolExecutor(len(self.surprises)) if len(self.surprises) > 1 else None

    def __enter__(self) -> "Crew":
        memory.keep_freed()
        self.threads = torch.get_num_threads()
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self._give_torch(self.threads)

    def map(self, task: Callable[[int], Any], numbers: Iterable[int]) -> Iterable[Any]:
        """`map`, side by side."""
        if self.pool is None:
            return map(task, numbers)
        self._give_torch(self.threads // len(self.surprises))
        return self.pool.map(task, numbers)

    def _give_torch(self, threads: int) -> None:
        """Let torch share an operation among so many threads."""
        if torch.get_num_threads() != max(1, threads):
            torch.set_num_threads(max(1, threads))

    def learn(self, batch: Batch, state: State | None, scale: float, *, alone: bool = False) -> tuple[Tensor, State]:
        """Read a batch and leave the gradient of `scale` times its nats in the parameters.

        alone  by one thread, with torch's own for each operation

        Returns the nats (), and the state after the batch.
        """
        if self.pool is None or alone:
            self._give_torch(self.threads)
            nats, after = self.read(self.surprises[0], batch, state)
            (nats * scale).backward()  # type: ignore[no-untyped-call]
            return nats.detach(), after
        self._give_torch(self.threads // len(self.surprises))
        rows = len(batch.inputs)
        cuts = [rows * number // len(self.surprises) for number in range(len(self.surprises) + 1)]
        shares = [slice(first, last) for first, last in pairwise(cuts) if first < last]
        done = list(self.pool.map(partial(self._pass, batch, state, scale), self.surprises, shares))
        for parameter, *parts in zip(self.parameters, *(gradients for _, _, gradients in done), strict=True):
            found = [part for part in parts if part is not None]
            parameter.grad = sum(found[1:], start=found[0]) if found else None
        after = tuple(torch.cat(leaves) for leaves in zip(*(state for _, state, _ in done), strict=True))
        return torch.stack([nats.double() for nats, _, _ in done]).sum(), after

    def _pass(
        self, batch: Batch, state: State | None, scale: float, surprise: nn.Module, rows: slice
    ) -> tuple[Tensor, State, tuple[Tensor | None, ...]]:
        mine = None if state is None else tuple(leaf[rows] for leaf in state)
        nats, after = self.read(surprise, batch.rows(rows), mine)
        gradients = torch.autograd.grad(nats * scale, self.parameters, allow_unused=True)
        return nats.detach(), after, gradients
