"""Scores that were computed before, by content: of a run, and of a text. In the user's cache folder, a file a run.

    8 bytes   charlmS1
    16 bytes  BLAKE2b of the rest
    the rest  records of 48 bytes, by rising key: hash of the text (two 8-byte numbers), log-probability, the same
              charged, that by the tokens' frequencies alone (nats, 8-byte floats), tokens and unknown tokens
              (4-byte numbers), all little-endian

A file that is not exactly so is thrown away and made again. At most MOST_KEPT texts of a run are kept.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm import storage
from charlm.errors import StorageError

MAGIC = b"charlmS1"
READING = (
    2  # of a text by a run; another number where a later charlm reads texts otherwise, so that nothing is mixed up
)
MOST_KEPT = 1_000_000  # texts of a run: 48 MB
FEWEST_WRITTEN = 20_000  # new texts of a run for which its file is written, before the end
MOST_TABLES = 8  # of new records, before they become one
_RECORD = np.dtype([
    ("key", "<u8"), ("check", "<u8"), ("log_prob", "<f8"), ("charged", "<f8"), ("unigram", "<f8"),
    ("tokens", "<u4"), ("unknown", "<u4"),
])  # fmt: skip


def fingerprint(run: Path) -> str:
    """What a run is, in hexadecimal: SHA-256 over all its files but the checkpoint and the history."""
    digest = hashlib.sha256()
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        if path.is_file() and "resume" not in name.parts and name.name != "history.jsonl":
            digest.update(f"{name.as_posix()}\0{storage.sha256_of(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def folder() -> Path:
    """Where scores are kept."""
    return storage.cache_folder() / "scores"


def size() -> int:
    """Bytes of all that is kept."""
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for path in folder().glob("*.scores"))
    return 0


def keys_of(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """(N, 2) hashes of texts."""
    joined = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


@dataclass
class Remembered:
    """The scores of one run that are known, and those that are new since they were last written.

    identity  of the run, and of how it is given texts; at most 40 characters
    """

    identity: str
    kept: Any = field(default_factory=lambda: np.empty(0, _RECORD))
    new: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = folder() / f"{self.identity[:40]}-{READING}.scores"
        self.kept = self._read()

    def look_up(self, texts: Sequence[str]) -> tuple[Any, npt.NDArray[np.bool_]]:
        """Records (N,), and which of them are known; the others have only their keys."""
        found = np.zeros(len(texts), _RECORD)
        keys = keys_of(texts)
        found["key"], found["check"] = keys[:, 0], keys[:, 1]
        known = np.zeros(len(texts), dtype=bool)
        for table in (self.kept, *self.new):
            if len(table):
                places = np.minimum(np.searchsorted(table["key"], found["key"]), len(table) - 1)
                hits = (table["key"][places] == found["key"]) & (table["check"][places] == found["check"])
                found[hits] = table[places[hits]]
                known |= hits
        return found, known

    def add(self, records: Any) -> None:
        """Remember records, as long as there is room."""
        if len(records) and len(self.kept) + self.waiting + len(records) <= MOST_KEPT:
            self.new.append(np.sort(records, order="key"))
            if len(self.new) > MOST_TABLES:  # each is looked through for every text
                self.new = [np.sort(np.concatenate(self.new), order="key")]

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return sum(map(len, self.new))

    @property
    def due(self) -> bool:
        """Whether so much is new that the file should be written again; seldomer, the larger it is."""
        return self.waiting >= max(FEWEST_WRITTEN, len(self.kept) // 2)

    def save(self) -> bool:
        """Write what is new, beside what others wrote meanwhile; whether that was possible."""
        if not self.new:
            return True
        together = np.concatenate([self._read(), *self.new])
        _, places = np.unique(together["key"], return_index=True)
        self.kept, self.new = together[places][:MOST_KEPT], []
        body = self.kept.tobytes()
        try:
            with storage.whole_file(self.path) as temporary:
                temporary.write_bytes(MAGIC + hashlib.blake2b(body, digest_size=16).digest() + body)
        except StorageError:
            return False
        return True

    def _read(self) -> Any:
        try:
            content = self.path.read_bytes()
        except OSError:
            return np.empty(0, _RECORD)
        body = content[24:]
        sound = content[:8] == MAGIC and content[8:24] == hashlib.blake2b(body, digest_size=16).digest()
        if not sound or len(body) % _RECORD.itemsize:
            return np.empty(0, _RECORD)
        return np.frombuffer(body, _RECORD)
