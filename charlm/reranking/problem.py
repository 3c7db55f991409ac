"""Many lists as columns: the scores and the errors of every candidate, so that tuning is arithmetic.

A list in which a score is not known of every candidate has zeros for it, as a sum leaves it out there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charlm.nbest import Utterance
from charlm.reranking.error_rates import Metric, units
from charlm.reranking.listing import FIRST, IMPOSSIBLE
from charlm.reranking.weighing import score_named

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AT_ONCE = 1 << 14  # candidates that are looked at together: columns of them stay in the processor's cache


@dataclass(frozen=True)
class Problem:
    """U lists of N candidates in all, with S named scores.

    names   of the scores, S of them
    scores  (N, S) larger is better where the weight is above 0
    errors  (N,) edits of each candidate
    starts  (U,) where each list begins; none is empty
    said    (U,) units of each reference
    places  what each list was given as: its number among all that were looked at
    """

    names: tuple[str, ...]
    scores: Floats
    errors: Ints
    starts: Ints
    said: Ints
    places: Ints

    @cached_property
    def sizes(self) -> Ints:
        """(U,) candidates of each list."""
        return np.diff(np.append(self.starts, len(self.errors)))

    @cached_property
    def of_list(self) -> Ints:
        """(N,) the number of the list that each candidate stands in."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    @cached_property
    def blocks(self) -> tuple[tuple[Ints, Ints], ...]:
        """Lists of like size side by side: their numbers (B,), and their candidates (H, B), one list a column.

        A list that is shorter than its block is high goes on with its first candidate, so that nothing of it is new.
        """
        heights = 1 << np.ceil(np.log2(np.maximum(self.sizes, 1))).astype(np.int64)
        heights[self.sizes == self.sizes.max(initial=0)] = self.sizes.max(initial=0)
        found = []
        for height in np.unique(heights):
            lists = np.flatnonzero(heights == height)
            steps = np.arange(height)[:, None]
            rows = self.starts[lists] + np.where(steps < self.sizes[lists], steps, 0)
            width = max(1, AT_ONCE // int(height))
            found += [(lists[at : at + width], rows[:, at : at + width]) for at in range(0, len(lists), width)]
        return tuple(found)

    @property
    def first(self) -> Ints:
        """(U,) errors of the first candidates."""
        return self.errors[self.starts]

    @property
    def oracle(self) -> Ints:
        """(U,) errors of the best candidates."""
        return np.minimum.reduceat(self.errors, self.starts) if len(self.starts) else self.errors

    @property
    def is_best(self) -> npt.NDArray[np.bool_]:
        """(N,) whether no candidate of its list has fewer errors."""
        return np.asarray(self.errors == self.oracle[self.of_list])

    def chosen(self, weights: Floats) -> Ints:
        """(U,) the candidate with the highest sum in each list; of equal ones the first. weights (S,)"""
        return self.best_of(self.scores @ weights)

    def best_of(self, totals: Floats) -> Ints:
        """(U,) where the largest of the totals (N,) of each list stands; of equal ones the first."""
        places = self.starts.copy()
        for lists, rows in self.blocks:
            places[lists] = rows[totals[rows].argmax(axis=0), np.arange(len(lists))]
        return places

    def errors_by(self, weights: Floats) -> Ints:
        """(U,) errors of what these weights choose."""
        return self.errors[self.chosen(weights)]

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Problem":
        """Some of the lists. wanted (U,)"""
        kept = np.repeat(wanted, self.sizes)
        sizes = self.sizes[wanted]
        return replace(
            self,
            scores=self.scores[kept],
            errors=self.errors[kept],
            starts=np.cumsum(sizes) - sizes,
            said=self.said[wanted],
            places=self.places[wanted],
        )

    def undecided(self) -> "Problem":
        """The lists in which it matters which candidate is chosen."""
        worst = np.maximum.reduceat(self.errors, self.starts) if len(self.starts) else self.errors
        return self.only(worst > self.oracle)

    def having(self, names: Sequence[str]) -> "Problem":
        """The same with some of the scores."""
        columns = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), scores=np.ascontiguousarray(self.scores[:, columns]))


def edits(reference: str, texts: Sequence[str], metric: Metric) -> list[int]:
    """Edits of each text, found once for texts that read the same."""
    from rapidfuzz.distance import Levenshtein

    said, known, read = units(reference, metric), dict[str, int](), dict[tuple[str, ...], int]()
    for text in texts:
        if text not in known:
            heard = tuple(units(text, metric))
            if heard not in read:
                read[heard] = Levenshtein.distance(said, heard)
            known[text] = read[heard]
    return [known[text] for text in texts]


def problem_of(
    utterances: Sequence[Utterance],
    brought: Sequence[Sequence[Mapping[str, float]]],
    names: Sequence[str],
    metric: Metric,
) -> Problem:
    """The problem of lists that have references and candidates; others are passed over.

    brought  for each list and candidate the scores that do not stand in the list; they replace its own
    names    which scores there shall be; products by their names
    """
    rows: list[Floats] = []
    errors: list[int] = []
    sizes, said, places = [], [], []
    for place, (utterance, more) in enumerate(zip(utterances, brought, strict=True)):
        if utterance.reference is None or not utterance.hypotheses:
            continue
        known = [{**one.scores, **own} for one, own in zip(utterance.hypotheses, more, strict=True)]
        block = np.zeros((len(known), len(names)))
        for column, name in enumerate(names):
            values = [score_named(name, scores) for scores in known]
            if all(value is not None for value in values):
                block[:, column] = values
        rows.append(np.maximum(block, IMPOSSIBLE))
        errors += edits(utterance.reference, [one.text for one in utterance.hypotheses], metric)
        sizes.append(len(known))
        said.append(len(units(utterance.reference, metric)))
        places.append(place)
    scores = np.concatenate(rows) if rows else np.zeros((0, len(names)))
    lengths = np.array(sizes, dtype=np.int64)
    return Problem(
        tuple(names),
        scores,
        np.array(errors, dtype=np.int64),
        np.cumsum(lengths) - lengths,
        np.array(said, dtype=np.int64),
        np.array(places, dtype=np.int64),
    )


def margin_last(names: Sequence[str]) -> tuple[str, ...]:
    """The names with that of the margin, if it is among them, at their end."""
    return (*(name for name in names if name != FIRST), *(name for name in names if name == FIRST))
