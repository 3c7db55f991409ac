"""Dropout of units, of words, of recurrent weights; but where it is told otherwise, the same through a whole window.

Whoever trains a model gives each of them a generator to draw from: so a training can be repeated, and resumed, to the
last bit.
"""

import torch
from torch import Tensor, nn

from charlm.shapes import Ids


class Dropping(nn.Module):
    """Sets a share `rate` of something to zero while a model learns, and scales up the rest."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    @property
    def drops(self) -> bool:
        """Whether it does anything now."""
        return self.training and self.rate > 0

    def thinned(self, numbers: Tensor) -> Tensor:
        """Of any shape  ->  the same, with a share `rate` of the single numbers set to zero.

        The rate is rounded to a 256th: eight numbers share one that is drawn, since one for each would take longer
        than what a layer computes besides.
        """
        kept = min(max(round((1 - self.rate) * 256), 1), 255)
        words = torch.empty(-(-numbers.numel() // 8), dtype=torch.int64, device=numbers.device)
        drawn = words.random_(-(1 << 63), None, generator=self.generator).view(torch.uint8)[: numbers.numel()]
        return numbers * (drawn.view(numbers.shape) < kept).to(numbers.dtype).mul_(256 / kept)


class UnitDropout(Dropping):
    """Drops the same units at every time step of a window (Gal & Ghahramani 2016), or others at each.

    fresh  others at each, whose noise is the mean of many masks and so the smaller (Srivastava et al. 2014; of
           recurrent networks, Zaremba et al. 2014). The rate is then rounded as in `thinned`.
    """

    def __init__(self, rate: float, *, fresh: bool = False) -> None:
        super().__init__(rate)
        self.fresh = fresh

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, H)  ->  the same, with a share `rate` of the H units of each row, or token, set to zero"""
        if not self.drops:
            return x
        if self.fresh:
            return self.thinned(x)
        keep = 1 - self.rate
        mask = torch.empty(len(x), 1, x.shape[2], device=x.device, dtype=x.dtype)
        return x * mask.bernoulli_(keep, generator=self.generator).div_(keep)


class WordDropout(Dropping):
    """Drops whole words of the vocabulary, wherever they stand in a window (Gal & Ghahramani 2016, §4.2)."""

    def forward(self, inputs: Ids, vectors: Tensor, vocab_size: int) -> Tensor:
        """inputs (B, T), their vectors (B, T, E)  ->  the vectors, with those of a share `rate` of all words zero"""
        if not self.drops:
            return vectors
        keep = 1 - self.rate
        mask = torch.empty(vocab_size, 1, device=vectors.device, dtype=vectors.dtype)
        return vectors * mask.bernoulli_(keep, generator=self.generator).div_(keep)[inputs]


class WeightDrop(Dropping):
    """Drops single weights of a matrix for a whole window (DropConnect, Wan et al. 2013; Merity et al. 2018)."""

    def forward(self, weight: Tensor) -> Tensor:
        """weight, of any shape  ->  the same, with a share `rate` of it set to zero, rounded as in `thinned`"""
        return self.thinned(weight) if self.drops else weight


def give_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Let everything in a model that drops something draw from `generator`."""
    for module in model.modules():
        if isinstance(module, Dropping):
            module.generator = generator


def without_dropout(model: nn.Module) -> nn.Module:
    """The model as it is evaluated, yet with a gradient: on a GPU torch's fused layers have one in training only."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()
    return model
