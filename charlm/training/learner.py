"""What learns: a model, its optimizer, its random numbers and its hidden state, and how they are copied out and in."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from charlm.config.training import TrainingConfig
from charlm.models.dropout import give_generator
from charlm.shapes import State


@dataclass
class Learner:
    """Everything of a training that is made of tensors.

    state  after the last window; None before the first
    """

    model: nn.Module
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    device: torch.device
    state: State | None = None

    @classmethod
    def of(cls, model: nn.Module, config: TrainingConfig, device: torch.device) -> "Learner":
        """A learner at its beginning, on `device`."""
        model = model.to(device)
        generator = torch.Generator(device).manual_seed(config.seed)
        give_generator(model, generator)
        return cls(model, make_optimizer(model, config, device), generator, device)

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights, on the CPU."""
        return {name: _copy(tensor) for name, tensor in self.model.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything, on the CPU: weights/NAME, optimizer/INDEX/SLOT, state/INDEX, generator."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{slot}": _copy(tensor) for slot, tensor in slots.items()}
        tensors |= {f"state/{index}": _copy(leaf) for index, leaf in enumerate(self.state or ())}
        return tensors | {"generator": self.generator.get_state()}

    def take_up(self, tensors: dict[str, Tensor]) -> bool:
        """Go back to what `tensors` gave; False where the random numbers of another kind of device cannot be.

        Raises KeyError, ValueError or RuntimeError for tensors that belong to another model.
        """
        groups: dict[str, dict[str, Tensor]] = {"weights": {}, "optimizer": {}, "state": {}}
        for name, tensor in tensors.items():
            group, slash, rest = name.partition("/")
            if slash:
                groups[group][rest] = tensor
        self.model.load_state_dict(groups["weights"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, slot = name.partition("/")
            slots.setdefault(int(index), {})[slot] = tensor.clone()  # which the optimizer will change in place
        self.optimizer.load_state_dict({"state": slots, "param_groups": self.optimizer.state_dict()["param_groups"]})
        leaves = groups["state"]
        self.state = tuple(leaves[str(index)].to(self.device) for index in range(len(leaves))) or None
        try:
            self.generator.set_state(tensors["generator"])
        except RuntimeError:
            return False
        return True


def _copy(tensor: Tensor) -> Tensor:
    """A copy on the CPU that later steps do not change."""
    return tensor.detach().to("cpu", copy=True)


def broken(weights: dict[str, Tensor]) -> str | None:
    """The name of the first weights that are not finite."""
    return next((name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())), None)


def make_optimizer(model: nn.Module, config: TrainingConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); decay for matrices, none for biases and starting states."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=fused)
