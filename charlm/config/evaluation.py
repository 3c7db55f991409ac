"""The page of knobs about dynamic evaluation: how a network learns from the text that it is measured on."""

import math
from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import knob, refuse

LARGEST_SEGMENT = 10_000  # tokens
PANEL = "Dynamic evaluation"


@dataclass(frozen=True)
class DynamicConfig:
    """Dynamic evaluation (Krause et al. 2018)."""

    dynamic: Literal["sgd", "rms"] | None = knob(
        None,
        "Measure the text also while the networks learn from what they have predicted: by plain gradient steps, sgd, or"
        " by ones scaled by what the gradients on the text of --tune are like, rms. The run stays as it is."
        " [default: static alone]",
        panel=PANEL,
    )
    rate: float | None = knob(
        None, "Learning rate of those steps. [default: what is best on --tune; without, 0.3; rms 0.001]", panel=PANEL
    )
    decay: float | None = knob(
        None,
        "Share of the way back to the trained weights at each step. [default: what is best on --tune; without, 0.01;"
        " rms 0.003]",
        panel=PANEL,
    )
    segment: int = knob(20, "Tokens that are predicted between two steps.", panel=PANEL)

    def __post_init__(self) -> None:
        mistakes = []
        if self.rate is not None and not 0 < self.rate < math.inf:
            mistakes.append(f"--rate must be above 0 and finite, not {self.rate}")
        if self.decay is not None and not 0 <= self.decay <= 1:
            mistakes.append(f"--decay must be from 0 to 1, not {self.decay}")
        if not 1 <= self.segment <= LARGEST_SEGMENT:
            mistakes.append(f"--segment must be from 1 to {LARGEST_SEGMENT:,}, not {self.segment}")
        refuse(mistakes, "eval")
