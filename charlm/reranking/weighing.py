"""From scores to an order: the weighted sum that speech recognition calls shallow fusion by rescoring.

    total = am weight · log P(sound | text) + lm weight · log P(text) + length weight · length

Natural logarithms, larger is better. A language model finds every further unit a little less likely, so it
favours short candidates; a length weight above 0 pays that back.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from charlm.errors import CharlmError, ConfigError
from charlm.nbest import Hypothesis, Utterance


@dataclass(frozen=True)
class Weights:
    """What each score counts. Raises ConfigError for a weight that is not finite.

    am      per nat of the acoustic score, `scores["am"]`
    lm      per nat of the language model's log-probability
    length  nats per unit of length; the caller chooses the unit, characters or words
    """

    am: float = 1.0
    lm: float = 1.0
    length: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in (("am", self.am), ("lm", self.lm), ("length", self.length)):
            if not math.isfinite(weight):
                raise ConfigError(
                    f"the {name} weight must be a finite number, not {weight}", hint="0 leaves a score out"
                )


@dataclass(frozen=True)
class Weighed:
    """A candidate and what it weighs.

    position  its place in the original list, from 0
    total     the weighted sum of its parts, nats
    parts     name -> value before weighting: `am` (nats, where it is used), `lm` (nats), `length` (units)
    """

    hypothesis: Hypothesis
    position: int
    total: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Ranked:
    """The candidates of one utterance, best first.

    am_used     every candidate had an acoustic score, and it went into the totals
    am_partial  some candidates had one and others had none, so it was left out for all of them
    tokens      tokens that the language model read, of all candidates
    unknown     those of them that it does not know
    """

    weighed: tuple[Weighed, ...]
    am_used: bool
    am_partial: bool
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


def rank(utterance: Utterance, lm_log_probs: Sequence[float], lengths: Sequence[int], weights: Weights) -> Ranked:
    """Put the candidates of an utterance in the order of their totals; equal ones keep their order.

    lm_log_probs  one per candidate, nats; -inf is allowed, for a text the model holds impossible
    lengths       one per candidate, in the unit of `weights.length`

    Candidates are comparable only by scores that all of them have, hence an acoustic score that some lack
    is left out for the whole list (see `Ranked.am_partial`). Raises ValueError if there is not one value
    per candidate, or one is not a number; CharlmError where scores and weights are so large that their sum is none.
    """
    candidates = utterance.hypotheses
    if not len(candidates) == len(lm_log_probs) == len(lengths):
        raise ValueError(
            f"utterance {utterance.id!r} has {len(candidates)} candidates, "
            f"but {len(lm_log_probs)} log-probabilities and {len(lengths)} lengths were given"
        )
    scored = sum("am" in candidate.scores for candidate in candidates)
    am_used = scored == len(candidates) > 0
    weighed = []
    for position, (candidate, lm, length) in enumerate(zip(candidates, lm_log_probs, lengths, strict=True)):
        parts = {"am": candidate.scores["am"]} if am_used else {}
        parts |= {"lm": lm, "length": float(length)}
        if any(math.isnan(part) for part in parts.values()):
            raise ValueError(f"candidate {position} of utterance {utterance.id!r} cannot be weighed: {parts}")
        total = _total(parts, weights)
        if math.isnan(total) or (math.isinf(total) and all(map(math.isfinite, parts.values()))):
            shown = ", ".join(f"{name} {value:g}" for name, value in parts.items())
            raise CharlmError(
                f"candidate {position} of utterance {utterance.id!r}: the weighted sum is no number ({shown})",
                hint="scores are log-probabilities in nats; give scores and weights of an ordinary size",
            )
        weighed.append(Weighed(candidate, position, total, parts))
    # Python's sort is stable, reversed too: equal totals stay in the order of the list.
    weighed.sort(key=lambda item: item.total, reverse=True)
    return Ranked(tuple(weighed), am_used, am_partial=0 < scored < len(candidates))


def _total(parts: Mapping[str, float], weights: Weights) -> float:
    by_name = {"am": weights.am, "lm": weights.lm, "length": weights.length}
    # A weight of 0 leaves a part out altogether: 0 * -inf would be nan.
    return sum((by_name[name] * value for name, value in parts.items() if by_name[name]), 0.0)
