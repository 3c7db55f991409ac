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


def name_taken(path: Path) -> RunError:
    """The error for a run that exists: nothing is ever overwritten."""
    if path == Path():  # what an empty name becomes
        return RunError(
            "--run is empty or names the current folder, and a run makes a folder of its own",
            hint="is a variable unset? for example --run checkpoints/tang",
        )
    return RunError(
        f"{path} exists already; nothing was changed",
        hint=f"choose another --run, or go on with it: charlm train --resume {path}",
    )
