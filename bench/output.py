"""The output layer's loss beside torch's, turn by turn: forward and backward, for the shapes of `bench/speed.py`.

    python bench/output.py [ROUNDS] [THREADS]

Three ways to the same loss and gradients, in float32: ours (`models/output.py`), torch's `linear_cross_entropy` in its
chunked form, and logits with `cross_entropy`. Prints medians, and their ratios to ours. One thread is what each of
the threads that share the rows of a training step has.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.models.output import target_log_probs

SHAPES = {  # rows, width, vocabulary
    "a": (2500, 128, 65),
    "c": (4096, 256, 6000),
    "d": (700, 650, 10000),
    "e": (2800, 400, 10000),
    "50 k words": (2048, 400, 50000),
}


def ours(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """The mean of what `models/output.py` gives."""
    return -target_log_probs(hidden, weight, bias, targets).mean()


def chunked(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Torch's own, which never holds all logits."""
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(hidden, weight, targets, linear_bias=bias, options=options)


def plain(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """What one writes first."""
    return F.cross_entropy(F.linear(hidden, weight, bias), targets)


WAYS: dict[str, Callable[..., Tensor]] = {"ours": ours, "chunked": chunked, "plain": plain}


def one(way: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> float:
    """Seconds of one loss with its gradients."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs[:3]]
    start = time.perf_counter()
    torch.autograd.backward(way(*leaves, inputs[3]))
    return time.perf_counter() - start


def main(rounds: int = 7, threads: int = 1) -> None:
    """Time every shape, all ways turn by turn."""
    torch.set_num_threads(threads)
    for name, (rows, width, vocabulary) in SHAPES.items():
        torch.manual_seed(0)
        weight = torch.randn(vocabulary, width) / width**0.5
        inputs = torch.randn(rows, width), weight, torch.zeros(vocabulary), torch.randint(vocabulary, (rows,))
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(rounds + 1):
            for way, call in WAYS.items():
                taken = one(call, inputs)
                if turn:  # the first one warms up
                    seconds[way].append(taken)
        medians = {way: statistics.median(times) for way, times in seconds.items()}
        shown = ", ".join(f"{way} {1000 * m:.1f} ms ({m / medians['ours']:.2f})" for way, m in medians.items())
        print(f"{name}: {shown}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
