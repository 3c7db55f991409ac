"""What a training by gradient would take on this machine: a few steps, extrapolated."""

from dataclasses import dataclass, field, replace

import torch
from torch import nn

from charlm import memory
from charlm.config.training import TrainingConfig
from charlm.training import gradient, pacing
from charlm.training.devices import Machine
from charlm.training.journal import Event, MemoryJournal, Progress
from charlm.training.schedules import Budget
from charlm.training.texts import Texts

TRIAL_STEPS = 8


@dataclass(frozen=True)
class Estimate:
    """What a training would take, from a short trial on this machine.

    memory  bytes: weights, gradient and both averages of AdamW, averages of the weights, plus what the trial added
    """

    parameters: int
    tokens: int
    tokens_per_second: float
    seconds: float
    memory: int
    device: str
    precision: str


@dataclass
class _Speed:
    """Listens to a trial; the first steps, `cold` of them, warm the machine up and do not count."""

    cold: int = 2
    events: list[Progress] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.events.append(event)

    @property
    def step_seconds(self) -> float:
        warm = self.events[self.cold :] or self.events
        first = self.events[self.cold - 1] if len(self.events) > self.cold else None
        before = first.place.seconds if first else 0.0
        return (warm[-1].place.seconds - before) / len(warm)


def estimate(model: nn.Module, texts: Texts, config: TrainingConfig, machine: Machine) -> Estimate:
    """Train `model` for a few seconds without keeping anything, and extrapolate."""
    parameters = sum(p.numel() for p in model.parameters())
    before = memory.peak()
    speed = _Speed(pacing.STEPS + 1 if machine.paced else 2)
    gradient.fit(
        model,
        replace(texts, valid=None),
        replace(config, epochs=None, steps=speed.cold + TRIAL_STEPS - 2, minutes=None),
        machine=machine,
        journal=MemoryJournal(),
        report=speed,
    )
    tokens = texts.train.facts.tokens
    per_second = min(config.batch_size * config.window, tokens) / speed.step_seconds
    budget = Budget.of(config)
    seconds = budget.amount * {"minutes": 60.0, "steps": speed.step_seconds, "epochs": tokens / per_second}[budget.unit]
    device, precision = machine.device, machine.precision
    added = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else memory.peak() - before
    least = parameters * (16 if config.average == "none" else 20)
    return Estimate(parameters, tokens, per_second, seconds, max(added, least), str(device), precision)
