"""Files to documents, as a stream.

Plain text, gzip, JSON lines (`field`) and JSON collections of poems (objects with `paragraphs`, `content` or
`para`) are told apart by name and by what stands first in them. How bytes become lines is `decoding.py`'s work.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from charlm import jsonfiles
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, TextError
from charlm.text.decoding import Note, decoded_lines, nobody, normalize
from charlm.text.reader import Reader, one_line
from charlm.text.sources import Kept, PassedOver, files_of, opened, source_files

Item = TypeVar("Item")
PartName = Literal["train", "valid", "test"]
Shard: TypeAlias = tuple[int, int]  # (K, N): every N-th document, from the K-th
Kind = Literal["plain", "lines", "collection"]

WHOLE: Shard = (1, 1)

# How a collection begins, and no prose: an array of objects, or an object that goes on in the next line.
COLLECTION = re.compile(r'\[\s*\{\s*(?:"|$)|\{\s*\n\s*"[^"]*"\s*:')
POEM_FIELDS = ("paragraphs", "content", "para")  # where collections of poems keep the lines of a poem
DEEPEST = 20  # books, parts and chapters around a poem
FIRST_LINES = 1000  # among which two that are not blank are looked for


def part_of(document: str) -> PartName:
    """Which part of a corpus a document belongs to: 90 % train, 5 % valid, 5 % test.

    Decided by the document's own hash, so it does not depend on order or on the other documents, and
    equal documents never stand on both sides.
    """
    bucket = int(hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % 100
    return "train" if bucket < 90 else "valid" if bucket < 95 else "test"


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
    name: str, config: TextConfig, note: Note, passed_over: PassedOver | None, kept: Kept | None
) -> Iterator[tuple[str, Any]]:
    """The lines of a file, each with the JSON object that it stands in, None in plain text.

    Objects without text are counted in `passed_over`, or refused where there is none.
    """
    with kept.open(name) if kept else opened(name) as raw:
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
            yield from ((line, None) for line in lines)
            return
        for place, record in _json_lines(lines, name) if kind == "lines" else _collection(lines, name):
            for text, holder in _texts_of(record, config.field):
                if text is not None:
                    yield text + "\n", holder
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
        return bool(jsonfiles.parse(line))
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
        return jsonfiles.parse(text)
    except ValueError as error:  # besides bad syntax: numbers of thousands of digits
        raise TextError(f"{place}: not JSON: {error}", hint="JSON lines hold one object a line") from error


def lines_of(source: str, config: TextConfig, *, note: Note = nobody) -> Iterator[str]:
    """The lines of one file or of stdin, normalized, with their ends, whatever format they are in."""
    name, *others = source_files([source])
    if others:
        raise TextError(f"{source} holds {1 + len(others)} text files, and one is wanted", hint="name one of them")
    with opened(name) as raw:
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
    return (document for document, _ in described(sources, config, note=note, kept=kept))


def described(
    sources: Iterable[str], config: TextConfig, *, note: Note = nobody, kept: Kept | None = None
) -> Iterator[tuple[str, Any]]:
    """`documents`, each with the JSON object that it stands in, such as one with its title; None in plain text."""
    reader = Reader.of(config)
    ended, passed_over = True, PassedOver()
    for name, is_named in files_of(sources, note):
        if not ended:
            yield "\n", None  # two files do not run into one line
        for line, holder in _lines_of_file(name, config, note, None if is_named else passed_over, kept):
            text = reader.document(line)
            ended = config.reading == "lines" or text.endswith("\n")
            if config.reading == "stream" or text or config.blank_lines:
                yield text, holder
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
    for name, is_named in files_of(sources, note):
        next(_lines_of_file(name, config, note, None if is_named else PassedOver(), None), None)


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
