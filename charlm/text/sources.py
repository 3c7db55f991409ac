"""Names to files: folders opened, and what flows by only once kept.

A source is a file, a folder (its text files, by name) or `-` for stdin. A file that was named must hold what is
wanted; from a folder is taken what holds texts, and what is left out is told.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from charlm import storage
from charlm.errors import TextError
from charlm.text.decoding import BLOCK_BYTES, Note, nobody
from charlm.text.reader import several

TEXT_SUFFIXES = {".txt", ".text", ".jsonl", ".ndjson", ".json", ".gz", ".md"}
# What stands in a folder of texts beside them, whatever follows in the name: README.zh-CN.md, LICENSE-CC.txt.
ABOUT = re.compile(r"(read[-_ ]?me|licen[cs]e|copying|changelog|contributing|code[-_]of[-_]conduct)(?![a-z])", re.I)
EXAMPLES = 3


@dataclass
class PassedOver:
    """What was not taken from a folder: how many, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.count += 1
        if self.count <= EXAMPLES:
            self.examples.append(example)

    def tell(self, what: str, note: Note) -> None:
        if self.count:
            note(f"{what}: {self.count:,}, e.g. {'; '.join(self.examples)}")


def source_files(sources: Iterable[str], *, note: Note = nobody) -> list[str]:
    """The files of all sources, folders opened; raises TextError for what is missing or holds no text."""
    return [name for name, _ in files_of(sources, note)]


def files_of(sources: Iterable[str], note: Note) -> list[tuple[str, bool]]:
    """The files of all sources, and of each whether it was named itself or found in a folder."""
    files: list[tuple[str, bool]] = []
    for source in several(sources, "files"):
        path = Path(source)
        try:
            is_there, is_folder = path.exists(), path.is_dir()
        except OSError as error:  # too long a name, or a folder that may not be entered
            raise TextError(f"cannot read {source}: {storage.reason_of(error)}", hint="check the spelling") from error
        if not source:
            hint = "is a variable unset? `.` is the current folder"
            raise TextError("an empty name was given where a text is wanted", hint=hint)
        if source == "-":
            files.append((source, True))
        elif is_folder:
            files += [(name, False) for name in _files_in(path, note)]
        elif is_there:
            files.append((source, True))
        else:
            raise TextError(f"no such file: {source}", hint="check the spelling, or give `-` to read from stdin")
    if not files:
        raise TextError("no text was given", hint="name one or several files or folders")
    return files


def _files_in(folder: Path, note: Note) -> list[str]:
    """The text files of a folder by name, without hidden ones and without what is written about them."""
    taken, left_out = [], PassedOver()
    for path in sorted(p for p in _entries(folder) if p.suffix.lower() in TEXT_SUFFIXES and storage.is_file(p)):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or ABOUT.match(path.name):
            left_out.add(str(inside))
        else:
            taken.append(str(path))
    left_out.tell(f"{folder}: hidden files, read-mes and licences left out", note)
    if not taken:
        endings = ", ".join(sorted(TEXT_SUFFIXES))
        hint = f"known endings: {endings}; hidden files, read-mes and licences count only where they are named"
        raise TextError(f"no text files in the folder {folder}", hint=hint)
    return taken


def _entries(folder: Path) -> Iterator[Path]:
    """All that is in a folder and below, but folders; raises TextError where one may not be looked into."""

    def refuse(error: OSError) -> None:
        if not any(part.startswith(".") for part in Path(error.filename).relative_to(folder).parts):
            raise TextError(
                f"cannot read {error.filename}: {storage.reason_of(error)}", hint="check its permissions"
            ) from error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place) / name for name in names)


def can_be_read_twice(files: Iterable[str]) -> bool:
    """Whether all are plain files: stdin and pipes flow by only once."""
    return all(name != "-" and storage.is_file(Path(name)) for name in files)


class Kept:
    """What flows by only once, stdin and pipes, kept on the disk so that it can be read again and again.

    The copies go with this object. A named pipe that is read by another one gives what was written meanwhile.
    """

    def __init__(self) -> None:
        self._copies: dict[str, IO[bytes]] = {}

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The bytes of a file from their beginning; raises TextError or StorageError."""
        if can_be_read_twice([name]):
            return opened(name)
        if name not in self._copies:
            self._copies[name] = _copy_of(name)
        return Path(self._copies[name].name).open("rb")


def _copy_of(name: str) -> IO[bytes]:
    folder = Path(tempfile.gettempdir())
    with opened(name) as raw:
        try:
            copy = cast(IO[bytes], tempfile.NamedTemporaryFile(prefix="charlm-"))  # noqa: SIM115 (it outlives this function)
        except OSError as error:
            raise storage.write_error(folder, error) from error
        while block := raw.read(BLOCK_BYTES):
            try:
                copy.write(block)
                copy.flush()
            except OSError as error:
                raise storage.write_error(folder, error) from error
    return copy


def opened(name: str) -> AbstractContextManager[IO[bytes]]:
    """The bytes of a file or of stdin, unpacked; raises TextError."""
    return storage.open_stdin() if name == "-" else storage.open_bytes(Path(name))
