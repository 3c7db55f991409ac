"""What is told of lists that were put in order: the lists themselves, their error rates, and why it went worse."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from charlm.cli.console import Stdout, Talk, emit, emit_json, figure
from charlm.nbest import NBEST_FORMATS, Hypothesis, Utterance
from charlm.reranking.error_rates import Metric
from charlm.reranking.findings import Findings
from charlm.reranking.judging import Verdict, judge
from charlm.reranking.weighing import Formula, Ranked

if TYPE_CHECKING:
    from charlm.jobs.rerank import Reranker
    from charlm.jobs.rescore import Scorer


class Ranker(Protocol):
    """What puts lists in order: a Scorer or a Reranker."""

    metric: Metric | None

    def rank(self, utterances: Any) -> Iterator[tuple[Utterance, Ranked]]:
        """Each list, and its order."""


class ListsTold:
    """What is counted of lists while they are put in order: a verdict, once a list has come, and what is odd."""

    def __init__(self, scorer: Ranker, formula: Formula, models: tuple[str, ...] = ("lm",)) -> None:
        self.scorer, self.total, self.findings = scorer, cast(Verdict | None, None), Findings(formula, models)

    def ranked(self, utterances: Iterator[Utterance]) -> Iterator[tuple[Utterance, Ranked]]:
        """Each list and its order."""
        for utterance, ranked in self.scorer.rank(utterances):
            found = judge(utterance, ranked, self.scorer.metric or "cer")
            self.total = found if self.total is None else self.total + found
            self.findings.add(utterance, ranked)
            yield utterance, ranked


def result(utterance: Utterance, ranked: Ranked, *, best: bool) -> Utterance:
    """A list in its new order, or its best candidate alone."""
    from charlm.jobs.rescore import shown

    found = shown(utterance, ranked)
    return replace(found, hypotheses=found.hypotheses[:1] or (Hypothesis(""),)) if best else found


def why_worse(total: Verdict, with_sound: bool, lm_weight: float, length_weight: float) -> str:
    """Reranking did harm: so in words, with the causes that these lists allow."""
    causes = []
    if not with_sound:
        causes.append("no recogniser's scores went into the sum, so its own order was thrown away (scores.am)")
    elif lm_weight:
        causes.append(f"the model may weigh too much (try --lm-weight {lm_weight / 3:.2g})")
    if total.unknown > 0.02 * total.tokens:
        causes.append("the model does not know many of the tokens (train it on text like these lists)")
    if length_weight == 0:
        causes.append("a sum of log-probabilities favours short candidates (try --length-weight 1)")
    causes.append("the model may have been trained on other or too little text")
    return "reranking made the lists worse than they were; likely causes: " + "; ".join(causes)


def tell_unknown(unknown: int, tokens: int, talk: Talk) -> None:
    """How much of the texts a model does not know."""
    if unknown:
        talk.note(f"{unknown:,} of {tokens:,} tokens ({figure(100 * unknown / tokens)}%) are unknown to the model")


def show(utterance: Utterance, ranked: Ranked, *, best: bool, as_json: bool, as_jsonl: bool, first: bool) -> None:
    """One list in its new order."""
    from charlm.jobs.rescore import shown

    if best and as_json:
        emit_json({"id": utterance.id, "text": ranked.best.text})
    elif best:
        emit(" ".join(ranked.best.text.splitlines()))  # one line a list, whatever the candidate holds
    elif as_jsonl:
        NBEST_FORMATS["jsonl"].render([shown(utterance, ranked)], Stdout())
    else:
        if not first:
            emit("")
        for item in ranked.weighed:
            parts = "  ".join(f"{name} {value:.2f}" for name, value in item.parts.items())
            emit(f"{item.total:.4f}\t{item.hypothesis.text}\t{parts}")


def tell_rounding(roundings: list[str], talk: Talk) -> None:
    """Why scores are not exact."""
    for rounding in dict.fromkeys(roundings):
        talk.note(f"the model's scores are not exact: {rounding}, so probabilities add to one only nearly")


def tell_reranker(reranker: "Reranker", talk: Talk) -> None:
    """What a file of weights did: its formula, whether it abstains, and whether these are the lists of its tuning."""
    tell_rounding(reranker.roundings, talk)
    talk.note(f"ordered by {reranker.decision}")
    weights = reranker.weights
    if weights is None:
        return
    if weights.decision.abstains:
        because = weights.tuned.get("abstains_because") or "it says so"
        talk.note(f"{weights.origin} abstains ({because}): the first candidates stay")
    if reranker.seen is not None and (same := weights.overlap(reranker.seen)):
        talk.note(f"warning: {same}")


def made_by(scorer: "Scorer | Reranker", given: list[str], unknown: str) -> dict[str, Any]:
    """What a report says of what made it."""
    exact: dict[str, Any] = {"exact": not scorer.roundings, "precision": scorer.precision}
    from charlm.jobs.rescore import Scorer as Plain

    if isinstance(scorer, Plain):
        return {"run": given[0], "unknown": unknown, **exact}
    weights = scorer.weights
    told = {"runs": {name: str(path) for name, path in scorer.runs.paths.items()}, "unknown": scorer.runs.unknown}
    file = {"weights": str(weights.origin)} if weights is not None else {}
    return {**told, **file, "decision": str(scorer.decision), **exact}


def talk_about(summary: dict[str, Any], talk: Talk) -> None:
    """The error rates of a summary."""

    def rate(name: str) -> str:
        return "–" if summary[name] is None else f"{summary[name]:.2%}"

    name = str(summary["metric"]).upper()
    if summary["metric_from"] != "--metric":
        how = {"references", "candidates"} & {summary["metric_from"]}
        by = (
            f"by the script of the first {summary['metric_from']}; --metric decides otherwise"
            if how
            else "by the weights"
        )
        talk.note(f"counted as {name}, {by}")
    talk.note(
        f"{name} of {summary['utterances']:,} lists: first {rate('first')} · reranked {rate('reranked')} · "
        f"oracle {rate('oracle')} · avoidable errors avoided {rate('gap_closed')}"
    )
    kinds = ("substitutions", "deletions", "insertions")
    before, after = (", ".join(f"{summary[f'{of}_{kind}']:,} {kind}" for kind in kinds) for of in ("first", "reranked"))
    talk.note(f"first: {before} · reranked: {after}, of {summary['reference_units']:,}")
    if summary["pairs"]:
        share = figure(100 * summary["pairwise_accuracy"], 2)
        talk.note(f"pairs with one right candidate: {share}% of {summary['pairs']:,} won, ties one half")
