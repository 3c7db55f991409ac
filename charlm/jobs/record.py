"""What a training took of the machine: speed, its share of what the machine could do, memory, energy."""

from typing import Any

import torch

from charlm import memory
from charlm.config.training import TrainingConfig
from charlm.energy import Meter
from charlm.training.ceiling import MOST_ROWS, step_seconds
from charlm.training.devices import Machine
from charlm.training.journal import Event, OnEvent


class Usage:
    """Listens to a training and keeps count; it passes on what it hears."""

    def __init__(self, report: OnEvent) -> None:
        self.report, self.meter = report, Meter()

    def __call__(self, event: Event) -> None:
        self.meter.joules()  # at each step: its counters turn over
        self.report(event)

    def record(
        self, model: Any, config: TrainingConfig, machine: Machine, tokens_per_second: float | None
    ) -> dict[str, Any]:
        """What run.json keeps of it; what cannot be known is left out.

        tokens_per_second  of the steps since the training was begun or resumed; None for what learns without steps
        """
        joules = self.meter.joules()
        found: dict[str, Any] = {"peak_memory": memory.peak() or None, "joules": joules and round(joules, 1)}
        if machine.device.type == "cuda":
            found["peak_device_memory"] = torch.cuda.max_memory_allocated(machine.device)
        products = getattr(model, "products", None)
        if tokens_per_second is not None:
            found["tokens_per_second"] = round(tokens_per_second, 1)
        if tokens_per_second is not None and products is not None and machine.device.type in ("cpu", "cuda"):
            step = products(config.batch_size, config.window)
            seconds = step_seconds(step, machine.precision, machine.device, most_rows=MOST_ROWS)
            ceiling = config.batch_size * config.window / seconds * machine.ranks.ranks
            found |= {"ceiling": round(ceiling, 1), "share_of_ceiling": round(tokens_per_second / ceiling, 3)}
        return {name: value for name, value in found.items() if value is not None}
