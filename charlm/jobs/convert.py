"""Lists of candidates in another format, written whole or not at all, and what the format could not hold."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from charlm import storage
from charlm.errors import CharlmError, StorageError
from charlm.nbest import NBestFormat, Target, Utterance

WHOLE_EXTRAS = ("jsonl", "mlm")  # formats that hold any field of a candidate


@dataclass
class LeftOut:
    """Counts what a format does not hold of the lists that pass by."""

    name: str
    format: NBestFormat
    lists: int = 0
    candidates: int = 0
    _scores: Counter[str] = field(default_factory=Counter)
    _references: int = 0
    _fields: Counter[str] = field(default_factory=Counter)

    def watching(self, utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        """The same lists, looked at."""
        for utterance in utterances:
            self.lists += 1
            self.candidates += len(utterance.hypotheses)
            names = {name for candidate in utterance.hypotheses for name in candidate.scores}
            self._scores.update(name for name in names if not re.fullmatch(self.format.scores, name))
            self._references += utterance.reference is not None and not self.format.references
            if not self.format.references:
                self._fields.update(list(utterance.extra))
            if self.name not in WHOLE_EXTRAS:
                self._fields.update({name for candidate in utterance.hypotheses for name in candidate.extra})
            yield utterance

    def sentences(self, *, as_folder: bool = False) -> Iterator[str]:
        """What there is to tell of lists that were written to one file, or to a folder."""
        if not self.format.ids and not as_folder:
            yield f"{self.name} has no place for ids in one file: its lists are called by their numbers"
        for name, lists in sorted(self._scores.items()):
            yield f"{self.name} has no place for scores.{name}: left out of {lists:,} lists"
        if self._references:
            yield f"{self.name} has no place for references: left out of {self._references:,} lists"
        for name, lists in sorted(self._fields.items()):
            yield f"{self.name} has no place for the field {name}: left out of {lists:,} lists"


class Handle(Target):
    """One open file."""

    def __init__(self, handle: IO[str]) -> None:
        self.handle = handle

    def write(self, line: str, file: str = "") -> None:  # noqa: ARG002 (a protocol's)
        """One line."""
        self.handle.write(line + "\n")


class Folder(Target):
    """The files of a folder, opened when their first line comes."""

    def __init__(self, path: Path, shown: Path) -> None:
        self.path, self.shown = path, shown
        self.handles: dict[str, IO[str]] = {}

    def write(self, line: str, file: str = "") -> None:
        """One line of one file."""
        if file not in self.handles:
            place = self.path / file
            place.parent.mkdir(exist_ok=True)
            self.handles[file] = place.open("a", encoding="utf-8", newline="\n")
        self.handles[file].write(line + "\n")

    def close(self) -> None:
        """Close all files; a later line opens its file again, to add to it."""
        for handle in self.handles.values():
            handle.close()
        self.handles = {}


@dataclass
class OfOneList(Target):
    """The file of one list in a folder: lines for any file go there."""

    folder: Folder
    name: str

    def write(self, line: str, file: str = "") -> None:  # noqa: ARG002 (a protocol's)
        """One line."""
        self.folder.write(line, self.name)


def write_file(utterances: Iterable[Utterance], format: NBestFormat, output: Path) -> None:
    """One file; raises StorageError where it cannot be written."""
    with storage.whole_file(output) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        format.render(utterances, Handle(handle))


def write_folder(utterances: Iterable[Utterance], format: NBestFormat, output: Path) -> None:
    """A folder of the format's files, or of a file for each list; raises StorageError where it cannot be written."""
    with storage.whole_folder(output) as temporary:
        folder = Folder(temporary, output)
        with contextlib.closing(folder):
            if format.files:
                format.render(utterances, folder)
                return
            for utterance in utterances:
                name = _file_name(utterance)
                if (temporary / name).exists():
                    raise CharlmError(f"two lists would be the file {name!r}", hint="give the lists ids of their own")
                format.render([utterance], OfOneList(folder, name))
                folder.close()


def refuse_folder(output: Path) -> None:
    """Raise StorageError where a folder, before any work is done, cannot be made."""
    storage.refuse_as_folder(output, "-o")
    if storage.exists(output):
        raise StorageError(
            f"-o {output} exists already; nothing was changed", hint="choose another name for the folder"
        )


def _file_name(utterance: Utterance) -> str:
    name = str(utterance.id)
    if not re.fullmatch(r"[^/\\\0\s.][^/\\\0\n]{0,199}", name):
        raise CharlmError(
            f"the list {name[:60]!r} cannot be a file of that name",
            hint="write one file (-o NAME, without a / at its end)",
        )
    return name
