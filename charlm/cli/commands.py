"""The tree of commands. A command's module is imported, and its options are made, when it is asked for.

So a command does not wait for the others; what it needs to run, torch above all, it imports when it runs.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.main import get_command, get_group

from charlm.choices import Loaded
from charlm.cli.options import PanelCommand

# MODULE:NAME of a function, or of the group whose first commands stand beside it; "" is the group itself.
TREE: Mapping[str, str | Mapping[str, str]] = {
    "vocab": "vocab:vocab",
    "train": "train:train",
    "eval": "evaluate:evaluate",
    "sample": "sample:sample",
    "score": "rescore:score",
    "fill": "fill:fill",
    "run": {
        "": "run:app",
        "export": "exchange:export",
        "import": "exchange:import_",
        "mix": "mix:mix",
        "pack": "pack:pack",
    },
    "ngram": {"": "count:app"},
    "nbest": {"": "convert:app", "tune": "tune:tune", "report": "report:report", "explain": "explain:explain"},
    "poem": {
        "": "poem:app",
        "eval": "appraise:eval_",
        "fix": "mend:fix",
        "png": "paint:png",
        "write": "write:write",
    },
    "inspect": {"": "inspect:app"},
    "embed": {"": "embed:app"},
}


def commands() -> Mapping[str, Any]:
    """The commands of TREE by name, each made when it is first asked for."""
    return Loaded(TREE, cache(_made))


def _made(name: str) -> Any:
    place = TREE[name]
    return _command(name, place) if isinstance(place, str) else _group(place)


def _group(places: Mapping[str, str]) -> Any:
    group = get_group(_found(places[""]))
    for name, place in places.items():
        if name:
            group.commands[name] = _command(name, place)
    return group


def _command(name: str, place: str) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=PanelCommand)(_found(place))
    return get_command(alone)


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"charlm.cli.{module}"), name)
