"""What reranking does to a test set: figures, and the lists that gained and lost most, explained."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from charlm.errors import CharlmError
from charlm.jobs.explain import Explained, explained
from charlm.jobs.rerank import Reranker
from charlm.nbest import Utterance
from charlm.reranking.deciding import Decision
from charlm.reranking.error_rates import Metric
from charlm.reranking.listing import factors, from_list, names_from_lists
from charlm.reranking.reporting import Reported, ReportFigures
from charlm.reranking.weighing import Formula, Ranked, total_of, weigh

SHOWN = 10  # lists that gained most, and as many that lost most


@dataclass(frozen=True)
class RerankingReport:
    """Figures of a test set.

    decision     what was done, in words
    formula      its weights
    gained, lost the lists that gained and lost most
    """

    figures: ReportFigures
    decision: Decision
    metric_from: str
    source: str
    runs: dict[str, str]
    gained: tuple[Explained, ...] = ()
    lost: tuple[Explained, ...] = ()
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the keys are stable."""
        return {
            "source": self.source,
            "runs": self.runs,
            "decision": str(self.decision),
            "formula": dict(self.decision.formula),
            "margin": self.decision.margin,
            "temperature": self.decision.temperature,
            "abstains": self.decision.abstains,
            "metric_from": self.metric_from,
            "warnings": self.warnings,
            **self.figures.to_json(),
            "gained": [one.to_json() for one in self.gained],
            "lost": [one.to_json() for one in self.lost],
        }


def alone(utterance: Utterance, formula: Formula, runs: Iterable[str], metric: Metric) -> Ranked | None:
    """The order by the recogniser's own scores, as the formula weighs them; None where it gave none."""
    foreign = {*runs, *names_from_lists()}
    own = {name: weight for name, weight in formula.items() if weight and not factors([name]) & set(runs)}
    own = {name: weight for name, weight in own.items() if factors([name]) - foreign}
    if not own and all("am" in candidate.scores for candidate in utterance.hypotheses):
        own = {"am": 1.0}
    if not own:
        return None
    brought = from_list([candidate.text for candidate in utterance.hypotheses], metric, list(own))
    ranked = weigh(utterance, brought, Formula.exactly(own), ())
    return ranked if ranked.used else None


def by_each(ranked: Ranked, formula: Formula, runs: Collection[str]) -> dict[str, int]:
    """By the name of each run that counts, the candidate that it would choose if it had the weights of all of them.

    Where only one counts there is nothing to tell.
    """
    counting = [name for name in runs if formula.get(name)]
    if len(counting) < 2 or not ranked.weighed:
        return {}
    whole = sum(formula[name] for name in counting)
    found = {}
    for run in counting:
        others = set(runs) - {run}
        weights = {name: weight for name, weight in formula.items() if not factors([name]) & others} | {run: whole}
        found[run] = max((total_of(one.parts, weights), -one.position, one.position) for one in ranked.weighed)[2]
    return found


def report(
    reranker: Reranker, utterances: Iterable[Utterance], source: str, *, shown: int = SHOWN, seed: int = 1
) -> RerankingReport:
    """Measure a test set. shown: how many lists that gained, and that lost, are explained

    Raises CharlmError where nothing has a reference.
    """
    kept: list[tuple[Utterance, Ranked]] = []
    tally: Reported | None = None
    heard = False
    formula = reranker.decision.formula
    with reranker.runs as runs:
        for place, (utterance, ranked) in enumerate(reranker.rank(utterances)):
            if tally is None:
                tally = Reported(reranker.metric or "cer")
            by_sound = alone(utterance, formula, reranker.names, tally.metric) if utterance.hypotheses else None
            heard = heard or by_sound is not None
            members = by_each(ranked, reranker.decision.whole, runs.names)
            tally.add(place, utterance, ranked, by_sound, members)
            kept.append((utterance, ranked))
        if tally is None or not tally.said:
            raise CharlmError(
                f"{source} holds no references, so there is nothing to report",
                hint="give what was really said: --ref FILE (Kaldi's text, .trn, or a manifest), or a field ref",
            )
        gained, lost = (
            tuple(
                explained(*kept[change.place], tally.metric, runs, positions=[0, change.chosen]) for change in changes
            )
            for changes in tally.most(shown)
        )
    figures = tally.figures(heard, seed)
    made = RerankingReport(
        figures, reranker.decision, reranker.metric_from, source, {n: str(p) for n, p in runs.paths.items()}
    )
    if reranker.weights is not None and reranker.seen is not None and (same := reranker.weights.overlap(reranker.seen)):
        made.warnings.append(same)
    return replace(made, gained=gained, lost=lost)
