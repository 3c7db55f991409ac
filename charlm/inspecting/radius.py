"""The spectral radius of a simple recurrent network: vanishing below 1, exploding above, and what clipping changes.

    h_t = φ(W h_{t-1} + x_t)                              φ the identity or tanh
    δ_{t-1} = Wᵀ (φ'_t ⊙ δ_t)                             the way back (BPTT); δ_T drawn at random, of length 1
    ∂ℓ/∂W = Σ_k (φ'_{T-k} ⊙ δ_{T-k}) h_{T-k-1}ᵀ           the k-th term is what the step k back contributes

Without φ, δ_{T-k} = (Wᵀ)^k δ_T, which goes like the k-th power of the spectral radius (Pascanu, Mikolov & Bengio 2013,
§2.1). Clipping divides the sum by its length: all its terms by one number. What had exploded is finite then; what had
vanished has the same share of the sum as before.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from charlm.choices import Choices
from charlm.inspecting.bands import Numbers, half_life, slope

RADII = (0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5)
HIDDEN, SEQUENCES = 64, 32
INPUT = 0.1  # the standard deviation of x: small, so that tanh begins where it is nearly linear

SQUASHED: Choices[bool] = Choices("cell of the sweep", {"rnn-linear": False, "rnn-tanh": True})


@dataclass(frozen=True)
class Radius:
    """One network of the sweep.

    curve    ‖δ_{T-k}‖ ÷ ‖δ_T‖ for k = 0 … K, the mean over sequences
    norm     ‖∂ℓ/∂W‖, its geometric mean over sequences
    clipped  the same of gradients that are scaled down to `clip` where they are longer
    far      ‖terms of the farther half of the steps‖ ÷ ‖∂ℓ/∂W‖, before and after clipping alike; the median
    """

    cell: str
    radius: float
    curve: Numbers
    norm: float
    clipped: float
    far: float

    @property
    def factor(self) -> float | None:
        """By what the gradient changes from step to step, by the fitted slope."""
        fitted = slope(self.curve)
        return None if fitted is None else float(np.exp(fitted))

    def to_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "cell": self.cell,
            "radius": self.radius,
            "factor": self.factor,
            "half_life": half_life(self.curve),
            "gradient_norm": self.norm,
            "clipped_norm": self.clipped,
            "far_share": self.far,
            "mean": self.curve.tolist(),
        }


def weights_of(radius: float, seed: int, hidden: int = HIDDEN) -> torch.Tensor:
    """A Gaussian matrix (H, H), the same for every radius but for its length."""
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(hidden, hidden, generator=draw, dtype=torch.float64)
    largest = float(torch.linalg.eigvals(matrix).abs().max())
    return matrix * (radius / largest)


def sweep(cell: str, *, lags: int, clip: float, seed: int, radii: tuple[float, ...] = RADII) -> list[Radius]:
    """The gradients of a cell at these spectral radii; the same inputs and the same δ_T for all."""
    return [_at(cell, radius, lags, clip, seed) for radius in radii]


def _at(cell: str, radius: float, lags: int, clip: float, seed: int) -> Radius:
    squashed, weight = SQUASHED[cell], weights_of(radius, seed)
    draw = torch.Generator().manual_seed(seed + 1)
    inputs = INPUT * torch.randn(2 * lags + 1, SEQUENCES, HIDDEN, generator=draw, dtype=torch.float64)
    delta = torch.randn(SEQUENCES, HIDDEN, generator=draw, dtype=torch.float64)
    delta /= delta.norm(dim=1, keepdim=True)
    states = [torch.zeros_like(delta)]
    for x in inputs:
        h = states[-1] @ weight.t() + x
        states.append(h.tanh() if squashed else h)
    curve, terms = [torch.ones(SEQUENCES, dtype=torch.float64)], []
    for k in range(lags):
        now, before = states[-1 - k], states[-2 - k]
        of_a = delta * (1 - now.square()) if squashed else delta
        terms.append(of_a[:, :, None] * before[:, None])
        delta = of_a @ weight
        curve.append(delta.norm(dim=1))
    whole = torch.stack(terms).sum(0).flatten(1).norm(dim=1)
    far = torch.stack(terms[lags // 2 :]).sum(0).flatten(1).norm(dim=1)
    return Radius(
        cell,
        radius,
        torch.stack(curve).mean(1).numpy(),
        float(whole.log().mean().exp()),
        float(whole.clamp(max=clip).log().mean().exp()),
        float((far / whole).median()),
    )
