"""Weights, margin and temperature from lists with references, and whether they can be trusted.

What is reported as reached is measured on folds that the weights were not tuned on. Scores that are only tried are
taken where they lower those errors by more than CERTAIN standard errors, and weights are those with the fewest errors
instead of the likeliest ones where that lowers them by more than LIKELY. Where the interval of the gain includes none,
the decision abstains: every list stays as it is.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from charlm.errors import CharlmError
from charlm.reranking.deciding import Choosing, Decision
from charlm.reranking.likelihood import likeliest
from charlm.reranking.listing import FIRST
from charlm.reranking.problem import Floats, Ints, Problem, margin_last
from charlm.reranking.searching import Search, spread
from charlm.reranking.tempering import Distances, honest, nowhere, risky, risky_choices
from charlm.reranking.validating import Interval, folds_of, interval, numbered_groups
from charlm.reranking.weighing import Formula
from charlm.text.decoding import nobody

Aim = Literal["errors", "likelihood"]
AIMS: tuple[Aim, ...] = ("likelihood", "errors")
OnStage = Callable[[str], None]
STARTS_IN_FOLDS = 2
CERTAIN = 2.0  # standard errors of a difference of errors, beyond which a score is worth its place
LIKELY = 1.0  # beyond which the aim that hangs on single lists is (the rule of one standard error, Breiman et al. 1984)


@dataclass(frozen=True)
class Fold:
    """A part of the lists, and what weights that were tuned on the others made of it: errors."""

    lists: int
    first: int
    reranked: int


@dataclass(frozen=True)
class TuningResult:
    """What tuning found.

    decision    the formula, margin, way and temperature, and whether it abstains
    abstains_because  a sentence; "" where it does not
    lists, said       lists with references, and units of these
    first, oracle     errors of the first and of the best candidates
    tuned             errors of the tuned weights on what they were tuned on: flattering
    crossed           errors of the weights of each fold on lists that they were not tuned on; which scores were taken
                      and which aim was chosen by them, so they flatter a little
    gain              first - crossed, per unit said
    folds             one by one
    tried             name of a score that was tried -> errors on lists not tuned on, with it; `without_tried` without
    taken             those of them that were taken
    aim, aims         what the weights were tuned for, and the errors in cross-validation by each aim that was tried
    """

    decision: Decision
    abstains_because: str
    lists: int
    said: int
    first: int
    oracle: int
    tuned: int
    crossed: int
    gain: Interval
    folds: tuple[Fold, ...]
    without_tried: int
    tried: dict[str, int] = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    aim: Aim = "errors"
    aims: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """One aim: the names that count, weights of each fold and their errors (U,); those without what was tried."""

    aim: Aim
    names: Sequence[str]
    weights: list[Floats]
    crossed: Ints
    without: int
    tried: dict[str, int]
    taken: tuple[str, ...]


@dataclass(frozen=True)
class Tuner:
    """How weights are tuned.

    way         the decision that they are tuned for
    aims        what they are tuned for: the first, unless cross-validation is clearly for another
    folds       parts of the cross-validation
    starts, directions, seed   of the search
    fixed_sign  names of scores whose weights must not be below zero
    reference   names of scores, of which the first that counts gets the weight 1 (or -1)
    force       never abstain
    """

    way: Choosing = "best"
    aims: Sequence[Aim] = AIMS
    folds: int = 5
    starts: int = 4
    directions: int = 4
    seed: int = 1
    fixed_sign: Collection[str] = ()
    reference: Sequence[str] = ()
    force: bool = False

    def tune(
        self,
        problem: Problem,
        keys: Sequence[str],
        *,
        tried: Sequence[str] = (),
        distances: Distances | None = None,
        report: OnStage = nobody,
    ) -> TuningResult:
        """Find a decision. The problem has all scores, those that are tried as well, and that of the margin.

        keys       of each list, in the order of the problem: what must not come apart, such as a speaker
        tried      names of scores that are only taken where cross-validation is for them
        distances  needed for way mbr
        Raises CharlmError where there is too little to tune on.
        """
        parts = folds_of(keys, self.folds, self.seed)
        if len(set(keys)) < 2:
            raise CharlmError(
                f"{len(keys):,} lists in {len(set(keys))} group are too few to tune on and to measure",
                hint="give lists with references that differ in --group, or leave --group out",
            )
        groups = numbered_groups(keys)
        plans = [self._plan(aim, problem, parts, tried, distances, groups, report) for aim in self.aims]
        report("tuning on all")
        best = preferred(plans, groups)
        for plan in (best, *(other for other in plans if other is not best)):
            chosen, crossed = problem.having(plan.names), plan.crossed
            final = self._final(chosen, plan)
            if final.any() or not self.force:  # where weights are wanted at all costs, the other aim may have some
                break
        decision = self._decision(chosen, final, distances)
        first = problem.first
        gain = interval(first - crossed, problem.said, groups, seed=self.seed)
        because = "" if gain.low > 0 else "the interval of the gain includes none"
        if not any(decision.formula.values()):
            because = "no score helps to choose"
        return TuningResult(
            decision=replace(decision, abstains=bool(because) and not self.force),
            abstains_because=because,
            lists=len(problem.starts),
            said=int(problem.said.sum()),
            first=int(first.sum()),
            oracle=int(problem.oracle.sum()),
            tuned=int(self._errors(chosen, final, decision.expecting, distances).sum()),
            crossed=int(crossed.sum()),
            gain=gain,
            folds=tuple(
                Fold(int((parts == part).sum()), int(first[parts == part].sum()), int(crossed[parts == part].sum()))
                for part in range(int(parts.max()) + 1)
            ),
            without_tried=plan.without,
            tried=plan.tried,
            taken=plan.taken,
            aim=plan.aim,
            aims={one.aim: int(one.crossed.sum()) for one in plans},
        )

    def _plan(
        self,
        aim: Aim,
        problem: Problem,
        parts: Ints,
        tried: Sequence[str],
        distances: Distances | None,
        groups: Ints,
        report: OnStage,
    ) -> Plan:
        """Which scores count by this aim, and what cross-validation says of them."""
        names = margin_last([name for name in problem.names if name not in tried])
        report(f"cross-validation, by {aim}")
        weights, crossed = self._crossed(aim, problem.having(names), parts, distances)
        without, shown, taken = int(crossed.sum()), dict[str, int](), list[str]()
        for name in tried:
            report(f"trying {name}, by {aim}")
            wider = margin_last([*names, name])
            begin = [_widened(one, names, wider) for one in weights]
            more, errors = self._crossed(aim, problem.having(wider), parts, distances, begin)
            shown[name] = int(errors.sum())
            if _lower(errors, crossed, groups) > CERTAIN:
                names, weights, crossed = wider, more, errors
                taken.append(name)
        return Plan(aim, names, weights, crossed, without, shown, tuple(taken))

    def _final(self, problem: Problem, plan: Plan) -> Floats:
        """Weights from all lists."""
        if plan.aim == "likelihood":
            return self._fit(plan.aim, problem, 0)
        alone = self._fit(plan.aim, problem, self.starts, [*self._mean(plan.weights)])
        return self._middle(problem, [*plan.weights, alone])

    def _fit(self, aim: Aim, problem: Problem, starts: int, begin: Sequence[Floats] = ()) -> Floats:
        if aim == "likelihood":
            return self._scaled(problem.names, likeliest(problem, self.fixed_sign))
        search = Search(starts, self.directions, self.fixed_sign, self.seed)
        return self._scaled(problem.names, search.best(problem, begin).weights)

    def _crossed(
        self, aim: Aim, problem: Problem, parts: Ints, distances: Distances | None, begin: Sequence[Floats] = ()
    ) -> tuple[list[Floats], Ints]:
        """The weights of each fold, tuned on the others, and (U,) the errors that they make of it."""
        errors, found = np.zeros(len(problem.starts), dtype=np.int64), []
        for part in range(int(parts.max()) + 1):
            mine = parts == part
            rest = problem.only(~mine)
            weights = self._fit(aim, rest, 1 if begin else STARTS_IN_FOLDS, begin[part : part + 1])
            temperature = risky(rest, weights, distances or nowhere) if self.way == "mbr" else 1.0
            errors[mine] = self._errors(problem.only(mine), weights, temperature, distances)
            found.append(weights)
        return found, errors

    def _errors(self, problem: Problem, weights: Floats, temperature: float, distances: Distances | None) -> Ints:
        if self.way == "mbr":
            return np.asarray(risky_choices(problem, weights, np.array([temperature]), distances or nowhere)[0])
        return problem.errors_by(weights)

    def _mean(self, found: Sequence[Floats]) -> list[Floats]:
        """A start between the weights of the folds, if they are weights at all."""
        mean = np.mean(found, axis=0)
        return [mean] if mean.any() else []

    def _middle(self, problem: Problem, found: Sequence[Floats]) -> Floats:
        """The mean of the directions in which weights point that were tuned on different lists, in standardised scores.

        Errors are counts, so the fewest of them are found at a place that hangs on single lists; the mean of several
        such places does better on new ones. A weight without which there are no more errors is zero.
        """
        scale = spread(problem.undecided())
        sizes = [float(np.linalg.norm(one * scale)) for one in found]
        middle = np.mean([one / size for one, size in zip(found, sizes, strict=True) if size] or found, axis=0)
        errors = int(problem.errors_by(middle).sum())
        for number in np.argsort(np.abs(middle * scale)):
            without = middle.copy()
            without[number] = 0.0
            if middle[number] and without.any() and (fewer := int(problem.errors_by(without).sum())) <= errors:
                middle, errors = without, fewer
        return self._scaled(problem.names, middle)

    def _scaled(self, names: Sequence[str], weights: Floats) -> Floats:
        """The same weights, of which the first of `reference` that counts is 1: only their ratios choose."""
        order = [name for name in (*self.reference, *names) if name in names and name != FIRST]
        for name in order:
            if size := abs(weights[list(names).index(name)]):
                return np.asarray(weights / size)
        return weights

    def _decision(self, problem: Problem, weights: Floats, distances: Distances | None) -> Decision:
        risk = risky(problem, weights, distances or nowhere) if self.way == "mbr" else None
        formula = {name: float(weight) for name, weight in zip(problem.names, weights, strict=True) if name != FIRST}
        margin = float(weights[-1]) if problem.names[-1:] == (FIRST,) else 0.0
        return Decision(Formula.exactly(formula), margin, self.way, honest(problem, weights), risk_temperature=risk)


def _widened(weights: Floats, names: Sequence[str], wider: Sequence[str]) -> Floats:
    """The weights of more scores, those that are new being zero."""
    return np.array([weights[list(names).index(name)] if name in names else 0.0 for name in wider])


def preferred(plans: Sequence[Plan], groups: Ints) -> Plan:
    """The first of them, or one whose errors in cross-validation are clearly fewer."""
    plan = plans[0]
    for other in plans[1:]:
        plan = other if _lower(other.crossed, plan.crossed, groups) > LIKELY else plan
    return plan


def _lower(errors: Ints, others: Ints, groups: Ints) -> float:
    """By how many standard errors of their difference the errors (U,) of some lists are fewer than others.

    groups  (U,) numbers of what belongs together
    """
    fewer = np.bincount(groups, weights=others - errors)
    total, error = float(fewer.sum()), float(np.sqrt(len(fewer) * fewer.var()))
    return total / error if error else math.copysign(math.inf, total) if total else 0.0
