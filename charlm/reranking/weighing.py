"""From scores to an order: the weighted sum that speech recognition calls shallow fusion by rescoring.

    total = am weight · log P(sound | text) + lm weight · log P(text) + length weight · length + …

Natural logarithms, larger is better. A language model finds every further unit a little less likely, so it
favours short candidates; a length weight above 0 pays that back. A name `a*b` is the product of two scores: where a
recogniser gives averages over the length, `am*length` is their sum.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from charlm.errors import CharlmError, ConfigError
from charlm.nbest import Hypothesis, Utterance

DEFAULTS: Mapping[str, float] = {"am": 1.0, "lm": 1.0, "length": 0.0}


class Formula(Mapping[str, float]):
    """What each score of a candidate counts: name -> weight. Raises ConfigError for a weight that is not finite.

    `lm` is per nat of the language model's log-probability, and `length` is nats per unit of length; the caller
    brings both, and chooses the unit, characters or words. Every other name is one of the candidate's own scores,
    such as `am`, the acoustic one. What is not named keeps its default: am 1, lm 1, length 0.

    >>> print(Formula({"asr": 0.5}, lm=2))
    1·am + 2·lm + 0.5·asr
    """

    def __init__(self, weights: Mapping[str, float] | None = None, **more: float) -> None:
        self._weights = {**DEFAULTS, **(weights or {}), **more}
        for name, weight in self._weights.items():
            if not math.isfinite(weight):
                raise ConfigError(
                    f"the {name} weight must be a finite number, not {weight}", hint="0 leaves a score out"
                )

    @classmethod
    def exactly(cls, weights: Mapping[str, float]) -> "Formula":
        """Of these scores and no others: nothing has a default."""
        made = cls(weights)
        made._weights = dict(weights)
        return made

    def __getitem__(self, name: str) -> float:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __repr__(self) -> str:
        return f"Formula({self._weights})"

    def __str__(self) -> str:
        return self.over(self)

    def over(self, used: Collection[str]) -> str:
        """The sum in words, of those scores that were used and count."""
        return " + ".join(f"{weight:g}·{name}" for name, weight in self.items() if weight and name in used) or "0"


@dataclass(frozen=True)
class Weighed:
    """A candidate and what it weighs.

    position   its place in the original list, from 0
    total      the weighted sum of its parts, nats
    parts      name -> value before weighting: `lm` (nats), `length` (units), and the scores that all candidates have
    posterior  its share of the list's probability; None where nobody said at which temperature
    """

    hypothesis: Hypothesis
    position: int
    total: float
    parts: Mapping[str, float]
    posterior: float | None = None


@dataclass(frozen=True)
class Ranked:
    """The candidates of one utterance, best first.

    used        names of the scores that every candidate had, so that they went into the totals
    partial     names of scores that only some candidates had, so that they were left out for all of them
    tokens      tokens that the language models read, of all candidates
    unknown     those of them that they do not know
    models      names of the scores that language models gave
    """

    weighed: tuple[Weighed, ...]
    used: tuple[str, ...]
    partial: tuple[str, ...]
    tokens: int = 0
    unknown: int = 0
    models: tuple[str, ...] = ("lm",)

    @property
    def best(self) -> Hypothesis:
        """The candidate with the highest total; an empty one where the list has none."""
        return self.weighed[0].hypothesis if self.weighed else Hypothesis("")

    @property
    def impossible(self) -> int:
        """Candidates that a language model holds impossible: log-probability minus infinity."""
        return sum(any(item.parts.get(name) == -math.inf for name in self.models) for item in self.weighed)


def rank(utterance: Utterance, lm_log_probs: Sequence[float], lengths: Sequence[int], formula: Formula) -> Ranked:
    """Put the candidates of an utterance in the order of their totals; equal ones keep their order.

    lm_log_probs  one per candidate, nats; -inf is allowed, for a text the model holds impossible
    lengths       one per candidate, in the unit of `formula["length"]`

    Candidates are comparable only by scores that all of them have, hence a score that some lack is left
    out for the whole list (see `Ranked.partial`). Raises ValueError if there is not one value
    per candidate, or one is not a number; CharlmError where scores and weights are so large that their sum is none.
    """
    candidates = utterance.hypotheses
    if not len(candidates) == len(lm_log_probs) == len(lengths):
        raise ValueError(
            f"utterance {utterance.id!r} has {len(candidates)} candidates, "
            f"but {len(lm_log_probs)} log-probabilities and {len(lengths)} lengths were given"
        )
    brought = [{"lm": lm, "length": float(length)} for lm, length in zip(lm_log_probs, lengths, strict=True)]
    return weigh(utterance, brought, formula)


def weigh(
    utterance: Utterance, brought: Sequence[Mapping[str, float]], formula: Formula, models: tuple[str, ...] = ("lm",)
) -> Ranked:
    """Put the candidates of an utterance in the order of their totals, as `rank` does, by any named scores.

    brought  the scores of each candidate that do not stand in the list; they replace its own of the same name
    models   names of those that language models gave
    """
    candidates = utterance.hypotheses
    known = [{**candidate.scores, **more} for candidate, more in zip(candidates, brought, strict=True)]
    values = {name: [score_named(name, scores) for scores in known] for name in formula}
    held = {name: sum(value is not None for value in column) for name, column in values.items()}
    used = tuple(name for name in formula if held[name] == len(candidates) > 0)
    weighed = []
    for position, candidate in enumerate(candidates):
        parts = {name: value for name in used if (value := values[name][position]) is not None}
        if any(math.isnan(part) for part in parts.values()):
            raise ValueError(f"candidate {position} of utterance {utterance.id!r} cannot be weighed: {parts}")
        total = total_of(parts, formula)
        if math.isnan(total) or (math.isinf(total) and all(map(math.isfinite, parts.values()))):
            shown = ", ".join(f"{name} {value:g}" for name, value in parts.items())
            raise CharlmError(
                f"candidate {position} of utterance {utterance.id!r}: the weighted sum is no number ({shown})",
                hint="scores are log-probabilities in nats; give scores and weights of an ordinary size",
            )
        weighed.append(Weighed(candidate, position, total, parts))
    # Python's sort is stable, reversed too: equal totals stay in the order of the list.
    weighed.sort(key=lambda item: item.total, reverse=True)
    partial = tuple(name for name, count in held.items() if 0 < count < len(candidates))
    return Ranked(tuple(weighed), used, partial, models=models)


def score_named(name: str, scores: Mapping[str, float]) -> float | None:
    """A candidate's score of a name, a product where the name is one; None where it lacks it.

    >>> score_named("am*length", {"am": -0.5, "length": 4.0})
    -2.0
    """
    if name in scores or "*" not in name:
        return scores.get(name)
    product = 1.0
    for factor in name.split("*"):
        value = scores.get(factor)
        if value is None:
            return None
        product = 0.0 if product == 0 or value == 0 else product * value  # nothing times infinity is nothing here
    return product


def total_of(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted sum of some scores, nats."""
    # A weight of 0 leaves a part out altogether: 0 * -inf would be nan.
    return sum((weights[name] * value for name, value in parts.items() if weights.get(name)), 0.0)
