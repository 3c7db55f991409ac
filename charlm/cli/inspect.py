"""`charlm inspect`: how far back models learn and look, what gates do, what units know."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from charlm.cli import charts
from charlm.cli.completion import runs_at
from charlm.cli.console import Talk, emit, emit_json
from charlm.cli.options import AsJson, Device, Force, PanelCommand, Quiet, RunPath, page, refuse_overwriting, takes
from charlm.config.inspecting import InspectConfig, PlantedConfig
from charlm.config.knobs import build
from charlm.config.text import TextConfig

if TYPE_CHECKING:
    from charlm.jobs.inspect import Inspection

app = typer.Typer(
    name="inspect",
    help="How far back models learn and look, what gates do, what units know.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Runs: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Run directories.", autocompletion=runs_at)
]
OfText: TypeAlias = Annotated[str, typer.Option("--text", metavar="FILE", help="Text to look at; - is stdin.")]
Part: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only this part of a split corpus: train, valid or test.")
]
Plot: TypeAlias = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Draw the curves (charlm[plot]).")]
ENCODING = "encoding field"


def _inspection(text: str, part: str | None, knobs: dict[str, Any], talk: Talk) -> "Inspection":
    from charlm.jobs.evaluate import Evaluation
    from charlm.jobs.inspect import Inspection

    texts = build(TextConfig, knobs)
    return Inspection(
        Evaluation(text, texts, part=part, context=None, note=talk.note), build(InspectConfig, knobs, command="inspect")
    )


def _may_draw(plot: Path | None, force: bool) -> None:
    """Refuse, before any work, a picture that cannot be drawn or would take another file's place."""
    if plot is not None:
        from charlm.inspecting.pictures import need_matplotlib

        refuse_overwriting(plot, "--plot", force)
        need_matplotlib()


def show(lines: Iterable[str]) -> None:
    """Lines of data."""
    for line in lines:
        emit(line)


@app.command("gradients", cls=PanelCommand)
@takes(page(InspectConfig, only="lags positions seed"), page(TextConfig, only=ENCODING))
def gradients(
    runs: Runs,
    text: OfText,
    part: Part = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--trained-only", help="Also as each run was before it was trained.")
    ] = True,
    plot: Plot = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """How far back a network learns: its gradients by time lag.

    charlm inspect gradients checkpoints/rnn checkpoints/lstm --text valid.txt
    """
    from charlm.inspecting.pictures import draw
    from charlm.jobs.inspect import learning
    from charlm.jobs.panels import of_gradients

    _may_draw(plot, force)
    found = []
    with Talk(quiet) as talk:
        job = _inspection(text, part, knobs, talk)
        for path in runs:
            found += learning(path, job, fresh=fresh, report=talk.counter("looking back"))
    for number, one in enumerate(found):
        if as_json:
            emit_json(one.to_json())
        else:
            show(["" for _ in range(number > 0)])
            show(charts.gradients(one))
    if plot is not None:
        draw(of_gradients(found), plot)
        Talk(quiet).note(f"drawn: {plot}")


@app.command("memory", cls=PanelCommand)
@takes(page(InspectConfig, only="lags positions seed"), page(TextConfig, only=ENCODING))
def memory(
    runs: Runs,
    text: OfText,
    part: Part = None,
    line_ends: Annotated[
        str | None,
        typer.Option(
            metavar="MARKS", help="Look from the last token before these marks, and tell the ends of lines apart: 。"
        ),
    ] = None,
    plot: Plot = None,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """How far back a model looks, whatever it is.

    Told is what replacing the token k steps back changes in the next distribution, in bits.

    charlm inspect memory checkpoints/kn5 checkpoints/lstm --text valid.txt
    """
    from charlm.inspecting.pictures import draw
    from charlm.jobs.inspect import remembering
    from charlm.jobs.panels import of_memory

    _may_draw(plot, force)
    found = []
    with Talk(quiet) as talk:
        job = _inspection(text, part, knobs, talk)
        for path in runs:
            counter = talk.counter("replacing tokens")
            found.append(remembering(path, job, device, line_ends=line_ends, report=counter))
        if len({one.codec for one in found}) > 1:
            talk.note("the vocabularies differ: each run reads tokens of its own, and bits are about its own")
    for one in found:
        if as_json:
            emit_json(one.to_json())
    if not as_json:
        show(charts.memory(found))
    if plot is not None:
        draw(of_memory(found), plot)
        Talk(quiet).note(f"drawn: {plot}")


@app.command("gates", cls=PanelCommand)
@takes(page(InspectConfig, only="tokens"), page(TextConfig, only=ENCODING))
def gates(
    run: RunPath,
    text: OfText,
    part: Part = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also as an HTML page.")] = None,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """How open gates are, and how long memories last.

    charlm inspect gates checkpoints/lstm --text valid.txt --html gates.html
    """
    from charlm.inspecting.pages import gates_page
    from charlm.jobs.inspect import gates_of
    from charlm.storage import write_text

    if html is not None:
        refuse_overwriting(html, "--html", force)
    with Talk(quiet) as talk:
        insides = gates_of(run, _inspection(text, part, knobs, talk), device)
        if not insides.gates:
            talk.note(f"{run} has no gates: only how saturated its units are can be told")
    if as_json:
        parts = {name: [one.to_json() for one in getattr(insides, name)] for name in ("gates", "lasting", "saturation")}
        emit_json({"run": str(run), "tokens": insides.tokens, **parts})
    else:
        show(charts.gates(insides))
    if html is not None:
        write_text(html, gates_page(insides, str(run)))
        Talk(quiet).note(f"written: {html}")


@app.command("neurons", cls=PanelCommand)
@takes(page(InspectConfig, only="tokens seed"), page(TextConfig, only=ENCODING))
def neurons(
    run: RunPath,
    text: OfText,
    html: Annotated[Path, typer.Option(metavar="FILE", help="HTML page to write: the text, coloured by a unit.")],
    part: Part = None,
    units: Annotated[int, typer.Option(min=1, max=200, help="Units that are told for each feature.")] = 12,
    shown: Annotated[int, typer.Option(min=1, max=50_000, help="Tokens that the page shows.")] = 3000,
    force: Force = False,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Which unit of a network knows what.

    Asked for are places in lines, quotes, brackets, and tones of verse.

    charlm inspect neurons checkpoints/lstm --text play.txt --html neurons.html
    """
    from charlm.inspecting.pages import neurons_page
    from charlm.jobs.inspect import neurons_of
    from charlm.storage import write_text

    refuse_overwriting(html, "--html", force)
    with Talk(quiet) as talk:
        found = neurons_of(run, _inspection(text, part, knobs, talk), device, most=units)
    write_text(html, neurons_page(found, str(run), shown=shown))
    if as_json:
        emit_json({"run": str(run), **found.to_json()})
    else:
        show(charts.neurons(found))
    Talk(quiet).note(f"written: {html}")


@app.command("lag", cls=PanelCommand)
@takes(page(PlantedConfig))
def lag(plot: Plot = None, force: Force = False, as_json: AsJson = False, quiet: Quiet = False, **knobs: Any) -> None:
    """Train cells on a task that hangs on a token so many steps back.

    charlm inspect lag --cells rnn-tanh,gru,lstm --plot lags.png
    """
    from charlm.inspecting.pictures import draw
    from charlm.jobs.inspect import planted_tasks
    from charlm.jobs.panels import of_lags

    config = build(PlantedConfig, knobs, command="inspect lag")
    _may_draw(plot, force)
    with Talk(quiet) as talk:
        found = list(planted_tasks(config, talk.counter("steps of training")))
    for one in found:
        if as_json:
            emit_json({"task": config.task, **one.to_json()})
    if not as_json:
        show(charts.lags(found))
    if plot is not None:
        draw(of_lags(found), plot)
        Talk(quiet).note(f"drawn: {plot}")


@app.command("radius", cls=PanelCommand)
@takes(page(InspectConfig, only="lags seed"))
def radius(
    clip: Annotated[float, typer.Option(help="Longest gradient.")] = 1.0,
    plot: Plot = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Vanishing and exploding gradients, and clipping.

    Simple networks of spectral radii from 0.5 to 1.5; no run is needed.

    charlm inspect radius --lags 50 --plot radius.png
    """
    from charlm.inspecting.pictures import draw
    from charlm.jobs.inspect import radii
    from charlm.jobs.panels import of_radii

    _may_draw(plot, force)
    found = radii(build(InspectConfig, knobs, command="inspect"), clip)
    for one in found:
        if as_json:
            emit_json(one.to_json())
    if not as_json:
        show(charts.radii(found))
    if plot is not None:
        draw(of_radii(found, clip), plot)
        Talk(quiet).note(f"drawn: {plot}")
