"""From an order to a choice: the best sum, or the least expected error; a margin for the first; posteriors.

A posterior is softmax(total / temperature) over the candidates of a list. Minimum Bayes risk over a list (Stolcke,
König, Weintraub 1997; Goel and Byrne 2000) chooses the candidate whose expected distance from the others is least:

    argmin over i of Σ_j posterior_j · edits(i, j)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from charlm.choices import Choices
from charlm.errors import ConfigError
from charlm.reranking.error_rates import Metric, units
from charlm.reranking.listing import FIRST
from charlm.reranking.weighing import Formula, Ranked

Choosing = Literal["best", "mbr"]
WAYS: Choices[str] = Choices(
    "decision", {"best": "the highest sum", "mbr": "the least expected error, over the list (minimum Bayes risk)"}
)
MOST_COMPARED = 100  # likeliest candidates of a list among which risk is expected; the rest have next to no share

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """What is done with the scores of a list.

    formula      the weighted sum
    margin       nats by which another candidate must beat the first one
    way          best or mbr
    temperature  of the posteriors: 1 takes sums for log-probabilities, more makes lists less sure
    abstains     every list stays as it is
    risk_temperature  of the shares by which errors are expected, where it is another one: what chooses best is seldom
                      what is honest
    """

    formula: Formula = field(default_factory=Formula)
    margin: float = 0.0
    way: Choosing = "best"
    temperature: float = 1.0
    abstains: bool = False
    risk_temperature: float | None = None

    def __post_init__(self) -> None:
        WAYS[self.way]
        for temperature in (self.temperature, self.expecting):
            if not 0 < temperature < math.inf:
                raise ConfigError(f"a temperature must be above 0 and finite, not {temperature}", hint="1 is usual")
        if not 0 <= self.margin < math.inf:
            raise ConfigError(f"a margin must be from 0 and finite, not {self.margin}", hint="0 is none")

    @property
    def expecting(self) -> float:
        """The temperature by which errors are expected."""
        return self.temperature if self.risk_temperature is None else self.risk_temperature

    @property
    def whole(self) -> Formula:
        """The formula with the margin as the weight of standing first."""
        return Formula.exactly({**self.formula, FIRST: self.margin}) if self.margin else self.formula

    def __str__(self) -> str:
        if self.abstains:
            return "every list as it is"
        how = "" if self.way == "best" else f"; least expected error at temperature {self.expecting:.4g}"
        return f"{self.formula}{f'; the first stays unless beaten by {self.margin:.4g}' if self.margin else ''}{how}"


def posteriors(totals: Sequence[float] | Floats, temperature: float) -> Floats:
    """softmax(totals / temperature); equal shares where all are minus infinity."""
    values = np.asarray(totals, dtype=float) / temperature
    if not len(values) or not math.isfinite(values.max()):
        return np.full(len(values), 1 / max(1, len(values)))
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def distances(texts: Sequence[str], metric: Metric) -> Floats:
    """Edits between any two texts: (N, N)."""
    from rapidfuzz.distance import Levenshtein

    read = [tuple(units(text, metric)) for text in texts]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(read))}
    distinct = list(numbers)
    table = np.zeros((len(distinct), len(distinct)))
    for row, one in enumerate(distinct):
        for column in range(row):
            table[row, column] = table[column, row] = Levenshtein.distance(one, distinct[column])
    places = [numbers[text] for text in read]
    return np.asarray(table[np.ix_(places, places)])


def decide(ranked: Ranked, decision: Decision, metric: Metric) -> Ranked:
    """The candidates in the order of a decision, each with its posterior.

    `ranked` was made by `decision.whole`. By risk, candidates beyond the MOST_COMPARED likeliest follow as they were.
    """
    weighed = ranked.weighed
    shares = posteriors([item.total for item in weighed], decision.temperature)
    weighed = tuple(replace(item, posterior=float(share)) for item, share in zip(weighed, shares, strict=True))
    if decision.abstains:
        return replace(ranked, weighed=tuple(sorted(weighed, key=lambda item: item.position)))
    if decision.way == "mbr" and len(weighed) > 1:
        head = weighed[:MOST_COMPARED]
        likely = posteriors([item.total for item in weighed], decision.expecting)[: len(head)]
        risks = distances([item.hypothesis.text for item in head], metric) @ likely
        order = np.argsort(np.round(risks, 9), kind="stable")  # equal risks: the better sum
        weighed = (*(head[number] for number in order), *weighed[MOST_COMPARED:])
    return replace(ranked, weighed=weighed)
