"""What a page of settings is made of: knobs that carry their help, and values checked against their kinds.

A knob's default and its help sentence live at its field and nowhere else: the command line reads both from there.
Checks speak in option names, and all mistakes of a page are reported together.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from charlm.choices import closest
from charlm.errors import ConfigError

C = TypeVar("C")


def knob(
    default: Any, help: str, *, panel: str = "", switch: str = "", choices: Mapping[str, Any] | None = None
) -> Any:
    """A dataclass field that carries what the command line shows of it.

    help     one sentence
    panel    the group of options that it stands in
    switch   the flags of a knob that is on or off, where `--name/--no-name` would read badly
    choices  the table whose names are its values, where a Literal cannot list them
    """
    metadata = {"help": help, "panel": panel, "switch": switch, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def refuse(mistakes: list[str], command: str = "train") -> None:
    """Raise one ConfigError for all mistakes, if there are any."""
    if mistakes:
        raise ConfigError("; ".join(mistakes), hint=f"`charlm {command} --help` says what each option takes")


def help_of(config: type, name: str) -> str:
    """The help sentence of a knob, for the command line."""
    return str(fields_of(config)[name].metadata["help"])


def fields_of(config: type) -> dict[str, dataclasses.Field[Any]]:
    """The knobs of a page by name."""
    return {field.name: field for field in dataclasses.fields(config)}


class Mistakes:
    """What is wrong with a request, gathered so that all of it is told at once."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def add(self, message: str, hint: str) -> None:
        """One mistake and its remedy."""
        self.found.append(ConfigError(message, hint=hint))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What raises a ConfigError in here is a mistake among others."""
        try:
            yield
        except ConfigError as error:
            self.found.append(error)

    def refuse(self, command: str = "train") -> None:
        """Raise one ConfigError for all, if there are any; a mistake that stands alone keeps its own hint."""
        if len(self.found) == 1:
            raise self.found[0]
        refuse([str(error) for error in self.found], command)


def build(config: type[C], *layers: Mapping[str, Any], closed: str = "", command: str = "train") -> C:
    """Build `config` from layers of settings, later ones winning; None means "not asked for".

    closed  the command that has no other page: a name that is not on it is a mistake. Otherwise settings that
            belong to other configs are passed over
    command  whose help tells the values, where it is not `closed`
    Raises ConfigError for values of the wrong type and for impossible ones, together.
    """
    known = fields_of(config)
    kinds = typing.get_type_hints(config)
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    unknown = []
    for layer in layers:
        for name, value in layer.items():
            if name not in known:
                if closed:
                    unknown.append(f"unknown knob {name!r}: {closest(name, list(known))}")
                continue
            if value is None:
                continue
            if problem := _misfit(kinds[name], value, known[name].metadata.get("choices")):
                wrong[name] = f"{name} = {value!r:.60}: {problem}"
            values[name] = value
    mistakes = [*unknown, *wrong.values()]
    try:
        made = config(**{name: value for name, value in values.items() if name not in wrong})
    except ConfigError as error:
        if not mistakes and not closed and command == "train":
            raise
        # What the page says of a knob whose value was no value is about its default, which nobody asked for.
        flags = [re.compile(rf"--{name.replace('_', '-')}(?![\w-])") for name in wrong]
        mistakes += [said for said in str(error).split("; ") if not any(flag.search(said) for flag in flags)]
    refuse(mistakes, closed or command)
    return made


def _misfit(kind: Any, value: Any, choices: Mapping[str, Any] | None = None) -> str | None:
    """Why `value` is not of the annotated kind, or None."""
    if choices is not None:
        return None if isinstance(value, str) and value in choices else closest(str(value), list(choices))
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return _misfit(options[0], value)
    if origin is Literal:
        names = [str(name) for name in typing.get_args(kind)]
        return None if value in names else closest(str(value), names)
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kind)
    if fits and isinstance(value, int) and abs(value) >= 1 << 63:
        return "at most 2^63 - 1"
    return None if fits else f"expected {kind.__name__}"
