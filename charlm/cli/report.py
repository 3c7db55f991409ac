"""`charlm nbest report`: what reranking does to a test set, as a table, as JSON, and as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charlm import storage
from charlm.cli.console import Talk, complain, emit, emit_json, emit_name
from charlm.cli.explain import alignment
from charlm.cli.grid import columns, wrapped
from charlm.cli.inputs import AllowUnknown, ListFormat, RunsAndLists, WeightsPath, reranker_of, runs_and_lists
from charlm.cli.options import (
    AsJson,
    Beam,
    Device,
    Force,
    KeepGoing,
    Quiet,
    References,
    refuse_overwriting,
)
from charlm.cli.precision import ReadingPrecision, settled
from charlm.cli.verdicts import tell_rounding
from charlm.config.text import TextConfig
from charlm.errors import ConfigError
from charlm.reranking.error_rates import METRICS, Errors
from charlm.text.files import some

if TYPE_CHECKING:
    from charlm.jobs.explain import Explained
    from charlm.jobs.report import RerankingReport

SHOWN_IN_TERMINAL = 3  # lists that gained, and that lost, most


def report(
    inputs: RunsAndLists,
    weights: WeightsPath = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page with pictures too.")] = None,
    show: Annotated[int, typer.Option(min=0, max=1000, help="Lists that gained, and that lost, most.")] = 10,
    format: ListFormat = "auto",
    references: References = None,
    beam: Beam = None,
    keep_going: KeepGoing = False,
    allow_unknown: AllowUnknown = False,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="cer, wer or mer. [default: that of the weights, or by script]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws for intervals.")] = 1,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the input.")] = None,
    force: Force = False,
    device: Device = "cpu",
    precision: ReadingPrecision = "float32",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what reranking brings on LISTS with references.

    Error rates with intervals, posteriors, confusions, and the lists that gained and lost most.

    charlm nbest report fwd bwd kn5 test.jsonl --weights weights.toml --html report.html
    """
    from charlm.cli.htmlpage import page
    from charlm.jobs.lists import Refusals, lists_at
    from charlm.jobs.report import report as reporting
    from charlm.jobs.treatment import Treatment

    if html is not None:
        refuse_overwriting(html, "--html", force)
    talk = Talk(quiet)
    given, source = runs_and_lists(inputs)
    products, treatment = settled(precision, device, talk), Treatment(allow_unknown=allow_unknown)
    reranker = reranker_of(given, weights, treatment=treatment, device=device, precision=products)
    if metric is not None:
        METRICS[metric]
        if weights is not None and metric != reranker.metric:
            raise ConfigError(
                f"{weights} was tuned on {reranker.metric}, and its length is in those units, not {metric}",
                hint="leave --metric out, or tune again with it",
            )
        reranker.metric = metric  # type: ignore[assignment]
    refusals = Refusals(keep_going, lambda error: complain(str(error), error.hint))
    found = lists_at(source, format, TextConfig(encoding=encoding), refusals, beam=beam, note=talk.note)
    if found.format == "text":
        raise ConfigError(f"{source} holds lines of text, and lists are wanted", hint="say what they are: --format")
    lists = some(found.utterances(refusals, references, talk.note), source, "lists")
    made = reporting(reranker, lists, source, shown=show, seed=seed)
    if html is not None:
        storage.write_text(html, page(made))
    tell_rounding(reranker.roundings, talk)
    for warning in made.warnings:
        talk.note(f"warning: {warning}")
    if as_json:
        emit_json(made.to_json())
    else:
        for line in shown(made):
            emit(line)
    refusals.finish()
    if html is not None:
        emit_name(html)


def rows_of(made: "RerankingReport") -> list[tuple[str, ...]]:
    """The table of systems: name, rate, interval, errors, substitutions, deletions, insertions."""
    figures = made.figures

    def row(name: str, found: Errors, interval: str = "") -> tuple[str, ...]:
        rate = "–" if found.rate is None else f"{found.rate:.2%}"
        kinds = (found.total, found.substitutions, found.deletions, found.insertions)
        return (name, rate, interval, *(f"{kind:,}" for kind in kinds))

    bounds = [f"{one.low:.2%} – {one.high:.2%}" for one in (figures.first_interval, figures.reranked_interval)]
    rows = [row("first", figures.first, bounds[0])]
    if figures.alone is not None:
        rows.append(row("without any model", figures.alone))
    rows += [row(f"{name} alone", found) for name, found in figures.members.items()]
    rows.append(row("reranked", figures.reranked, bounds[1]))
    said = figures.first.reference_units
    for depth, count in figures.depths.items():
        rows.append((f"oracle of {depth}", f"{count / said:.2%}" if said else "–", "", f"{count:,}", "", "", ""))
    rows.append(row("oracle", figures.oracle))
    return rows


def shown(made: "RerankingReport") -> Iterator[str]:
    """The report at 80 columns."""
    figures = made.figures
    yield from wrapped(f"{made.source}: {figures.lists:,} lists, {figures.metric.upper()} of "
                       f"{figures.first.reference_units:,} units", "  ")  # fmt: skip
    yield from wrapped(f"ordered by {made.decision}", "  ")
    yield ""
    yield from columns([("", "rate", "95 %", "errors", "sub", "del", "ins"), *rows_of(made)])
    yield ""
    for name, value in facts(made):
        yield from wrapped(f"{name:<12}  {value}", " " * 14)
    if figures.bins:
        yield ""
        yield from columns([("posterior", "lists", "mean", "none better"), *(
            (f"{one.low:.1f} – {one.high:.1f}", f"{one.lists:,}", f"{one.mean:.1%}", f"{one.share:.1%}")
            for one in figures.bins
        )])  # fmt: skip
    if figures.confusions:
        yield ""
        yield from columns([("said", "heard", "first", "reranked"), *(
            (said or "·", heard or "·", f"{before:,}", f"{after:,}")
            for said, heard, before, after in figures.confusions
        )])  # fmt: skip
    for what, lists in (("gained", made.gained), ("lost", made.lost)):
        for told in lists[:SHOWN_IN_TERMINAL]:
            yield ""
            yield from _changed(what, told)


def facts(made: "RerankingReport") -> list[tuple[str, str]]:
    """Figures that stand alone."""
    figures = made.figures
    gain = figures.gain
    found = [("gain", f"{gain.value:.2%}, between {gain.low:.2%} and {gain.high:.2%} (95 %, paired bootstrap)")]
    if figures.first.total:
        share = (figures.first.total - figures.reranked.total) / figures.first.total
        found.append(("relative", f"{share:.1%} of the errors of the first"))
    if figures.captured is not None:
        found.append(("captured", f"{figures.captured:.1%} of the errors that could be recovered"))
    told = f"{figures.changed:,} lists: {figures.better:,} better, {figures.worse:,} worse"
    found.append(("changed", told))
    if figures.calibration_error is not None:
        found.append(("posteriors", f"off by {figures.calibration_error:.1%} (expected calibration error)"))
    if figures.empty:
        found.append(("empty", f"{figures.empty:,} lists without candidates count as if nothing was heard"))
    if figures.without_reference:
        found.append(("left out", f"{figures.without_reference:,} lists without a reference"))
    return found


def _changed(what: str, told: "Explained") -> Iterator[str]:
    chosen, _ = told.compared
    places = {item.position: number for number, item in enumerate(told.ranked.weighed)}
    counts = told.errors[places[0]], told.errors[places[chosen]]
    yield from wrapped(f"{what}: {told.utterance.id}, errors {counts[0]} → {counts[1]}", "  ")
    for name, position in (("first", 0), ("chosen", chosen)):
        yield from alignment(told.alignments[places[position]], "said", name, spaced=told.metric != "cer")
    if told.differs:
        yield from wrapped(f"models differ first at {told.differs}", "  ")
