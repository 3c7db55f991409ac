"""`charlm poem fix`: what mends the faults of poems, ranked by a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.completion import runs_at
from charlm.cli.console import Talk, emit, emit_json, emit_name
from charlm.cli.options import AsJson, Device, Force, Quiet, page, refuse_overwriting, takes
from charlm.cli.precision import for_verse
from charlm.config.knobs import build
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, VerseError

if TYPE_CHECKING:
    from charlm.jobs.mend import Diagnosis, Remedy


@takes(page(CheckConfig), page(TextConfig, only="encoding field"))
def fix(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Poems, one or many; - is stdin.")],
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="The run that ranks what mends a fault. [default: the one of verse that charlm brings]",
            autocompletion=runs_at,
            show_default=False,
        ),
    ] = None,
    ways: Annotated[int, typer.Option(min=1, max=100, help="Replacements to show for each fault.")] = 5,
    apply: Annotated[bool, typer.Option("--apply", help="Write FILE with the best of them to -o.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The mended file, with --apply.")] = None,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Show characters that mend each fault of a poem, the likeliest first.

    Exit code 0 if every fault can be mended, 1 if one cannot.

    charlm poem fix my.txt --apply -o mended.txt
    """
    from charlm.jobs.mend import Physician, diagnoses, opened_poems, write_mended
    from charlm.runs.layout import run_or_own
    from charlm.runs.run import load

    config = build(CheckConfig, knobs, command="poem fix")
    text = build(TextConfig, knobs, command="poem fix")
    if apply != (output is not None):
        raise ConfigError("--apply and -o belong together", hint="charlm poem fix my.txt --apply -o mended.txt")
    if output is not None:
        refuse_overwriting(output, "-o", force)
    path = run_or_own(run)
    poems = opened_poems(file, config, text, writes=apply, note=Talk(quiet).note)
    found, loaded = [], load(path, device, for_verse(None, device, Talk(quiet)))
    for number, one in enumerate(diagnoses(poems, Physician(loaded, ways), config)):
        found.append(one)
        if as_json:
            emit_json(one.record())
            continue
        if number:
            emit("")
        _show(one)
    if output is not None:
        write_mended(poems, found, output)
        emit_name(output)
    elif left := [fault for one in found for fault in one.left]:
        count = f"{len(left)} faults are" if len(left) > 1 else "one fault is"
        raise VerseError(f"{count} not mended by replacing characters", hint="what is said at each tells why")


def _show(one: "Diagnosis") -> None:
    from charlm.cli.grid import wrapped

    title = f"{one.poem.title}: " if one.poem.title else ""
    judged, count = one.judgement, len(one.judgement.faults)
    ended = f"{count} fault{'s' if count > 1 else ''}" if count else "without a fault"
    told = [judged.form.name, judged.variant.name, judged.book, judged.strictness, ended]
    for line in wrapped(f"{title}{' · '.join(told)}", "  "):
        emit(line)
    for remedy in one.remedies:
        _show_remedy(remedy)
    if one.remedies and one.mended is not None:
        emit(f"mended  {' '.join(clause.text for clause in one.mended.clauses)}")
    elif one.left:
        rules = ", ".join(f"{fault.rule} in line {fault.line}" for fault in one.left)
        for line in wrapped(f"left    {rules}", " " * 8):
            emit(line)


def _show_remedy(remedy: "Remedy") -> None:
    from charlm.cli.grid import told_fault, wrapped

    for line in wrapped(f"fault   {told_fault(remedy.fault)}", " " * 8):
        emit(line)
    for number, way in enumerate(remedy.ways, 1):
        changed = "、".join(f"{way.before[column - 1]}→{way.after[column - 1]}" for column in way.columns)
        where = "" if way.line == remedy.fault.line else f", line {way.line}"
        emit(f"  {number:>3}   {way.before} → {way.after}  {changed}{where}  {way.gain:+.1f} nats")
    if remedy.why:
        for line in wrapped(f"none    {remedy.why}", " " * 8):
            emit(line)
