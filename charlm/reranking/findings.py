"""What is odd in lists of candidates: scores that were not used, references under another name."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from charlm.nbest.base import Utterance
from charlm.nbest.foreign import REFERENCE_NAMES, is_score_name
from charlm.reranking.weighing import Formula, Ranked


@dataclass
class Findings:
    """Counts what is odd in the lists that pass by.

    used    names of the scores that went into an order
    models  names of the scores that language models gave
    """

    formula: Formula
    models: tuple[str, ...] = ("lm",)
    used: set[str] = field(default_factory=set)
    _partial: Counter[str] = field(default_factory=Counter)
    _ignored: Counter[str] = field(default_factory=Counter)
    _references: Counter[str] = field(default_factory=Counter)
    _unread: int = 0
    _replaced: Counter[str] = field(default_factory=Counter)
    _infinite: int = 0

    def add(self, utterance: Utterance, ranked: Ranked) -> None:
        """Look at one list and at what was made of it."""
        self.used |= set(ranked.used)
        self._partial.update(ranked.partial)
        self._ignored.update(self._passed_over(utterance))
        self._replaced.update(
            name
            for name in self.models
            if name in self.formula and any(name in candidate.scores for candidate in utterance.hypotheses)
        )
        self._infinite += sum(-math.inf in candidate.scores.values() for candidate in utterance.hypotheses)
        if utterance.reference is None and (names := REFERENCE_NAMES.intersection(utterance.extra)):
            self._references.update(names)
            self._unread += 1

    def _passed_over(self, utterance: Utterance) -> set[str]:
        """Names of numbers that look like scores and were not used."""
        found: set[str] = set()
        read = {factor for name in self.formula for factor in (name, *name.split("*"))} | set(self.models)
        for candidate in utterance.hypotheses:
            found |= {f"scores.{name}" for name in candidate.scores if name not in read}
            numbers = (name for name, value in candidate.extra.items() if type(value) in (int, float))
            found |= {name for name in numbers if is_score_name(name)}
        return found

    def sentences(self) -> Iterator[str]:
        """What there is to tell."""
        for name, lists in self._partial.items():
            yield f"{lists:,} lists have scores.{name} for some candidates only; it was left out there"
        for name, lists in sorted(self._ignored.items()):
            yield f"{lists:,} lists have numbers called {name}, which were not used (--weight asr=1 takes scores.asr)"
        for name, lists in self._replaced.items():
            yield f"{lists:,} lists brought a scores.{name}, which this model's replaced (another name is kept)"
        if self._unread:
            names = ", ".join(sorted(self._references))
            yield f"{self._unread:,} lists name no ref but what may be one ({names}): nothing was compared"
        if self._infinite:
            yield f"{self._infinite:,} candidates have a score of -Infinity, which JSON has not: it is written as null"
