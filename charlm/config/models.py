"""MODELS: the families of models, each with its page of knobs, and the cells of recurrent networks.

A family is one line here and one file that makes its `Family`; a cell is one line in CELLS and one file. Both are
loaded by name when they are asked for, so that this page knows no torch.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from charlm.choices import Choices
from charlm.config.knobs import knob, refuse
from charlm.errors import ConfigError

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

# Of each cell that can have peepholes: the gates that it has, and those that look where nothing was asked for.
LOOKING = {"lstm-peephole": ("ifo", "ifo"), "lstm-coupled": ("fo", "")}

# The entries of ngrams/smoothing.py; "arpa" is whatever made the ARPA file that a model was imported from.
Smoothing = Literal["modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "add-k", "ml", "arpa"]

LARGEST_ORDER = 20  # of n-grams
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
    freeze_embeddings: bool = knob(
        False,
        "Keep the vectors of --embeddings as they are, with those of words that have none there (with --untied).",
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
        "Tokens of the longest blanks that a cloze model learns to fill; longer ones it can only guess.",
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


@dataclass(frozen=True)
class UnigramConfig:
    """Token frequencies, whatever came before."""

    add_k: float = knob(1.0, "Added to every count, by unigrams and --smoothing add-k.", panel="Counts")

    def __post_init__(self) -> None:
        if not 0 < self.add_k < math.inf:
            raise ConfigError(f"--add-k must be above 0 and finite, not {self.add_k}", hint="try --add-k 0.5")


@dataclass(frozen=True)
class NgramConfig:
    """Counts of token sequences, smoothed."""

    order: int = knob(5, "Tokens of the longest sequences that are counted.", panel="Counts")
    smoothing: Smoothing = knob(
        "modified-kneser-ney",
        "modified-kneser-ney, kneser-ney, absolute, witten-bell, add-k or ml (count ratios).",
        panel="Counts",
    )
    add_k: float = knob(1.0, "Added to every count, by unigrams and --smoothing add-k.", panel="Counts")
    cutoffs: str = knob(
        "0", "Leave out n-grams seen so often or less, for orders 1,2,…; the last holds on: 0,0,1.", panel="Counts"
    )
    prune: float = knob(
        0.0, "Leave out n-grams whose loss raises the perplexity by less than this share: 1e-8.", panel="Counts"
    )
    quantize: int | None = knob(None, "Store probabilities in 8 or 16 bits. [default: 32, exact]", panel="Counts")
    memory: str = knob(
        "1G", "Memory that counting may hold, with K, M or G; what does not fit goes to the disk.", panel="Counts"
    )

    def __post_init__(self) -> None:
        mistakes = []
        if not 1 <= self.order <= LARGEST_ORDER:
            mistakes.append(f"--order must be from 1 to {LARGEST_ORDER}, not {self.order}")
        if not 0 < self.add_k < math.inf:
            mistakes.append(f"--add-k must be above 0 and finite, not {self.add_k}")
        if not 0 <= self.prune < math.inf:
            mistakes.append(f"--prune must be 0 or more and finite, not {self.prune}")
        if self.quantize not in (None, 8, 16):
            mistakes.append(f"--quantize must be 8 or 16, not {self.quantize}")
        if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", self.cutoffs, re.ASCII):
            mistakes.append(f"--cutoffs must be whole numbers with commas between them, not {self.cutoffs!r}")
        elif self.cutoff_counts[0] or list(self.cutoff_counts) != sorted(self.cutoff_counts):
            mistakes.append(f"--cutoffs must begin with 0, since every token stays, and never fall: {self.cutoffs!r}")
        if not re.fullmatch(r"\d{1,9}(\.\d{1,3})?[KMG]?", self.memory, re.ASCII):
            mistakes.append(f"--memory must be a number with K, M or G, not {self.memory!r}")
        if self.prune and self.smoothing == "add-k":
            mistakes.append("--prune does not go with --smoothing add-k, which never asks the shorter context")
        refuse(mistakes)

    @property
    def cutoff_counts(self) -> tuple[int, ...]:
        """The cut-offs of orders 1, 2, …"""
        return tuple(int(number) for number in self.cutoffs.split(","))

    @property
    def memory_bytes(self) -> int:
        """The budget in bytes."""
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(self.memory[-1], 1)
        return int(float(self.memory.rstrip("KMG")) * unit)


@dataclass(frozen=True)
class MixtureConfig:
    """A weighted sum of models over one vocabulary."""

    by_context: bool = knob(
        True,
        "Weights for each class of contexts, told apart by the first n-gram member.",
        panel="Mixture",
        switch="--by-context/--global",
    )
    cache: int = knob(0, "Add a unigram cache of so many tokens.", panel="Mixture")
    cache_decay: float = knob(
        0.995, "How much less each token of the cache counts than the one after it.", panel="Mixture"
    )
    neural_cache: int = knob(
        0, "Give members that are networks a neural cache of so many tokens (Grave et al. 2017).", panel="Mixture"
    )

    temper: bool = knob(
        False,
        "Make what each network says flatter or sharper, by the temperature that is best on the text of --tune.",
        panel="Mixture",
    )

    def __post_init__(self) -> None:
        mistakes = [
            f"--{name} must be from 0 to 1,000,000, not {value}"
            for name, value in (("cache", self.cache), ("neural-cache", self.neural_cache))
            if not 0 <= value <= 1_000_000
        ]
        if not 0 < self.cache_decay <= 1:
            mistakes.append(f"--cache-decay must be above 0 and at most 1, not {self.cache_decay}")
        refuse(mistakes, "run mix")


@dataclass(frozen=True)
class Model:
    """A family of models, as far as it can be told without loading it.

    page     its knobs
    summary  what it is, for people who choose
    learns   by gradient (the page of training is for it), by counting in one pass, or by mixing other runs
    kind     causal: predicts the next token from those before it. cloze: from both sides; it cannot sample
    home     the module that makes its `FAMILY`
    """

    page: type
    summary: str
    learns: Literal["gradient", "counting", "mixing"]
    home: str
    kind: Literal["causal", "cloze"] = "causal"


MODELS: Choices[Model] = Choices(
    "model",
    {
        "recurrent": Model(RecurrentConfig, "a stacked LSTM, GRU or RNN", "gradient", "charlm.families.recurrent"),
        "jordan": Model(JordanConfig, "a network of its outputs' mean", "gradient", "charlm.families.jordan"),
        "narx": Model(NarxConfig, "a network of its last outputs and inputs", "gradient", "charlm.families.narx"),
        "window": Model(
            WindowConfig, "a feed-forward network of the last tokens", "gradient", "charlm.families.window"
        ),
        "cloze": Model(
            ClozeConfig,
            "a missing word from both sides: such a stack for each direction",
            "gradient",
            "charlm.families.cloze",
            kind="cloze",
        ),
        "cloze-window": Model(
            SurroundingConfig,
            "the same from the nearest tokens of both sides",
            "gradient",
            "charlm.families.surrounding",
            kind="cloze",
        ),
        "ngram": Model(NgramConfig, "counts of sequences, smoothed", "counting", "charlm.families.ngram"),
        "unigram": Model(UnigramConfig, "token frequencies alone", "counting", "charlm.families.unigram"),
        "mixture": Model(MixtureConfig, "a weighted sum of runs", "mixing", "charlm.families.mixture"),
    },
)
