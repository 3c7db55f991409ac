"""Weights from lists with references: their scores gathered, tuned, and written down with how that was done."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from charlm.config.reranking import TuneConfig
from charlm.errors import CharlmError, ConfigError
from charlm.jobs.named import NamedRuns, unigram_of
from charlm.jobs.weights_file import KnownRun, ListsSeen, WeightsFile
from charlm.nbest import Utterance
from charlm.reranking.deciding import MOST_COMPARED, distances
from charlm.reranking.error_rates import Metric
from charlm.reranking.judging import metric_of
from charlm.reranking.listing import FIRST, FROM_LIST, LENGTH, RANK, factors, names_from_lists
from charlm.reranking.problem import Floats, Ints, problem_of
from charlm.reranking.tuning import AIMS, OnStage, Tuner, TuningResult
from charlm.text.decoding import Note, nobody

AT_ONCE = 256  # lists


@dataclass(frozen=True)
class Wanted:
    """Which scores are tuned.

    more     names that are tuned besides the usual ones
    without  names that are left out
    tried    names that are taken where cross-validation is for them, besides the usual ones
    usual    whether scores are tried that nobody asked for
    minus    names of runs whose weights may be below zero
    """

    more: Sequence[str] = ()
    without: Collection[str] = ()
    tried: Sequence[str] = ()
    usual: bool = True
    minus: Collection[str] = ()


@dataclass
class Tuning:
    """A tuning of one set of lists.

    file   what the weights file calls the lists
    force  write weights that count, whatever the interval says
    """

    runs: NamedRuns
    config: TuneConfig
    file: str
    wanted: Wanted = field(default_factory=Wanted)
    metric: Metric | None = None
    metric_from: str = "--metric"
    force: bool = False
    refuse: Callable[[CharlmError], None] | None = None
    note: Note = nobody

    def tune(self, utterances: Iterable[Utterance], *, report: OnStage = nobody) -> tuple[WeightsFile, TuningResult]:
        """Tune; raises CharlmError where the lists are of no use for that."""
        seen = ListsSeen()
        listed, keys = self._usable(utterances, seen)
        if self.metric is None:
            self.metric, self.metric_from = metric_of(listed[:AT_ONCE])
        names, tried = self._names(listed, self.metric)
        every = [*names, *tried]
        brought = []
        with self.runs:
            for at in range(0, len(listed), AT_ONCE):
                report(f"scoring {at:,} of {len(listed):,} lists")
                brought += self.runs.brought(listed[at : at + AT_ONCE], self.metric, every, floor=True)
        report("counting errors")
        problem = problem_of(listed, brought, every, self.metric)
        unsigned = {*names_from_lists(), *self.runs.unigrams}
        tuner = Tuner(
            way=self.config.decision,
            aims=AIMS if self.config.aim == "auto" else (self.config.aim,),
            folds=self.config.folds,
            starts=self.config.starts,
            directions=self.config.directions,
            seed=self.config.seed,
            fixed_sign={"am", RANK, FIRST, *(name for name in self.runs.names if name not in self.wanted.minus)},
            reference=["am", *(name for name in names if name not in unsigned), RANK],
            force=self.force,
        )
        measured = _Distances(listed, self.metric) if self.config.decision == "mbr" else None
        outcome = tuner.tune(problem, keys, tried=tried, distances=measured, report=report)
        runs = {name: KnownRun(str(path), self.runs.fingerprint(name)) for name, path in self.runs.paths.items()}
        tuned = self._told(outcome, seen)
        return WeightsFile(outcome.decision, self.metric, self.runs.unknown, runs, tuned), outcome

    def _usable(self, utterances: Iterable[Utterance], seen: ListsSeen) -> tuple[list[Utterance], list[str]]:
        """The lists that have references and candidates, and what must not come apart of each."""
        refuse, listed, keys = self.refuse, list[Utterance](), list[str]()
        total = without = 0
        first: CharlmError | None = None
        for utterance in utterances:
            total += 1
            error = self._unusable(utterance)
            if error is None:
                listed.append(utterance)
                group = self.config.group
                keys.append(str(utterance.extra[group]) if group else str(utterance.id))
                seen.add(utterance)
                continue
            without += utterance.reference is None
            if utterance.reference is None:
                first = first or error
            elif refuse is None:
                raise error
            else:
                refuse(error)
        if without == total:
            raise CharlmError(
                f"{self.file} holds no references, so there is nothing to tune on",
                hint="give what was really said: --ref FILE (Kaldi's text, .trn, or a manifest), or a field ref",
            )
        if first is not None:
            if refuse is None:
                raise first
            refuse(first)
            if without > 1:
                self.note(f"{without:,} lists have no reference and were left out")
        if not listed:
            raise CharlmError(f"{self.file} holds no list that can be tuned on", hint="mend what is named above")
        return listed, keys

    def _unusable(self, utterance: Utterance) -> CharlmError | None:
        if utterance.reference is None:
            return CharlmError(
                f"{utterance.place}: list {utterance.id!r} has no reference",
                hint="give what was really said with --ref, or leave such lists out with --keep-going",
            )
        if not utterance.hypotheses:
            return CharlmError(
                f"{utterance.place}: list {utterance.id!r} has no candidates",
                hint="there is nothing to choose from; leave it out, or use --keep-going",
            )
        group = self.config.group
        if group is not None and group not in utterance.extra:
            known = ", ".join(map(str, utterance.extra)) or "none"
            return CharlmError(
                f"{utterance.place}: list {utterance.id!r} has no field {group!r}, which --group names",
                hint=f"its fields are: {known}",
            )
        return None

    def _names(self, listed: Sequence[Utterance], metric: Metric) -> tuple[list[str], list[str]]:
        """The scores that are tuned for certain, and those that are only tried."""
        own, partial = _own_scores(listed)
        own = [name for name in own if name not in {*self.runs.names, *self.runs.unigrams}]
        for name, lists in partial.items():
            self.note(f"{lists:,} lists have scores.{name} for some candidates only; it counts nothing there")
        usual = [*own, *([] if own else [RANK]), *self.runs.names, LENGTH]
        names = list(dict.fromkeys([*usual, *self.wanted.more]))
        tried = list(self.wanted.tried)
        if self.wanted.usual:
            tried += [f"{name}*{LENGTH}" for name in own]
            tried += [name for source in FROM_LIST if source.tried(metric) for name in source.names]
            given = (name for name in self.runs.names if name not in self.wanted.without)
            tried += [unigram_of(name) for name in islice(filter(self.runs.has_counts, given), 1)]
        tried = [name for name in dict.fromkeys(tried) if name not in names]
        known = {*own, *self.runs.names, *self.runs.unigrams, *names_from_lists()}
        asked = {*self.wanted.more, *self.wanted.tried, *self.wanted.without, *self.wanted.minus}
        if unknown := sorted(factors(asked) - known):
            raise ConfigError(
                f"no score is called {', '.join(unknown)}",
                hint=f"there are {', '.join(sorted(known))}, and products such as am*length",
            )
        if not {*names, *tried} - {*self.wanted.without}:
            raise ConfigError("--without leaves nothing that could be tuned", hint="leave one of them out")
        # The margin is tuned last, after all that it is held against.
        names, tried = ([n for n in some if n not in self.wanted.without] for some in ([*names, FIRST], tried))
        return names, tried

    def _told(self, outcome: TuningResult, seen: ListsSeen) -> dict[str, Any]:
        """What the file keeps of how it was tuned."""
        rate = outcome.said or 1
        return {
            "file": self.file,
            "lists": outcome.lists,
            "units": outcome.said,
            "first": outcome.first / rate,
            "oracle": outcome.oracle / rate,
            "tuned": outcome.tuned / rate,
            "cross_validated": outcome.crossed / rate,
            "aim": outcome.aim,
            "aims": outcome.aims,
            "gain": outcome.gain.value,
            "gain_low": outcome.gain.low,
            "gain_high": outcome.gain.high,
            "abstains_because": outcome.abstains_because,
            "forced": self.force and bool(outcome.abstains_because),
            "folds": [[fold.lists, fold.first, fold.reranked] for fold in outcome.folds],
            "group": self.config.group or "",
            "seed": self.config.seed,
            "starts": self.config.starts,
            "directions": self.config.directions,
            "tried": outcome.tried,
            "taken": list(outcome.taken),
            "lists_digest": seen.digest,
            "sample": seen.least,
        }


def _own_scores(listed: Sequence[Utterance]) -> tuple[list[str], dict[str, int]]:
    """Names of the scores that all candidates of some list have, and in how many lists only some have them."""
    whole: dict[str, None] = {}
    partial: dict[str, int] = {}
    for utterance in listed:
        held = [set(candidate.scores) for candidate in utterance.hypotheses]
        common = set.intersection(*held)
        for name in utterance.hypotheses[0].scores:
            if name in common:
                whole[name] = None
        for name in set.union(*held) - common:
            partial[name] = partial.get(name, 0) + 1
    return list(whole), partial


class _Distances:
    """Edits between candidates of a list, found when they are asked for, and kept for lists of an ordinary length."""

    def __init__(self, listed: Sequence[Utterance], metric: Metric) -> None:
        self.listed, self.metric = listed, metric
        self.known: dict[int, Floats] = {}

    def __call__(self, place: int, rows: Ints) -> Floats:
        texts = [candidate.text for candidate in self.listed[place].hypotheses]
        if len(texts) > 2 * MOST_COMPARED:
            return distances([texts[row] for row in rows], self.metric)
        if place not in self.known:
            self.known[place] = distances(texts, self.metric)
        return self.known[place][rows[:, None], rows]
