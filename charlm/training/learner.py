"""What learns: a model, its optimizer, its random numbers and its hidden state, and how they are copied out and in.

What a training keeps beside its weights is a part with a name, such as the optimizer or averages of the weights. A
checkpoint names each part with its kind, and its tensors stand there under that name.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from charlm.config.training import TrainingConfig
from charlm.models.dropout import give_generator
from charlm.shapes import Ids, State
from charlm.training.averages import Averaging
from charlm.training.devices import Machine
from charlm.training.optimizers import Optimizing, Part, make_muon, make_optimizer
from charlm.training.ranks import Ranks

SEEDS = 1_000_003  # between the seeds of two replicas
FIRST_KINDS = {"optimizer": "AdamW"}  # the parts of checkpoints that do not name them yet


class Beginning(Protocol):
    """What a training asks of a model besides the call that reads a window: where reading begins."""

    def initial_state(self, batch_size: int) -> State:
        """The state before anything has been read."""


@dataclass
class Learner:
    """Everything of a training that is made of tensors.

    replicas    the model, and copies that share its weights: one for each thread that takes a step's rows
    generators  random numbers of each replica
    state       after the last window; None before the first
    others      parts beside the optimizer, in the order in which they follow its step
    """

    model: nn.Module
    replicas: list[nn.Module]
    optimizer: torch.optim.Optimizer
    generators: list[torch.Generator]
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

    def begin_step(self, share: float, rate: float) -> None:
        """Forget the last gradient; tell every part, and a model that wants to know, how much of the budget is used up.

        rate  the learning rate of this step
        """
        self.model.zero_grad(set_to_none=True)
        for part in self.parts.values():
            part.at(share, rate)
        for replica in self.replicas:
            if (at := getattr(replica, "at", None)) is not None:
                at(share)

    def step(self) -> None:
        """Move the weights by their gradient; every part follows."""
        for part in self.parts.values():
            part.step()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The weights that are measured and kept stand in the model: averages of them, where there are any."""
        averages = self.others.get("average")
        if isinstance(averages, Averaging):
            with averages.in_place():
                yield
        else:
            yield

    @classmethod
    def of(cls, model: nn.Module, config: TrainingConfig, machine: Machine) -> "Learner":
        """A learner at its beginning, whose steps are taken by the machine's threads together.

        Raises ConfigError for an optimizer that is not for this model.
        """
        device, workers = machine.device, machine.workers
        model = model.to(device)
        replicas = share_weights(model, workers)
        seeds = (config.seed + (machine.ranks.rank * workers + number) * SEEDS for number in range(workers))
        generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        for replica, generator in zip(replicas, generators, strict=True):
            give_generator(replica, generator)
        others: dict[str, Part] = {}
        apart: list[nn.Parameter] = []
        if config.optimizer != "adamw":
            muon = make_muon(model, config, torch.bfloat16 if machine.precision == "bf16" else torch.float32)
            others["muon"], apart = muon, [matrix for matrix, _ in muon.blocks]
        if config.average != "none":  # last, since it follows the weights that the others have moved
            others["average"] = Averaging(model, config.average, config.average_share)
        optimizer = make_optimizer(model, config, device, apart)
        return cls(model, replicas, optimizer, generators, device, others=others)

    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights, on the CPU."""
        return {name: _copy(tensor) for name, tensor in self.model.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything, on the CPU: weights/NAME, PART/…, state/INDEX, generator, generator/1, …"""
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights().items()}
        for part, of_part in self.parts.items():
            tensors |= {f"{part}/{name}": _copy(tensor) for name, tensor in of_part.tensors().items()}
        tensors |= {f"state/{index}": _copy(leaf) for index, leaf in enumerate(self.state or ())}
        return tensors | {_generator_name(n): generator.get_state() for n, generator in enumerate(self.generators)}

    @staticmethod
    def own(names: Iterable[str]) -> list[str]:
        """Those of its tensors that belong to one rank alone: its rows' state, and its random numbers."""
        return [name for name in names if name.partition("/")[0] in ("state", "generator")]

    def take_up(self, tensors: dict[str, Tensor], kinds: Mapping[str, str]) -> bool:
        """Go back to what `tensors` gave; False where the random numbers of another kind of device cannot be.

        Raises KeyError, ValueError or RuntimeError for tensors that belong to another model or to other parts.
        """
        if dict(kinds) != self.kinds():
            raise ValueError(f"it keeps {_listed(kinds)}, this training {_listed(self.kinds())}")
        generators = sum(name.partition("/")[0] == "generator" for name in tensors)
        if generators != len(self.generators):
            raise ValueError(f"its steps are shared by {generators} threads, not by {len(self.generators)}")
        groups: dict[str, dict[str, Tensor]] = {"weights": {}, "state": {}, **{name: {} for name in self.parts}}
        for name, tensor in tensors.items():
            group, slash, rest = name.partition("/")
            if slash and group != "generator":
                groups[group][rest] = tensor
        self.model.load_state_dict(groups["weights"])
        for name, part in self.parts.items():
            part.take_up(groups[name])
        leaves = groups["state"]
        self.state = tuple(leaves[str(index)].to(self.device) for index in range(len(leaves))) or None
        try:
            for number, generator in enumerate(self.generators):
                generator.set_state(tensors[_generator_name(number)])
        except RuntimeError:
            return False
        return True


def _generator_name(number: int) -> str:
    return f"generator/{number}" if number else "generator"


def share_weights(model: nn.Module, count: int) -> list[nn.Module]:
    """The model and copies of it that share its weights, so that each may have random numbers of its own."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return [model, *(deepcopy(model, dict(shared)) for _ in range(count - 1))]


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
        model = cast(Beginning, self.model)
        before = model.initial_state(len(inputs)) if state is None else state
        own_loss = getattr(model, "loss", None)
        if own_loss is not None:
            return cast(tuple[Tensor, State], own_loss(inputs, targets, before))
        log_probs, after = self.model(inputs, targets, before)  # which is `score` of a language model
        return -log_probs, after


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no parts"


def broken(weights: dict[str, Tensor]) -> str | None:
    """The name of the first weights that are not finite."""
    return next((name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())), None)


def own_tensors(tensors: dict[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """A checkpoint as one rank takes it up. Raises ValueError where it was made by another number of them."""
    held = {name for name in tensors if name.startswith("ranks/")}
    made_by = 1 + len({name.split("/")[1] for name in held})
    if made_by != ranks.ranks:
        raise ValueError(f"it was made by {made_by} processes, and here are {ranks.ranks}")
    common = {name: tensor for name, tensor in tensors.items() if name not in held}
    if ranks.rank == 0:
        return common
    prefix = f"ranks/{ranks.rank}/"
    mine = {name.removeprefix(prefix): tensors[name] for name in held if name.startswith(prefix)}
    return {name: tensor for name, tensor in common.items() if name not in Learner.own(common)} | mine
