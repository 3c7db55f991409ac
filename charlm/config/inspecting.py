"""The pages of knobs about looking into models."""

from dataclasses import dataclass

from charlm.config.knobs import knob, refuse

LARGEST_LAG, MOST_POSITIONS = 1000, 100_000
PANEL = "Looking"


@dataclass(frozen=True)
class InspectConfig:
    """Where a model is looked into, and how far back."""

    lags: int = knob(32, "Tokens to look back.", panel=PANEL)
    positions: int = knob(256, "Positions of the text that are looked at, spread over all of it.", panel=PANEL)
    tokens: int = knob(20_000, "Tokens of the text that are read, from its beginning.", panel=PANEL)
    seed: int = knob(1, "Decides what is drawn at random.", panel=PANEL)

    def __post_init__(self) -> None:
        mistakes = []
        if not 1 <= self.lags <= LARGEST_LAG:
            mistakes.append(f"--lags must be from 1 to {LARGEST_LAG:,}, not {self.lags}")
        if not 2 <= self.positions <= MOST_POSITIONS:
            mistakes.append(f"--positions must be from 2 to {MOST_POSITIONS:,}, not {self.positions}")
        if self.tokens < 1:
            mistakes.append(f"--tokens must be at least 1, not {self.tokens}")
        if self.seed < 0:
            mistakes.append(f"--seed must be 0 or more, not {self.seed}")
        refuse(mistakes, "inspect")


@dataclass(frozen=True)
class PlantedConfig:
    """A task with a planted long-distance dependency, and how long cells learn it."""

    task: str = knob("copy", "copy: say the first symbol again. brackets: close the first one.", panel=PANEL)
    cells: str = knob("rnn-tanh,gru", "Kinds of cells, with commas between them.", panel=PANEL)
    longest: int = knob(50, "The longest lag that is learned.", panel=PANEL)
    steps: int = knob(500, "Steps of training for each cell.", panel=PANEL)
    hidden: int = knob(32, "Hidden units.", panel=PANEL)
    seed: int = knob(1, "Decides the weights and the sequences.", panel=PANEL)

    def __post_init__(self) -> None:
        mistakes = []
        if not 2 <= self.longest <= LARGEST_LAG:
            mistakes.append(f"--longest must be from 2 to {LARGEST_LAG:,}, not {self.longest}")
        if self.steps < 1:
            mistakes.append(f"--steps must be at least 1, not {self.steps}")
        if self.hidden < 2:
            mistakes.append(f"--hidden must be at least 2, not {self.hidden}")
        if self.seed < 0:
            mistakes.append(f"--seed must be 0 or more, not {self.seed}")
        refuse(mistakes, "inspect lag")
