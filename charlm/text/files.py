"""Files to documents, as a stream.

A source is a file, a folder (its text files, by name) or `-` for stdin. Plain text, gzip, JSON lines
(`field`) and JSON collections of poems (objects with `paragraphs`, `content` or `para`) are told apart by name
and by what stands first in them. A file that was named must hold what is wanted; from a folder is taken what
holds texts. How bytes become lines is `decoding.py`'s work.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, TypeVar, cast

from charlm import storage
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, TextError
from charlm.text.decoding import BLOCK_BYTES, Note, decoded_lines, nobody, normalize
from charlm.text.reader import Reader, one_line, several

Item = TypeVar("Item")
PartName = Literal["train", "valid", "test"]
Shard: TypeAlias = tuple[int, int]  # (K, N): every N-th document, from the K-th
Kind = Literal["plain", "lines", "collection"]

WHOLE: Shard = (1, 1)

TEXT_SUFFIXES = {".txt", ".text", ".jsonl", ".ndjson", ".json", ".gz", ".md"}
# What stands in a folder of texts beside them, whatever follows in the name: README.zh-CN.md, LICENSE-CC.txt.
ABOUT = re.compile(r"(read[-_ ]?me|licen[cs]e|copying|changelog|contributing|code[-_]of[-_]conduct)(?![a-z])", re.I)
# How a collection begins, and no prose: an array of objects, or an object that goes on in the next line.
COLLECTION = re.compile(r'\[\s*\{\s*(?:"|$)|\{\s*\n\s*"[^"]*"\s*:')
POEM_FIELDS = ("paragraphs", "content", "para")  # where collections of poems keep the lines of a poem
DEEPEST = 20  # books, parts and chapters around a poem
EXAMPLES = 3
FIRST_LINES = 1000  # among which two that are not blank are looked for


def part_of(document: str) -> PartName:
    """Which part of a corpus a document belongs to: 90 % train, 5 % valid, 5 % test.

    Decided by the document's own hash, so it does not depend on order or on the other documents, and
    equal documents never stand on both sides.
    """
    bucket = int(hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % 100
    return "train" if bucket < 90 else "valid" if bucket < 95 else "test"


@dataclass
class _PassedOver:
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
    return [name for name, _ in _files_of(sources, note)]


def _files_of(sources: Iterable[str], note: Note) -> list[tuple[str, bool]]:
    """The files of all sources, and of each whether it was named itself or found in a folder."""
    files: list[tuple[str, bool]] = []
    for source in several(sources, "files"):
        path = Path(source)
        try:
            is_there, is_folder = path.exists(), path.is_dir()
        except OSError as error:  # too long a name, or a folder that may not be entered
            raise TextError(f"cannot read {source}: {error.strerror}", hint="check the spelling") from error
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
    taken, left_out = [], _PassedOver()
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
            raise TextError(f"cannot read {error.filename}: {error.strerror}", hint="check its permissions") from error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place) / name for name in names)


def can_be_read_twice(files: Iterable[str]) -> bool:
    """Whether all are plain files: stdin and pipes flow by only once."""
    return all(name != "-" and storage.is_file(Path(name)) for name in files)


def _texts_of(record: Any, name: str, depth: int = 0) -> Iterator[tuple[str | None, Any]]:
    """The texts of one JSON object: its field `name`, or the lines of a poem; each with the object it stands in.

    A book whose chapters are objects of their own (`content` of `content` of `paragraphs`) has a text for each.
    Where an object has none, the text is None.
    """
    for key in dict.fromkeys((name, *POEM_FIELDS)) if isinstance(record, dict) and depth < DEEPEST else ():
        found = record.get(key)
        if isinstance(found, str):
            found = [found]
        if not isinstance(found, list):
            continue
        if all(isinstance(piece, str) for piece in found):
            yield one_line(normalize("\n".join(found))), record
            return
        if all(isinstance(piece, dict) for piece in found):
            for piece in found:
                yield from _texts_of(piece, name, depth + 1)
            return
    yield None, record


def _keys(record: Any) -> str:
    return (", ".join(map(str, record)) if isinstance(record, dict) else type(record).__name__)[:80]


class Kept:
    """What flows by only once, stdin and pipes, kept on the disk so that it can be read again and again.

    The copies go with this object. A named pipe that is read by another one gives what was written meanwhile.
    """

    def __init__(self) -> None:
        self._copies: dict[str, IO[bytes]] = {}

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The bytes of a file from their beginning; raises TextError or StorageError."""
        if can_be_read_twice([name]):
            return _opened(name)
        if name not in self._copies:
            self._copies[name] = _copy_of(name)
        return Path(self._copies[name].name).open("rb")


def _copy_of(name: str) -> IO[bytes]:
    folder = Path(tempfile.gettempdir())
    with _opened(name) as raw:
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


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    return storage.open_stdin() if name == "-" else storage.open_bytes(Path(name))


def kind_of(name: str) -> Kind:
    """How a file of this name is read unless it begins with JSON: as plain text, JSON lines or a collection.

    >>> kind_of("poems.jsonl.gz"), kind_of("poems.json"), kind_of("poems.txt")
    ('lines', 'collection', 'plain')
    """
    endings = {ending.lower() for ending in Path(name).suffixes}
    if endings & {".jsonl", ".ndjson"}:
        return "lines"
    return "collection" if ".json" in endings else "plain"


def _lines_of_file(
    name: str, config: TextConfig, note: Note, passed_over: _PassedOver | None, kept: Kept | None
) -> Iterator[str]:
    """The lines of a file; objects without text are counted in `passed_over`, or refused where there is none."""
    with kept.open(name) if kept else _opened(name) as raw:
        head, lines = _first_lines(decoded_lines(raw, name, config.encoding, note))
        kind = kind_of(name)
        # One object alone is a collection of one poem where the file's name says so.
        if kind != "lines" and len(head) > (kind == "collection") and _are_json_lines(head):
            if kind == "plain":
                note(f"{name}: read as JSON lines")
            kind = "lines"
        elif kind == "plain" and COLLECTION.match("".join(head).lstrip()):
            note(f"{name}: read as a JSON collection")
            kind = "collection"
        if kind == "plain":
            yield from lines
            return
        for place, record in _json_lines(lines, name) if kind == "lines" else _collection(lines, name):
            for text, holder in _texts_of(record, config.field):
                if text is not None:
                    yield text + "\n"
                elif passed_over is not None:
                    passed_over.add(f"{place} ({_keys(holder)})")
                else:
                    raise TextError(
                        f"{place}: no text in the field {config.field!r} (found: {_keys(holder)})",
                        hint="name the field that holds the text with --field",
                    )


def _first_lines(lines: Iterator[str]) -> tuple[list[str], Iterator[str]]:
    """The first two lines that are not blank, and all lines from the first on."""
    read: list[str] = []
    head: list[str] = []
    for line in lines:
        read.append(line)
        if line.strip():
            head.append(line)
        if len(head) == 2 or len(read) == FIRST_LINES:
            break
    return head, chain(read, lines)


def _are_json_lines(head: list[str]) -> bool:
    """Whether a text begins with an object on each line, as no JSON collection does and no prose.

    >>> _are_json_lines(['{"text": "a"}\\n', '{"text": "b"}\\n']), _are_json_lines(["{a}\\n"]), _are_json_lines([])
    (True, False, False)
    """
    return bool(head) and all(_is_object(line) for line in head)


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return bool(storage.parse_json(line))
    except ValueError:
        return False


def _json_lines(lines: Iterable[str], name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{name}:{number}", _json(line, f"{name}:{number}")


def _collection(lines: Iterable[str], name: str) -> Iterator[tuple[str, Any]]:
    records = _json("".join(lines), name)
    for number, record in enumerate(records if isinstance(records, list) else [records], 1):
        yield f"{name}, object {number}", record


def _json(text: str, place: str) -> Any:
    try:
        return storage.parse_json(text)
    except ValueError as error:  # besides bad syntax: numbers of thousands of digits
        raise TextError(f"{place}: not JSON: {error}", hint="JSON lines hold one object a line") from error


def lines_of(source: str, config: TextConfig, *, note: Note = nobody) -> Iterator[str]:
    """The lines of one file or of stdin, normalized, with their ends, whatever format they are in."""
    name, *others = source_files([source])
    if others:
        raise TextError(f"{source} holds {1 + len(others)} text files, and one is wanted", hint="name one of them")
    with _opened(name) as raw:
        yield from decoded_lines(raw, name, config.encoding, note)


def documents(
    sources: Iterable[str], config: TextConfig, *, note: Note = nobody, kept: Kept | None = None
) -> Iterator[str]:
    """All documents of the sources, in order.

    kept  keeps stdin and pipes, where they shall be read again

    With `lines` a document is a line without its end and without white space at its edges; blank lines are
    passed over, unless `blank_lines` keeps them. With `stream` it is a piece of the text, line end included,
    and the pieces joined are the text.
    Raises TextError with file, line, and where possible byte.
    """
    reader = Reader.of(config)
    ended, passed_over = True, _PassedOver()
    for name, is_named in _files_of(sources, note):
        if not ended:
            yield "\n"  # two files do not run into one line
        for line in _lines_of_file(name, config, note, None if is_named else passed_over, kept):
            text = reader.document(line)
            ended = config.reading == "lines" or text.endswith("\n")
            if config.reading == "stream" or text or config.blank_lines:
                yield text
    passed_over.tell("objects without text passed over", note)


def part(
    sources: Iterable[str], config: TextConfig, wanted: PartName, *, note: Note = nobody, kept: Kept | None = None
) -> Iterator[str]:
    """The documents of one part of a corpus that has no validation file of its own.

    Lines are divided by `part_of`; of a stream, whose order matters, the last tenth is kept: one half is
    `valid`, and the end is `test`.
    """
    sources = list(sources)
    if config.reading == "lines":
        yield from (
            document for document in documents(sources, config, note=note, kept=kept) if part_of(document) == wanted
        )
        return
    kept = kept or Kept()
    whole = sum(map(len, documents(sources, config, kept=kept)))
    cuts = 0, whole * 9 // 10, whole * 19 // 20, whole
    first, last = dict(zip(("train", "valid", "test"), pairwise(cuts), strict=True))[wanted]
    place = 0
    for piece in documents(sources, config, note=note, kept=kept):
        start, place = place, place + len(piece)
        if mine := piece[max(first - start, 0) : max(last - start, 0)]:
            yield mine


def look(sources: Iterable[str], config: TextConfig, note: Note) -> None:
    """Tell what the beginnings of files tell, and what is left out of folders: for texts that are not read again."""
    for name, is_named in _files_of(sources, note):
        next(_lines_of_file(name, config, note, None if is_named else _PassedOver(), None), None)


def some(found: Iterable[Item], source: str, what: str = "text", part: PartName | None = None) -> Iterator[Item]:
    """Pass documents or lists on, of a part or of the whole; raises TextError where there are none."""
    empty = True
    for document in found:
        empty = False
        yield document
    if empty and part is not None:
        hint = "a small text may have nothing there: 90 % is train, 5 % valid, 5 % test; leave --part out for all of it"
        raise TextError(f"{source} holds no {what} in its part {part}", hint=hint)
    if empty:
        raise TextError(f"{source} holds no {what}", hint="is it empty, or every line blank?")


def sharded(found: Iterable[Item], shard: Shard) -> Iterator[Item]:
    """Every N-th of some documents or lists, from the K-th: all shards together are the whole.

    >>> list(sharded("abcdefg", (2, 3)))
    ['b', 'e']
    """
    first, of = shard
    return islice(found, first - 1, None, of)


def refuse_shards_of_carried(carried: bool, shard: Shard) -> None:
    """Raise ConfigError where documents hang on those before them, so that the figures of shards would not add."""
    if carried and shard != WHOLE:
        raise ConfigError(
            "--shard takes single documents, so it does not go with carried text",
            hint="leave it out; the state would miss what stands before each document",
        )
