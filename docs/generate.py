"""The pages of this folder that are made from the code: `python docs/generate.py` writes api.md and commands.md.

A test makes them again and compares, so they cannot go stale.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

import charlm
from charlm.cli.app import app

HERE = Path(__file__).resolve().parent
WIDTH = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}


def api() -> str:
    """Every name at the door: signatures and docstrings."""
    parts = ["# The Python interface", "Made by `python docs/generate.py` from the docstrings of `charlm`."]
    for name in charlm.__all__:
        member = getattr(charlm, name)
        if inspect.isclass(member):
            parts += [f"## `charlm.{name}`", _doc(member)]
            for own, value in vars(member).items():
                if own.startswith("_"):
                    continue
                if isinstance(value, property):
                    parts += [f"### `{name}.{own}`", _doc(value)]
                elif inspect.isfunction(value):
                    parts += [f"### `{name}.{own}{_signature(value)}`", _doc(value)]
        elif callable(member):
            parts += [f"## `charlm.{name}{_signature(member)}`", _doc(member)]
    return "\n\n".join(parts) + "\n"


def _signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "").replace('"', "")


def _doc(member: Any) -> str:
    return f"```text\n{inspect.getdoc(member) or ''}\n```"


def commands() -> str:
    """`--help` of every command, at 80 columns."""
    parts = ["# All commands", "Made by `python docs/generate.py` from what `--help` prints at 80 columns."]
    for words in _paths(get_command(app), []):
        shown = CliRunner().invoke(app, [*words, "--help"], env=WIDTH, prog_name="charlm").stdout
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts += [f"## `{' '.join(['charlm', *words])}`", f"```text\n{lines}\n```"]
    return "\n\n".join(parts) + "\n"


def _paths(command: Any, words: list[str]) -> Iterator[list[str]]:
    yield words
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _paths(inner, [*words, name])


PAGES = {"api.md": api, "commands.md": commands}

if __name__ == "__main__":
    for file, page in PAGES.items():
        (HERE / file).write_text(page(), "utf-8")
