"""What is there under a name that anybody may have given, what may come there, and the user's cache folder."""

import os
import re
import stat
from pathlib import Path

from charlm.errors import StorageError

APP_FOLDER = "charlm"


def reason_of(error: OSError) -> str:
    """What the system says of an error; some, as those of gzip, have a text alone."""
    return error.strerror or str(error)


def exists(path: Path) -> bool:
    """Whether something is there; nothing can be under a name that the system does not take."""
    return os.path.exists(path)  # noqa: PTH110 (pathlib raises for such names, and where a folder may not be entered)


def is_folder(path: Path) -> bool:
    """Whether a folder is there, under a name that anybody may have given."""
    return os.path.isdir(path)  # noqa: PTH112 (as above)


def is_file(path: Path) -> bool:
    """Whether a plain file is there, under a name that anybody may have given."""
    return os.path.isfile(path)  # noqa: PTH113 (as above)


def is_stream(path: Path) -> bool:
    """Whether `path` is a pipe, a device or an open descriptor: written as it is, and nothing in it to overwrite."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def descriptor_of(path: Path) -> int | None:
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


def refuse_as_folder(path: Path, option: str) -> None:
    """Refuse, before any work is done, a name under which no folder can come into being; raises StorageError."""
    if path == Path("-"):
        raise StorageError(
            f"{option} - names no folder: `-` is stdin or stdout", hint=f"for example {option} made/tang"
        )
    if os.path.islink(path) and not exists(path):  # noqa: PTH114 (as above)
        raise StorageError(
            f"{option} {path} is a link to {path.readlink()}, which is not there",
            hint="make what it leads to reachable, remove the link, or choose another name",
        )


def cache_folder() -> Path:
    """The folder for things that can be made again; CHARLM_CACHE overrides the system's place."""
    if chosen := os.environ.get("CHARLM_CACHE"):
        return Path(chosen)
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / APP_FOLDER
