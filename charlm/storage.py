"""Files that appear whole or not at all, and the user's cache folder.

Everything is written beside its target, flushed to the disk, and renamed into place; the folder is
flushed too, since on ext4 and XFS a rename may otherwise reach the disk before the data. A failure
leaves what stood there before and removes the unfinished file.
"""

import contextlib
import errno
import gzip
import hashlib
import io
import os
import re
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from charlm.errors import CharlmError, StorageError, TextError

APP_FOLDER = "charlm"


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def write_error(path: Path, error: OSError) -> StorageError:
    """Say which file could not be written, why, and what still stands."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why, remedy = _why(error), "free some space or choose another place" if full else "choose another place"
    if isinstance(error, FileExistsError | NotADirectoryError):
        why = "a part of its path is a file, not a folder"
    elif error.errno == errno.ENAMETOOLONG:
        remedy = "choose a shorter name"
    with contextlib.suppress(RuntimeError):  # nobody's home is known, so it is no cache
        if cache_folder() in path.parents:
            remedy += ": the environment variable CHARLM_CACHE names the folder for what can be made again"
    return StorageError(f"cannot write {path}: {why}", hint=f"{remedy}; what was there before is untouched")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place if the block succeeds.

    A symlink stays, and the file that it leads to is replaced. A pipe or device is given as it is, since it
    has no earlier content to keep; `/dev/stdout` and its like get what was written at the end.
    Raises StorageError when the disk refuses; then `path` is as it was. BrokenPipeError: the reader has left.
    """
    if not path.name:
        raise write_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if is_stream(path):
        with _stream(path) as place:
            yield place
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.is_symlink():  # it leads round in a circle
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def exists(path: Path) -> bool:
    """Whether something is there; nothing can be under a name that the system does not take."""
    return os.path.exists(path)  # noqa: PTH110 (pathlib raises for such names, and where a folder may not be entered)


def refuse_as_folder(path: Path, option: str) -> None:
    """Refuse, before any work is done, a name under which no folder can come into being; raises StorageError."""
    if path == Path("-"):
        raise StorageError(
            f"{option} - names no folder: `-` is stdin or stdout", hint=f"for example {option} made/tang"
        )
    if os.path.islink(path) and not exists(path):  # noqa: PTH114 (as below)
        raise StorageError(
            f"{option} {path} is a link to {path.readlink()}, which is not there",
            hint="make what it leads to reachable, remove the link, or choose another name",
        )


def is_folder(path: Path) -> bool:
    """Whether a folder is there, under a name that anybody may have given."""
    return os.path.isdir(path)  # noqa: PTH112 (as above)


def is_file(path: Path) -> bool:
    """Whether a plain file is there, under a name that anybody may have given."""
    return os.path.isfile(path)  # noqa: PTH113 (as above)


def is_stream(path: Path) -> bool:
    """Whether `path` is a pipe, a device or an open descriptor: written as it is, and nothing in it to overwrite."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _descriptor(path: Path) -> int | None:
    """The open descriptor that `path` is another name of, as /dev/stdout is of 1; also through symlinks."""
    for _ in range(40):  # as many links as the system follows
        found = re.fullmatch(r"/(?:dev|proc/self|proc/(\d+)(?:/task/\d+)?)/fd/(\d+)", str(path.absolute()))
        if found and found[1] in (None, str(os.getpid())):
            return int(found[2])
        try:
            path = path.parent / path.readlink()
        except OSError:
            return None
    return None


@contextlib.contextmanager
def _stream(path: Path) -> Iterator[Path]:
    descriptor = _descriptor(path)
    try:
        if descriptor is None:
            yield path
            return
        # To open such a name again would cut off a file that stdout appends to, and fails for a socket.
        with tempfile.TemporaryDirectory(prefix="charlm.") as folder:
            written = Path(folder) / path.name
            yield written
            if descriptor == 1:
                sys.stdout.flush()
            with written.open("rb") as source, open(os.dup(descriptor), "wb") as target:  # noqa: PTH123
                shutil.copyfileobj(source, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = "whatever reads there may have received a part of it"
        raise StorageError(f"cannot write {path}: {_why(error)}", hint=hint) from error


@contextlib.contextmanager
def whole_folder(path: Path, *, other_wins: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it into place if the block succeeds.

    other_wins  a folder that came into being there in the meantime is as good as ours, which is thrown away
    Raises StorageError where the disk refuses, and, without other_wins, where such a folder is in the way.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())  # mkdtemp makes private folders; a run is an ordinary one
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
        _flush_folder(temporary)
        try:
            temporary.rename(path)
        except OSError as error:
            if not path.is_dir():
                raise
            if not other_wins:
                raise StorageError(
                    f"{path} came into being in the meantime, by another command; it was left as it is",
                    hint="choose another name and give the command again",
                ) from error
        _flush_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes left half-written beside `path`; call it only where nobody else may write `path`."""
    name = re.compile(re.escape(f".{path.name}.") + r"(?:\d+|[a-z0-9_]{8})\.tmp")  # of whole_file, of whole_folder
    with contextlib.suppress(OSError):  # it only takes up room
        for left in path.parent.iterdir():
            if name.fullmatch(left.name) and left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif name.fullmatch(left.name):
                left.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write(text)


def append_line(path: Path, line: str) -> None:
    """Add one line to a log; the only write here that grows a file in place."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as handle:
            handle.write(line + "\n")
    except OSError as error:
        raise write_error(path, error) from error


def read_text(path: Path, *, error: Callable[[str], CharlmError]) -> str:
    """Read a UTF-8 file; `error` turns the reason into the caller's kind of error."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as cause:
        raise error(f"cannot read {path}: {_why(cause)}") from cause
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
        raise TextError(f"cannot read {path}: {_why(error)}", hint=hint) from error


@contextlib.contextmanager
def open_stdin() -> Iterator[IO[bytes]]:
    """Standard input for reading, unpacked like any file; raises TextError with the reason."""
    raw = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    try:
        with _unpacked(raw, "standard input") as unpacked:
            yield unpacked
    except OSError as error:
        hint = "is it open for writing only? a text is given by `< FILE` or `COMMAND |`"
        raise TextError(f"cannot read standard input: {_why(error)}", hint=hint) from error
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


def cache_folder() -> Path:
    """The folder for things that can be made again; CHARLM_CACHE overrides the system's place."""
    if chosen := os.environ.get("CHARLM_CACHE"):
        return Path(chosen)
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / APP_FOLDER
