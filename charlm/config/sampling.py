"""The page of knobs about sampling."""

import math
from dataclasses import dataclass

from charlm.config.knobs import knob, refuse


@dataclass(frozen=True)
class SamplingConfig:
    """How text is drawn. Filters apply in this order: repetition, temperature, top-k, top-p, min-p."""

    temperature: float = knob(
        1.0, "Below 1 is safer, above 1 is wilder; 0 always takes the likeliest token.", panel="Drawing"
    )
    top_k: int | None = knob(None, "Draw from the k likeliest tokens only.", panel="Drawing")
    top_p: float | None = knob(
        None, "Draw from the likeliest tokens that together reach this probability.", panel="Drawing"
    )
    min_p: float | None = knob(
        None, "Draw from tokens at least this many times as likely as the likeliest.", panel="Drawing"
    )
    repetition: float = knob(1.0, "Divide the probability of tokens already said by this; 1 is off.", panel="Drawing")
    max_tokens: int = knob(200, "Stop a sample after this many tokens.", panel="Drawing")
    seed: int = knob(1, "Sample i depends on the seed and on i alone.", panel="Drawing")

    def __post_init__(self) -> None:
        mistakes = []
        if not 0 <= self.temperature < math.inf:
            mistakes.append(f"--temperature must be 0 (greedy) or more, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            mistakes.append(f"--top-k must be at least 1, not {self.top_k}")
        for name, share in (("top-p", self.top_p), ("min-p", self.min_p)):
            if share is not None and not 0 < share <= 1:
                mistakes.append(f"--{name} must be above 0 and at most 1, not {share}")
        if not 1 <= self.repetition < math.inf:
            mistakes.append(f"--repetition must be at least 1 (which is off), not {self.repetition}")
        if self.max_tokens < 1:
            mistakes.append(f"--max-tokens must be at least 1, not {self.max_tokens}")
        refuse(mistakes, "sample")
