"""Why a list came out as it did: the parts of every sum, surprise token by token, and alignments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from charlm.errors import CharlmError
from charlm.jobs.named import NamedRuns
from charlm.jobs.rerank import Reranker
from charlm.nbest import Utterance
from charlm.reranking.comparing import Pair, Reading, aligned_texts, where_they_differ
from charlm.reranking.error_rates import Metric, errors
from charlm.reranking.weighing import Ranked


@dataclass(frozen=True)
class Explained:
    """A list, what was decided of it, and what is to be seen of some of its candidates.

    metric      unit of errors and alignments
    errors      edits of each candidate, in the order of `ranked`; None without a reference
    alignments  of each candidate with the reference, in the same order; with what was chosen where there is none
    readings    name of a run -> position of a candidate -> its tokens, and what each costs (nats)
    differs     the first place where the runs prefer different texts, in words
    compared    positions of the two candidates that `differs` is about: the chosen one, and the first or next best
    """

    utterance: Utterance
    ranked: Ranked
    metric: Metric
    errors: tuple[int | None, ...]
    alignments: tuple[list[Pair], ...]
    readings: dict[str, dict[int, Reading]]
    differs: str | None
    compared: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Plain values; the keys are stable."""
        rows = zip(self.ranked.weighed, self.errors, self.alignments, strict=True)
        return {
            "id": self.utterance.id,
            "ref": self.utterance.reference,
            "metric": self.metric,
            "differs": self.differs,
            "compared": list(self.compared),
            "hyps": [
                {
                    "text": item.hypothesis.text,
                    "position": item.position,
                    "total": item.total,
                    "posterior": item.posterior,
                    "parts": dict(item.parts),
                    "errors": count,
                    "alignment": [[pair.kind, pair.one, pair.other] for pair in alignment],
                    "surprisal": {
                        name: [[token, nats] for token, nats in read[item.position]]
                        for name, read in self.readings.items()
                        if item.position in read
                    },
                }
                for item, count, alignment in rows
            ],
        }


def compared_with(ranked: Ranked) -> tuple[int, int]:
    """The chosen candidate and the one to set beside it: the first, or the next best where the first was chosen."""
    order = [item.position for item in ranked.weighed]
    chosen = order[0]
    other = 0 if chosen else (order[1] if len(order) > 1 else 0)
    return chosen, other


def explained(
    utterance: Utterance, ranked: Ranked, metric: Metric, runs: NamedRuns, positions: Sequence[int] | None = None
) -> Explained:
    """Explain one list. positions: the candidates that are read token by token; None: all"""
    chosen, other = compared_with(ranked)
    asked = sorted({chosen, other, *(range(len(utterance.hypotheses)) if positions is None else positions)})
    texts = [utterance.hypotheses[position].text for position in asked]
    readings: dict[str, dict[int, Reading]] = {
        name: dict(zip(asked, runs.readings(name, texts), strict=True)) for name in runs.names
    }
    reference = utterance.reference
    beside = utterance.hypotheses[chosen].text if reference is None else reference
    listed = [item.hypothesis.text for item in ranked.weighed]
    return Explained(
        utterance,
        ranked,
        metric,
        tuple(None if reference is None else errors(reference, text, metric).total for text in listed),
        tuple(aligned_texts(beside, text, metric) for text in listed),
        readings,
        where_they_differ(
            {name: read[chosen] for name, read in readings.items()},
            {name: read[other] for name, read in readings.items()},
        )
        if chosen != other
        else None,
        (chosen, other),
    )


def explain(reranker: Reranker, utterances: Iterable[Utterance], wanted: str, source: str) -> Explained:
    """Explain the list of an id; raises CharlmError where there is none, or it is empty."""
    examples: list[str] = []

    def found() -> Iterable[Utterance]:
        for utterance in utterances:
            if str(utterance.id) == wanted:
                yield utterance
                return
            if len(examples) < 3:
                examples.append(str(utterance.id))

    with reranker.runs:
        for utterance, ranked in reranker.rank(found()):
            if not utterance.hypotheses:
                raise CharlmError(
                    f"{utterance.place}: list {wanted!r} has no candidates", hint="nothing was heard there"
                )
            return explained(utterance, ranked, reranker.metric or "cer", reranker.runs)
    raise CharlmError(
        f"{source} has no list {wanted!r}",
        hint=f"its lists are called {', '.join(examples)} and so on" if examples else "it holds no lists",
    )
