"""Did the new order help? Errors of the first, the chosen and the best possible candidates, side by side."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from charlm.nbest import Utterance
from charlm.reranking.error_rates import Errors, Metric, errors, metric_for
from charlm.reranking.weighing import Ranked


@dataclass(frozen=True)
class Verdict:
    """Errors before and after reranking. Verdicts of one metric add, so shards may be judged anywhere.

    metric             what a unit is: cer, wer or mer
    first              errors of the candidates that stood first in the source
    reranked           errors of the candidates that were chosen
    oracle             errors of the best candidate of each list: no reranking can do better
    candidates         number of candidates in the lists judged
    pairs              lists of two candidates, exactly one of which is right
    pairs_won          those where the right one has the higher total; an equal total counts one half
    without_reference  lists that could not be judged, and are not counted above
    tokens, unknown    tokens of all candidates, judged or not, and those that the language model does not know
    impossible         candidates, judged or not, that the language model holds impossible
    empty              lists without candidates; they count as if nothing had been heard

    Some lists of pairs stand in no meaningful order, and then `first` means nothing. That cannot be seen
    from a list, so pairs are counted beside the errors and not in their place.
    """

    metric: Metric
    first: Errors = field(default_factory=Errors)
    reranked: Errors = field(default_factory=Errors)
    oracle: Errors = field(default_factory=Errors)
    candidates: int = 0
    pairs: int = 0
    pairs_won: float = 0.0
    without_reference: int = 0
    tokens: int = 0
    unknown: int = 0
    impossible: int = 0
    empty: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        if self.metric != other.metric:
            raise ValueError(f"a verdict of {self.metric} cannot be added to one of {other.metric}")
        return Verdict(
            self.metric,
            self.first + other.first,
            self.reranked + other.reranked,
            self.oracle + other.oracle,
            self.candidates + other.candidates,
            self.pairs + other.pairs,
            self.pairs_won + other.pairs_won,
            self.without_reference + other.without_reference,
            self.tokens + other.tokens,
            self.unknown + other.unknown,
            self.impossible + other.impossible,
            self.empty + other.empty,
        )

    @property
    def utterances(self) -> int:
        """Lists judged."""
        return self.first.sentences

    @property
    def mean_candidates(self) -> float | None:
        """Candidates per list judged; None without lists."""
        return self.candidates / self.utterances if self.utterances else None

    @property
    def gap_closed(self) -> float | None:
        """Share of the avoidable errors that were avoided: (first - reranked) / (first - oracle).

        1 is the best possible, 0 is no change, negative is worse than before. None where the first
        candidates are already the best.
        """
        gap = self.first.total - self.oracle.total
        return (self.first.total - self.reranked.total) / gap if gap else None

    @property
    def pairwise_accuracy(self) -> float | None:
        """Share of the pairs in which the right candidate won, ties one half; None without pairs."""
        return self.pairs_won / self.pairs if self.pairs else None

    def summary(self) -> dict[str, str | float | int | None]:
        """The verdict as JSON may have it; the keys are stable. Rates are shares: 0.05 is 5 %.

        metric                     cer, wer or mer
        first, reranked, oracle    error rates; None without reference units
        …_errors                   the errors of each, as counts
        …_substitutions, …_deletions, …_insertions   the kinds of them, of one cheapest alignment
        gap_closed                 see the property; None without a gap
        pairwise_accuracy, pairs   see the property; how many pairs there were
        pairs_won                  those won, ties one half
        utterances, candidates     lists judged, and the candidates in them
        reference_units            characters or words of their references
        mean_candidates            candidates per list judged; None without lists
        without_reference          lists that could not be judged
        impossible, empty          candidates that the model holds impossible; lists without candidates
        tokens, unknown_tokens     tokens of all candidates, and those that the language model does not know

        Counts of shards add to those of the whole; rates do not.
        """
        return {
            "metric": self.metric,
            "first": self.first.rate,
            "reranked": self.reranked.rate,
            "oracle": self.oracle.rate,
            "first_errors": self.first.total,
            "reranked_errors": self.reranked.total,
            "oracle_errors": self.oracle.total,
            **_kinds("first", self.first),
            **_kinds("reranked", self.reranked),
            **_kinds("oracle", self.oracle),
            "gap_closed": self.gap_closed,
            "pairwise_accuracy": self.pairwise_accuracy,
            "pairs": self.pairs,
            "pairs_won": self.pairs_won,
            "utterances": self.utterances,
            "candidates": self.candidates,
            "reference_units": self.first.reference_units,
            "mean_candidates": self.mean_candidates,
            "without_reference": self.without_reference,
            "tokens": self.tokens,
            "unknown_tokens": self.unknown,
            "impossible": self.impossible,
            "empty": self.empty,
        }


def _kinds(name: str, found: Errors) -> dict[str, int]:
    return {
        f"{name}_substitutions": found.substitutions,
        f"{name}_deletions": found.deletions,
        f"{name}_insertions": found.insertions,
    }


def metric_of(utterances: Iterable[Utterance]) -> tuple[Metric, str]:
    """The usual metric for the scripts of these lists, and what decided it: references or candidates."""
    listed = list(utterances)
    references = [utterance.reference for utterance in listed if utterance.reference is not None]
    return metric_for(references, (candidate.text for utterance in listed for candidate in utterance.hypotheses))


def judge(utterance: Utterance, ranked: Ranked, metric: Metric) -> Verdict:
    """The verdict on one utterance; start a sum with `Verdict(metric)`.

    An empty reference is judged like any other. Without a reference there is nothing to judge, and the
    verdict says only that. Raises ValueError if `ranked` is not about this utterance, ConfigError for an
    unknown metric.
    """
    positions = [item.position for item in ranked.weighed]
    if sorted(positions) != list(range(len(utterance.hypotheses))):
        raise ValueError(f"utterance {utterance.id!r} was judged by the order of another one")
    empty = int(not positions)
    told = Verdict(metric, tokens=ranked.tokens, unknown=ranked.unknown, impossible=ranked.impossible, empty=empty)
    if utterance.reference is None:
        return replace(told, without_reference=1)
    if empty:
        silence = errors(utterance.reference, "", metric)
        return replace(told, first=silence, reranked=silence, oracle=silence)
    found = [errors(utterance.reference, hypothesis.text, metric) for hypothesis in utterance.hypotheses]
    # Of equally good candidates `min` takes the first; only the kinds of their errors may differ.
    verdict = replace(
        told,
        first=found[0],
        reranked=found[positions[0]],
        oracle=min(found, key=lambda item: item.total),
        candidates=len(found),
    )
    right = [item.total == 0 for item in found]
    if len(found) != 2 or right[0] == right[1]:
        return verdict
    best, other = ranked.weighed
    won = 0.5 if best.total == other.total else float(right[best.position])
    return verdict + Verdict(metric, pairs=1, pairs_won=won)
