"""What a training would take on this machine: a short trial, extrapolated. `charlm train --dry-run`."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from charlm import storage
from charlm.config import RecurrentConfig
from charlm.errors import ConfigError
from charlm.families import FAMILIES
from charlm.pipeline import UNWATCHED, Watcher, job_of, machine, parameters
from charlm.preparing import prepare
from charlm.runs import RunConfig
from charlm.training.journal import Event, MemoryJournal, Progress

TRIAL_STEPS = 8


@dataclass(frozen=True)
class Estimate:
    """What a training would take, from a short trial on this machine.

    memory  bytes: weights, gradient and both averages of AdamW, plus what the trial added
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
    """Listens to a trial; the first steps warm the machine up and do not count."""

    events: list[Progress] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.events.append(event)

    @property
    def step_seconds(self) -> float:
        warm = self.events[2:] or self.events
        first = self.events[1] if len(self.events) > 2 else None
        before = first.place.seconds if first else 0.0
        return (warm[-1].place.seconds - before) / len(warm)


def estimate(config: RunConfig, *, vocab_folder: Path | None = None, watcher: Watcher = UNWATCHED) -> Estimate:
    """Prepare the text, train for a few seconds without keeping anything, and extrapolate.

    Raises ConfigError for a model that is not trained by gradient.
    """
    if config.family.__class__ is not RecurrentConfig:
        if config.model == "mixture":
            raise ConfigError("a mixture is not trained but mixed", hint="charlm run mix RUN RUN --tune TEXT --run DIR")
        raise ConfigError(f"--dry-run is for networks; --model {config.model} takes seconds", hint="just train it")
    prepared = prepare(config, vocab_folder, watcher.note)
    model = FAMILIES[config.model].fresh(config.family, prepared.codec.vocab, config.training.seed)
    device, precision = machine(config.training)
    before = storage.peak_memory()
    trial = replace(config.training, epochs=None, steps=TRIAL_STEPS, minutes=None)
    speed = _Speed()
    texts = replace(prepared.texts, valid=None)
    job = job_of(
        replace(config, training=trial), replace(prepared, texts=texts), MemoryJournal(), device, precision, speed
    )
    FAMILIES[config.model].fit(model, job)
    tokens = prepared.texts.train.facts.tokens
    step_tokens = min(config.training.batch_size * config.training.window, tokens)
    per_second = step_tokens / speed.step_seconds
    if config.training.minutes is not None:
        seconds = config.training.minutes * 60
    elif config.training.steps is not None:
        seconds = config.training.steps * speed.step_seconds
    else:
        seconds = (config.training.epochs or 10) * tokens / per_second
    added = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else storage.peak_memory() - before
    memory = max(added, parameters(model) * 16)
    return Estimate(parameters(model), tokens, per_second, seconds, memory, str(device), precision)
