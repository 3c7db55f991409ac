"""Dropout whose mask stays the same through a whole window (Gal & Ghahramani 2016)."""

import torch
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drops the same units at every time step of a window, and scales up the others.

    The masks come from `generator`, which whoever trains the model provides: so a training can be
    repeated, and resumed, to the last bit.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, H)  ->  the same, with a share `rate` of the H units of each row set to zero"""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty(len(x), 1, x.shape[2], device=x.device, dtype=x.dtype)
        return x * mask.bernoulli_(keep, generator=self.generator).div_(keep)


def give_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Let every locked dropout of a model draw from `generator`."""
    for module in model.modules():
        if isinstance(module, LockedDropout):
            module.generator = generator


def without_dropout(model: nn.Module) -> nn.Module:
    """The model as it is evaluated, yet with a gradient: on a GPU torch's fused layers have one in training only."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()
    return model
