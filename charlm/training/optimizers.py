"""What moves the weights by their gradient: AdamW, and Muon for the matrices between hidden vectors."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError

MOMENTUM = 0.95
ROUNDS = 5  # of the iteration that makes a matrix orthogonal
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan 2024: steep at 0, and near 1 from there on
LIKE_ADAMW = (
    0.2  # root mean square of a change, as large as AdamW's, so that one learning rate fits both (Liu et al. 2025)
)


class Part(Protocol):
    """Something that follows the weights from step to step, and is copied out and in with them."""

    @property
    def kind(self) -> str:
        """What it is, so that a checkpoint of another kind is not taken for it."""

    def at(self, share: float, rate: float) -> None:
        """Before each step: the share of the budget that is used up, and the learning rate."""

    def step(self) -> None:
        """Do what one step of the training asks; the gradient stands in the parameters."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything that it keeps, by names of its own; nothing before the first step, where it likes."""

    def take_up(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `tensors` gave."""


@dataclass(frozen=True)
class Optimizing:
    """An optimizer of torch as a Part. Its tensors are called INDEX/SLOT."""

    optimizer: torch.optim.Optimizer

    @property
    def kind(self) -> str:
        return type(self.optimizer).__name__

    def at(self, share: float, rate: float) -> None:  # noqa: ARG002 (a protocol's)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(self) -> None:
        self.optimizer.step()

    def tensors(self) -> dict[str, Tensor]:
        slots = self.optimizer.state_dict()["state"]
        return {f"{index}/{slot}": tensor for index, of_one in slots.items() for slot, tensor in of_one.items()}

    def take_up(self, tensors: Mapping[str, Tensor]) -> None:
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, _, slot = name.partition("/")
            slots.setdefault(int(index), {})[slot] = tensor.clone()  # which the optimizer will change in place
        self.optimizer.load_state_dict({"state": slots, "param_groups": self.optimizer.state_dict()["param_groups"]})


def make_optimizer(
    model: nn.Module, config: TrainingConfig, device: torch.device, apart: Collection[nn.Parameter] = ()
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); decay for matrices, none for biases and starting states.

    apart  parameters that another optimizer moves
    """
    others_move = {id(parameter) for parameter in apart}
    mine = [p for p in model.parameters() if id(p) not in others_move]
    matrices = [p for p in mine if p.dim() == 2]
    others = [p for p in mine if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.square_memory), fused=fused)


@dataclass
class Muon:
    """Momentum whose direction is made orthogonal, block by block (Jordan et al. 2024; Liu et al. 2025), as a Part.

        m ← 0.95 m + 0.05 g     W ← (1 - η λ) W - 0.2 η √max(rows, columns) · orthogonal(0.05 g + 0.95 m)

    `torch.optim.Muon` does the same for whole matrices, and multiplies in bf16 everywhere; a processor without it takes
    sixty times as long for that.

    blocks  matrices, each with the number of equal blocks of rows (a cell's gates) that are made orthogonal apart
    decay   λ
    dtype   in which the products are computed
    """

    blocks: Sequence[tuple[nn.Parameter, int]]
    decay: float
    dtype: torch.dtype
    by_gates: bool
    rate: float = 0.0
    momenta: dict[int, Tensor] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "Muon by gates" if self.by_gates else "Muon of whole matrices"

    def at(self, share: float, rate: float) -> None:  # noqa: ARG002 (a protocol's)
        self.rate = rate

    @torch.no_grad()
    def step(self) -> None:
        for index, (matrix, count) in enumerate(self.blocks):
            if matrix.grad is None:
                continue
            gradient = matrix.grad
            if index not in self.momenta:
                self.momenta[index] = torch.zeros_like(gradient)
            momentum = self.momenta[index]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            ahead = gradient.lerp(momentum, MOMENTUM)  # Nesterov's
            blocks = ahead.view(count, len(matrix) // count, -1)
            change = orthogonal(blocks.to(self.dtype)).to(matrix.dtype).reshape(matrix.shape)
            matrix.mul_(1 - self.rate * self.decay)
            matrix.add_(change, alpha=-self.rate * LIKE_ADAMW * math.sqrt(max(blocks.shape[1:])))

    def tensors(self) -> dict[str, Tensor]:
        return {str(index): momentum for index, momentum in self.momenta.items()}

    def take_up(self, tensors: Mapping[str, Tensor]) -> None:
        device = self.blocks[0][0].device
        self.momenta = {int(index): tensor.to(device, copy=True) for index, tensor in tensors.items()}


def orthogonal(blocks: Tensor) -> Tensor:
    """Each matrix with its singular values near 1 (between 0.7 and 1.2) and its directions kept.

    blocks (N, R, C)  ->  (N, R, C), by the quintic iteration X ← a X + (b XXᵀ + c (XXᵀ)²) X of Jordan 2024
    """
    tall = blocks.shape[1] > blocks.shape[2]
    x = blocks.transpose(1, 2) if tall else blocks
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


def make_muon(model: nn.Module, config: TrainingConfig, dtype: torch.dtype) -> Muon:
    """Muon for the model's hidden matrices; raises ConfigError for a model that does not tell them."""
    tell = getattr(model, "hidden_matrices", None)
    if tell is None:
        raise ConfigError(
            f"--optimizer {config.optimizer} is for networks that tell their hidden matrices", hint="leave it out"
        )
    by_gates = config.optimizer == "muon"
    blocks = [(matrix, gates if by_gates else 1) for matrix, gates in tell()]
    return Muon(blocks, config.weight_decay, dtype, by_gates)
