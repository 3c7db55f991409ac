"""Several processes that train one model together, each on its share of the rows of every step.

`torchrun --nproc-per-node N -m -- charlm train …` starts them. Each holds the whole model; gradients are averaged while
they come (Li et al. 2020, `DistributedDataParallel`). Whatever decides the course of a training must be the same in
all: losses are summed over the ranks, and clocks, signals and checkpoints are those of the first.
"""

import contextlib
import gc
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn

from charlm.errors import ConfigError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One process's place among those that train together; this one trains alone, and everything is the identity."""

    rank: int = 0
    ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.rank == 0

    def wrap(self, module: nn.Module, *, partly: bool = False) -> nn.Module:  # noqa: ARG002 (for those that are several)
        """What is called in place of `module`; nothing else of a model is, while it learns.

        partly  some parameters take no part in some calls
        """
        return module

    def total(self, number: float) -> float:
        """The sum of `number` over all ranks."""
        return number

    def largest(self, number: float) -> float:
        """The largest `number` of all ranks."""
        return number

    def gather(self, thing: T) -> list[T]:
        """What every rank holds, in the order of the ranks."""
        return [thing]

    def of_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on the first rank; it is called there alone."""
        return make()


ALONE = Ranks()


class Torchrun(Ranks):
    """A rank among several, over torch's process group."""

    def wrap(self, module: nn.Module, *, partly: bool = False) -> nn.Module:
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=partly)

    def total(self, number: float) -> float:
        return self._reduced(number, dist.ReduceOp.SUM)

    def largest(self, number: float) -> float:
        return self._reduced(number, dist.ReduceOp.MAX)

    def _reduced(self, number: float, operation: Any) -> float:
        held = torch.tensor([number], dtype=torch.float64, device=_device())
        dist.all_reduce(held, operation)
        return float(held)

    def gather(self, thing: T) -> list[T]:
        found: list[Any] = [None] * self.ranks
        dist.all_gather_object(found, thing)
        return cast(list[T], found)

    def of_first(self, make: Callable[[], T]) -> T:
        held: list[Any] = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(held, src=0)
        return cast(T, held[0])


def _device() -> torch.device:
    """Where the process group reduces numbers: NCCL wants them on the GPU."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def started_by_torchrun() -> tuple[int, int, int]:
    """The rank, how many there are, and the rank on this host, as torchrun tells them; (0, 1, 0) without it.

    Raises ConfigError where the numbers make no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    try:
        rank, ranks, local = (int(os.environ.get(name, default)) for name, default in zip(names, "010", strict=True))
    except ValueError as error:
        raise ConfigError(f"RANK, WORLD_SIZE or LOCAL_RANK is no number: {error}", hint="unset them") from error
    return rank, ranks, local


@contextlib.contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """This process's place among those that torchrun has started; alone without it.

    device  cpu makes them talk by gloo; GPUs by NCCL, each with the GPU of its number on this host

    Afterwards no thread of the group is left: one that lets go of a tensor while Python ends would abort a process
    whose work is done.
    """
    rank, ranks, local = started_by_torchrun()
    if ranks == 1:
        yield ALONE
        return
    on_gpus = device != "cpu" and torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(local)
    # DDP loads this module late, and what it finds as the group stays the default of its functions for good.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if on_gpus else "gloo")
    try:
        yield Torchrun(rank, ranks)
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "NCCL", "eer", "onnection")):
            raise
        raise TrainingError(
            f"another process of this training has ended: {str(error).splitlines()[0][:120]}",
            hint="its own error says why; what was saved last can be resumed",
        ) from error
    finally:
        gc.collect()  # wrapped models, which hold the group, are part of cycles
        dist.destroy_process_group()
