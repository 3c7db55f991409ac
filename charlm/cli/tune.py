"""`charlm nbest tune`: the weights of named scores, found exactly and held against lists they do not know."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from charlm.cli.console import Talk, complain, emit_json, table
from charlm.cli.inputs import AllowUnknown, ListFormat, RunsAndLists, runs_and_lists
from charlm.cli.options import (
    AsJson,
    Beam,
    Device,
    KeepGoing,
    Quiet,
    References,
    page,
    refuse_overwriting,
    takes,
)
from charlm.cli.precision import ReadingPrecision, settled
from charlm.config.knobs import build
from charlm.config.reranking import TuneConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.reranking.error_rates import METRICS, Metric
from charlm.text.files import some

if TYPE_CHECKING:
    from charlm.jobs.weights_file import WeightsFile
    from charlm.reranking.tuning import TuningResult


@takes(page(TuneConfig))
def tune(
    inputs: RunsAndLists,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the weights.")],
    format: ListFormat = "auto",
    references: References = None,
    beam: Beam = None,
    keep_going: KeepGoing = False,
    allow_unknown: AllowUnknown = False,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME", help="Tune this score too, for certain; a*b is a product."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="Leave this score out; may be repeated.")
    ] = None,
    tried: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="NAME", help="Take this score if cross-validation is for it; may be repeated."),
    ] = None,
    only_asked: Annotated[
        bool, typer.Option("--no-trials", help="Try no scores unasked, such as am*length, copies and unigram:RUN.")
    ] = False,
    minus: Annotated[
        list[str] | None,
        typer.Option("--subtract", metavar="NAME", help="A run that may weigh less than zero, such as an old model."),
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="cer, wer or mer. [default: by script]")] = None,
    unknown: Annotated[
        str, typer.Option(metavar="NAME", help="Unknown tokens are charged (16 bits a UTF-16 unit) or only counted.")
    ] = "charged",
    force: Annotated[
        bool, typer.Option("--force", help="Write weights that count even if they may gain nothing.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite a FILE that exists.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    device: Device = "cpu",
    precision: ReadingPrecision = "float32",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **asked: Any,
) -> None:
    """Find the weights with the fewest errors on LISTS.

    LISTS have references. Tuned are the lists' own scores, each RUN, the length, and a margin for the first candidate.

    charlm nbest tune fwd bwd kn5 dev.jsonl -o weights.toml
    """
    from charlm.jobs.lists import Refusals, lists_at
    from charlm.jobs.named import NamedRuns, named_runs
    from charlm.jobs.treatment import Treatment
    from charlm.jobs.tune import Tuning, Wanted

    refuse_overwriting(output, "-o", overwrite, "--overwrite")
    config = build(TuneConfig, asked, command="nbest tune")
    given, source = runs_and_lists(inputs)
    if metric is not None:
        METRICS[metric]
    with Talk(quiet) as talk:
        refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
        found = lists_at(source, format, TextConfig(encoding=encoding), refusals, beam=beam, note=talk.note)
        if found.format == "text":
            raise ConfigError(f"{source} holds lines of text, and lists are wanted", hint="say what they are: --format")
        products, treatment = settled(precision, device, talk), Treatment(allow_unknown=allow_unknown)
        runs = NamedRuns(named_runs(given), unknown, device, treatment=treatment, precision=products)
        for name in runs.names:
            runs.fingerprint(name)  # what is no run is told before the lists are read
        tuning = Tuning(
            runs, config, source, Wanted(with_ or (), without or (), tried or (), not only_asked, minus or ()),
            cast(Metric | None, metric), force=force, refuse=refusals, note=talk.note,
        )  # fmt: skip
        utterances = some(found.utterances(refusals, references, talk.note), source, "lists")
        weights, outcome = tuning.tune(utterances, report=talk.stage)
        weights.write(output)
    _tell_cache(runs, talk)
    if as_json:
        emit_json(_record(weights, outcome, output))
    else:
        table(_rows(weights, outcome, output))
    if outcome.abstains_because:
        forced = "written as they are, by --force" if force else "the written weights abstain (--force overrides)"
        talk.note(f"{outcome.abstains_because}: {forced}")
    refusals.finish()


def _tell_cache(runs: Any, talk: Talk) -> None:
    from charlm.jobs import remember

    if not runs.names:
        return
    where = "nowhere, since that folder cannot be written" if runs.unwritable else f"{remember.size() / 1e6:,.1f} MB"
    talk.note(
        f"scores: {runs.computed:,} computed, {runs.recalled:,} remembered; kept in {remember.folder()}: {where}; "
        "it may be deleted at any time"
    )


def _rows(weights: "WeightsFile", outcome: "TuningResult", output: Path) -> list[tuple[str, str]]:
    def rate(count: int) -> str:
        return f"{count / outcome.said:.2%}" if outcome.said else "–"

    gain = outcome.gain
    folds = ", ".join(
        f"{(fold.first - fold.reranked) / fold.first:+.0%}" if fold.first else "–" for fold in outcome.folds
    )
    rows = [
        ("lists", f"{outcome.lists:,} with {outcome.said:,} units of reference, counted as {weights.metric.upper()}"),
        ("first", f"{rate(outcome.first)}, {outcome.first:,} errors"),
        ("oracle", f"{rate(outcome.oracle)}, {outcome.oracle:,} errors"),
        ("tuned", f"{rate(outcome.tuned)} on the same lists, which flatters"),
        ("cross-validated", f"{rate(outcome.crossed)}, {outcome.crossed:,} errors; folds won {folds} of theirs"),
        ("gain", f"{gain.value:.2%}, between {gain.low:.2%} and {gain.high:.2%} (95 %)"),
        ("aim", _aim(outcome)),
        ("formula", str(weights.decision.formula)),
    ]
    if weights.decision.margin:
        rows.append(("margin", f"{weights.decision.margin:.4g} nats for the first"))
    rows.append(("temperature", f"{weights.decision.temperature:.4g}"))
    base = outcome.without_tried
    for name, errors in outcome.tried.items():
        verdict = "taken" if name in outcome.taken else "left out"
        rows.append((f"tried {name}", f"{errors:,} errors in cross-validation, {base:,} without: {verdict}"))
        base = errors if name in outcome.taken else base
    return [*rows, ("weights", str(output))]


def _aim(outcome: "TuningResult") -> str:
    """What the weights were tuned for, beside what was not taken."""
    words = {"errors": "the fewest errors", "likelihood": "the likeliest best candidates"}
    others = [f"{errors:,} by {words[aim]}" for aim, errors in outcome.aims.items() if aim != outcome.aim]
    return "; ".join([words[outcome.aim], *others])


def _record(weights: "WeightsFile", outcome: "TuningResult", output: Path) -> dict[str, Any]:
    decision = weights.decision
    told = {name: value for name, value in weights.tuned.items() if name not in ("sample", "lists_digest")}
    return {
        "weights": str(output),
        "metric": weights.metric,
        "formula": dict(decision.formula),
        "margin": decision.margin,
        "temperature": decision.temperature,
        "risk_temperature": decision.risk_temperature,
        "decision": decision.way,
        "abstains": decision.abstains,
        "first_errors": outcome.first,
        "oracle_errors": outcome.oracle,
        "tuned_errors": outcome.tuned,
        "cross_validated_errors": outcome.crossed,
        **told,
    }
