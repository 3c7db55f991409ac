"""Files and standard input for reading: bytes, unpacked; text; a hash."""

import contextlib
import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from charlm.errors import CharlmError, TextError
from charlm.storage.places import exists, is_folder, reason_of


def read_text(path: Path, *, error: Callable[[str], CharlmError]) -> str:
    """Read a UTF-8 file; `error` turns the reason into the caller's kind of error."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as cause:
        raise error(f"cannot read {path}: {reason_of(cause)}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} is not UTF-8 text: byte {cause.start} is {cause.object[cause.start]:#04x}") from cause


def unread_hint(path: Path) -> str:
    """What to do about a file that cannot be opened for reading, where `-` would be stdin."""
    if not exists(path):
        return "check the spelling, or give `-` to read from stdin"
    return "name a file in this folder" if is_folder(path) else "check its permissions"


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacking `.gz`; raises TextError with the reason."""
    try:
        with path.open("rb") as raw, _unpacked(raw, str(path)) as unpacked:
            yield unpacked
    except OSError as error:
        hint = unread_hint(path)
        raise TextError(f"cannot read {path}: {reason_of(error)}", hint=hint) from error


@contextlib.contextmanager
def open_stdin() -> Iterator[IO[bytes]]:
    """Standard input for reading, unpacked like any file; raises TextError with the reason."""
    raw = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    try:
        with _unpacked(raw, "standard input") as unpacked:
            yield unpacked
    except OSError as error:
        hint = "is it open for writing only? a text is given by `< FILE` or `COMMAND |`"
        raise TextError(f"cannot read standard input: {reason_of(error)}", hint=hint) from error
    finally:
        raw.detach()  # whoever opened it closes it


@contextlib.contextmanager
def _unpacked(raw: "io.BufferedReader[Any]", name: str) -> Iterator[IO[bytes]]:
    try:
        if raw.peek(2)[:2] == b"\x1f\x8b":  # a look ahead, since a pipe cannot go back
            with gzip.open(raw, "rb") as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            yield raw
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise TextError(
            f"{name} is a damaged gzip file: {error}", hint=f"try `gzip -t {name}`, or fetch it again"
        ) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
