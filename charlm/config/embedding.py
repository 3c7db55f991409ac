"""The page of knobs about word vectors."""

import math
from dataclasses import dataclass
from typing import Literal

from charlm.config.knobs import fields_of, knob, refuse
from charlm.config.text import Level
from charlm.config.training import LARGEST_BUDGET

PANEL = "Word vectors"
LARGEST = {"size": 10_000, "reach": 1_000, "negatives": 1_000, "threads": 1_024}
MOST_RATE = 1.0  # of these steps; word2vec's own is a fortieth of it

Objective = Literal["negative", "hierarchical"]
Method = Literal["auto", "compiled", "batched"]


@dataclass(frozen=True)
class EmbeddingConfig:
    """Skip-gram word vectors (Mikolov et al. 2013)."""

    level: Level = knob(
        "word", "word (jieba), char, spaced (already cut by white space) or mixed (Han by character).", panel="Text"
    )
    min_count: int = knob(5, "Words seen less often have no vector, and are passed over.", panel="Vocabulary")
    size: int = knob(100, "Numbers of each vector.", panel=PANEL)
    reach: int = knob(
        5, "Words on each side that a word predicts at most; for each word a number up to this is drawn.", panel=PANEL
    )
    objective: Objective = knob(
        "negative",
        "negative: tell each neighbour from words that are drawn. hierarchical: decide at each node of a Huffman tree.",
        panel=PANEL,
    )
    negatives: int = knob(5, "Words drawn for each neighbour, by --objective negative.", panel=PANEL)
    subsample: float = knob(
        1e-3, "Share of the text from which on a word is passed over now and then; 0 passes over none.", panel=PANEL
    )
    epochs: float | None = knob(
        None, "Budget: passes over the text. [default: 5, if no other budget is given]", panel="Budget"
    )
    minutes: float | None = knob(None, "Budget: minutes on this machine; the rate follows the clock.", panel="Budget")
    learning_rate: float = knob(0.025, "Learning rate at the beginning; it falls in a straight line.", panel=PANEL)
    final_rate: float = knob(1e-4, "Learning rate at the end.", panel=PANEL)
    method: Method = knob(
        "auto",
        "compiled: one pair of words after the other, in machine code (needs charlm[fast]). batched: blocks of text as"
        " matrix products. auto: compiled where that can be.",
        panel="Machine",
    )
    threads: int | None = knob(
        None, "Threads that learn side by side; with one a seed gives the same file. [default: all cores]",
        panel="Machine",
    )  # fmt: skip
    seed: int = knob(1, "Seed of everything random.", panel="Machine")

    def __post_init__(self) -> None:
        mistakes = []
        if self.epochs is not None and self.minutes is not None:
            mistakes.append("--epochs and --minutes are rival budgets; give one")
        for name, amount in (("--epochs", self.epochs), ("--minutes", self.minutes)):
            if amount is not None and not 0 < amount <= LARGEST_BUDGET:
                mistakes.append(f"{name} must be above 0 and at most {LARGEST_BUDGET:,}, not {amount}")
        for name, most in LARGEST.items():
            number = getattr(self, name)
            if number is not None and not 1 <= number <= most:
                mistakes.append(f"--{name} must be from 1 to {most:,}, not {number}")
        if self.min_count < 1:
            mistakes.append(f"--min-count must be at least 1, not {self.min_count}")
        if not 0 <= self.subsample < math.inf:
            mistakes.append(f"--subsample must be 0 or more and finite, not {self.subsample}")
        if not 0 < self.learning_rate <= MOST_RATE:
            mistakes.append(f"--learning-rate must be above 0 and at most {MOST_RATE:g}, not {self.learning_rate}")
        elif not 0 <= self.final_rate <= self.learning_rate:
            mistakes.append(f"--final-rate must be from 0 to --learning-rate, not {self.final_rate}")
        if self.objective != "negative" and self.negatives != fields_of(EmbeddingConfig)["negatives"].default:
            mistakes.append("--negatives is for --objective negative")
        if not 0 <= self.seed < 1 << 32:
            mistakes.append(f"--seed must be at least 0 and below 2^32, not {self.seed}")
        refuse(mistakes, "embed train")

    def share(self, passes: float, seconds: float) -> float:
        """The share of the budget that is used up by so many passes over the text, or by so much time; at most 1."""
        if self.minutes is not None:
            return min(1.0, seconds / (60 * self.minutes))
        return min(1.0, passes / (5.0 if self.epochs is None else self.epochs))

    def rate(self, share: float) -> float:
        """The learning rate where this share of the budget is used up."""
        return max(self.final_rate, self.learning_rate * (1 - share))
