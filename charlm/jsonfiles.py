"""JSON in and out: every JSON of ours is read here and held against its shape, and every value becomes JSON here."""

import json
import math
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.errors import CharlmError


def read(path: Path, *, error: Callable[[str], CharlmError], shape: Any = None) -> Any:
    """Read a JSON file; `error` turns the reason into the caller's kind of error. `shape` is that of `misfit`."""
    text = storage.read_text(path, error=error)
    try:
        value = parse(text)
    except ValueError as cause:
        place = f":{cause.lineno}" if isinstance(cause, json.JSONDecodeError) else ""
        raise error(f"{path}{place} is not JSON: {cause}") from cause
    if shape is not None and (wrong := misfit(shape, value)):
        raise error(f"{path}: {wrong}")
    return value


def parse(text: str) -> Any:
    """The value of a JSON text; ValueError for whatever is none: bad syntax, endless numbers, endless nesting."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def misfit(shape: Any, value: Any, name: str = "it") -> str | None:
    """Why a JSON value does not have a shape, or None where it does.

    shape  a type (float takes whole numbers too; None is `type(None)`); a tuple of shapes, of which one must fit;
           a list of one shape, for lists; a table of names and shapes, all of which must be there. A name that
           ends in `?` may be missing, and the name `*` stands for all other names

    >>> misfit({"step": int, "nats?": (float, type(None))}, {"step": "1"})
    'step is a str, not int'
    """
    if isinstance(shape, tuple):
        wrong = [misfit(one, value, name) for one in shape]
        return None if None in wrong else wrong[0]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{name} is no table"
        for key, inner in shape.items():
            if key == "*":
                found = {key: held for key, held in value.items() if key not in shape}
            else:
                plain = key.removesuffix("?")
                if plain not in value and plain == key:
                    return f"{key} is missing" if name == "it" else f"{name} has no {key}"
                found = {plain: value[plain]} if plain in value else {}
            for key_, held in found.items():
                if wrong_ := misfit(inner, held, key_ if name == "it" else f"{name}.{key_}"):
                    return wrong_
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{name} is no list"
        found_ = (misfit(shape[0], held, f"{name}[{number}]") for number, held in enumerate(value))
        return next((wrong for wrong in found_ if wrong), None)
    fits = isinstance(value, int | float if shape is float else shape)
    if not fits or (isinstance(value, bool) and shape is not bool):
        return f"{name} is a {type(value).__name__}, not {shape.__name__}"
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return f"{name} is too large a number"
    return None


def shape_of(page: type) -> dict[str, Any]:
    """The shape, for `misfit`, of what `dataclasses.asdict` makes of a dataclass of plain values."""
    return {name: typing.get_args(kind) or kind for name, kind in typing.get_type_hints(page).items()}


def to_text(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON: what is no finite number is null, and what is no Unicode (a file's name) is escaped."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(_finite(value), allow_nan=False, indent=indent)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: Path, value: Any) -> None:
    """Write `value` as JSON that people can read, whole or not at all."""
    storage.write_text(path, to_text(value, indent=2) + "\n")
