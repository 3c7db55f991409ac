"""`charlm run`: look after run directories."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charlm import storage
from charlm.cli.console import Talk, clock, emit, emit_json, figure, table
from charlm.cli.options import AsJson, Force, PanelCommand, Quiet, given, page, refuse_overwriting, takes
from charlm.config.models import MixtureConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, RunError

app = typer.Typer(name="run", help="Look after run directories.", no_args_is_help=True, rich_markup_mode=None)
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory written by `charlm train`.")]


@app.command("info", cls=PanelCommand)
def info(run: RunPath, as_json: AsJson = False) -> None:
    """What a run is, how it was made, and how good it is."""
    from charlm.jobs.describe import describe
    from charlm.runs.run import load as load_run

    facts = describe(load_run(run))
    if as_json:
        emit_json(facts)
        return
    table(_rows(facts))


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    from charlm.scoring import perplexity_of

    best, corpus, valid = facts["best"], facts["corpus"], facts["valid"]
    knobs = facts["knobs"]
    family = ", ".join(f"{name} {value}" for name, value in knobs[facts["model"]].items())
    reading = f"reading {facts['reading']}, context {facts['context']}"
    learned = f"{corpus['documents']:,} documents, {corpus['tokens']:,} tokens: {', '.join(knobs['texts'])}"
    if "imported" in facts:
        learned = f"not here: imported from {facts['imported']['from']}"
    elif "tuned" in facts:
        learned = "; ".join(f"{m['name']} ({m['model']}, weight {_weight(facts, m)})" for m in facts["members"])
    elif "counts" in knobs:
        learned = f"{corpus['tokens']:,} tokens, counted in {', '.join(knobs['counts'])}"
    rows = [
        ("run", facts["path"]),
        ("model", f"{facts['model']}: {family}"),
        ("parameters", f"{facts['parameters']:,}"),
        ("tokens", f"by {facts['level']}, {facts['vocab_size']:,} in the vocabulary; {reading}"),
        ("learned from", learned),
    ]
    if valid:
        rows.append(("measured on", f"{valid['documents']:,} documents, {valid['tokens']:,} tokens, {valid['from']}"))
    if best.get("valid_nats") is not None:
        perplexity = figure(perplexity_of(best["valid_nats"]))
        bits = figure(best.get("valid_bits_per_char"), 3)
        where = f"step {best['step']:,}, epoch {best['epoch']:.2f}"
        rows.append(("best", f"perplexity {perplexity}, {bits} bits/char at {where}"))
    made = f"{facts['created']} with charlm {facts['charlm']}, torch {facts['torch']}"
    ended = f"{clock(facts.get('seconds'))}; ended because {facts['ended']}" if facts["ended"] else "not finished"
    rows += [
        ("made", f"{made}, on {facts['device']} in {facts['precision']}"),
        ("time", ended),
        ("command", facts["command"]),
    ]
    return rows


def _weight(facts: dict[str, Any], member: dict[str, Any]) -> str:
    return figure(facts["tuned"]["weights"].get(member["name"]), 3)


@app.command("check", cls=PanelCommand)
def check(run: RunPath, as_json: AsJson = False) -> None:
    """Look at every file of a run; exit code 1 if one is damaged."""
    from charlm.runs.checking import check as check_run

    found = check_run(run)
    for what, wrong in found:
        if as_json:
            emit_json({"file": what, "sound": wrong is None, "problem": wrong})
        else:
            emit(f"{'ok ' if wrong is None else 'BAD'}  {what}{'' if wrong is None else ': ' + wrong}")
    bad = [what for what, wrong in found if wrong is not None]
    if bad:
        raise RunError(
            f"{run}: {len(bad)} of {len(found)} checks failed", hint="restore those files from a copy of the run"
        )


@app.command("plot", cls=PanelCommand)
def plot(
    run: RunPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="PNG file. [default: RUN/curve.png]")] = None,
    as_text: Annotated[bool, typer.Option("--text", help="Draw in the terminal instead.")] = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw the learning curve of a run.

    A PNG with matplotlib, text without it, or the figures with --json.
    """
    from charlm.runs import curves
    from charlm.runs.layout import history as history_of
    from charlm.runs.layout import read_facts

    read_facts(run)
    entries = history_of(run)
    talk = Talk(quiet)
    if as_json:
        for entry in entries:
            emit_json(entry)
        return
    if not as_text:
        if output is not None:  # the picture inside the run is ours to renew
            refuse_overwriting(output, "-o", force)
        try:
            _emit_name(curves.picture(entries, output or run / "curve.png", title=run.name))
            return
        except ImportError:
            talk.note("matplotlib is not installed (pip install 'charlm[plot]'): drawn as text")
    emit(curves.text_plot(entries))


@app.command("export", cls=PanelCommand)
def export(
    run: RunPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, packed if it ends in .gz; or -.")],
    to: Annotated[str, typer.Option(metavar="NAME", help="Format: arpa.")] = "arpa",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write an n-gram model in a format that other programs read.

    charlm run export checkpoints/tang-kn5 --to arpa -o tang.arpa.gz
    """
    from charlm.jobs import exchange as exchanging
    from charlm.runs.run import load as load_run

    _only_arpa("--to", to)
    if str(output) != "-":
        refuse_overwriting(output, "-o", force)
    loaded = load_run(run)
    if str(output) == "-":
        for line in exchanging.arpa_lines(loaded):
            emit(line.rstrip("\n"))
        return
    exchanging.export_arpa(loaded, output)
    _emit_name(output)


def _emit_name(output: Path) -> None:
    """Say where a file was written, but not into what may be the same pipe as the data."""
    if not storage.is_stream(output):
        emit(str(output))


@app.command("import", cls=PanelCommand)
def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="ARPA file, packed by gzip or not.")],
    run: Annotated[Path, typer.Option(help="Run directory to make.")],
    level: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How text is cut: char, word, spaced or mixed. [default: char or spaced]"),
    ] = None,
    lenient: Annotated[bool, typer.Option("--lenient", help="Repair what can be repaired, and say what.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Encoding of its words. [default: utf-8]")] = None,
    quiet: Quiet = False,
) -> None:
    """Make a run of an ARPA file of KenLM, SRILM, OpenGrm or charlm.

    charlm run import tang.arpa --run checkpoints/from-kenlm
    """
    import shlex
    import sys

    from charlm.config.knobs import build
    from charlm.jobs import exchange as exchanging

    build(TextConfig, given(level=level))
    talk = Talk(quiet)
    command = shlex.join(["charlm", *sys.argv[1:]])
    exchanging.import_arpa(
        source,
        run,
        level=level,  # type: ignore[arg-type]
        lenient=lenient,
        command=command,
        note=talk.note,
        encoding=encoding,
    )
    emit(str(run))


@app.command("mix", cls=PanelCommand)
@takes(page(MixtureConfig), page(TextConfig, only="encoding field"))
def mix(
    members: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs over one vocabulary.")],
    tune: Annotated[str, typer.Option(help="Text that the weights are tuned on, new to all runs.")],
    run: Annotated[Path, typer.Option(help="Run directory to make; it holds copies of its members.")],
    part: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this part of a split corpus: train, valid or test.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Add up the probabilities of several runs.

    The weights are those that are best on the text of --tune.

    charlm run mix checkpoints/tang checkpoints/kn5 --tune valid.txt --run mixed
    """
    import shlex
    import sys

    from charlm.config.knobs import build
    from charlm.jobs import evaluate as evaluation
    from charlm.jobs import mix as blending

    config = build(MixtureConfig, knobs)
    texts = build(TextConfig, knobs)
    with Talk(quiet) as talk:
        job = evaluation.Evaluation(tune, texts, part=part, context=None, note=talk.note)
        tuned = blending.mix(members, run, config, job, command=shlex.join(["charlm", *sys.argv[1:]]))
    _show_mixture(run, tuned, as_json)


def _show_mixture(run: Path, tuned: Any, as_json: bool) -> None:
    from charlm.scoring import perplexity_of

    members = list(zip(tuned.members, tuned.shares, tuned.alone, strict=True))
    if as_json:
        told = [{"member": name, "weight": share, "nats": nats} for name, share, nats in members]
        emit_json({"run": str(run), "nats": tuned.nats, "perplexity": perplexity_of(tuned.nats), "tokens": tuned.tokens,
                   "classes": len(tuned.weights), "members": told})  # fmt: skip
        return
    rows = [("run", str(run))]
    for name, share, nats in members:
        rows.append((name, f"weight {share:.3f}, perplexity {figure(perplexity_of(nats))} alone"))
    mixed = (
        f"perplexity {figure(perplexity_of(tuned.nats))} on the {tuned.tokens:,} tokens that the weights were tuned on"
    )
    kinds = "for all contexts" if len(tuned.weights) == 1 else f"for each of {len(tuned.weights)} classes of contexts"
    rows += [("mixture", mixed), ("weights", f"{kinds}; their means are shown")]
    table(rows)


def _only_arpa(option: str, name: str) -> None:
    if name != "arpa":
        raise ConfigError(f"{option} knows no format called {name!r}", hint="choose arpa")
