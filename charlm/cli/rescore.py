"""`charlm score`: how likely is a text, and which candidate of a list is the likeliest?"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from charlm import jsonfiles, storage
from charlm.cli.completion import completing
from charlm.cli.console import Stdout, Talk, complain, emit, emit_json, emit_name
from charlm.cli.inputs import AllowUnknown, RunsAndLists, WeightsPath, reranker_of, runs_and_lists, weights_named
from charlm.cli.options import (
    AsJson,
    Beam,
    Device,
    Force,
    KeepGoing,
    Quiet,
    References,
    ShardOption,
    refuse_overwriting,
    shard_of,
)
from charlm.cli.precision import ReadingPrecision, settled
from charlm.cli.verdicts import (
    ListsTold,
    made_by,
    result,
    show,
    talk_about,
    tell_reranker,
    tell_rounding,
    tell_unknown,
    why_worse,
)
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.nbest import NBEST_FORMATS
from charlm.reranking.error_rates import METRICS, Metric
from charlm.reranking.judging import Verdict
from charlm.reranking.weighing import Formula
from charlm.text.files import some

if TYPE_CHECKING:
    from charlm.jobs.rescore import Scorer


def score(
    inputs: RunsAndLists,
    weights: WeightsPath = None,
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
    as_written: Annotated[
        bool,
        typer.Option("--as-written", help="Read candidates as they stand, not as the training text would have them."),
    ] = False,
    numerals: Annotated[
        bool,
        typer.Option("--numerals", help="Read digits as words of Mandarin, where the training text has no digits."),
    ] = False,
    allow_unknown: AllowUnknown = False,
    sound: Annotated[
        bool,
        typer.Option(
            "--sound",
            help="Add scores.sound_distance and scores.sound_agreement by pinyin (charlm[sound]); weigh with --weight.",
        ),
    ] = False,
    unknown: Annotated[
        str, typer.Option(metavar="NAME", help="Unknown tokens are charged (16 bits a UTF-16 unit) or only counted.")
    ] = "charged",
    report: Annotated[Path | None, typer.Option(help="Write the error rates to this JSON file.")] = None,
    shard: ShardOption = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    force: Force = False,
    device: Device = "cpu",
    precision: ReadingPrecision = "float32",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Rerank n-best lists, or tell how likely each line of a text is.

    Lists are ordered by am + λ·lm + γ·length, or as `nbest tune` found best.

    A run of --model cloze gives the score pll instead of lm.

    charlm score checkpoints/zh nbest.jsonl
    charlm score fwd bwd kn5 nbest.jsonl --weights weights.toml -o best.trn
    """
    from charlm.jobs.convert import write_file
    from charlm.jobs.lists import Refusals, lists_at
    from charlm.jobs.rerank import Reranker
    from charlm.jobs.rescore import Scorer
    from charlm.jobs.treatment import Treatment
    from charlm.reranking.listing import names_from_lists

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
    given, source = runs_and_lists(inputs)
    fixed = {"--weight": weight, "--lm-weight": lm_weight != 1, "--am-weight": am_weight != 1,
             "--length-weight": length_weight, "--unknown": unknown != "charged", "--metric": metric,
             "--as-written": as_written, "--numerals": numerals, "--sound": sound}  # fmt: skip
    if weights is not None and (idle := [option for option, asked in fixed.items() if asked]):
        raise ConfigError(f"{weights} says what {', '.join(idle)} would", hint="leave them out, or edit the file")
    if weights is None and not given:
        raise ConfigError("a run and lists are wanted, or lists and --weights", hint="charlm score RUN nbest.jsonl")
    own, mine, products = weights_named(weight or []), shard_of(shard), settled(precision, device, talk)
    treatment = Treatment(as_written, numerals, allow_unknown, sound, talk.note)
    scorer: Scorer | Reranker
    if weights is None and len(given) == 1 and ("=" not in given[0] or storage.is_folder(Path(given[0]))):
        formula = Formula(own, am=am_weight, lm=lm_weight, length=length_weight)
        scorer = Scorer(given[0], formula, unknown, cast(Metric | None, metric), device, shard=mine)
        scorer.treatment, scorer.precision = treatment, products
    else:
        scorer = reranker_of(
            given, weights, treatment=treatment, lm_weight=lm_weight, am_weight=am_weight,
            length_weight=length_weight, more=own, unknown=unknown, device=device, precision=products, shard=mine,
        )  # fmt: skip
        scorer.metric = scorer.metric or cast(Metric | None, metric)
    formula, models = scorer.weighing if isinstance(scorer, Scorer) else scorer.formula, scorer.names
    config = TextConfig(encoding=encoding)
    refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
    lists = lists_at(source, format, config, refusals, beam=beam, note=talk.note)
    kind, origin = lists.format, lists.source
    if lists.guessed and kind not in ("jsonl", "text"):
        seen = "blank lines inside: read as n-best lists" if kind == "plain" else f"read as lists in the format {kind}"
        talk.note(f"{seen}; --format text scores every line by itself")
    if kind == "text":
        asked = {"--best": best, "--to": to, "--output": output, "--ref": references, "--beam": beam,
                 "--keep-going": keep_going, "--report": report, "--weights": weights, **fixed,
                 "--allow-unknown": allow_unknown,
                 "RUN RUN": given[1:], "NAME=PATH": not isinstance(scorer, Scorer)}  # fmt: skip
        if (idle := [option for option, one in asked.items() if one]) or not isinstance(scorer, Scorer):
            raise ConfigError(
                f"{source} is read as lines of text, and {', '.join(idle)} {'are' if idle[1:] else 'is'} for lists",
                hint="leave out what does not fit, or say what the lists are in: --format jsonl or plain",
            )
        tell_rounding(scorer.roundings, talk)
        impossible, of_tokens, of_unknown = _score_lines(
            scorer, some((line.removesuffix("\n") for line in origin.lines() if line.strip()), source), as_json
        )
        if impossible:
            talk.note(f"{impossible:,} lines are impossible to the model: minus infinity, in JSON null")
        tell_unknown(of_unknown, of_tokens, talk)
        return
    if isinstance(scorer, Scorer):
        tell_rounding(scorer.roundings, talk)
    as_jsonl = as_json or kind != "plain"  # only plain lists have no names to be kept
    told = ListsTold(scorer, formula, models)
    found = told.ranked(some(lists.utterances(refusals, references, talk.note), source, "lists"))
    with scorer:
        if to is not None:
            format_out, results = NBEST_FORMATS[to], (result(*pair, best=best) for pair in found)
            if output is None:
                format_out.render(results, Stdout())
            else:
                write_file(results, format_out, output)
        else:
            for number, (utterance, ranked) in enumerate(found):
                show(utterance, ranked, best=best, as_json=as_json, as_jsonl=as_jsonl, first=not number)
    total, findings = told.total or Verdict(scorer.metric or "cer"), told.findings
    for sentence in findings.sentences():
        talk.note(sentence)
    summary = {**total.summary(), "metric_from": scorer.metric_from}
    if total.empty:
        talk.note(f"{total.empty:,} lists hold no candidates; they are passed through")
    if total.impossible:
        talk.note(f"{total.impossible:,} candidates are impossible to the model: their lm and total are null")
    tell_unknown(total.unknown, total.tokens, talk)
    if isinstance(scorer, Reranker):
        tell_reranker(scorer, talk)
    if total.utterances:
        talk_about(summary, talk)
        if total.reranked.total > total.first.total:
            heard = any(formula[name] for name in (findings.used & {*formula}) - {*models, *names_from_lists()})
            talk.note(why_worse(total, heard, lm_weight, length_weight))
    if report is not None:
        applied = formula.over(findings.used)
        jsonfiles.write(report, {**summary, "formula": applied, **made_by(scorer, given, unknown)})
    refusals.finish()
    if output is not None:
        emit_name(output)


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
