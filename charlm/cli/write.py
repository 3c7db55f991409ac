"""`charlm poem write`: a poem line by line, with a person."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm import storage
from charlm.cli.console import Talk, complain, emit, emit_json
from charlm.cli.options import AsJson, Device, Force, OptionalRun, Quiet, page, refuse_overwriting, takes
from charlm.cli.precision import for_verse
from charlm.config.knobs import build
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError, TextError

if TYPE_CHECKING:
    from charlm.jobs.write import Workbench

WAYS = "a number takes that line; type one of your own; u undoes, r draws again, q leaves"


@takes(page(SamplingConfig, without="max_tokens"), page(PoemConfig, without="backward"))
def write(
    run: OptionalRun = None,
    lines: Annotated[int, typer.Option(min=1, max=99, help="Lines to choose from, the best of the candidates.")] = 6,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File that keeps the poem after each line.")
    ] = None,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Write a poem with a run: choose each line, or type your own.

    The answers may come through a pipe, one a line.

    charlm poem write --form 七绝 -o mine.txt
    """
    from charlm.jobs.write import Workbench
    from charlm.runs.layout import run_or_own
    from charlm.runs.run import load

    config = build(SamplingConfig, knobs, command="poem write")
    asked = build(PoemConfig, knobs, command="poem write")
    if output is not None:
        refuse_overwriting(output, "-o", force)
    talk = Talk(quiet)
    loaded = load(run_or_own(run), device, for_verse(None, device, talk))
    bench = Workbench(loaded, asked, config, note=talk.note)
    try:
        _work(bench, lines, output, talk)
    except BaseException:  # nothing that was written is lost, whatever happens
        if bench.lines and output is None:
            emit(bench.text.rstrip("\n"))
        elif bench.lines:
            Talk(quiet).note(f"what was written is in {output}")
        raise
    if as_json:
        emit_json({"text": bench.text, "lines": bench.lines, "form": asked.form, "whole": bench.is_whole})
    elif bench.lines:
        emit(bench.text.rstrip("\n"))


def _work(bench: "Workbench", shown: int, output: Path | None, talk: Talk) -> None:
    """Ask and answer until the poem is left."""
    talk.note(WAYS)
    offered: list[str] = []
    fresh = True
    while True:
        if fresh:
            offered = [] if bench.is_whole else [one.line for one in bench.suggest()[:shown]]
            fresh = False
            _show(bench, offered, talk)
        answer = _answer()
        if answer in ("q", "Q", None) or (bench.is_whole and answer == ""):
            return
        if answer in ("u", "U"):
            fresh = bench.undo()
            if not fresh:
                talk.note("there is no line to take back")
        elif answer in ("r", "R"):
            fresh = not bench.is_whole
        elif answer:
            fresh = _take(bench, answer, offered)
        if fresh and output is not None and answer not in ("r", "R"):
            storage.write_text(output, bench.text)


def _show(bench: "Workbench", offered: list[str], talk: Talk) -> None:
    talk.note("")
    for line in bench.text.splitlines():
        talk.note(line)
    if bench.is_whole:
        talk.note("the poem is whole: Enter or q leaves, u takes the last line back")
        return
    for number, line in enumerate(offered, 1):
        talk.note(f"{number:>3}  {line}")


def _answer() -> str | None:
    """What the person says; None at the end of the input."""
    try:
        if sys.stdin.isatty():
            return input().strip()
        said = sys.stdin.buffer.readline()
        return said.decode("utf-8").strip() if said else None
    except EOFError:
        return None
    except UnicodeDecodeError as error:
        raise TextError(f"the answer is not UTF-8 text: byte {error.object[error.start]:#04x}",
                        hint="is the terminal set to UTF-8?") from error  # fmt: skip


def _take(bench: "Workbench", answer: str, offered: list[str]) -> bool:
    """Write the line that an answer means; False, and told why, where there is none."""
    from charlm.composing.inventory import is_han

    if bench.is_whole:
        complain("the poem is whole", "Enter or q leaves, u takes the last line back")
        return False
    if answer.isdecimal():
        if not 1 <= int(answer) <= len(offered):
            complain(f"there is no line {answer}", f"choose from 1 to {len(offered)}" if offered else WAYS)
            return False
        line = offered[int(answer) - 1]
    else:
        line = "".join(filter(is_han, answer))
        odd = [c for c in answer if not is_han(c) and c not in "，。、？！；： "]
        if odd or not line:
            complain(f"{answer[:40]!r} is no line of Chinese characters", WAYS)
            return False
    try:
        bench.take(line)
    except ConfigError as error:
        faults = bench.faults(line)
        told = "; ".join(f"{one.rule} at {one.line}:{one.column}: {one.said}" for one in faults)
        complain(told or str(error), "the line was not taken; --strictness free asks for lengths and rhyme alone")
        return False
    return True
