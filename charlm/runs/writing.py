"""How a run directory comes into being, and whose it is while it is written."""

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import torch

import charlm
from charlm import storage
from charlm.errors import RunError
from charlm.runs.layout import FORMAT

LOCK_FILE = Path("resume") / ".lock"  # says nothing of the model; it stays, so that all who come lock the same file


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
    return RunError(
        f"{path} exists already; nothing was changed",
        hint=f"choose another --run, or go on with it: charlm train --resume {path}",
    )


@contextlib.contextmanager
def begun(path: Path) -> Iterator[None]:
    """Hold the name of a run that does not exist yet; raises RunError where it exists or another process holds it."""
    place = Path(os.path.realpath(path))
    file = place.with_name(f".{place.name}.lock")
    if path.exists():
        raise name_taken(path)
    missing = [parent for parent in file.parents if not parent.exists()]
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, missing)
        stack.enter_context(_locked(file, path))
        try:
            if path.exists():  # the other had it finished just now
                raise name_taken(path)
            yield
        finally:
            # Whoever locked the file before it went meets us again when the folder is renamed into place.
            with contextlib.suppress(OSError):
                file.unlink()


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made for a run that did not come into being, the innermost first."""
    with contextlib.suppress(OSError):  # the rest is in use
        for folder in folders:
            folder.rmdir()


def owned(path: Path) -> contextlib.AbstractContextManager[None]:
    """Hold a run that exists, for writing; raises RunError where another process holds it."""
    return _locked(path / LOCK_FILE, path)


@contextlib.contextmanager
def _locked(file: Path, path: Path) -> Iterator[None]:
    """Lock `file` for the run at `path`. The system gives the lock back when the process ends, however it ends."""
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            holder = _holder(file)  # read first, since some versions of the library empty the file when they try
            stack.enter_context(filelock.FileLock(file).acquire(timeout=0))
            file.write_text(f"{os.getpid()}\n", "ascii")
        except filelock.Timeout as error:
            raise RunError(
                f"{path} is being written by {holder}; nothing was changed",
                hint="wait until it is done, or stop it first; another --run is free at once",
            ) from error
        except NotImplementedError:
            pass  # a file system without locks: go on as if alone
        except OSError as error:
            raise storage.write_error(path, error) from error
        yield


def _holder(file: Path) -> str:
    try:
        number = file.read_text("ascii").strip()
    except (OSError, ValueError):
        number = ""
    return f"process {number}" if number.isdecimal() else "another process"
