"""The page of knobs about tuning: how weights of scores are looked for, and held against lists they do not know."""

from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import knob, refuse

PANEL = "Search and validation"
MOST_FOLDS, MOST_STARTS = 100, 1000


@dataclass(frozen=True)
class TuneConfig:
    """Tuning of the weights of named scores."""

    decision: Literal["best", "mbr"] = knob(
        "best", "Choose the highest sum, best, or the least expected error over the list, mbr.", panel=PANEL
    )
    aim: Literal["auto", "errors", "likelihood"] = knob(
        "auto",
        "Weights with the fewest errors, or by which the best candidates are likeliest; auto: the latter, unless the"
        " former make clearly fewer errors in cross-validation.",
        panel=PANEL,
    )
    folds: int = knob(5, "Parts of the cross-validation.", panel=PANEL)
    group: str | None = knob(
        None, "Field of the lists that keeps what belongs together in one part, such as speaker.", panel=PANEL
    )
    starts: int = knob(4, "Descents from different weights.", panel=PANEL)
    directions: int = knob(4, "Random directions that are tried after each descent.", panel=PANEL)
    seed: int = knob(1, "Of parts, starts and draws.", panel=PANEL)

    def __post_init__(self) -> None:
        mistakes = []
        if not 2 <= self.folds <= MOST_FOLDS:
            mistakes.append(f"--folds must be from 2 to {MOST_FOLDS}, not {self.folds}")
        if not 1 <= self.starts <= MOST_STARTS:
            mistakes.append(f"--starts must be from 1 to {MOST_STARTS:,}, not {self.starts}")
        if not 0 <= self.directions <= MOST_STARTS:
            mistakes.append(f"--directions must be from 0 to {MOST_STARTS:,}, not {self.directions}")
        if self.seed < 0:
            mistakes.append(f"--seed must be at least 0, not {self.seed}")
        refuse(mistakes, "nbest tune")
