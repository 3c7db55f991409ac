"""A run's judgement of texts and of n-best lists: what stands between a model and `reranking`.

A Scorer pickles as a path and loads its run on the first call, so that any engine may send it to its workers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from charlm.config.training import ReadPrecision
from charlm.jobs.named import UNKNOWN, uncounted, unigram_of
from charlm.jobs.treatment import AS_TRAINED, Treatment
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.error_rates import Metric
from charlm.reranking.judging import metric_of
from charlm.reranking.listing import LENGTH, factors, from_list, refuse_absent, wanting
from charlm.reranking.syllables import SOUNDS
from charlm.reranking.weighing import Formula, Ranked, Weighed, weigh
from charlm.runs.cloze import ClozeRun, TextPseudoScore, load_any
from charlm.runs.run import Run, TextScore
from charlm.text.decoding import nobody
from charlm.text.files import WHOLE, Shard, sharded
from charlm.text.reader import several

UTTERANCES_PER_CHUNK = 256  # lists whose candidates are scored together, by length
LINES_PER_CHUNK = 4096

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
    treatment  what the run reads of candidates, and whether their sound counts
    precision  of its products: float32, fp16 or bf16

    `metric_from` says afterwards what chose it: references, candidates, or --metric.
    """

    path: str | Path
    formula: Formula = field(default_factory=Formula)
    unknown: str = "charged"
    metric: Metric | None = None
    device: str = "cpu"
    metric_from: str = "--metric"
    shard: Shard = WHOLE
    treatment: Treatment = AS_TRAINED
    precision: ReadPrecision = "float32"
    _run: Run | ClozeRun | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._value = UNKNOWN[self.unknown]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None, "treatment": replace(self.treatment, note=nobody)}

    @property
    def run(self) -> Run | ClozeRun:
        """The run, loaded when it is first asked for."""
        if self._run is None:
            self._run = load_any(self.path, self.device, self.precision)
        return self._run

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scores that the run can give."""
        return (self.run.score_name, unigram_of(self.run.score_name))

    @property
    def roundings(self) -> list[str]:
        """Why the scores are not exact, where they are not."""
        return [self.run.rounding] if self.run.rounding else []

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    @property
    def weighing(self) -> Formula:
        """The formula as it is applied: of a cloze model with `pll` in the place of `lm`.

        The run may be called like its folder where its frequencies are meant, as where it is one of several.
        """
        name = self.run.score_name
        own = {unigram_of(known): unigram_of(name) for known in ("lm", Path(self.path).resolve().name)}
        weights = {own.get(n, n): w for n, w in self.formula.items() if n != "lm" or name != PLL}
        return Formula.exactly({PLL: self.formula["lm"], **weights} if name == PLL else weights)

    def lines(self, texts: Iterable[str]) -> Iterator[tuple[str, TextScore | TextPseudoScore]]:
        """Each text and how likely it is, in order, with bounded memory."""
        source = sharded(several(texts), self.shard)
        while chunk := list(islice(source, LINES_PER_CHUNK)):
            yield from zip(chunk, self.run.score(chunk, alike=True), strict=True)

    def rank(self, utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, Ranked]]:
        """Each utterance and its candidates in their new order, with bounded memory."""
        source = iter(several(utterances, "utterances"))
        head = list(islice(source, UTTERANCES_PER_CHUNK))
        if not head:
            return
        if self.metric is None:
            self.metric, self.metric_from = metric_of(head)
        name, formula = self.run.score_name, self.weighing
        unigram, wanted = unigram_of(name), factors([*formula, LENGTH])
        source = sharded(chain(head, source), self.shard)
        is_first, checked = True, False
        while chunk := list(islice(source, UTTERANCES_PER_CHUNK)):
            checked = checked or refuse_absent(formula, self.names, chunk)
            texts = [[candidate.text for candidate in utterance.hypotheses] for utterance in chunk]
            lists = self.treatment.of(self.run, texts, is_first=is_first)
            heard, is_first = list(map(self.treatment.heard, chunk)), False  # first, since a library may be missing
            scores: Sequence[Sequence[TextScore | TextPseudoScore]] = self.run.score_lists(lists, alike=True)
            for utterance, own, found in zip(heard, texts, scores, strict=True):
                listed = from_list(own, self.metric, wanting(utterance, wanted))
                values = [getattr(score, self._value) for score in found]
                brought = [{**of_list, name: value} for of_list, value in zip(listed, values, strict=True)]
                if unigram in wanted:
                    if not self.run.codec.vocab.has_counts:
                        raise uncounted(unigram, self.path)
                    brought = [
                        {**row, unigram: self.run.unigram(score.ids)} for row, score in zip(brought, found, strict=True)
                    ]
                ranked = weigh(utterance, brought, formula, self.names)
                tokens, unknown = sum(score.tokens for score in found), sum(len(score.unknown) for score in found)
                yield utterance, replace(ranked, tokens=tokens, unknown=unknown)

    def __call__(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """Utterances in, the same with their candidates reordered and every part of the sum shown."""
        for utterance, ranked in self.rank(utterances):
            yield shown(utterance, ranked)


def shown(utterance: Utterance, ranked: Ranked) -> Utterance:
    """The utterance in its new order, every candidate with what it was ordered by.

    That is `scores.lm`, or those of the names of several runs, those of the sound, `length`, `total`, its old
    `position`, and its `posterior` where there is one.
    """

    def candidate(item: Weighed) -> Hypothesis:
        told = {name: item.parts[name] for name in (*ranked.models, *SOUNDS) if name in item.parts}
        scores: Mapping[str, float] = {**item.hypothesis.scores, **told}
        total = item.total if math.isfinite(item.total) else None  # JSON has no infinity
        parts: dict[str, Any] = {"total": total, "position": item.position}
        if LENGTH in item.parts:
            parts = {"length": int(item.parts[LENGTH]), **parts}
        if item.posterior is not None:
            parts["posterior"] = round(item.posterior, 6)
        return replace(item.hypothesis, scores=scores, extra={**item.hypothesis.extra, **parts})

    return replace(utterance, hypotheses=tuple(candidate(item) for item in ranked.weighed))
