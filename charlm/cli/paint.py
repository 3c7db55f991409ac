"""`charlm poem png`: a poem as a small page."""

from pathlib import Path
from typing import Annotated, Any

import typer

from charlm.cli.console import Talk, emit_name
from charlm.cli.options import Force, Quiet, page, refuse_overwriting, takes
from charlm.config.knobs import build
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig


@takes(page(CheckConfig), page(TextConfig, only="encoding field"))
def png(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A poem; - is stdin.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture to write.")],
    number: Annotated[int | None, typer.Option(min=1, help="Which poem of FILE, if it holds several.")] = None,
    title: Annotated[
        str | None, typer.Option(help="Title on the page; an empty one for none. [default: that of FILE]")
    ] = None,
    seal: Annotated[str, typer.Option(help="One to four characters, white on red.")] = "",
    tones: Annotated[bool, typer.Option("--show-tones", help="Mark level, oblique and rhyming characters.")] = False,
    font: Annotated[
        Path | None, typer.Option(help="Font file. [default: the first on this machine that has all characters]")
    ] = None,
    pixels: Annotated[int, typer.Option(min=16, max=400, help="Height of a character.")] = 64,
    force: Force = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Draw a poem as a small page, from right to left.

    Needs charlm[plot] and a font with Chinese characters.

    charlm sample checkpoints/tang --form 七绝 | charlm poem png - -o page.png
    """
    from charlm.jobs.paint import Page, paint, poem_for

    config = build(CheckConfig, knobs, command="poem png")
    text = build(TextConfig, knobs, command="poem png")
    refuse_overwriting(output, "-o", force)
    talk = Talk(quiet)
    judgement = poem_for(file, number, config, text, note=talk.note)
    shown = Page(judgement.title if title is None else title, seal, tones, pixels)
    talk.note(f"font: {paint(judgement, shown, output, font)}")
    emit_name(output)
