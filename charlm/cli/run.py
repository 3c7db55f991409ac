"""`charlm run`: look after run directories."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charlm import storage
from charlm.cli.console import Talk, clock, emit, emit_json, emit_name, figure, table, told_rows
from charlm.cli.options import AsJson, Force, OptionalRun, PanelCommand, Quiet, RunPath, refuse_overwriting
from charlm.errors import RunError

MOST_NAMED = 12  # things that a run can be told, of each kind

app = typer.Typer(name="run", help="Look after run directories.", no_args_is_help=True, rich_markup_mode=None)


@app.command("info", cls=PanelCommand)
def info(run: OptionalRun = None, as_json: AsJson = False) -> None:
    """What a run is, how it was made, and how good it is."""
    from charlm.jobs.describe import describe
    from charlm.runs.cloze import load_any
    from charlm.runs.layout import run_or_own

    facts = describe(load_any(run_or_own(run)))
    if as_json:
        emit_json(facts)
        return
    table(_rows(facts))


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    from charlm.scoring import perplexity_of

    best, corpus, valid = facts["best"], facts["corpus"], facts["valid"]
    knobs = facts["knobs"]
    family = ", ".join(f"{name} {value}" for name, value in knobs[facts["model"]].items() if value is not None)
    parts = ", ".join(f"{name} {count:,}" for name, count in facts["parameters_of"].items())
    grams = ", ".join(f"{count:,} of order {n}" for n, count in enumerate(facts["entries_of"], 1))
    reading = f"reading {facts['reading']}{' backwards' if facts['reverse'] else ''}, context {facts['context']}"
    learned = f"{corpus['documents']:,} documents, {corpus['tokens']:,} tokens: {', '.join(knobs['texts'])}"
    if "imported" in facts:
        learned = f"not here: imported from {facts['imported']['from']}"
    elif "tuned" in facts:
        learned = "; ".join(f"{m['name']} ({m['model']}, {_part(facts, m)})" for m in facts["members"])
    elif "counts" in knobs:
        learned = f"{corpus['tokens']:,} tokens, counted in {', '.join(knobs['counts'])}"
    rows = [
        ("run", facts["path"]),
        ("model", f"{facts['model']}: {family}"),
        *([("parameters", f"{facts['parameters']:,}{f': {parts}' if parts else ''}")] if facts["parameters"] else []),
        *([("n-grams", grams)] if grams else []),
        ("tokens", f"by {facts['level']}, {facts['vocab_size']:,} in the vocabulary; {reading}"),
        ("learned from", learned),
    ]
    if facts["can_be_told"]:
        rows.append(
            ("can be told", "; ".join(f"{kind} {_some(names)}" for kind, names in facts["can_be_told"].items()))
        )
    for other in facts.get("more", []):
        rows.append(("and at first", f"{other['tokens']:,} tokens, weight {other['weight']:g}: {other['from']}"))
    if "weights" in facts:
        rows.append(("weights", f"{facts['weights']}, packed; what was measured below, was measured before"))
    if vectors := facts.get("embeddings"):
        kept = "kept as they are" if vectors["frozen"] else "learned further"
        rows.append(("vectors", f"of {vectors['found']:,} tokens {kept}: {vectors['from']}"))
    if valid:
        rows.append(("measured on", f"{valid['documents']:,} documents, {valid['tokens']:,} tokens, {valid['from']}"))
    if best.get("valid_pseudo_nats") is not None:
        figures = f"pseudo-perplexity {figure(perplexity_of(best['valid_pseudo_nats']))}, each token given all others"
        rows.append(("best", f"{figures}, at step {best['step']:,}, epoch {best['epoch']:.2f}"))
    if best.get("valid_nats") is not None:
        perplexity = figure(perplexity_of(best["valid_nats"]))
        bits = figure(best.get("valid_bits_per_char"), 3)
        where = f"step {best['step']:,}, epoch {best['epoch']:.2f}"
        rows.append(("best", f"perplexity {perplexity}, {bits} bits/char at {where}"))
    rows += told_rows(facts)
    made = f"{facts['created']} with charlm {facts['charlm']}, torch {facts['torch']}"
    ended = f"{clock(facts.get('seconds'))}; ended because {facts['ended']}" if facts["ended"] else "not finished"
    rows += [
        ("made", f"{made}, on {facts['device']} in {facts['precision']}"),
        ("time", ended),
        *_usage(facts.get("usage") or {}),
        ("command", facts["command"]),
    ]
    return rows


def _some(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return " ".join(names[:MOST_NAMED]) + more if names else "of its own words"


def _usage(usage: dict[str, float]) -> list[tuple[str, str]]:
    parts = []
    if "tokens_per_second" in usage:
        parts.append(f"{usage['tokens_per_second']:,.0f} tokens/s")
    if "share_of_ceiling" in usage:
        parts.append(f"{usage['share_of_ceiling']:.0%} of what its matrix products alone would reach here")
    if "peak_memory" in usage:
        parts.append(f"{usage['peak_memory'] / 2**20:,.0f} MiB at most")
    if "peak_device_memory" in usage:
        parts.append(f"{usage['peak_device_memory'] / 2**20:,.0f} MiB of the device")
    if "joules" in usage:
        parts.append(f"{usage['joules']:,.0f} J, by all that ran")
    return [("took", ", ".join(parts))] if parts else []


def _part(facts: dict[str, Any], member: dict[str, Any]) -> str:
    degree = member.get("temperature", 1)
    tempered = f", temperature {degree:.3f}" if degree != 1 else ""
    return f"weight {figure(facts['tuned']['weights'].get(member['name']), 3)}{tempered}"


@app.command("check", cls=PanelCommand)
def check(run: RunPath, as_json: AsJson = False) -> None:
    """Look at every file of a run; exit code 1 if one is damaged."""
    from charlm.runs.checking import check as check_run
    from charlm.runs.layout import read_facts

    if not storage.is_folder(run):
        read_facts(run)  # says that there is no run, and which there are
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
            emit_name(curves.picture(entries, output or run / "curve.png", title=run.name))
            return
        except ImportError:
            talk.note("matplotlib is not installed (pip install 'charlm[plot]'): drawn as text")
    emit(curves.text_plot(entries))
