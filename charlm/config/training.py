"""The page of knobs about training, and presets: sets of knobs for a purse."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from charlm.choices import Choices, closest
from charlm.config.knobs import fields_of, knob, refuse

LARGEST_BUDGET = 1_000_000_000_000  # of epochs, steps or minutes: two million years
Precision = Literal["auto", "float32", "bf16"]
ReadPrecision = Literal["float32", "fp16", "bf16"]  # of the products of a model that only reads
Optimizer = Literal["adamw", "muon", "muon-whole"]
Average = Literal["none", "ema", "tail"]
CONTROLS = ("form", "tune", "rhyme", "theme")  # what may be told of a poem, in the order in which it is read


@dataclass(frozen=True)
class TrainingConfig:
    """How a network learns: its budget, its steps, its safety."""

    epochs: float | None = knob(
        None, "Budget: passes over the text. [default: 10, if no other budget is given]", panel="Budget"
    )
    steps: int | None = knob(None, "Budget: steps of the optimizer.", panel="Budget")
    minutes: float | None = knob(
        None, "Budget: minutes on this machine; the schedule follows the clock.", panel="Budget"
    )
    batch_size: int = knob(
        32, "Texts or stripes read side by side; a step reads about batch size × window tokens.", panel="Optimizer"
    )
    window: int = knob(
        64, "Tokens that a gradient travels back (truncated back-propagation through time).", panel="Optimizer"
    )
    learning_rate: float = knob(4e-3, "Highest learning rate, after the warm-up.", panel="Optimizer")
    warmup: float = knob(0.02, "Share of the budget in which the learning rate rises.", panel="Optimizer")
    final_rate: float = knob(
        0.01, "Share of the highest learning rate that is left at the end of the cosine.", panel="Optimizer"
    )
    optimizer: Optimizer = knob(
        "adamw",
        "adamw; muon, for the matrices of cells, gate by gate, with adamw for the rest (Jordan et al. 2024);"
        " muon-whole, each matrix at once.",
        panel="Optimizer",
    )
    weight_decay: float = knob(0.01, "Decoupled weight decay, on matrices only.", panel="Optimizer")
    beta2: float = knob(0.99, "Memory of AdamW for squared gradients.", panel="Optimizer")
    beta2_tokens: float | None = knob(
        None,
        "That memory as a half-life in tokens, whatever the size of a step (Marek et al. 2025).",
        panel="Optimizer",
    )
    clip: float = knob(1.0, "Longest gradient; longer ones are scaled down to it.", panel="Optimizer")
    average: Average = knob(
        "none",
        "Measure and keep averages of the weights: ema, of all steps, late ones most (Karras et al. 2024); tail, of the"
        " last (Polyak & Juditsky 1992).",
        panel="Optimizer",
    )
    average_share: float = knob(
        0.1,
        "How far averages reach back: ema, share of the training so far; tail, share of the budget.",
        panel="Optimizer",
    )
    partial_shuffle: bool = knob(
        False,
        "Begin each stripe of a carried text at another line in each epoch (Press 2019).",
        panel="Optimizer",
    )
    control: str | None = knob(
        None,
        "Tell the model of each poem, before it: form, tune, rhyme, theme, several with commas, or all.",
        panel="Verse",
    )
    control_dropout: float = knob(
        0.2, "Share of what is told that is left out, and of poems that are told nothing of.", panel="Verse"
    )
    validations: int | None = knob(
        None,
        "How often the validation text is measured. [default: each epoch; else 8 times, fewer where it is slow]",
        panel="Budget",
    )
    patience: int | None = knob(
        None, "Stop after this many validations in a row without a new best. [default: never]", panel="Budget"
    )
    save_minutes: float = knob(
        5.0, "How often everything needed to go on is saved, besides at each validation.", panel="Saving"
    )
    seed: int = knob(1, "Seed of everything random.", panel="Machine")
    precision: Precision = knob("auto", "float32, bf16, or auto: bf16 where it is faster.", panel="Machine")
    device: str = knob("auto", "cpu, cuda, cuda:1, mps, or auto.", panel="Machine")
    workers: int | None = knob(
        None,
        "Threads of a processor that share the rows of a step. 1 lets torch share every operation instead: faster where"
        " the processor is idle and has AMX, many times slower beside other programs. [default: one for each core that"
        " has 8 rows; a large network tries both ways, and takes the faster one]",
        panel="Machine",
    )

    def __post_init__(self) -> None:
        budgets = {"--epochs": self.epochs, "--steps": self.steps, "--minutes": self.minutes}
        given = {name: value for name, value in budgets.items() if value is not None}
        mistakes = []
        if len(given) > 1:
            mistakes.append(f"{' and '.join(given)} are rival budgets; give one")
        mistakes += [
            f"{name} must be above 0 and at most {LARGEST_BUDGET:,}, not {value}"
            for name, value in given.items()
            if not 0 < value <= LARGEST_BUDGET
        ]
        for name, count in (("batch-size", self.batch_size), ("window", self.window)):
            if count < 1:
                mistakes.append(f"--{name} must be at least 1, not {count}")
        if not 0 < self.learning_rate < math.inf:
            mistakes.append(f"--learning-rate must be above 0 and finite, not {self.learning_rate}")
        for name, above in (("clip", self.clip), ("save-minutes", self.save_minutes)):  # inf is never
            if not above > 0:
                mistakes.append(f"--{name} must be above 0, not {above}")
        for name, share in (("warmup", self.warmup), ("final-rate", self.final_rate), ("beta2", self.beta2)):
            if not 0 <= share < 1:
                mistakes.append(f"--{name} must be at least 0 and below 1, not {share}")
        if self.beta2_tokens is not None:
            if not 0 < self.beta2_tokens < math.inf:
                mistakes.append(f"--beta2-tokens must be above 0 and finite, not {self.beta2_tokens}")
            if self.beta2 != fields_of(TrainingConfig)["beta2"].default:
                mistakes.append("--beta2 and --beta2-tokens are rivals; give one")
        if not 0 < self.average_share < 1:
            mistakes.append(f"--average-share must be above 0 and below 1, not {self.average_share}")
        elif self.average == "none" and self.average_share != fields_of(TrainingConfig)["average_share"].default:
            mistakes.append("--average-share is for --average ema or tail")
        mistakes += self._wrong_controls()
        if not 0 <= self.weight_decay < math.inf:
            mistakes.append(f"--weight-decay must be 0 or more and finite, not {self.weight_decay}")
        if not 0 <= self.seed < 1 << 32:  # torch's generator on the CPU reads 32 bits of a seed
            mistakes.append(f"--seed must be at least 0 and below 2^32, not {self.seed}")
        counts = {"validations": self.validations, "patience": self.patience, "workers": self.workers}
        for name, times in counts.items():
            if times is not None and times < 1:
                mistakes.append(f"--{name} must be at least 1, not {times}")
        if self.workers is not None and self.workers > self.batch_size:
            mistakes.append(f"--workers {self.workers} cannot share the {self.batch_size} rows of --batch-size")
        refuse(mistakes)

    def _wrong_controls(self) -> list[str]:
        wrong = []
        if self.control is not None:
            given = self.control.split(",")
            unknown = [f"--control {name or repr('')}: {closest(name, [*CONTROLS, 'all'])}" for name in given
                       if name not in CONTROLS and self.control != "all"]  # fmt: skip
            twice = len(set(given)) < len(given)
            wrong += unknown or (["--control names something twice"] if twice else [])
        elif self.control_dropout != fields_of(TrainingConfig)["control_dropout"].default:
            wrong.append("--control-dropout is for --control")
        if not 0 <= self.control_dropout < 1:
            wrong.append(f"--control-dropout must be at least 0 and below 1, not {self.control_dropout}")
        return wrong

    @property
    def controls(self) -> tuple[str, ...]:
        """What is told of each poem, in the order of CONTROLS."""
        asked = CONTROLS if self.control == "all" else (self.control or "").split(",")
        return tuple(name for name in CONTROLS if name in asked)

    @property
    def square_memory(self) -> float:
        """AdamW's beta2, from step to step."""
        if self.beta2_tokens is None:
            return self.beta2
        return float(0.5 ** (self.batch_size * self.window / self.beta2_tokens))


BUDGETS = ("epochs", "steps", "minutes")


@dataclass(frozen=True)
class ByPrecision:
    """A knob of a preset whose best value hangs on the precision in which a machine trains."""

    float32: Any
    bf16: Any

    def __str__(self) -> str:
        return f"{self.bf16} in bf16, {self.float32} in float32"


# One preset is a set of knobs; what it costs and reaches on a named corpus stands in the README and docs/log.md.
PRESETS: Choices[Mapping[str, Any]] = Choices(
    "preset",
    {
        "tiny": {"hidden": 128, "embedding": 96, "layers": 1, "dropout": 0.1, "window": 32, "start_vectors": "auto"},
        "small": {
            "hidden": 256,
            "embedding": 192,
            "layers": 2,
            "dropout": 0.1,
            "skips": True,
            "start_vectors": "auto",
        },
        "base": {
            "hidden": 512,
            "embedding": 384,
            "layers": 2,
            "dropout": 0.1,
            "skips": True,
            # Without bf16, 16 rows keep the speed of 32, and twenty minutes are few steps; with it they lose a quarter.
            "batch_size": ByPrecision(float32=16, bf16=32),
            "sampled": 0.15,
            # Ten times the usual: four passes of a text, and ten of it, end lower so (docs/log.md).
            "weight_decay": 0.12,
            "start_vectors": "auto",
        },
    },
)


def suited(preset: Mapping[str, Any], precision: Precision) -> dict[str, Any]:
    """The knobs of a preset on a machine that trains in this precision."""
    return {
        name: (value.bf16 if precision == "bf16" else value.float32) if isinstance(value, ByPrecision) else value
        for name, value in preset.items()
    }
