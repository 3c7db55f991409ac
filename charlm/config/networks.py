"""The cells of recurrent networks, and the pages of knobs of all networks.

A cell is one line in CELLS and one file, loaded by name when it is asked for, so that this page knows no torch.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from charlm.choices import Choices
from charlm.config.knobs import knob, refuse

# name -> "module:function" that makes one layer of it from (inputs, hidden), and from the knobs that are its own
CELLS: Choices[str] = Choices(
    "cell",
    {
        "lstm": "charlm.models.cells.fused:lstm",
        "lstm-peephole": "charlm.models.cells.peephole:lstm_peephole",
        "lstm-coupled": "charlm.models.cells.peephole:lstm_coupled",
        "lstm-capped": "charlm.models.cells.peephole:lstm_capped",
        "gru": "charlm.models.cells.fused:gru",
        "gru-reset-first": "charlm.models.cells.reset_first:gru_reset_first",
        "rnn-tanh": "charlm.models.cells.fused:rnn_tanh",
        "rnn-relu": "charlm.models.cells.fused:rnn_relu",
        "rnn-sigmoid": "charlm.models.cells.simple:rnn_sigmoid",
        "rnn-linear": "charlm.models.cells.simple:rnn_linear",
    },
)

Stored = Literal["int8", "bf16", "float32"]  # how the weights of a packed network are kept: families/rounding.py

# Of each cell that can have peepholes: the gates that it has, and those that look where nothing was asked for.
LOOKING = {"lstm-peephole": ("ifo", "ifo"), "lstm-coupled": ("fo", "")}

# What the vectors of a network's tokens are before it learns.
STARTS: Choices[str] = Choices("start of token vectors", {"drawn": "drawn", "counts": "counts", "auto": "auto"})

LARGEST_BLANK = 50  # tokens
LARGEST = {"layers": 100, "taps": 1000, "output_taps": 1000}  # no network that was ever published comes near
SEPARATE = ("input_dropout", "between_dropout", "output_dropout")  # knobs whose default is --dropout


@dataclass(frozen=True)
class NetworkConfig:
    """What every network over a vocabulary is asked: its layers and its vectors."""

    layers: int = knob(2, "Layers, one above the other.", panel="Network")
    hidden: int = knob(512, "Hidden units of each layer.", panel="Network")
    embedding: int = knob(384, "Size of the token vectors.", panel="Network")
    tied: bool = knob(
        True,
        "Use one matrix for reading and for predicting tokens (Press & Wolf 2017).",
        panel="Network",
        switch="--tied/--untied",
    )
    start_vectors: str = knob(
        "drawn",
        "What token vectors begin as where neither --embeddings nor --init-from brings some: drawn; counts, by how"
        " much oftener than by chance tokens stand near each other (Levy & Goldberg 2014); or auto, counts where"
        " there are more tokens than --embedding.",
        choices=STARTS,
        panel="Network",
    )
    freeze_embeddings: bool = knob(
        False,
        "Keep the vectors of --embeddings or from counts as they are, and those of words that have none (with"
        " --untied).",
        panel="Network",
        switch="--freeze-embeddings/--learn-embeddings",
    )
    dropout: float = knob(
        0.3,
        "Share of units dropped, the same ones through a whole window (Gal & Ghahramani 2016).",
        panel="Regularisation",
    )

    def __post_init__(self) -> None:
        refuse(self._mistakes())

    def _mistakes(self) -> list[str]:
        mistakes = []
        for name in ("layers", "hidden", "embedding", "taps", "output_taps"):  # those that the page has
            size, most = getattr(self, name, 1), LARGEST.get(name)
            if size < 1 or (most is not None and size > most):
                bound = "at least 1" if size < 1 else f"at most {most}"
                mistakes.append(f"--{name.replace('_', '-')} must be {bound}, not {size}")
        if not 0 <= self.dropout < 1:
            mistakes.append(f"--dropout must be at least 0 and below 1, not {self.dropout}")
        if self.freeze_embeddings and self.tied:
            mistakes.append("--freeze-embeddings would freeze what predicts tokens as well; give --untied with it")
        return mistakes


@dataclass(frozen=True)
class SampledConfig(NetworkConfig):
    """A network that may be compared with a part of its vocabulary while it learns."""

    sampled: float = knob(
        0.0,
        "Compare each step with this share of a vocabulary of 2,000 or more, drawn anew, besides its most frequent"
        " eighth; in the last fifth of the budget with all of it. [default: all of it, always]",
        panel="Network",
    )

    def _mistakes(self) -> list[str]:
        mistakes = super()._mistakes()
        if not 0 <= self.sampled < 1:
            mistakes.append(f"--sampled must be at least 0 and below 1, not {self.sampled}")
        return mistakes


@dataclass(frozen=True)
class RecurrentConfig(SampledConfig):
    """A stacked recurrent network."""

    cell: str = knob("lstm", f"The kind of recurrent cell: {', '.join(CELLS)}.", choices=CELLS, panel="Network")
    peepholes: str | None = knob(
        None,
        "The gates that look at the memory, letters of ifo for input, forget and output, in lstm-peephole (which has"
        " all by default) and lstm-coupled (which has no input gate of its own, and none by default).",
        panel="Network",
    )
    full_peepholes: bool | None = knob(
        None,
        "Let peepholes be whole matrices instead of one number for each unit.",
        panel="Network",
        switch="--full-peepholes/--diagonal-peepholes",
    )
    learned_start: bool = knob(
        False,
        "Learn the state before the first token instead of starting from zeros.",
        panel="Network",
        switch="--learned-start/--zero-start",
    )
    skips: bool = knob(
        False,
        "Add to what each layer but the first says what it has read (Melis et al. 2018).",
        panel="Network",
        switch="--skips/--no-skips",
    )
    forget_bias: float = knob(
        1.0, "Bias with which forget gates begin, where a cell has them (Jozefowicz et al. 2015).", panel="Network"
    )
    input_dropout: float | None = knob(None, "The same, of token vectors. [default: --dropout]", panel="Regularisation")
    between_dropout: float | None = knob(
        None, "The same between two layers. [default: --dropout]", panel="Regularisation"
    )
    output_dropout: float | None = knob(
        None, "The same after the last layer. [default: --dropout]", panel="Regularisation"
    )
    fresh_dropout: bool = knob(
        False,
        "Drop other units at each token instead of the same ones through a window (Zaremba et al. 2014).",
        panel="Regularisation",
        switch="--fresh-dropout/--locked-dropout",
    )
    word_dropout: float = knob(
        0.0, "Share of the vocabulary that a window cannot read (Gal & Ghahramani 2016).", panel="Regularisation"
    )
    weight_drop: float = knob(
        0.0,
        "Share of the weights between hidden units dropped for a window (Merity et al. 2018).",
        panel="Regularisation",
    )
    ar: float = knob(
        0.0, "Penalty on large hidden units, as in AR (Merity et al. 2017): 2, say.", panel="Regularisation"
    )
    tar: float = knob(
        0.0, "Penalty on their change from token to token, as in TAR (the same paper): 1, say.", panel="Regularisation"
    )

    def _mistakes(self) -> list[str]:
        mistakes = super()._mistakes()
        for flag, value in (("--peepholes", self.peepholes), ("--full-peepholes", self.full_peepholes)):
            if value is not None and self.cell not in LOOKING:
                mistakes.append(f"{flag} is for --cell {' and '.join(LOOKING)}, not for {self.cell}")
        if self.cell in LOOKING:
            gates, _ = LOOKING[self.cell]
            asked = self.peepholes
            if asked is not None and (not asked or not set(asked) <= set(gates) or len(set(asked)) < len(asked)):
                missing = ", whose input gate is 1 minus its forget gate" if set(asked) <= set("ifo") and asked else ""
                mistakes.append(
                    f"--peepholes takes letters of {gates}, each once, for --cell {self.cell}{missing}; not {asked!r}"
                )
            if self.full_peepholes is not None and not (asked or LOOKING[self.cell][1]):
                mistakes.append(
                    f"--full-peepholes says how --peepholes look, and --cell {self.cell} has none of its own"
                )
        return mistakes + self._mistakes_of_recipe()

    def _mistakes_of_recipe(self) -> list[str]:
        mistakes = [
            f"--{name.replace('_', '-')} must be at least 0 and below 1, not {share}"
            for name in (*SEPARATE, "word_dropout", "weight_drop")
            if (share := getattr(self, name)) is not None and not 0 <= share < 1
        ]
        for name, weight in (("ar", self.ar), ("tar", self.tar)):
            if not 0 <= weight < math.inf:
                mistakes.append(f"--{name} must be 0 or more and finite, not {weight}")
        if not -math.inf < self.forget_bias < math.inf:
            mistakes.append(f"--forget-bias must be finite, not {self.forget_bias}")
        if self.layers == 1 and self.between_dropout is not None:
            mistakes.append("--between-dropout lies between two layers, and there is but one")
        return mistakes

    @property
    def dropouts(self) -> tuple[float, float, float]:
        """The shares of units dropped of token vectors, between layers and after the last one."""
        asked = (getattr(self, name) for name in SEPARATE)
        first, between, last = (self.dropout if share is None else share for share in asked)
        return first, between, last

    @property
    def of_cell(self) -> dict[str, Any]:
        """The knobs that belong to this kind of cell alone, as its maker takes them."""
        if self.cell not in LOOKING:
            return {}
        gates, usual = LOOKING[self.cell]
        asked = usual if self.peepholes is None else self.peepholes
        return {"peepholes": "".join(gate for gate in gates if gate in asked), "full": bool(self.full_peepholes)}


_TAPS = "Tokens that a window or NARX network sees at once: the last so many."


@dataclass(frozen=True)
class WindowConfig(SampledConfig):
    """A feed-forward network on the last tokens."""

    taps: int = knob(8, _TAPS, panel="Network")


@dataclass(frozen=True)
class JordanConfig(NetworkConfig):
    """A network that hears the mean of its own outputs."""


@dataclass(frozen=True)
class NarxConfig(NetworkConfig):
    """A network that hears its last outputs and inputs."""

    taps: int = knob(8, _TAPS, panel="Network")
    output_taps: int = knob(4, "Outputs of its own that a NARX network hears: the last so many.", panel="Network")


@dataclass(frozen=True)
class BlanksConfig(SampledConfig):
    """A network that says which word is missing, given both sides of the place."""

    longest_blank: int = knob(
        4,
        "Tokens of the longest blanks that a cloze model learns to fill; longer ones it can only guess. With 1, every"
        " row teaches one missing token alone, and `__` is one.",
        panel="Network",
    )

    def _mistakes(self) -> list[str]:
        mistakes = super()._mistakes()
        if not 1 <= self.longest_blank <= LARGEST_BLANK:
            mistakes.append(f"--longest-blank must be from 1 to {LARGEST_BLANK}, not {self.longest_blank}")
        return mistakes


@dataclass(frozen=True)
class ClozeConfig(BlanksConfig, RecurrentConfig):
    """A stacked recurrent network for each direction, joined at the blank."""

    def _mistakes(self) -> list[str]:
        mistakes = super()._mistakes()
        for flag, weight in (("--ar", self.ar), ("--tar", self.tar)):
            if weight:
                mistakes.append(f"{flag} is for --model recurrent, not for cloze")
        return mistakes


@dataclass(frozen=True)
class SurroundingConfig(BlanksConfig):
    """A feed-forward network on the nearest tokens of both sides."""

    taps: int = knob(8, _TAPS, panel="Network")
