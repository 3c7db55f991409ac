"""A run's judgement of texts and of n-best lists: what stands between a model and `reranking`.

A Scorer pickles as a path and loads its run on the first call, so that any engine may send it to its workers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from charlm.choices import Choices
from charlm.nbest import Hypothesis, Utterance
from charlm.reranking.error_rates import Metric, metric_for, units
from charlm.reranking.syllables import sound_scores
from charlm.reranking.weighing import Formula, Ranked, Weighed, rank
from charlm.runs.run import Run, TextScore
from charlm.runs.run import load as load_run
from charlm.text.decoding import Note, nobody
from charlm.text.files import WHOLE, Shard, sharded
from charlm.text.mismatch import refuse_mismatch
from charlm.text.reader import several

UTTERANCES_PER_CHUNK = 256  # lists whose candidates are scored together, by length
LINES_PER_CHUNK = 4096

Unknown = Literal["charged", "counted"]
# What an unknown token costs: its 16 bits for each UTF-16 unit on top of P(<UNK>), or P(<UNK>) alone.
UNKNOWN: Choices[str] = Choices("treatment of unknown tokens", {"charged": "charged", "counted": "log_prob"})


@dataclass(frozen=True)
class Treatment:
    """What a model, and who listens, is given of candidates, whose texts stay as they are.

    as_written     candidates are read as they stand, and not as the training text would have them
    numerals       numbers in digits are said in words, where the training text has no digits
    allow_unknown  lists are scored even if they are not written in the units of the model
    sound          candidates get the named scores of `reranking.syllables`
    note           is told once how lists are read
    """

    as_written: bool = False
    numerals: bool = False
    allow_unknown: bool = False
    sound: bool = False
    note: Note = nobody

    def of(self, run: Run, utterances: Sequence[Utterance], *, is_first: bool) -> list[list[str]]:
        """What is scored of some lists. Raises ConfigError where the first ones are of other units than the model's."""
        texts = [[candidate.text for candidate in utterance.hypotheses] for utterance in utterances]
        lists = texts
        if not self.as_written:
            lists = [[run.habitual(text, numerals=self.numerals) for text in some] for some in texts]
        if is_first:
            if not self.allow_unknown:
                refuse_mismatch(run.codec, chain.from_iterable(lists), "--allow-unknown")
            told = [] if self.as_written else run.view.told(chain.from_iterable(texts))
            if self.numerals and run.says_numbers:
                told.insert(0, "numbers in words")
            if told:
                self.note(f"lists are read as the training text was: {', '.join(told)}; --as-written leaves that out")
        return lists

    def heard(self, utterance: Utterance) -> Utterance:
        """The list, with scores of how its candidates sound if they are wanted."""
        if not self.sound:
            return utterance
        found = sound_scores([candidate.text for candidate in utterance.hypotheses])
        columns = [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]
        pairs = zip(utterance.hypotheses, columns, strict=True)
        return replace(utterance, hypotheses=tuple(replace(one, scores={**one.scores, **more}) for one, more in pairs))


AS_TRAINED = Treatment()


@dataclass
class Scorer:
    """Reranks utterances with the run at `path`.

    formula  which scores count how much; see `reranking.weighing`
    unknown  charged or counted: see UNKNOWN
    metric   the unit of length and of errors; None chooses it by the script of the first UTTERANCES_PER_CHUNK lists
    shard    (K, N): every N-th list or line, from the K-th; the metric is chosen by those of the whole
    treatment  what the run reads of candidates, and whether their sound counts

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
    _run: Run | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._value = UNKNOWN[self.unknown]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None, "treatment": replace(self.treatment, note=nobody)}

    @property
    def run(self) -> Run:
        """The run, loaded when it is first asked for."""
        if self._run is None:
            self._run = load_run(self.path, self.device)
        return self._run

    def lines(self, texts: Iterable[str]) -> Iterator[tuple[str, TextScore]]:
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
        is_first = True
        while chunk := list(islice(source, UTTERANCES_PER_CHUNK)):
            lists = self.treatment.of(self.run, chunk, is_first=is_first)
            heard, is_first = list(map(self.treatment.heard, chunk)), False  # first, since a library may be missing
            for utterance, found in zip(heard, self.run.score_lists(lists, alike=True), strict=True):
                log_probs = [getattr(score, self._value) for score in found]
                lengths = [len(units(candidate.text, self.metric)) for candidate in utterance.hypotheses]
                ranked = rank(utterance, log_probs, lengths, self.formula)
                tokens, unknown = sum(score.tokens for score in found), sum(len(score.unknown) for score in found)
                yield utterance, replace(ranked, tokens=tokens, unknown=unknown)

    def __call__(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """Utterances in, the same with their candidates reordered and every part of the sum shown."""
        for utterance, ranked in self.rank(utterances):
            yield shown(utterance, ranked)


def shown(utterance: Utterance, ranked: Ranked) -> Utterance:
    """The utterance in its new order; each candidate has `scores.lm`, `length`, `total` and its old `position`."""

    def candidate(item: Weighed) -> Hypothesis:
        scores: Mapping[str, float] = {**item.hypothesis.scores, "lm": item.parts["lm"]}
        total = item.total if math.isfinite(item.total) else None  # JSON has no infinity
        parts = {"length": int(item.parts["length"]), "total": total, "position": item.position}
        return replace(item.hypothesis, scores=scores, extra={**item.hypothesis.extra, **parts})

    return replace(utterance, hypotheses=tuple(candidate(item) for item in ranked.weighed))
