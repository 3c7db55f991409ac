"""What a shell offers while a command is typed. Quick to import, since the shell waits."""

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

DEEPEST = 3  # folders below the one that was typed, in which runs are looked for
MOST_ENTRIES = 2000  # of folders that are looked at while a shell waits


def runs_at(incomplete: str) -> list[str]:
    """What a shell offers where a run is wanted: the run directories whose paths begin so, inner folders included."""
    typed, _, name = incomplete.rpartition("/")
    start = f"{typed}/" if "/" in incomplete else ""
    found, waiting, looked_at = [], [(start, 1)], 0
    while waiting and looked_at < MOST_ENTRIES:
        folder, depth = waiting.pop(0)
        for entry in _entries_of(folder, files=False):
            looked_at += 1
            path = folder + entry
            if not path.startswith(incomplete) or (entry.startswith(".") and not (depth == 1 and name.startswith("."))):
                continue
            if (Path(path) / "run.json").is_file():  # `runs` would tell the name, and load torch
                found.append(path)
            elif depth < DEEPEST:
                waiting.append((path + "/", depth + 1))
    return sorted(found)


def runs_and_texts_at(incomplete: str) -> list[str]:
    """What a shell offers where runs are followed by a text."""
    typed, _, _ = incomplete.rpartition("/")
    start = f"{typed}/" if "/" in incomplete else ""
    files = [start + name for name in _entries_of(start, files=True) if (start + name).startswith(incomplete)]
    return runs_at(incomplete) + files


def forms_at(incomplete: str) -> list[str]:
    """What a shell offers where a form of verse is wanted: their names, and files."""
    from charlm.poems.form import forms

    typed, _, _ = incomplete.rpartition("/")
    start = f"{typed}/" if "/" in incomplete else ""
    files = [start + name for name in _entries_of(start, files=True) if name.endswith(".toml")]
    return [name for name in (*(form.name for form in forms()), *files) if name.startswith(incomplete)]


def _entries_of(folder: str, *, files: bool) -> list[str]:
    """The files, or the folders, of a folder; nothing where it cannot be read."""
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        return sorted(entry.name for entry in entries if (entry.is_file() if files else entry.is_dir()))
    return []


def completing(values: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers after an option that takes one of these."""
    listed = list(values)
    return lambda incomplete: [value for value in listed if value.startswith(incomplete)]
