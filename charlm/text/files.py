"""Files to documents, as a stream.

A source is a file, a folder (its text files, by name) or `-` for stdin. Plain text, gzip, JSON lines
(`field`) and JSON collections of poems (objects with `paragraphs`) are told apart by name and first byte.
How bytes become lines is `decoding.py`'s work.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Literal

from charlm import storage
from charlm.config.text import TextConfig
from charlm.errors import TextError
from charlm.text.decoding import Note, decoded_lines, normalize
from charlm.text.reader import Reader, one_line

Part = Literal["train", "valid", "test"]
Kind = Literal["plain", "lines", "collection"]

TEXT_SUFFIXES = {".txt", ".text", ".jsonl", ".ndjson", ".json", ".gz", ".md"}


def part_of(document: str) -> Part:
    """Which part of a corpus a document belongs to: 90 % train, 5 % valid, 5 % test.

    Decided by the document's own hash, so it does not depend on order or on the other documents, and
    equal documents never stand on both sides.
    """
    bucket = int(hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % 100
    return "train" if bucket < 90 else "valid" if bucket < 95 else "test"


def source_files(sources: Iterable[str]) -> list[str]:
    """The files of all sources, folders opened; raises TextError for what is missing or holds no text."""
    files: list[str] = []
    for source in sources:
        path = Path(source)
        try:
            is_there, is_folder = path.exists(), path.is_dir()
        except OSError as error:  # too long a name, or a folder that may not be entered
            raise TextError(f"cannot read {source}: {error.strerror}", hint="check the spelling") from error
        if source == "-":
            files.append(source)
        elif is_folder:
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES and p.is_file())
            if not inside:
                endings = ", ".join(sorted(TEXT_SUFFIXES))
                raise TextError(f"no text files in the folder {source}", hint=f"known endings: {endings}")
            files += [str(p) for p in inside]
        elif is_there:
            files.append(source)
        else:
            raise TextError(f"no such file: {source}", hint="check the spelling, or give `-` to read from stdin")
    if not files:
        raise TextError("no text was given", hint="name one or several files or folders")
    return files


def can_be_read_twice(files: Iterable[str]) -> bool:
    """Whether all are plain files: stdin and pipes flow by only once."""
    return all(name != "-" and Path(name).is_file() for name in files)


def _text_of(record: Any, field: str, place: str) -> str:
    """The text of one JSON object: its `field`, or the `paragraphs` of a poem."""
    if isinstance(record, dict):
        found = record.get(field, record.get("paragraphs"))
        if isinstance(found, list) and all(isinstance(piece, str) for piece in found):
            found = "\n".join(found)
        if isinstance(found, str):
            return one_line(normalize(found))
    keys = ", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__
    raise TextError(
        f"{place}: no text in the field {field!r} (found: {keys[:80]})",
        hint="name the field that holds the text with --field",
    )


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdin.buffer) if name == "-" else storage.open_bytes(Path(name))


def kind_of(name: str) -> Kind:
    """How a file is read: as plain text, as JSON lines, or as a JSON collection.

    >>> kind_of("poems.jsonl.gz"), kind_of("poems.json"), kind_of("poems.txt")
    ('lines', 'collection', 'plain')
    """
    endings = {ending.lower() for ending in Path(name).suffixes}
    if endings & {".jsonl", ".ndjson"}:
        return "lines"
    return "collection" if ".json" in endings else "plain"


def _lines_of_file(name: str, config: TextConfig, note: Note) -> Iterator[str]:
    kind = kind_of(name)
    with _opened(name) as raw:
        lines = decoded_lines(raw, name, config.encoding, note)
        if kind == "lines":
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _text_of(_json(line, f"{name}:{number}"), config.field, f"{name}:{number}") + "\n"
        elif kind == "collection":
            records = _json("".join(lines), name)
            for number, record in enumerate(records if isinstance(records, list) else [records], 1):
                yield _text_of(record, config.field, f"{name}, object {number}") + "\n"
        else:
            yield from lines


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # besides bad syntax: numbers of thousands of digits
        raise TextError(f"{place}: not JSON: {error}", hint="JSON lines hold one object a line") from error


def _silent(_: str) -> None:
    """Say nothing."""


def lines_of(source: str, config: TextConfig, *, note: Note = _silent) -> Iterator[str]:
    """The lines of one file or of stdin, normalized, with their ends, whatever format they are in."""
    name, *others = source_files([source])
    if others:
        raise TextError(f"{source} holds {1 + len(others)} text files, and one is wanted", hint="name one of them")
    with _opened(name) as raw:
        yield from decoded_lines(raw, name, config.encoding, note)


def documents(sources: Iterable[str], config: TextConfig, *, note: Note = _silent) -> Iterator[str]:
    """All documents of the sources, in order.

    With `lines` a document is a line without its end and without white space at its edges; blank lines are
    passed over, unless `blank_lines` keeps them. With `stream` it is a piece of the text, line end included,
    and the pieces joined are the text.
    Raises TextError with file, line, and where possible byte.
    """
    reader = Reader.of(config)
    ended = True
    for name in source_files(sources):
        if not ended:
            yield "\n"  # two files do not run into one line
        for line in _lines_of_file(name, config, note):
            text = reader.document(line)
            ended = config.reading == "lines" or text.endswith("\n")
            if config.reading == "stream" or text or config.blank_lines:
                yield text


def part(sources: Iterable[str], config: TextConfig, wanted: Part, *, note: Note = _silent) -> Iterator[str]:
    """The documents of one part of a corpus that has no validation file of its own.

    Lines are divided by `part_of`; of a stream, whose order matters, the last tenth is `valid`.
    """
    files = source_files(sources)
    if config.reading == "lines":
        yield from (document for document in documents(files, config, note=note) if part_of(document) == wanted)
        return
    cut = sum(map(len, documents(files, config))) * 9 // 10
    place = 0
    for piece in documents(files, config, note=note):
        start, place = place, place + len(piece)
        mine = piece[: max(cut - start, 0)] if wanted == "train" else piece[max(cut - start, 0) :]
        if mine and wanted != "test":
            yield mine


def some(found: Iterable[str], source: str) -> Iterator[str]:
    """Pass documents on; raises TextError where there are none."""
    empty = True
    for document in found:
        empty = False
        yield document
    if empty:
        raise TextError(f"{source} holds no text", hint="is it empty, or every line blank?")
