"""How a run directory comes into being."""

import datetime
import platform
from pathlib import Path
from typing import Any

import torch

import charlm
from charlm.errors import RunError
from charlm.runs.layout import FORMAT


def provenance(model: str, command: str) -> dict[str, Any]:
    """What every run.json begins with: the format, what made the run, when, and by which command."""
    return {
        "format": FORMAT,
        "charlm": charlm.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model": model,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def refuse_name(path: Path) -> None:
    """Refuse a name that is not UTF-8 before anything is learned: the library that opens weights takes no such path."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the run's name {str(path)!r} is not UTF-8", hint="choose another --run") from error


def name_taken(path: Path) -> RunError:
    """The error for a run that exists: nothing is ever overwritten."""
    return RunError(
        f"{path} exists already; nothing was changed",
        hint=f"choose another --run, or go on with it: charlm train --resume {path}",
    )
