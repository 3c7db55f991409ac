"""How a run directory comes into being, and whose it is while it is written."""

import contextlib
import datetime
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import torch

import charlm
from charlm import storage
from charlm.errors import RunError
from charlm.families import CONFIG_FILE, WEIGHTS_FILE
from charlm.runs.layout import CHECKPOINT_FILE, FORMAT, HISTORY_FILE, RUN_FILE

LEFT_BEHIND = ("resume", "*.png", ".*")  # of a run: what whoever uses it does not need
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


def refuse_name(path: Path, what: str = "the run", option: str = "--run") -> None:
    """Refuse a name that is not UTF-8 before anything is learned: the library that opens weights takes no such path."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the name of {what}, {str(path)!r}, is not UTF-8", hint=f"choose another {option}") from error


def name_taken(path: Path) -> RunError:
    """The error for a run that exists: nothing is ever overwritten."""
    if path == Path():  # what an empty name becomes
        return RunError(
            "--run is empty or names the current folder, and a run makes a folder of its own",
            hint="is a variable unset? for example --run checkpoints/tang",
        )
    go_on = f", or go on with it: charlm train --resume {path}" if storage.is_file(path / CHECKPOINT_FILE) else ""
    return RunError(f"{path} exists already; nothing was changed", hint=f"choose another --run{go_on}")


def copy_run(path: Path, folder: Path) -> None:
    """Copy a run into a folder that may exist: its model and what is known of it, and nothing to go on with."""
    shutil.copytree(path, folder, ignore=shutil.ignore_patterns(*LEFT_BEHIND), dirs_exist_ok=True)


@contextlib.contextmanager
def begun(path: Path) -> Iterator[None]:
    """Hold the name of a run that does not exist yet; raises RunError where it exists or another process holds it."""
    place = Path(os.path.realpath(path))
    file = place.with_name(f".{place.name}.lock")
    if storage.exists(path):
        raise name_taken(path)
    missing = [parent for parent in file.parents if not storage.exists(parent)]
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, missing)
        stack.enter_context(_locked(file, path))
        try:
            if storage.exists(path):  # the other had it finished just now
                raise name_taken(path)
            storage.refuse_as_folder(path, "--run")  # only here: a link to what another has begun leads nowhere yet
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


@contextlib.contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold a run that exists, for writing; raises RunError where another process holds it.

    What a killed process left unfinished is removed.
    """
    with _locked(path / LOCK_FILE, path):
        for name in ("", RUN_FILE, CONFIG_FILE, WEIGHTS_FILE, HISTORY_FILE, CHECKPOINT_FILE):
            storage.remove_unfinished(Path(os.path.realpath(path)) / name)
        yield


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
