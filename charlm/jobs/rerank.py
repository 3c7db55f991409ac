"""Lists in the order of a decision, by any number of named scores: what `charlm score` does with several runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from charlm.config.training import ReadPrecision
from charlm.jobs.named import NamedRuns
from charlm.jobs.weights_file import ListsSeen, WeightsFile
from charlm.nbest import Utterance
from charlm.reranking.deciding import Decision, decide
from charlm.reranking.error_rates import Metric
from charlm.reranking.judging import metric_of
from charlm.reranking.listing import refuse_absent
from charlm.reranking.weighing import Formula, Ranked, weigh
from charlm.text.files import WHOLE, Shard, sharded

UTTERANCES_PER_CHUNK = 256


@dataclass
class Reranker:
    """Orders lists.

    runs      whose scores have names
    decision  what is done with the scores
    metric    unit of length and of errors; None chooses it by the script of the first UTTERANCES_PER_CHUNK lists
    shard     (K, N): every N-th list, from the K-th
    weights   the file that the decision comes from, held against the lists; None: it comes from options
    """

    runs: NamedRuns
    decision: Decision
    metric: Metric | None = None
    shard: Shard = WHOLE
    weights: WeightsFile | None = None
    metric_from: str = "--metric"
    seen: ListsSeen | None = None

    @classmethod
    def of(cls, weights: WeightsFile, runs: NamedRuns, shard: Shard = WHOLE) -> "Reranker":
        """What a file of weights says; raises CharlmError where the runs are others than those of the tuning."""
        weights.refuse_other_runs({name: runs.fingerprint(name) for name in runs.names})
        return cls(runs, weights.decision, weights.metric, shard, weights, f"{weights.origin}", weights.watch())

    @property
    def formula(self) -> Formula:
        """The weighted sum."""
        return self.decision.formula

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all scores that runs can give."""
        return (*self.runs.names, *self.runs.unigrams)

    @property
    def precision(self) -> ReadPrecision:
        """Of the runs' products."""
        return self.runs.precision

    @property
    def roundings(self) -> list[str]:
        """Why scores are not exact, of the runs that were asked."""
        return self.runs.roundings

    def __enter__(self) -> "Reranker":
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the scores that are new."""
        self.runs.close()

    def rank(self, utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, Ranked]]:
        """Each utterance and its candidates in their new order, with bounded memory."""
        source = iter(utterances)
        head = list(islice(source, UTTERANCES_PER_CHUNK))
        if not head:
            return
        if self.metric is None:
            self.metric, self.metric_from = metric_of(head)
        if self.weights is not None and any(utterance.hypotheses for utterance in head):
            self.weights.refuse_other_lists(
                name for utterance in head for candidate in utterance.hypotheses for name in candidate.scores
            )
        source = sharded(chain(head, source), self.shard)
        formula = self.decision.whole
        floor = checked = self.weights is not None
        while chunk := list(islice(source, UTTERANCES_PER_CHUNK)):
            checked = checked or refuse_absent(self.formula, self.names, chunk)
            before = self.runs.tokens, self.runs.unknown_tokens
            brought = self.runs.brought(chunk, self.metric, formula, floor=floor)
            tokens, unknown = self.runs.tokens - before[0], self.runs.unknown_tokens - before[1]
            for utterance, more in zip(chunk, brought, strict=True):
                if self.seen is not None:
                    self.seen.add(utterance)
                ranked = weigh(utterance, more, formula, self.names)
                decided = decide(ranked, self.decision, self.metric)
                # Tokens are counted for the chunk as a whole: lists may share texts.
                yield utterance, replace(decided, tokens=tokens, unknown=unknown)
                tokens = unknown = 0
