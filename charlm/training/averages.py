"""Averages of the weights: they are measured and kept, while the optimizer goes on with its own.

They lie between the points around which a high learning rate moves, and so they are better than any of them (Polyak &
Juditsky 1992; Izmailov et al. 2018).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from charlm.config.training import Average


class Averaging:
    """The average of a model's parameters over the steps so far, as a Part of a learner.

    With w_k the weights after step k, which began at the share s_k of the budget, and p = 1 / memory:

    ema   Σ_k (s_k^p - s_{k-1}^p) w_k / s_K^p: the later, the more; the memory grows with the training (Karras et al.
          2024, §3; here the share of the budget stands for the number of steps)
    tail  the mean of the w_k with s_k ≥ 1 - memory (stochastic weight averaging, Izmailov et al. 2018); none before

    memory  share of the training so far, or of the budget
    """

    def __init__(self, model: nn.Module, kind: Average, memory: float) -> None:
        self.model, self.kind, self.memory = model, cast(str, kind), memory
        self.share, self.before, self.steps = 0.0, 0.0, 0
        self.means: dict[str, Tensor] = {}

    def at(self, share: float, rate: float) -> None:  # noqa: ARG002 (a protocol's)
        self.share = share

    @torch.no_grad()
    def step(self) -> None:
        weight = self._weight()
        self.before = self.share
        own = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        if weight is None:
            self.means, self.steps = {}, 0
            return
        self.steps += 1
        if weight == 1 or not self.means:
            self.means = {name: tensor.clone() for name, tensor in own.items()}
        elif weight > 0:
            torch._foreach_lerp_([self.means[name] for name in own], list(own.values()), weight)

    def _weight(self) -> float | None:
        """Share of the newest weights in the average; None where there is to be none yet."""
        if self.kind == "tail":
            return 1 / (self.steps + 1) if self.share >= 1 - self.memory else None
        if self.share <= 0:
            return 1.0
        # A budget that was raised in between sets the share back.
        return float(1 - min(1.0, self.before / self.share) ** (1 / self.memory))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averages for weights, where there are any."""
        own = {name: parameter.detach() for name, parameter in self.model.named_parameters()} if self.means else {}
        kept = {name: tensor.clone() for name, tensor in own.items()}
        try:
            for name, tensor in own.items():
                tensor.copy_(self.means[name])
            yield
        finally:
            for name, tensor in own.items():
                tensor.copy_(kept[name])

    def tensors(self) -> dict[str, Tensor]:
        """The averages by the names of the parameters, and `#`: the steps in them and the share at the last one."""
        if not self.means:
            return {}
        return {"#": torch.tensor([self.steps, self.before], dtype=torch.float64), **self.means}

    def take_up(self, tensors: Mapping[str, Tensor]) -> None:
        device = next(self.model.parameters()).device
        self.means = {name: tensor.to(device, copy=True) for name, tensor in tensors.items() if name != "#"}
        steps, self.before = tensors["#"].tolist() if tensors else (0, 0.0)
        self.steps = int(steps)
