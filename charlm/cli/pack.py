"""`charlm run pack`: a small copy of a run, to be handed on."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from charlm.cli.completion import completing
from charlm.cli.console import Talk, emit_json, table
from charlm.cli.options import AsJson, Quiet, RunPath
from charlm.config.networks import Stored
from charlm.errors import ConfigError

KINDS: tuple[Stored, ...] = get_args(Stored)


def pack(
    path: RunPath,
    run: Annotated[Path, typer.Option(help="Run directory to make.")],
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="int8 (bytes with one scale for each row), bf16, or float32, as they are.",
            autocompletion=completing(KINDS),
        ),
    ] = "int8",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a small copy of a run, to be handed on.

    It has no checkpoint, does not say in which folders texts stood, and keeps the weights of networks in fewer bits.
    What that costs is told by `charlm eval` of both.

    charlm run pack checkpoints/tang --run tang-small
    """
    from charlm.jobs.pack import pack as pack_run

    chosen = next((one for one in KINDS if one == weights), None)
    if chosen is None:
        raise ConfigError(f"--weights {weights!r} is none of {', '.join(KINDS)}", hint="--weights int8 is the smallest")
    found = pack_run(path, run, chosen, Talk(quiet).note)
    if as_json:
        emit_json({"run": str(run), "weights": found.weights, "before": found.before, "after": found.after})
        return
    rows = [("run", str(run)), ("size", f"{found.after / 2**20:,.1f} MiB of {found.before / 2**20:,.1f}")]
    if found.weights is not None:
        rows.append(("weights", found.weights))
    table(rows)
