"""Options whose help and default are read from the configs, so that neither is written twice."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from charlm import storage
from charlm.config.knobs import help_of
from charlm.errors import StorageError

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON on stdout, one object a line; keys are stable.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="No talk on stderr, only errors.")]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Overwrite an output file that exists.")]
Device: TypeAlias = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or auto.")]


def knob(config: type, name: str, *flags: str) -> Any:
    """A Typer option for one knob: left out, it is None, which means "not asked for"."""
    default = {field.name: field.default for field in dataclasses.fields(config)}[name]
    shown = "" if default is None or isinstance(default, bool) else f" [default: {default}]"
    return typer.Option(*flags, help=help_of(config, name) + shown, show_default=False)


def refuse_overwriting(output: Path, option: str, force: bool) -> None:
    """Raise StorageError where a file would be lost that nobody said may be; pipes and devices hold nothing to lose."""
    if not force and storage.exists(output) and not storage.is_stream(output):
        raise StorageError(
            f"{option} {output} exists already; nothing was changed",
            hint="choose another name, or give --force to overwrite it",
        )


def given(**options: Any) -> dict[str, Any]:
    """The options that were asked for."""
    return {name: value for name, value in options.items() if value is not None}
