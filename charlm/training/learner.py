"""What learns: a model, its optimizer, its random numbers and its hidden state, and how they are copied out and in.

What a training keeps beside its weights is a part with a name, such as the optimizer or averages of the weights. A
checkpoint names each part with its kind, and its tensors stand there under that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from charlm.config.training import TrainingConfig
from charlm.models.base import LanguageModel
from charlm.models.dropout import give_generator
from charlm.shapes import Ids, State


class Part(Protocol):
    """Something that follows the weights from step to step, and is copied out and in with them."""

    @property
    def kind(self) -> str:
        """What it is, so that a checkpoint of another kind is not taken for it."""

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


FIRST_KINDS = {"optimizer": "AdamW"}  # the parts of checkpoints that do not name them yet


@dataclass
class Learner:
    """Everything of a training that is made of tensors.

    state   after the last window; None before the first
    others  parts beside the optimizer, in the order in which they follow its step
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    device: torch.device
    state: State | None = None
    others: dict[str, Part] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Part]:
        """Every part by its name, the optimizer first."""
        return {"optimizer": Optimizing(self.optimizer), **self.others}

    def kinds(self) -> dict[str, str]:
        """What a checkpoint says of the parts."""
        return {name: part.kind for name, part in self.parts.items()}

    def step(self) -> None:
        """Move the weights by their gradient; every part follows."""
        for part in self.parts.values():
            part.step()

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
        """Copies of everything, on the CPU: weights/NAME, PART/…, state/INDEX, generator."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights().items()}
        for part, of_part in self.parts.items():
            tensors |= {f"{part}/{name}": _copy(tensor) for name, tensor in of_part.tensors().items()}
        tensors |= {f"state/{index}": _copy(leaf) for index, leaf in enumerate(self.state or ())}
        return tensors | {"generator": self.generator.get_state()}

    def take_up(self, tensors: dict[str, Tensor], kinds: Mapping[str, str]) -> bool:
        """Go back to what `tensors` gave; False where the random numbers of another kind of device cannot be.

        Raises KeyError, ValueError or RuntimeError for tensors that belong to another model or to other parts.
        """
        if dict(kinds) != self.kinds():
            raise ValueError(f"it keeps {_listed(kinds)}, this training {_listed(self.kinds())}")
        groups: dict[str, dict[str, Tensor]] = {"weights": {}, "state": {}, **{name: {} for name in self.parts}}
        for name, tensor in tensors.items():
            group, slash, rest = name.partition("/")
            if slash:
                groups[group][rest] = tensor
        self.model.load_state_dict(groups["weights"])
        for name, part in self.parts.items():
            part.take_up(groups[name])
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


class Surprise(nn.Module):
    """A model as training calls it: what wraps a module for several processes sees only its calls."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Ids, targets: Ids, state: State | None) -> tuple[Tensor, State]:
        """The nats to minimise (B, T), the model's own `loss` where it has one, and the state after `inputs`.

        Without a state it begins anew, here and not outside, since a start may be learned as well.
        """
        model = cast(LanguageModel, self.model)
        before = model.initial_state(len(inputs)) if state is None else state
        own_loss = getattr(model, "loss", None)
        if own_loss is not None:
            return cast(tuple[Tensor, State], own_loss(inputs, targets, before))
        log_probs, after = self.model(inputs, targets, before)  # which is `score`
        return -log_probs, after


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no parts"


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
