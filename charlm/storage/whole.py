"""Files and folders that appear whole or not at all.

Everything is written beside its target, flushed to the disk, and renamed into place; the folder is
flushed too, since on ext4 and XFS a rename may otherwise reach the disk before the data. A failure
leaves what stood there before and removes the unfinished file.
"""

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from charlm.errors import StorageError
from charlm.storage.places import cache_folder, descriptor_of, is_stream, reason_of


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(path: Path, error: OSError) -> StorageError:
    """Say which file could not be written, why, and what still stands."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why, remedy = reason_of(error), "free some space or choose another place" if full else "choose another place"
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


@contextlib.contextmanager
def _stream(path: Path) -> Iterator[Path]:
    descriptor = descriptor_of(path)
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
        raise StorageError(f"cannot write {path}: {reason_of(error)}", hint=hint) from error


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
