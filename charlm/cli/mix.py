"""`charlm run mix`: add up the probabilities of several runs."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from charlm.cli.completion import runs_at
from charlm.cli.console import Talk, emit_json, figure, table
from charlm.cli.options import AsJson, Quiet, page, takes
from charlm.config.knobs import build
from charlm.config.models import MixtureConfig
from charlm.config.text import TextConfig


@takes(page(MixtureConfig), page(TextConfig, only="encoding field"))
def mix(
    members: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs over one vocabulary.", autocompletion=runs_at)
    ],
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
    from charlm.jobs.evaluate import Evaluation
    from charlm.jobs.mix import mix as mix_runs

    config = build(MixtureConfig, knobs, command="run mix")
    texts = build(TextConfig, knobs)
    with Talk(quiet) as talk:
        job = Evaluation(tune, texts, part=part, context=None, note=talk.note)
        tuned = mix_runs(members, run, config, job, command=shlex.join(["charlm", *sys.argv[1:]]))
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
