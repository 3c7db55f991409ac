"""Scores that are computed from a list alone: how long a candidate is, where it stood, how often it stands there.

    length   units of the metric: characters, words, or both
    characters, words   the same in units that do not hang on the metric
    rank     -ln of its place, from 1: what it would weigh if the n-th candidate were right in proportion to 1/n
    copies   ln of how many candidates of the list read so, as they are compared
    sound_distance, sound_agreement   by pinyin, of charlm[sound]: see `syllables.py`
    first    1 for the candidate that stands first, else 0: its weight is the margin by which another must beat it

Larger is not always better here: a weight's sign says so. Another such score is a `FromList` in `FROM_LIST`.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from charlm.errors import ConfigError
from charlm.nbest import Utterance
from charlm.reranking.error_rates import Metric, comparable, units
from charlm.reranking.syllables import SOUNDS, can_hear, sound_scores
from charlm.reranking.weighing import DEFAULTS

LENGTH, RANK, FIRST = "length", "rank", "first"
LENGTHS: Mapping[str, Metric] = {"characters": "cer", "words": "wer"}
IMPOSSIBLE = -1e5  # nats: what an impossible text is held for where weights are tuned, so that every sum is a number


@dataclass(frozen=True)
class FromList:
    """Scores that know nothing but the texts of a list.

    names  the scores that it gives
    score  texts of a list, in its order -> name -> one value for each text
    tried  whether tuning, by errors of this kind, tries them unasked, and takes what cross-validation holds good
    """

    names: tuple[str, ...]
    score: Callable[[Sequence[str]], Mapping[str, Sequence[float]]]
    tried: Callable[[Metric], bool]


def _place(texts: Sequence[str]) -> Mapping[str, Sequence[float]]:
    places = range(1, len(texts) + 1)
    return {RANK: [0.0 - math.log(place) for place in places], FIRST: [float(place == 1) for place in places]}


def _copies(texts: Sequence[str]) -> Mapping[str, Sequence[float]]:
    read = [comparable(text) for text in texts]
    count = Counter(read)
    return {"copies": [math.log(count[text]) for text in read]}


def _of_han(metric: Metric) -> bool:
    return metric != "wer" and can_hear()


FROM_LIST: tuple[FromList, ...] = (
    FromList((RANK, FIRST), _place, tried=lambda _: False),
    FromList(("copies",), _copies, tried=lambda _: True),
    FromList(SOUNDS, sound_scores, tried=_of_han),
)


def names_from_lists() -> tuple[str, ...]:
    """The names of all scores that can be computed from a list alone."""
    return (LENGTH, *LENGTHS, *(name for source in FROM_LIST for name in source.names))


def factors(names: Collection[str]) -> set[str]:
    """The scores that must be known for these names: products are made of others.

    >>> sorted(factors(["am*length", "fwd"]))
    ['am', 'fwd', 'length']
    """
    return {factor for name in names for factor in name.split("*")}


def wanting(utterance: Utterance, names: Collection[str]) -> set[str]:
    """The scores among these names that a list does not bring itself. The length and the margin are always ours."""
    own = [set(candidate.scores) for candidate in utterance.hypotheses]
    return set(names) - (set.intersection(*own) - {LENGTH, FIRST} if own else set())


def refuse_absent(weights: Mapping[str, float], models: Collection[str], lists: Sequence[Utterance]) -> bool:
    """Raise ConfigError for a weight of a score that nobody gives: neither these lists, nor models, nor a list as such.

    A weight that is as if nobody had said anything is no claim that there is such a score. False where the lists
    have no candidates, and so say nothing.
    """
    candidates = [candidate for utterance in lists for candidate in utterance.hypotheses]
    own = {name for candidate in candidates for name in candidate.scores}
    claimed = [name for name, weight in weights.items() if weight and weight != DEFAULTS.get(name)]
    known = {*own, *models, *names_from_lists()}
    absent = [name for name in claimed if name not in known and not factors([name]) <= known]
    if candidates and absent:
        there = f"they have {', '.join(sorted(own))}" if own else "they have no scores"
        every = ", ".join([*models, *names_from_lists()])
        raise ConfigError(
            f"no score is called {', '.join(absent)} in the first {len(lists):,} lists, so its weight would count "
            f"for nothing; {there}",
            hint=f"name one that is there, or what models and every list give: {every}",
        )
    return bool(candidates)


def from_list(texts: Sequence[str], metric: Metric, names: Collection[str]) -> list[dict[str, float]]:
    """What a list alone says of each candidate: those of the named scores that are of this kind."""
    wanted, found = factors(names), {}
    for name, unit in ((LENGTH, metric), *LENGTHS.items()):
        if name in wanted:
            seen = {text: float(len(units(text, unit))) for text in dict.fromkeys(texts)}
            found[name] = [seen[text] for text in texts]
    for source in FROM_LIST:
        if wanted.intersection(source.names):
            found |= {name: list(map(float, column)) for name, column in source.score(texts).items() if name in wanted}
    return [{name: column[place] for name, column in found.items()} for place in range(len(texts))]
