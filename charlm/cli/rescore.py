"""`charlm score`: how likely is a text, and which candidate of a list is the likeliest?"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from charlm import jsonfiles
from charlm.cli.console import Stdout, Talk, complain, emit, emit_json, emit_name, figure
from charlm.cli.options import (
    AsJson,
    Beam,
    Device,
    Force,
    KeepGoing,
    Quiet,
    References,
    RunPath,
    ShardOption,
    completing,
    refuse_overwriting,
    shard_of,
)
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.nbest import NBEST_FORMATS, Hypothesis, Utterance
from charlm.reranking.error_rates import METRICS, Metric
from charlm.reranking.findings import Findings
from charlm.reranking.judging import Verdict, judge
from charlm.reranking.weighing import Formula, Ranked
from charlm.text.files import some

if TYPE_CHECKING:
    from charlm.jobs.rescore import Scorer


def score(
    run: RunPath,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="n-best lists or plain text; - is stdin.")],
    format: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"auto, text (one score a line), or lists: {', '.join(NBEST_FORMATS)}.",
            autocompletion=completing(["auto", "text", *NBEST_FORMATS]),
        ),
    ] = "auto",
    references: References = None,
    beam: Beam = None,
    keep_going: KeepGoing = False,
    lm_weight: Annotated[float, typer.Option(help="λ: weight of the language model's log-probability (nats).")] = 1.0,
    am_weight: Annotated[
        float, typer.Option(help="Weight of scores.am, where every candidate of a list has it.")
    ] = 1.0,
    length_weight: Annotated[float, typer.Option(help="γ: nats for each character or word, against brevity.")] = 0.0,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Weight of another score of the candidates; may be repeated."),
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="Print only the best text of each list.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Write lists in this format of one file, as --format names them; with --best, lists of one.",
            autocompletion=completing(NBEST_FORMATS),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to this file, whole or not at all; NAME.trn: the best as trn."),
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="cer, wer or mer. [default: by script]")] = None,
    unknown: Annotated[
        str, typer.Option(metavar="NAME", help="Unknown tokens are charged (16 bits a UTF-16 unit) or only counted.")
    ] = "charged",
    report: Annotated[Path | None, typer.Option(help="Write the error rates to this JSON file.")] = None,
    shard: ShardOption = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Rerank n-best lists, or tell how likely each line of a text is.

    Lists are ordered by am + λ·lm + γ·length.

    A run of --model cloze gives the score pll instead of lm.

    charlm score checkpoints/zh nbest.jsonl
    """
    from charlm.jobs.convert import write_file
    from charlm.jobs.lists import Refusals, lists_at
    from charlm.jobs.rescore import Scorer

    if report is not None:
        if report == Path("-"):
            raise ConfigError("--report - would mix the report with the lists on stdout", hint="name a file")
        refuse_overwriting(report, "--report", force)
    if output is not None:
        refuse_overwriting(output, "-o", force)
        if to is None and output.suffix == ".trn":
            to, best = "trn", True
        to = to or "jsonl"
    if to is not None and NBEST_FORMATS[to].files:
        raise ConfigError(f"--to {to} spans several files", hint="write JSON lines and give them to `nbest convert`")
    if to is not None and as_json:
        raise ConfigError(f"--json and --to {to} are two formats", hint="leave one of them out")
    talk = Talk(quiet)
    if metric is not None:
        METRICS[metric]  # an unknown name is refused before anything is loaded
    formula = Formula(_named(weight or []), am=am_weight, lm=lm_weight, length=length_weight)
    scorer = Scorer(run, formula, unknown, cast(Metric | None, metric), device, shard=shard_of(shard))
    config = TextConfig(encoding=encoding)
    refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
    lists = lists_at(source, format, config, refusals, beam=beam, note=talk.note)
    kind, origin = lists.format, lists.source
    if lists.guessed and kind not in ("jsonl", "text"):
        seen = "blank lines inside: read as n-best lists" if kind == "plain" else f"read as lists in the format {kind}"
        talk.note(f"{seen}; --format text scores every line by itself")
    if kind == "text":
        asked = {"--best": best, "--to": to, "--output": output, "--ref": references, "--beam": beam,
                 "--keep-going": keep_going, "--metric": metric, "--report": report, "--weight": weight,
                 "--lm-weight": lm_weight != 1, "--am-weight": am_weight != 1, "--length-weight": length_weight,
                 "--unknown": unknown != "charged"}  # fmt: skip
        if idle := [option for option, given in asked.items() if given]:
            raise ConfigError(
                f"{source} is read as lines of text, and {', '.join(idle)} {'are' if idle[1:] else 'is'} for lists",
                hint="leave out what does not fit, or say what the lists are in: --format jsonl or plain",
            )
        _tell_rounding(scorer, talk)
        impossible, of_tokens, of_unknown = _score_lines(
            scorer, some((line.removesuffix("\n") for line in origin.lines() if line.strip()), source), as_json
        )
        if impossible:
            talk.note(f"{impossible:,} lines are impossible to the model: minus infinity, in JSON null")
        _tell_unknown(of_unknown, of_tokens, talk)
        return
    _tell_rounding(scorer, talk)
    as_jsonl = as_json or kind != "plain"  # only plain lists have no names to be kept
    told = _Told(scorer, formula)
    found = told.ranked(some(lists.utterances(refusals, references, talk.note), source, "lists"))
    if to is not None:
        format_out, results = NBEST_FORMATS[to], (_result(*pair, best=best) for pair in found)
        if output is None:
            format_out.render(results, Stdout())
        else:
            write_file(results, format_out, output)
    else:
        for number, (utterance, ranked) in enumerate(found):
            _show(utterance, ranked, best=best, as_json=as_json, as_jsonl=as_jsonl, first=not number)
    total, findings = told.total or Verdict(scorer.metric or "cer"), told.findings
    for sentence in findings.sentences():
        talk.note(sentence)
    summary = {**total.summary(), "metric_from": scorer.metric_from}
    if total.empty:
        talk.note(f"{total.empty:,} lists hold no candidates; they are passed through")
    if total.impossible:
        talk.note(f"{total.impossible:,} candidates are impossible to the model: their lm and total are null")
    _tell_unknown(total.unknown, total.tokens, talk)
    if total.utterances:
        _talk_about(summary, talk)
        if total.reranked.total > total.first.total:
            heard = any(scorer.weighing[name] for name in findings.used - {"lm", "pll", "length"})
            talk.note(_why_worse(total, heard, lm_weight, length_weight))
    if report is not None:
        applied = scorer.weighing.over(findings.used)
        exact = {"exact": scorer.run.rounding is None}
        jsonfiles.write(report, {**summary, "formula": applied, "run": str(run), "unknown": unknown, **exact})
    refusals.finish()
    if output is not None:
        emit_name(output)


def _tell_rounding(scorer: "Scorer", talk: Talk) -> None:
    if rounding := scorer.run.rounding:
        talk.note(f"the model's scores are not exact: {rounding}, so probabilities add to one only nearly")


class _Told:
    """What is counted of lists while they are put in order: a verdict, once a list has come, and what is odd."""

    def __init__(self, scorer: "Scorer", formula: Formula) -> None:
        self.scorer, self.total, self.findings = scorer, cast(Verdict | None, None), Findings(formula)

    def ranked(self, utterances: Iterator[Utterance]) -> Iterator[tuple[Utterance, Ranked]]:
        """Each list and its order."""
        for utterance, ranked in self.scorer.rank(utterances):
            found = judge(utterance, ranked, self.scorer.metric or "cer")
            self.total = found if self.total is None else self.total + found
            self.findings.add(utterance, ranked)
            yield utterance, ranked


def _result(utterance: Utterance, ranked: Ranked, *, best: bool) -> Utterance:
    """A list in its new order, or its best candidate alone."""
    from charlm.jobs.rescore import shown

    found = shown(utterance, ranked)
    return replace(found, hypotheses=found.hypotheses[:1] or (Hypothesis(""),)) if best else found


def _named(given: list[str]) -> dict[str, float]:
    """Weights given as NAME=NUMBER; raises ConfigError for what is none."""
    found = {}
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if name in ("", "am", "lm", "length"):
            raise ConfigError(
                f"--weight takes NAME=NUMBER for a score of the candidates, not {one!r}",
                hint="for example --weight asr=0.5; am, lm and length have options of their own",
            )
    return found


def _why_worse(total: Verdict, with_sound: bool, lm_weight: float, length_weight: float) -> str:
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


def _tell_unknown(unknown: int, tokens: int, talk: Talk) -> None:
    if unknown:
        talk.note(f"{unknown:,} of {tokens:,} tokens ({figure(100 * unknown / tokens)}%) are unknown to the model")


def _score_lines(scorer: "Scorer", lines: Iterator[str], as_json: bool) -> tuple[int, int, int]:
    """Show the lines; how many of them are impossible, and how many tokens there were, and unknown ones."""
    impossible = tokens = unknown = 0
    for text, found in scorer.lines(lines):
        impossible += found.counted == -math.inf
        tokens += found.tokens
        unknown += len(found.unknown)
        if as_json:
            name = "pll" if scorer.run.score_name == "pll" else "log_prob"
            emit_json({"text": text, name: found.counted, "charged": found.charged, "tokens": found.tokens,
                       "unknown": found.unknown})  # fmt: skip
        else:
            emit(f"{found.counted:.4f}\t{text}")
    return impossible, tokens, unknown


def _show(utterance: Utterance, ranked: Ranked, *, best: bool, as_json: bool, as_jsonl: bool, first: bool) -> None:
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
            idle = {"lm"} if "pll" in item.parts else set()  # a cloze model has none
            parts = "  ".join(f"{name} {value:.2f}" for name, value in item.parts.items() if name not in idle)
            emit(f"{item.total:.4f}\t{item.hypothesis.text}\t{parts}")


def _talk_about(summary: dict[str, Any], talk: Talk) -> None:
    def rate(name: str) -> str:
        return "–" if summary[name] is None else f"{summary[name]:.2%}"

    name = str(summary["metric"]).upper()
    if summary["metric_from"] != "--metric":
        talk.note(f"counted as {name}, by the script of the first {summary['metric_from']}; --metric decides otherwise")
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
