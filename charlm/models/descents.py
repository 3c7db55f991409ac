"""Ways to move the weights of a network that goes on learning (Krause et al. 2018, arXiv:1709.07432, eq. 4 to 7).

Each follows the gradient of the mean surprise, with a pull back to the trained weights θ₀:

    θ ← θ - η ∇L + λ (θ₀ - θ)                          `Descent`
    θ ← θ - η ∇L / (√M + ε) + λ R (θ₀ - θ)             `ScaledDescent`: M mean squares of gradients, R = √M / mean √M
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

STABILIZER = 0.1  # ε, as a share of the mean √M: what was hardly ever moved in training moves hardly faster here


class Stepping(Protocol):
    """How a gradient moves the weights."""

    def move(self, weights: Sequence[Tensor], gradient: Sequence[Tensor | None], trained: Sequence[Tensor]) -> None:
        """Move `weights` in place; what has no gradient stays."""


@dataclass(frozen=True)
class Descent:
    """Plain gradient descent with a rate and a decay back to the trained weights."""

    rate: float
    decay: float

    def move(self, weights: Sequence[Tensor], gradient: Sequence[Tensor | None], trained: Sequence[Tensor]) -> None:
        for weight, slope, start in zip(weights, gradient, trained, strict=True):
            if slope is not None:
                weight.lerp_(start, self.decay).sub_(slope, alpha=self.rate)


class ScaledDescent:
    """Gradient descent scaled by what the gradients of each weight are like; what moves easily is pulled back harder.

    A step whose scaled gradient is longer than usual is shortened to that (Shazeer & Stern 2018, §6): a passage that
    is hard to predict would move the weights so far that the next one is harder still.

    roots  √M of each weight, as `Squares` found them
    """

    def __init__(self, rate: float, decay: float, roots: Sequence[Tensor]) -> None:
        self.numbers = max(1, sum(root.numel() for root in roots))
        mean = sum(float(root.sum()) for root in roots) / self.numbers
        self.rate = rate
        self.scales = [(root + (STABILIZER * mean or 1)).reciprocal() for root in roots]
        # At most all the way back (their §4.2).
        self.pulls = [(decay * root / (mean or 1)).clamp(max=1) for root in roots]

    def move(self, weights: Sequence[Tensor], gradient: Sequence[Tensor | None], trained: Sequence[Tensor]) -> None:
        steps = [None if slope is None else slope * scale for slope, scale in zip(gradient, self.scales, strict=True)]
        # As few ways through all weights as can be: the memory is what a step waits for.
        norms = [float(torch.linalg.vector_norm(step, dtype=torch.float64)) for step in steps if step is not None]
        rate = self.rate / max(1.0, math.hypot(*norms) / math.sqrt(self.numbers))
        for weight, step, start, pull in zip(weights, steps, trained, self.pulls, strict=True):
            if step is not None:
                weight.lerp_(start, pull).sub_(step, alpha=rate)


class Squares:
    """Moves nothing, and adds up the squares of the gradients that it is shown."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        self.segments = 0

    def move(self, weights: Sequence[Tensor], gradient: Sequence[Tensor | None], trained: Sequence[Tensor]) -> None:  # noqa: ARG002 (a protocol's)
        if not self.sums:
            self.sums = [torch.zeros_like(weight) for weight in weights]
        self.segments += 1
        for total, slope in zip(self.sums, gradient, strict=True):
            if slope is not None:
                total.addcmul_(slope, slope)

    def roots(self) -> list[Tensor]:
        """√M of each weight; nothing where no segment was full."""
        return [(total / self.segments).sqrt() for total in self.sums]
