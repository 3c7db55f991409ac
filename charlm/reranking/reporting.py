"""What reranking did to lists with references: rates with intervals, what was gained and lost, posteriors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from charlm.nbest import Utterance
from charlm.reranking.comparing import aligned_texts
from charlm.reranking.error_rates import Errors, Metric, errors, units
from charlm.reranking.validating import Interval, interval
from charlm.reranking.weighing import Ranked

DEPTHS = (2, 5, 10)  # candidates from which the best is taken
BINS = 10
MOST_CONFUSIONS = 12
NOBODY: Mapping[str, int] = {}


@dataclass(frozen=True)
class Bin:
    """Lists whose choice had a posterior from `low` to `high`.

    mean   of those posteriors
    share  of the lists in which no candidate is better than the chosen one
    """

    low: float
    high: float
    lists: int
    mean: float
    share: float


@dataclass(frozen=True)
class Change:
    """A list whose choice is another than its first: edits before and after, and which candidates these are."""

    place: int
    before: int
    after: int
    chosen: int


@dataclass
class Reported:
    """Sums over the lists that pass by.

    metric   unit of the errors
    alone    errors by the recogniser's scores without any model, where it gave scores
    members  errors by each of several models with the weight of all
    """

    metric: Metric
    systems: dict[str, Errors] = field(default_factory=dict)
    members: dict[str, Errors] = field(default_factory=dict)
    depths: Counter[int] = field(default_factory=Counter)
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    confused: dict[str, Counter[tuple[str, str]]] = field(
        default_factory=lambda: {"first": Counter(), "reranked": Counter()}
    )
    empty: int = 0
    silent: Errors = field(default_factory=Errors)
    without_reference: int = 0

    def add(
        self,
        place: int,
        utterance: Utterance,
        ranked: Ranked,
        alone: Ranked | None,
        members: Mapping[str, int] = NOBODY,
    ) -> None:
        """One list, what was decided of it, its order by the recogniser's scores, and what each model would choose."""
        if utterance.reference is None:
            self.without_reference += 1
            return
        metric, reference = self.metric, utterance.reference
        if not utterance.hypotheses:
            self.empty += 1
            silence = errors(reference, "", metric)
            for name in ("first", "alone", "reranked", "oracle"):
                self._add(name, silence)
            self.silent += silence
            self.depths.update(dict.fromkeys(DEPTHS, silence.total))
            self._judged(silence.total, silence.total, silence.reference_units)
            return
        known: dict[tuple[str, ...], Errors] = {}
        found = []
        for candidate in utterance.hypotheses:
            read = tuple(units(candidate.text, metric))
            if read not in known:
                known[read] = errors(reference, candidate.text, metric)
            found.append(known[read])
        chosen = ranked.weighed[0].position
        best = min(found, key=lambda one: one.total)
        self._add("first", found[0])
        self._add("reranked", found[chosen])
        self._add("oracle", best)
        self._add("alone", found[alone.weighed[0].position if alone is not None else 0])
        for name, position in members.items():
            self.members[name] = self.members.get(name, Errors()) + found[position]
        for depth in DEPTHS:
            self.depths[depth] += min(one.total for one in found[:depth])
        self._judged(found[0].total, found[chosen].total, found[0].reference_units)
        if units(utterance.hypotheses[chosen].text, metric) != units(utterance.hypotheses[0].text, metric):
            self.changes.append(Change(place, found[0].total, found[chosen].total, chosen))
        self._believe(ranked, found[chosen].total == best.total)
        for name, position in (("first", 0), ("reranked", chosen)):
            if found[position].total:
                pairs = aligned_texts(reference, utterance.hypotheses[position].text, metric)
                self.confused[name].update((pair.one, pair.other) for pair in pairs if pair.kind)

    def _add(self, name: str, found: Errors) -> None:
        self.systems[name] = self.systems.get(name, Errors()) + found

    def _judged(self, before: int, after: int, said: int) -> None:
        self.before.append(before)
        self.after.append(after)
        self.said.append(said)

    def _believe(self, ranked: Ranked, right: bool) -> None:
        """The posterior of what was chosen, together with candidates that read the same."""
        top = units(ranked.weighed[0].hypothesis.text, self.metric)
        if ranked.weighed[0].posterior is None:
            return
        shares = [one.posterior or 0.0 for one in ranked.weighed if units(one.hypothesis.text, self.metric) == top]
        self.confidences.append((min(1.0, sum(shares)), right))

    def figures(self, has_scores: bool, seed: int = 1) -> "ReportFigures":
        """All figures of what passed by. has_scores: whether the recogniser gave any"""
        before, after, said = (np.array(one, dtype=np.int64) for one in (self.before, self.after, self.said))
        first, reranked = self.systems.get("first", Errors()), self.systems.get("reranked", Errors())
        oracle = self.systems.get("oracle", Errors())
        recoverable = first.total - oracle.total
        bins, error = calibration(self.confidences)
        return ReportFigures(
            metric=self.metric,
            lists=len(before),
            without_reference=self.without_reference,
            empty=self.empty,
            first=first,
            alone=self.systems.get("alone", Errors()) if has_scores else None,
            members={name: found + self.silent for name, found in self.members.items()},
            reranked=reranked,
            oracle=oracle,
            depths={depth: self.depths[depth] for depth in DEPTHS},
            captured=(first.total - reranked.total) / recoverable if recoverable else None,
            first_interval=interval(before, said, seed=seed),
            reranked_interval=interval(after, said, seed=seed),
            gain=interval(before - after, said, seed=seed),
            changed=len(self.changes),
            better=sum(change.after < change.before for change in self.changes),
            worse=sum(change.after > change.before for change in self.changes),
            bins=bins,
            calibration_error=error,
            confusions=self._confusions(),
        )

    def _confusions(self) -> tuple[tuple[str, str, int, int], ...]:
        both = self.confused["first"] + self.confused["reranked"]
        return tuple(
            (said, heard, self.confused["first"][said, heard], self.confused["reranked"][said, heard])
            for (said, heard), _ in both.most_common(MOST_CONFUSIONS)
        )

    def most(self, count: int) -> tuple[list[Change], list[Change]]:
        """The lists that gained most, and those that lost most."""
        order = sorted(self.changes, key=lambda change: change.after - change.before)
        gained = [change for change in order[:count] if change.after < change.before]
        lost = [change for change in order[::-1][:count] if change.after > change.before]
        return gained, lost


@dataclass(frozen=True)
class ReportFigures:
    """What reranking did. Rates are of reference units; `captured` is the share of what could be recovered.

    alone              by the recogniser's scores without any model; None where it gave none
    members            by each of several models, with the weight of all of them; none where there is one
    depths             number of candidates -> errors of the best of so many
    gain               first - reranked, by paired bootstrap
    changed, better, worse   lists with another choice, and what came of it
    bins, calibration_error  posteriors against how often no candidate was better; expected calibration error
    confusions         what was said, what was heard, how often among the first, and among the chosen
    """

    metric: Metric
    lists: int
    without_reference: int
    empty: int
    first: Errors
    alone: Errors | None
    members: dict[str, Errors]
    reranked: Errors
    oracle: Errors
    depths: dict[int, int]
    captured: float | None
    first_interval: Interval
    reranked_interval: Interval
    gain: Interval
    changed: int
    better: int
    worse: int
    bins: tuple[Bin, ...]
    calibration_error: float | None
    confusions: tuple[tuple[str, str, int, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; the keys are stable."""
        told = asdict(self)
        for name in ("first", "alone", "reranked", "oracle"):
            found = getattr(self, name)
            if found is not None:
                told[name] |= {"errors": found.total, "rate": found.rate}
        for name, found in self.members.items():
            told["members"][name] |= {"errors": found.total, "rate": found.rate}
        told["depths"] = {
            str(depth): {"errors": count, "rate": count / self.first.reference_units}
            for depth, count in self.depths.items()
            if self.first.reference_units
        }
        told["confusions"] = [
            {"said": said, "heard": heard, "first": before, "reranked": after}
            for said, heard, before, after in self.confusions
        ]
        return told


def calibration(confidences: Sequence[tuple[float, bool]], count: int = BINS) -> tuple[tuple[Bin, ...], float | None]:
    """Posteriors in bins of equal width, and the expected calibration error (Naeini et al. 2015); None without any.

    >>> calibration([(0.9, True), (0.9, False)])[1]
    0.4
    """
    if not confidences:
        return (), None
    bins, error = [], 0.0
    for number in range(count):
        low, high = number / count, (number + 1) / count
        mine = [one for one in confidences if low <= one[0] < high or (number == count - 1 and one[0] == high)]
        if mine:
            mean, share = sum(p for p, _ in mine) / len(mine), sum(right for _, right in mine) / len(mine)
            bins.append(Bin(low, high, len(mine), mean, share))
            error += len(mine) / len(confidences) * abs(mean - share)
    return tuple(bins), error
