"""--precision, as the commands take it that only read with a model."""

from typing import Annotated, TypeAlias, get_args

import typer

from charlm.choices import Choices
from charlm.cli.console import Talk
from charlm.cli.options import completing
from charlm.config.training import ReadPrecision

PRECISIONS: Choices[ReadPrecision] = Choices("precision", {name: name for name in get_args(ReadPrecision)})

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
    wanted = PRECISIONS[name]
    if wanted == "float32":
        return wanted
    from charlm.training.devices import choose_device, choose_reading

    found = choose_reading(wanted, choose_device(device))
    if wanted == "auto" and found != "float32":
        talk.note(f"products in {found}; --precision float32 is exact")
    return found


def for_verse(name: str | None, device: str, talk: Talk) -> ReadPrecision:
    """The same where poems are written, a few candidates at a time: what was asked for, else what is fastest there."""
    if name is not None:
        return settled(name, device, talk)
    from charlm.training.devices import choose_device, choose_drawing

    return choose_drawing(choose_device(device))
