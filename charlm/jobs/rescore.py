"""A run's judgement of texts and of n-best lists: what stands between a model and `reranking`.

A Scorer pickles as a path and loads its run on the first call, so that any engine may send it to its workers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from charlm.choices import Choices
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.error_rates import Metric, metric_for, units
from charlm.reranking.weighing import Formula, Ranked, Weighed, rank
from charlm.runs.cloze import ClozeRun, TextPseudoScore, load_any
from charlm.runs.run import Run, TextScore
from charlm.text.files import WHOLE, Shard, sharded
from charlm.text.reader import several

UTTERANCES_PER_CHUNK = 256  # lists whose candidates are scored together, by length
LINES_PER_CHUNK = 4096

Unknown = Literal["charged", "counted"]
# What an unknown token costs: its 16 bits for each UTF-16 unit on top of P(<UNK>), or P(<UNK>) alone.
UNKNOWN: Choices[str] = Choices("treatment of unknown tokens", {"charged": "charged", "counted": "counted"})
PLL = ClozeRun.score_name


@dataclass
class Scorer:
    """Reranks utterances with the run at `path`.

    What a language model says of a text is its score `lm`. A cloze model gives a score of its own, `pll`, which is no
    log-probability of the text; it is weighed in the place of `lm`, unless the formula names it.

    formula  which scores count how much; see `reranking.weighing`
    unknown  charged or counted: see UNKNOWN
    metric   the unit of length and of errors; None chooses it by the script of the first UTTERANCES_PER_CHUNK lists
    shard    (K, N): every N-th list or line, from the K-th; the metric is chosen by those of the whole

    `metric_from` says afterwards what chose it: references, candidates, or --metric.
    """

    path: str | Path
    formula: Formula = field(default_factory=Formula)
    unknown: str = "charged"
    metric: Metric | None = None
    device: str = "cpu"
    metric_from: str = "--metric"
    shard: Shard = WHOLE
    _run: Run | ClozeRun | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._value = UNKNOWN[self.unknown]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None}

    @property
    def run(self) -> Run | ClozeRun:
        """The run, loaded when it is first asked for."""
        if self._run is None:
            self._run = load_any(self.path, self.device)
        return self._run

    @property
    def weighing(self) -> Formula:
        """The formula as it is applied: of a cloze model with `pll` in the place of `lm`."""
        if self.run.score_name != PLL:
            return self.formula
        return Formula({PLL: self.formula["lm"], **self.formula, "lm": 0.0})

    def lines(self, texts: Iterable[str]) -> Iterator[tuple[str, TextScore | TextPseudoScore]]:
        """Each text and how likely it is, in order, with bounded memory."""
        source = sharded(several(texts), self.shard)
        while chunk := list(islice(source, LINES_PER_CHUNK)):
            yield from zip(chunk, self.run.score(chunk, alike=True), strict=True)

    def rank(self, utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, Ranked]]:
        """Each utterance and its candidates in their new order, with bounded memory."""
        source = iter(several(utterances, "utterances"))
        if self.metric is None:
            head = list(islice(source, UTTERANCES_PER_CHUNK))
            if not head:
                return
            references = [utterance.reference for utterance in head if utterance.reference is not None]
            candidates = (candidate.text for utterance in head for candidate in utterance.hypotheses)
            self.metric, self.metric_from = metric_for(references, candidates)
            source = chain(head, source)
        source = sharded(source, self.shard)
        while chunk := list(islice(source, UTTERANCES_PER_CHUNK)):
            texts = [candidate.text for utterance in chunk for candidate in utterance.hypotheses]
            scores: Iterator[TextScore | TextPseudoScore]
            scores = iter(self.run.score(map(self.run.habitual, texts), alike=True))
            for utterance in chunk:
                found = [next(scores) for _ in utterance.hypotheses]
                values = [getattr(score, self._value) for score in found]
                lengths = [len(units(candidate.text, self.metric)) for candidate in utterance.hypotheses]
                if self.run.score_name == PLL:
                    ranked = rank(with_scores(utterance, PLL, values), [0.0] * len(values), lengths, self.weighing)
                else:
                    ranked = rank(utterance, values, lengths, self.formula)
                tokens, unknown = sum(score.tokens for score in found), sum(len(score.unknown) for score in found)
                yield utterance, replace(ranked, tokens=tokens, unknown=unknown)

    def __call__(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """Utterances in, the same with their candidates reordered and every part of the sum shown."""
        for utterance, ranked in self.rank(utterances):
            yield shown(utterance, ranked)


def with_scores(utterance: Utterance, name: str, values: Iterable[float]) -> Utterance:
    """The utterance whose candidates have one score more."""
    pairs = zip(utterance.hypotheses, values, strict=True)
    named = (replace(candidate, scores={**candidate.scores, name: value}) for candidate, value in pairs)
    return replace(utterance, hypotheses=tuple(named))


def shown(utterance: Utterance, ranked: Ranked) -> Utterance:
    """The utterance in its new order; each candidate has `scores.lm`, `length`, `total` and its old `position`.

    Of a cloze model it has `scores.pll` instead.
    """

    def candidate(item: Weighed) -> Hypothesis:
        scores: Mapping[str, float] = item.hypothesis.scores
        if PLL not in item.parts:
            scores = {**scores, "lm": item.parts["lm"]}
        total = item.total if math.isfinite(item.total) else None  # JSON has no infinity
        parts = {"length": int(item.parts["length"]), "total": total, "position": item.position}
        return replace(item.hypothesis, scores=scores, extra={**item.hypothesis.extra, **parts})

    return replace(utterance, hypotheses=tuple(candidate(item) for item in ranked.weighed))
