"""--precision, as the commands take it that only read with a model."""

from typing import Annotated, TypeAlias

import typer

from charlm.choices import Choices
from charlm.cli.console import Talk
from charlm.cli.options import completing
from charlm.config.training import Precision

PRECISIONS: Choices[Precision] = Choices("precision", {"float32": "float32", "bf16": "bf16", "auto": "auto"})

ReadingPrecision: TypeAlias = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        help="Products in float32, or in bf16, which is faster on some processors; auto: bf16 on those.",
        autocompletion=completing(PRECISIONS),
    ),
]


def settled(name: str, device: str, talk: Talk) -> Precision:
    """float32 or bf16; raises ConfigError for other names, and where this machine has no bf16."""
    wanted = PRECISIONS[name]
    if wanted == "float32":
        return wanted
    from charlm.training.devices import choose_device, choose_reading

    found = choose_reading(wanted, choose_device(device))
    if wanted == "auto" and found == "bf16":
        talk.note("products in bf16; --precision float32 is exact")
    return found
