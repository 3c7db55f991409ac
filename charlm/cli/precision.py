"""--precision, as the commands take it that only read with a model."""

from typing import Annotated, TypeAlias, get_args

import typer

from charlm.choices import Choices
from charlm.cli.completion import completing
from charlm.cli.console import Talk
from charlm.config.training import ReadPrecision

PRECISIONS = Choices("precision", {name: name for name in ("auto", *get_args(ReadPrecision))})

ReadingPrecision: TypeAlias = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Products in float32, or faster and rounded: bf16 (processors with units for it), fp16 (others), or auto.",
        autocompletion=completing(PRECISIONS),
    ),
]


DrawingPrecision: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Products in float32, fp16 or bf16, or auto. [default: fp16 for verse, on processors with FBGEMM]",
        autocompletion=completing(PRECISIONS),
        show_default=False,
    ),
]


def settled(name: str, device: str, talk: Talk) -> ReadPrecision:
    """float32, fp16 or bf16; raises ConfigError for other names, and where this machine has not what is asked for."""
    if PRECISIONS[name] == "float32":
        return "float32"
    from charlm.models.lowered import choose_reading
    from charlm.training.devices import choose_device

    found = choose_reading(name, choose_device(device))
    if name == "auto":
        talk.note(f"products in {found}" + ("; --precision float32 is exact" if found != "float32" else ""))
    return found


def for_verse(name: str | None, device: str, talk: Talk) -> ReadPrecision:
    """The same where poems are written, a few candidates at a time: what was asked for, else what is fastest there."""
    if name is not None:
        return settled(name, device, talk)
    from charlm.models.lowered import choose_drawing
    from charlm.training.devices import choose_device

    return choose_drawing(choose_device(device))
