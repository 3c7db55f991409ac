"""`charlm run export` and `charlm run import`: n-gram models in the format of other programs."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from charlm.cli.console import Talk, emit, emit_name
from charlm.cli.options import Force, Quiet, RunPath, given, refuse_overwriting
from charlm.config.knobs import build
from charlm.config.text import TextConfig
from charlm.errors import ConfigError


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
    from charlm.jobs import exchange
    from charlm.runs.run import load as load_run

    _only_arpa("--to", to)
    if str(output) != "-":
        refuse_overwriting(output, "-o", force)
    loaded = load_run(run)
    if str(output) == "-":
        for line in exchange.arpa_lines(loaded):
            emit(line.rstrip("\n"))
        return
    exchange.export_arpa(loaded, output)
    talk = Talk(quiet)
    talk.note(f"wrote the n-grams of {run}; KenLM, SRILM and OpenGrm read them")
    if loaded.codec.reverse:
        talk.note("they are of lines that are read backwards, as its first line says: give them reversed text")
    emit_name(output)


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
    from charlm.jobs import exchange

    build(TextConfig, given(level=level), command="run import")
    talk = Talk(quiet)
    command = shlex.join(["charlm", *sys.argv[1:]])
    exchange.import_arpa(
        source,
        run,
        level=level,  # type: ignore[arg-type]
        lenient=lenient,
        command=command,
        note=talk.note,
        encoding=encoding,
    )
    emit(str(run))


def _only_arpa(option: str, name: str) -> None:
    if name != "arpa":
        raise ConfigError(f"{option} knows no format called {name!r}", hint="choose arpa")
