"""`charlm eval`: how surprised is a model by a text?"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from charlm.cli.completion import runs_and_texts_at
from charlm.cli.console import Talk, emit, emit_json, figure, table
from charlm.cli.options import AsJson, Device, Quiet, ShardOption, given, knob, page, shard_of, takes
from charlm.cli.precision import ReadingPrecision, settled
from charlm.config.evaluation import PANEL, DynamicConfig
from charlm.config.knobs import build
from charlm.config.text import TextConfig
from charlm.errors import ConfigError


@takes(page(DynamicConfig))
def evaluate(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN... TEXT",
            help="Run directories, then the text; - is stdin.",
            autocompletion=runs_and_texts_at,
        ),
    ],
    part: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this part of a split corpus: train, valid or test.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="line or carried. [default: as in training]")
    ] = None,
    per_token: Annotated[
        bool, typer.Option("--per-token", help="A JSON line for each token instead of totals.")
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option(help="Text that --dynamic finds its rate and decay on, new to the runs.", rich_help_panel=PANEL),
    ] = None,
    tune_part: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this part of it: train, valid or test.", rich_help_panel=PANEL),
    ] = None,
    shard: ShardOption = None,
    encoding: Annotated[str | None, knob(TextConfig, "encoding")] = None,
    field: Annotated[str | None, knob(TextConfig, "field")] = None,
    device: Device = "cpu",
    precision: ReadingPrecision = "float32",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **asked: Any,
) -> None:
    """Print perplexity and bits per character of TEXT under each RUN.

    charlm eval checkpoints/tang valid.txt
    """
    from charlm.jobs.adapt import Adaptation
    from charlm.jobs.evaluate import Evaluation, compare

    *names, source = runs
    paths = [Path(name) for name in names]
    if not paths:
        raise ConfigError("one run and one text are needed", hint="charlm eval checkpoints/tang valid.txt")
    if "" in names:
        raise ConfigError(
            "an empty name was given where a run is wanted", hint="is a variable unset? `.` is this folder"
        )
    texts = build(TextConfig, given(encoding=encoding, field=field))
    mine = shard_of(shard)
    dynamic = build(DynamicConfig, asked, command="eval")
    if dynamic.dynamic is None and (idle := sorted(asked | given(tune=tune, tune_part=tune_part))):
        options = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ConfigError(f"{options} without --dynamic: a static figure has no such thing", hint="add --dynamic sgd")
    if tune_part is not None and tune is None:
        raise ConfigError("--tune-part is a part of the text of --tune, which was not given", hint="give both")
    with Talk(quiet) as talk:
        learns = dynamic.dynamic is not None  # and what learns does so in float32
        products = settled("float32" if learns and precision == "auto" else precision, device, talk)
        if learns and products != "float32":
            raise ConfigError(
                f"--precision {precision} is for models that only read, and --dynamic lets them learn",
                hint="leave one of them out",
            )
        adaptation = None
        if dynamic.dynamic is not None:
            tuning = Evaluation(tune, texts, part=tune_part, context=context, note=talk.note) if tune else None
            adaptation = Adaptation(dynamic, tuning)
            if (source, part) == (tune, tune_part):
                talk.note("the text of --tune is the one that is measured: the dynamic figure flatters")
        job = Evaluation(source, texts, part=part, context=context, shard=mine, note=talk.note)
        if per_token:
            for path in paths:
                records = (
                    job.tokens(path, device, products) if adaptation is None else adaptation.tokens(path, job, device)
                )
                for record in records:
                    emit_json(record)
            return
        results = []
        for path in paths:
            result = job.measure(path, device, products, report=talk.counter("scoring"))
            if adaptation is not None:
                moved = adaptation.measure(path, job, device, report=talk.counter("scoring and learning"))
                result = replace(result, dynamic=moved)
            results.append(result)
    for result in results:
        emit_json(result.to_json()) if as_json else _show(result, alone=len(results) == 1)
    if len(results) > 1 and not as_json:
        _compare(compare(results))


def _show(result: Any, alone: bool) -> None:
    score = result.score
    rows = [] if alone else [("run", result.run)]
    rows += [
        ("perplexity", f"{figure(score.perplexity)} per token, {score.tokens:,} tokens with line ends"),
        ("bits per character", f"{figure(score.bits_per_char, 3)}, {score.characters:,} characters"),
        ("nats per character", figure(score.nats_per_char, 4)),
        ("context", result.context_sentence),
    ]
    if score.unknown:
        rows += [
            ("unknown", f"{score.unknown:,} tokens, {score.unknown_rate:.2%}"),
            ("  left out", f"perplexity {figure(score.perplexity_known)}"),
            ("  spelled out", f"perplexity {figure(score.perplexity_charged)}, 16 bits for each UTF-16 unit"),
        ]
    for name, member in result.members:
        figures = f"perplexity {figure(member.perplexity)}, {figure(member.bits_per_char, 3)} bits per character"
        rows.append((f"  {name}", f"{figures}, alone"))
    if result.gain is not None:
        rows.append(("gain", f"{figure(result.gain, 3)} bits per character beside the best member"))
    if result.dynamic is not None:
        rows += _dynamic_rows(result.dynamic)
    table(rows)
    if not alone:
        emit("")


def _dynamic_rows(dynamic: Any) -> list[tuple[str, str]]:
    score, config = dynamic.score, dynamic.config
    tuned = f", tuned on {dynamic.tuned_on}" if dynamic.tuned_on else ""
    numbers = f"rate {config.rate:.3g}, decay {config.decay:.3g}"
    way = f"{config.dynamic}, a step each {config.segment} tokens, {numbers}{tuned}"
    rows = [
        ("dynamic", f"perplexity {figure(score.perplexity)}, {figure(score.bits_per_char, 3)} bits per character"),
        ("  learned by", way),
    ]
    if score.unknown:
        rows.append(("  left out", f"perplexity {figure(score.perplexity_known)} without unknown tokens"))
    return rows


def _compare(comparison: Any) -> None:
    for place, (name, bits, behind) in enumerate(comparison.ranking, 1):
        gap = "" if place == 1 else f"  +{figure(behind, 3)}"
        emit(f"{place}. {name}  {figure(bits, 3)} bits/char{gap}")
    emit(comparison.remark)
