"""A text as one memory-mapped file of ids, made once and kept in the user's cache.

Memory does not grow with the text: documents stream in, ids of the smallest sufficient integer type stream
out, and what is read later is mapped. The folder's name is a hash of the text and of the codec, so a stale
copy cannot be mistaken for a fresh one.
"""

import array
import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm import jsonfiles, storage
from charlm.errors import StorageError, TextError
from charlm.text.codec import Codec, Document
from charlm.text.files import kind_of
from charlm.text.prefixes import Prefixes
from charlm.text.vocab import EOS, SPECIALS, SPELLED_UNKNOWN

CACHE_BYTES = 16 << 30  # older corpora are dropped beyond this; they can be made again
FLUSH_IDS = 1 << 20
LAYOUT = 1  # of the cached files; another one makes them anew


class EmptyText(TextError):
    """A text, or a part of one, holds nothing."""


@dataclass(frozen=True)
class Facts:
    """Totals of a corpus, which add.

    documents   lines, or pieces of a stream
    tokens      ids that a model predicts: all but control tokens
    characters  code points that those ids spell, one for each predicted line end included
    unknown     how many ids are `<UNK>`
    units       UTF-16 units of the unknown tokens, `<unk>` of the text itself left out
    longest     tokens of the longest document
    """

    documents: int = 0
    tokens: int = 0
    characters: int = 0
    unknown: int = 0
    units: int = 0
    longest: int = 0


@dataclass(frozen=True)
class Corpus:
    """Ids of all documents, end to end.

    ids       (ids,)            uint16 or uint32, mapped; control tokens among them
    starts    (documents + 1,)  int64, where each document begins; the last entry is the number of ids
    controls  how many control tokens the vocabulary has
    prefixes  what is read before each document in training, which stands among no ids; None: nothing
    ends_count  whether `<EOS>` is a target that counts; where words are missing, no line end ever is
    """

    ids: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    facts: Facts
    sha256: str
    controls: int = 0
    prefixes: Prefixes | None = None
    ends_count: bool = True

    def __len__(self) -> int:
        return self.facts.documents

    def document(self, number: int) -> npt.NDArray[np.int64]:
        """The ids of one document."""
        return self.ids[self.starts[number] : self.starts[number + 1]].astype(np.int64)

    def before(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The id that stands before each place of the whole text; `<EOS>` before the first."""
        return np.where(places > 0, self.ids[np.maximum(places - 1, 0)], EOS).astype(np.int64)

    def predicted(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which of these ids are targets that count: all but control tokens, and line ends where they do not."""
        first = len(SPECIALS)
        found: npt.NDArray[np.bool_] = (ids < first) | (ids >= first + self.controls)
        return found if self.ends_count else found & (ids != EOS)


def key_of(files: Iterable[str], settings: object, codec: Codec) -> str:
    """A name for this text under this codec: the files' contents and kinds, how they are read, and the codec.

    settings  everything else that decides the documents, and the control tokens that each of them has
    """
    digest = hashlib.sha256(f"{LAYOUT} {settings!r}".encode())
    for name in files:
        digest.update(f"{kind_of(name)} {storage.sha256_of(Path(name))}\n".encode())
    digest.update(codec.fingerprint().encode())
    return digest.hexdigest()


def encode(
    documents: Callable[[], Iterable[Document]], codec: Codec, key: str, report: Callable[[int], None] | None = None
) -> Corpus:
    """The corpus called `key`, from the cache or made from `documents()`.

    report  is told the number of documents now and then
    Raises EmptyText where there is nothing to encode, StorageError where the disk refuses.
    """
    folder = storage.cache_folder() / "corpora" / key[:32]
    facts = _facts_of(folder, _dtype(len(codec.vocab)))
    if facts is None:
        shutil.rmtree(folder, ignore_errors=True)  # damaged it is of no use and only stands in the way
        with storage.whole_folder(folder, other_wins=True) as temporary:
            _write(documents(), codec, temporary, report)
        _drop_old(folder.parent, keep=folder)
        facts = _facts_of(folder, _dtype(len(codec.vocab)))
    if facts is None:
        raise StorageError(f"{folder} is damaged, and could not be made again", hint="remove it: it is only a cache")
    with contextlib.suppress(OSError):
        folder.touch()  # a sign of use, for _drop_old
    ids = map_array(folder / "ids.bin", _dtype(len(codec.vocab)))
    return Corpus(ids, map_array(folder / "starts.bin", np.int64), facts, key, codec.vocab.controls)


def _facts_of(folder: Path, dtype: npt.DTypeLike) -> Facts | None:
    """The facts of a cached corpus; None where it is not there, or not whole: then it can be made again."""

    def problem(reason: str) -> StorageError:
        return StorageError(reason, hint="the cache can be made again")

    names = [field.name for field in fields(Facts)]
    try:
        found = jsonfiles.read(folder / "facts.json", error=problem, shape=dict.fromkeys(names, int))
        ids, starts = map_array(folder / "ids.bin", dtype), map_array(folder / "starts.bin", np.int64)
    except (StorageError, OSError, ValueError):  # ValueError: a number was cut in two
        return None
    facts = Facts(**{name: found[name] for name in names})
    return facts if len(starts) == facts.documents + 1 and starts[-1] == len(ids) else None


def _dtype(vocab_size: int) -> npt.DTypeLike:
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def _write(documents: Iterable[Document], codec: Codec, folder: Path, report: Callable[[int], None] | None) -> None:
    code = "H" if len(codec.vocab) <= 1 << 16 else "I"
    ids, starts = array.array(code), array.array("q", [0])
    documents_seen = end = tokens = characters = unknown = units = longest = 0
    with (folder / "ids.bin").open("wb") as ids_file, (folder / "starts.bin").open("wb") as starts_file:
        for document in documents:
            encoded = codec.encode(document)
            ids.extend(encoded.ids)
            documents_seen += 1
            end += len(encoded.ids)
            tokens += len(encoded.targets)
            characters += encoded.characters
            longest = max(longest, len(encoded.targets))
            unknown += len(encoded.unknown)
            units += charged_units(encoded.unknown)
            starts.append(end)
            if len(ids) >= FLUSH_IDS:
                ids.tofile(ids_file)
                starts.tofile(starts_file)
                del ids[:], starts[:]
                if report is not None:
                    report(documents_seen)
        ids.tofile(ids_file)
        starts.tofile(starts_file)
    if not tokens:
        raise EmptyText("the text holds nothing to learn from", hint="is the file empty, or every line blank?")
    facts = Facts(documents_seen, tokens, characters, unknown, units, longest)
    jsonfiles.write(folder / "facts.json", asdict(facts))


def map_array(path: Path, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Map a file of numbers into memory, read-only; an empty file is an empty array."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def utf16_units(token: str) -> int:
    """16-bit units of a token in UTF-16: two for what lies beyond the basic plane.

    >>> utf16_units("字"), utf16_units("𠮷")
    (1, 2)
    """
    return len(token) + sum(character > "\uffff" for character in token)


def charged_units(unknown: Iterable[str]) -> int:
    """UTF-16 units of unknown tokens that nobody spelled out; where the text itself says `<unk>`, nothing is lost.

    >>> charged_units(["字", "<unk>"])
    1
    """
    return sum(utf16_units(token) for token in unknown if token not in SPELLED_UNKNOWN)


def _drop_old(folder: Path, keep: Path) -> None:
    def size(corpus: Path) -> int:
        return sum(file.stat().st_size for file in corpus.iterdir())

    with contextlib.suppress(OSError):
        others = sorted((p for p in folder.iterdir() if p.is_dir() and p != keep), key=lambda p: -p.stat().st_mtime)
        room = CACHE_BYTES - size(keep)
        for corpus in others:
            room -= size(corpus)
            if room < 0:
                shutil.rmtree(corpus, ignore_errors=True)
