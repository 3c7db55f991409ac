"""MODELS: the families of models, each with its page of knobs; those of networks are in `networks.py`.

A family is one line here and one file that makes its `Family`, loaded by name when it is asked for, so that this
page knows no torch.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal

from charlm.choices import Choices
from charlm.config.knobs import knob, refuse
from charlm.config.networks import (
    ClozeConfig,
    JordanConfig,
    NarxConfig,
    RecurrentConfig,
    SurroundingConfig,
    WindowConfig,
)
from charlm.errors import ConfigError

# The entries of ngrams/smoothing.py; "arpa" is whatever made the ARPA file that a model was imported from.
Smoothing = Literal["modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "add-k", "ml", "arpa"]

LARGEST_ORDER = 20  # of n-grams


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
