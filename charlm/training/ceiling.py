"""How fast a step of training could be at best: its matrix products and nothing else, back to back.

The rate that a processor reaches depends on the shapes, so each product of the step is timed as it is, in the precision
of the training; the share of this ceiling that a training reaches is what may be compared between machines. A training
measures it once, at its end, on at most MOST_ROWS rows of each product, which takes a fraction of a second; the speed
benchmark measures whole products.
"""

import time
from collections.abc import Callable, Sequence

import torch

from charlm.config.training import Precision
from charlm.models.base import Product

MOST_ROWS = 512  # beyond which a product goes no faster
PATIENCE = 0.02  # seconds that a product is timed again and again; the best time counts
IN_A_ROW = 20  # products that a GPU is given before it is waited for: the way to it would be timed otherwise


def step_seconds(
    products: Sequence[Product], precision: Precision, device: torch.device, *, most_rows: int | None = None
) -> float:
    """Seconds of all products of a step: forward, and twice as many backward.

    most_rows  of one product; its time is drawn out to the rest. A GPU, which wants them all, is given them all
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    most_rows = None if device.type == "cuda" else most_rows
    seconds = 0.0
    for product in products:
        rows = min(product.rows, most_rows or product.rows)
        scale = product.times * product.rows / rows
        x, gradient = (
            torch.ones(rows, width, dtype=dtype, device=device) for width in (product.inner, product.columns)
        )
        weight = torch.ones(product.inner, product.columns, dtype=dtype, device=device)

        def forward_and_back(x: torch.Tensor = x, w: torch.Tensor = weight, g: torch.Tensor = gradient) -> None:
            torch.mm(x, w)
            torch.mm(g, w.t())

        seconds += scale * _best(forward_and_back, device)
        # The gradient of the weights waits for nobody: step by step or not, it is one product over the whole window.
        whole = min(round(product.rows * product.times), most_rows or round(product.rows * product.times))
        x, gradient = (
            torch.ones(whole, width, dtype=dtype, device=device) for width in (product.inner, product.columns)
        )
        share = product.rows * product.times / whole
        seconds += share * _best(lambda x=x, g=gradient: torch.mm(x.t(), g), device)  # type: ignore[misc]
    return seconds


def _best(work: Callable[[], object], device: torch.device) -> float:
    def once() -> float:
        start = time.perf_counter()
        if device.type != "cuda":
            work()
            return time.perf_counter() - start
        for _ in range(IN_A_ROW):
            work()
        torch.cuda.synchronize(device)
        return (time.perf_counter() - start) / IN_A_ROW

    once()
    best = spent = once()
    while spent < PATIENCE:
        now = once()
        best, spent = min(best, now), spent + now
    return best
