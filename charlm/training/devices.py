"""What a training or an evaluation runs on: the device, the precision, the threads."""

import functools
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from charlm.config.networks import RecurrentConfig
from charlm.config.training import Precision
from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.models.dropout import without_dropout
from charlm.models.recurrent import Recurrent
from charlm.text.decoding import Note, nobody
from charlm.training.ranks import ALONE, Ranks

FEWEST_ROWS = 8  # of a thread that takes rows of its own: with less, its products would be too small


@dataclass(frozen=True)
class Machine:
    """What a training runs on.

    workers  threads that share the rows of a step (`crew.py`)
    paced    whether one thread may take all rows instead, where that is faster (`pacing.py`)
    """

    device: torch.device
    precision: Precision
    workers: int = 1
    ranks: Ranks = ALONE
    paced: bool = False


def choose_workers(batch_size: int, device: torch.device) -> int:
    """How many threads share a step: one for each core that torch may use, as long as each has rows enough."""
    return max(1, min(torch.get_num_threads(), batch_size // FEWEST_ROWS)) if device.type == "cpu" else 1


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first GPU, or the CPU. Raises ConfigError where there is none."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # also refuses `meta`, which holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0][:120]
        raise ConfigError(f"--device {name} cannot be used: {reason}", hint="try --device cpu, or auto") from error
    return device


def choose_precision(
    wanted: Precision, device: torch.device, network: nn.Module | None = None, note: Note = nobody
) -> Precision:
    """float32 or bf16; `auto` is bf16 where the device multiplies matrices clearly faster in it, and has all kernels.

    network  a small one of the kind that is to be trained; None: an LSTM
    note     is told where a kernel is missing, so that float32 is chosen on a machine that is fast in bf16

    bf16 keeps weights, cell arithmetic of the loss and the optimizer in float32; only the large products
    are computed in it (mixed precision, Micikevicius et al. 2018).
    Raises ConfigError where bf16 is asked for and this machine has no kernels for it.
    """
    if wanted == "bf16" and (fault := bf16_fault(device, network)) is not None:
        raise ConfigError(
            f"--precision bf16 cannot be used on this {device.type}: {fault}", hint="try --precision float32, or auto"
        )
    if wanted != "auto":
        return wanted
    if device.type not in ("cpu", "cuda"):
        return "float32"
    if not (torch.cuda.is_bf16_supported() if device.type == "cuda" else _multiplies_faster()):
        return "float32"
    if (fault := bf16_fault(device, network)) is not None:
        note(
            f"in float32: bf16 would be faster on this {device.type}, but this network cannot be trained in it: {fault}"
        )
        return "float32"
    return "bf16"


def bf16_fault(device: torch.device, network: nn.Module | None = None) -> str | None:
    """Why a small network, by default an LSTM, cannot be read and learned in bf16 here; None where it can.

    That matrices can be multiplied in it does not say that the recurrent layers can: they have kernels of their own,
    and the LSTM's are the first to be missing. So one small window is read, and its gradient taken.
    """
    if network is None:
        with torch.random.fork_rng(devices=[]):
            network = Recurrent(RecurrentConfig(layers=1, hidden=8, embedding=8), 8)
    network = without_dropout(network.to(device))  # which would draw random numbers
    ids = torch.ones(2, 4, dtype=torch.int64, device=device)
    try:
        with autocast("bf16", device):
            log_probs, _ = network(ids[:, :-1], ids[:, 1:], cast(LanguageModel, network).initial_state(2))
        log_probs.float().sum().backward()
    except (RuntimeError, NotImplementedError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0][:120]
    return None


@functools.cache  # whoever asks again shall hear the same, however busy the machine is by then
def _multiplies_faster() -> bool:
    """Whether this processor multiplies matrices clearly faster in bf16.

    One that must emulate it takes a second and more for a product of a usual size, so a small one is tried first.
    """
    bounds = {1: 4.0, 256: 0.75}
    # By one thread: beside another program two wait for each other, and a product of one row, which float32 does not
    # share among them, then took a hundred times as long in bf16.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return all(
            _seconds(torch.bfloat16, rows) < bound * _seconds(torch.float32, rows) for rows, bound in bounds.items()
        )
    finally:
        torch.set_num_threads(threads)


def _seconds(dtype: torch.dtype, rows: int) -> float:
    """Time of the product of (rows, 512) and (512, 2048): the best of a few, since others may use the machine too."""
    left, right = torch.ones(rows, 512, dtype=dtype), torch.ones(512, 2048, dtype=dtype)
    torch.mm(left, right)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - start)
    return best


def loss_scale(precision: Precision, device: torch.device) -> float:
    """By how much the loss is made larger before its gradient is taken, and the gradient smaller afterwards.

    cuDNN's recurrent layers know half precision and no bf16, so autocast runs them in it: numbers below 6e-8 are none,
    and the gradient of one of 16,000 tokens has many (loss scaling, Micikevicius et al. 2018, §3.2). A power of two,
    so that nothing else is rounded otherwise.
    """
    return 1024.0 if precision == "bf16" and device.type == "cuda" else 1.0


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """The context in which a model computes with this precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
