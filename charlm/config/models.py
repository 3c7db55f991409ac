"""MODELS: the families of models, each with its page of knobs, and the cells of recurrent networks.

A family is one line here and one file that makes its `Family`; a cell is one line in CELLS and one file. Both are
loaded by name when they are asked for, so that this page knows no torch.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

from charlm.choices import Choices
from charlm.config.knobs import knob, refuse
from charlm.errors import ConfigError

# name -> "module:function" that makes one layer of it from (inputs, hidden)
CELLS: Choices[str] = Choices(
    "cell",
    {
        "lstm": "charlm.models.cells.fused:lstm",
        "lstm-capped": "charlm.models.cells.capped:CappedLSTM",
        "gru": "charlm.models.cells.fused:gru",
        "rnn-tanh": "charlm.models.cells.fused:rnn_tanh",
        "rnn-relu": "charlm.models.cells.fused:rnn_relu",
    },
)

# The entries of ngrams/smoothing.py; "arpa" is whatever made the ARPA file that a model was imported from.
Smoothing = Literal["modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "add-k", "ml", "arpa"]

LARGEST_ORDER = 20  # of n-grams
SEPARATE = ("input_dropout", "between_dropout", "output_dropout")  # knobs whose default is --dropout
LARGEST_DEPTH = 100  # layers of a recurrent network; none that was ever published comes near


@dataclass(frozen=True)
class RecurrentConfig:
    """A stacked recurrent network."""

    cell: str = knob("lstm", f"The kind of recurrent cell: {', '.join(CELLS)}.", choices=CELLS, panel="Network")
    layers: int = knob(2, "Layers of cells, one above the other.", panel="Network")
    hidden: int = knob(512, "Hidden units of each layer.", panel="Network")
    embedding: int = knob(384, "Size of the token vectors.", panel="Network")
    tied: bool = knob(
        True,
        "Use one matrix for reading and for predicting tokens (Press & Wolf 2017).",
        panel="Network",
        switch="--tied/--untied",
    )
    dropout: float = knob(
        0.3,
        "Share of units dropped, the same ones through a whole window (Gal & Ghahramani 2016).",
        panel="Regularisation",
    )
    sampled: float = knob(
        0.0,
        "Compare each step with this share of a vocabulary of 2,000 or more, drawn anew, besides its most frequent"
        " eighth; in the last fifth of the budget with all of it. [default: all of it, always]",
        panel="Network",
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

    def __post_init__(self) -> None:
        mistakes = [
            f"--{name} must be at least 1, not {value}"
            for name, value in (("layers", self.layers), ("hidden", self.hidden), ("embedding", self.embedding))
            if value < 1
        ]
        if self.layers > LARGEST_DEPTH:
            mistakes.append(f"--layers must be at most {LARGEST_DEPTH}, not {self.layers}")
        shares = ("dropout", *SEPARATE, "word_dropout", "weight_drop", "sampled")
        mistakes += [
            f"--{name.replace('_', '-')} must be at least 0 and below 1, not {share}"
            for name in shares
            if (share := getattr(self, name)) is not None and not 0 <= share < 1
        ]
        for name, weight in (("ar", self.ar), ("tar", self.tar)):
            if not 0 <= weight < math.inf:
                mistakes.append(f"--{name} must be 0 or more and finite, not {weight}")
        if not -math.inf < self.forget_bias < math.inf:
            mistakes.append(f"--forget-bias must be finite, not {self.forget_bias}")
        if self.layers == 1 and self.skips:
            mistakes.append("--skips lead past all layers but the first, and there is but one")
        if self.layers == 1 and self.between_dropout is not None:
            mistakes.append("--between-dropout lies between two layers, and there is but one")
        refuse(mistakes)

    @property
    def dropouts(self) -> tuple[float, float, float]:
        """The shares of units dropped of token vectors, between layers and after the last one."""
        asked = (getattr(self, name) for name in SEPARATE)
        first, between, last = (self.dropout if share is None else share for share in asked)
        return first, between, last


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
        0, "Give recurrent members a neural cache of so many tokens (Grave et al. 2017).", panel="Mixture"
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
        "ngram": Model(NgramConfig, "counts of sequences, smoothed", "counting", "charlm.families.ngram"),
        "unigram": Model(UnigramConfig, "token frequencies alone", "counting", "charlm.families.unigram"),
        "mixture": Model(MixtureConfig, "a weighted sum of runs", "mixing", "charlm.families.mixture"),
    },
)
