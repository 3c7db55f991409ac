"""The two files of word2vec, in and out: text, and numbers in binary. No torch.

Both begin with a line `WORDS SIZE`. In text a line follows for each word: the word and its numbers, with single spaces
between. In binary (a name that ends in `.bin`) each word is followed by a space, its numbers as float32, lowest byte
first, and a line end, which some programs leave out. Text without the first line, as GloVe writes it, is read too.

White space inside a word, of which neither format knows, is written as `vocab.tsv` writes it: `\\u{20}`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from charlm import storage
from charlm.embedding.vectors import Matrix, WordVectors
from charlm.errors import VectorsError
from charlm.text.vocab import escape, unescape

LONGEST_WORD = 10_000  # bytes; what is longer is no word
LONGEST_LINE = 1 << 24  # bytes
LARGEST = 1 << 34  # numbers that a header may promise
HINT = "a file of vectors is a line `WORDS SIZE`, then a line for each word; `charlm embed train` makes one"
CUT = "fetch the file again, or make it anew: it was cut short"


def _shown(raw: bytes) -> str:
    """The beginning of some bytes, for a message: text where they are UTF-8."""
    text = raw[:120].decode("utf-8", "replace")
    return repr(text[:40] + "…" if len(text) > 40 else text)


def is_binary(path: Path) -> bool:
    """Whether a file of this name holds numbers in binary.

    >>> is_binary(Path("zh.bin")), is_binary(Path("zh.bin.gz")), is_binary(Path("zh.txt"))
    (True, True, False)
    """
    return path.name.lower().removesuffix(".gz").endswith(".bin")


def write(vectors: WordVectors, path: Path) -> None:
    """Write vectors, whole or not at all, in the format that the name asks for; raises StorageError."""
    with storage.whole_file(path) as temporary, temporary.open("wb") as handle:
        handle.write(f"{len(vectors)} {vectors.size}\n".encode())
        for piece in _pieces(vectors, is_binary(path)):
            handle.write(piece)


def _pieces(vectors: WordVectors, binary: bool) -> Iterator[bytes]:
    numbers = " ".join(["%.9g"] * vectors.size)  # nine digits are enough for every float32
    for word, row in zip(vectors.words, vectors.matrix, strict=True):
        head = escape(word).encode("utf-8") + b" "
        yield head + (row.astype("<f4").tobytes() if binary else (numbers % tuple(row.tolist())).encode()) + b"\n"


def read(path: Path) -> WordVectors:
    """Read vectors; raises TextError where the file cannot be opened, VectorsError with the line where it is wrong."""
    with storage.open_bytes(path) as raw:
        return _read_binary(raw, str(path)) if is_binary(path) else _read_text(raw, str(path))


def _header(line: bytes) -> tuple[int, int] | None:
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def _checked_header(name: str, words: int, size: int) -> None:
    if words < 1 or size < 1:
        raise VectorsError(f"{name}:1: {words} words of {size} numbers are no vectors", hint=HINT)
    if words * size > LARGEST:
        raise VectorsError(f"{name}:1: {words:,} words of {size:,} numbers would fill any memory", hint=HINT)


class _Words:
    """The words of a file as they come: each once, and UTF-8."""

    def __init__(self, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self.seen: dict[str, int] = {}

    def add(self, raw: bytes, number: int) -> None:
        """The word of line or entry `number`."""
        place = f"{self.name}:{number}" if self.unit == "line" else f"{self.name}, {self.unit} {number:,}"
        try:
            word = unescape(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            hint = "convert its words to UTF-8 first; a file of binary numbers has a name that ends in .bin"
            raise VectorsError(f"{place}: the word {raw[:40]!r} is not UTF-8", hint=hint) from error
        except (ValueError, OverflowError):  # an escape beyond Unicode
            raise VectorsError(f"{place}: {_shown(raw)} is no word", hint=HINT) from None
        if not word:
            raise VectorsError(f"{place}: a vector without a word", hint=HINT)
        if word in self.seen:
            first = self.seen[word]
            hint = f"remove one of the two; the first stands in {self.unit} {first:,}"
            raise VectorsError(f"{place}: the word {word!r} stands here a second time", hint=hint)
        self.seen[word] = number


def _read_text(raw: IO[bytes], name: str) -> WordVectors:
    words, rows = _Words(name, "line"), list[Matrix]()
    promised: int | None = None
    size, number = 0, 0
    while line := raw.readline(LONGEST_LINE):
        number += 1
        if not line.endswith(b"\n"):
            what = "is endless" if len(line) == LONGEST_LINE else "has no end: was the file cut short?"
            raise VectorsError(f"{name}:{number}: the line {what}", hint=CUT)
        if number == 1 and (header := _header(line.removeprefix(b"\xef\xbb\xbf"))) is not None:
            promised, size = header
            _checked_header(name, promised, size)
            continue
        fields = line.rstrip(b" \r\n").split(b" ")
        if not rows:
            size = size or len(fields) - 1
            if not size:
                raise VectorsError(f"{name}:{number}: no vector: {_shown(line)}", hint=HINT)
        if promised is not None and len(rows) == promised:
            hint = "the first line says how many there are: mend it, or fetch the file again"
            raise VectorsError(f"{name}:{number}: more than the {promised:,} vectors of the first line", hint=hint)
        rows.append(_numbers(fields, size, f"{name}:{number}"))
        words.add(fields[0], number)
    if not rows and promised is None:
        raise VectorsError(f"{name} holds no vectors", hint=HINT)
    if promised is not None and len(rows) < promised:
        what = f"the file ends after {len(rows):,} of the {promised:,} vectors of its first line"
        raise VectorsError(f"{name}:{number}: {what}", hint=CUT)
    return WordVectors(list(words.seen), np.stack(rows))


def _numbers(fields: list[bytes], size: int, place: str) -> Matrix:
    if len(fields) - 1 != size:
        if any(b"\0" in field for field in fields):
            hint = "numbers in binary? then give the file a name that ends in .bin"
        else:
            hint = "every line is a word and as many numbers as the first line says, with single spaces between"
        raise VectorsError(f"{place}: {len(fields) - 1:,} numbers, and {size:,} are expected", hint=hint)
    try:
        with np.errstate(over="ignore"):
            row = np.array([float(field) for field in fields[1:]], dtype=np.float32)
    except ValueError:
        wrong = next(field for field in fields[1:] if not _is_number(field))
        raise VectorsError(f"{place}: {_shown(wrong)} is no number", hint=HINT) from None
    if not np.isfinite(row).all():
        raise VectorsError(f"{place}: the vector has numbers that are not finite", hint="leave that word out")
    return row


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_binary(raw: IO[bytes], name: str) -> WordVectors:
    header = _header(raw.readline(100))
    if header is None:
        raise VectorsError(f"{name}:1: no line `WORDS SIZE`", hint="text? then give it a name that ends in .txt")
    promised, size = header
    _checked_header(name, promised, size)
    words, rows = _Words(name, "word"), list[Matrix]()
    width = 4 * size
    for number in range(1, promised + 1):
        word = _word(raw, name, number, promised)
        data = raw.read(width)
        if len(data) < width:
            raise VectorsError(f"{name}, word {number:,} of {promised:,}: the file ends within its numbers", hint=CUT)
        row = np.frombuffer(data, dtype="<f4").astype(np.float32)
        if not np.isfinite(row).all():
            hint = "are these vectors of another size, or text? text has a name that ends in .txt"
            raise VectorsError(f"{name}, word {number:,}: numbers that are not finite", hint=hint)
        rows.append(row)
        words.add(word, number)
    if raw.read(2).strip(b"\n"):
        hint = "the first line says how many there are, and of what size: one of the two is wrong"
        raise VectorsError(f"{name}: more follows after the {promised:,} vectors of its first line", hint=hint)
    return WordVectors(list(words.seen), np.stack(rows))


def _word(raw: IO[bytes], name: str, number: int, promised: int) -> bytes:
    """The bytes up to the next space; the line end of the vector before is passed over."""
    word = bytearray()
    while (byte := raw.read(1)) != b" ":
        if not byte:
            raise VectorsError(f"{name}: the file ends after {number - 1:,} of {promised:,} vectors", hint=CUT)
        if byte != b"\n" or word:
            word += byte
        if len(word) > LONGEST_WORD:
            hint = "are these vectors of another size than the first line says?"
            raise VectorsError(f"{name}, word {number:,}: it has no end", hint=hint)
    return bytes(word)
