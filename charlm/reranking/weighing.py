"""From scores to an order: the weighted sum that speech recognition calls shallow fusion by rescoring.

    total = am weight · log P(sound | text) + lm weight · log P(text) + length weight · length + …

Natural logarithms, larger is better. A language model finds every further unit a little less likely, so it
favours short candidates; a length weight above 0 pays that back.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from charlm.errors import CharlmError, ConfigError
from charlm.nbest import Hypothesis, Utterance


class Formula(Mapping[str, float]):
    """What each score of a candidate counts: name -> weight. Raises ConfigError for a weight that is not finite.

    `lm` is per nat of the language model's log-probability, and `length` is nats per unit of length; the caller
    brings both, and chooses the unit, characters or words. Every other name is one of the candidate's own scores,
    such as `am`, the acoustic one. What is not named keeps its default: am 1, lm 1, length 0.

    >>> print(Formula({"asr": 0.5}, lm=2))
    1·am + 2·lm + 0.5·asr
    """

    def __init__(self, weights: Mapping[str, float] | None = None, **more: float) -> None:
        self._weights = {"am": 1.0, "lm": 1.0, "length": 0.0, **(weights or {}), **more}
        for name, weight in self._weights.items():
            if not math.isfinite(weight):
                raise ConfigError(
                    f"the {name} weight must be a finite number, not {weight}", hint="0 leaves a score out"
                )

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

    position  its place in the original list, from 0
    total     the weighted sum of its parts, nats
    parts     name -> value before weighting: `lm` (nats), `length` (units), and the scores that all candidates have
    """

    hypothesis: Hypothesis
    position: int
    total: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Ranked:
    """The candidates of one utterance, best first.

    used        names of the scores that every candidate had, so that they went into the totals
    partial     names of scores that only some candidates had, so that they were left out for all of them
    tokens      tokens that the language model read, of all candidates
    unknown     those of them that it does not know
    """

    weighed: tuple[Weighed, ...]
    used: tuple[str, ...]
    partial: tuple[str, ...]
    tokens: int = 0
    unknown: int = 0

    @property
    def best(self) -> Hypothesis:
        """The candidate with the highest total; an empty one where the list has none."""
        return self.weighed[0].hypothesis if self.weighed else Hypothesis("")

    @property
    def impossible(self) -> int:
        """Candidates that the language model holds impossible: log-probability minus infinity."""
        return sum(item.parts["lm"] == -math.inf for item in self.weighed)


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
    own = {
        name: sum(name in candidate.scores for candidate in candidates)
        for name in formula
        if name not in ("lm", "length")
    }
    used = tuple(name for name in formula if own.get(name, len(candidates)) == len(candidates) > 0)
    weighed = []
    for position, (candidate, lm, length) in enumerate(zip(candidates, lm_log_probs, lengths, strict=True)):
        known = {**candidate.scores, "lm": lm, "length": float(length)}
        parts = {name: known[name] for name in used}
        if any(math.isnan(part) for part in parts.values()):
            raise ValueError(f"candidate {position} of utterance {utterance.id!r} cannot be weighed: {parts}")
        total = _total(parts, formula)
        if math.isnan(total) or (math.isinf(total) and all(map(math.isfinite, parts.values()))):
            shown = ", ".join(f"{name} {value:g}" for name, value in parts.items())
            raise CharlmError(
                f"candidate {position} of utterance {utterance.id!r}: the weighted sum is no number ({shown})",
                hint="scores are log-probabilities in nats; give scores and weights of an ordinary size",
            )
        weighed.append(Weighed(candidate, position, total, parts))
    # Python's sort is stable, reversed too: equal totals stay in the order of the list.
    weighed.sort(key=lambda item: item.total, reverse=True)
    return Ranked(tuple(weighed), used, tuple(name for name, count in own.items() if 0 < count < len(candidates)))


def _total(parts: Mapping[str, float], formula: Formula) -> float:
    # A weight of 0 leaves a part out altogether: 0 * -inf would be nan.
    return sum((formula[name] * value for name, value in parts.items() if formula[name]), 0.0)
