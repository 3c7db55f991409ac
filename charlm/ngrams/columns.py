"""Numbers on the disk, written in blocks and read in slices: what keeps counting in bounded memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from charlm import storage

Array: TypeAlias = npt.NDArray[Any]
BLOCK = 1 << 20  # entries that are worked on at once


class Column:
    """A file of numbers of one type that grows at its end. Slices are read from the disk each time."""

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self.path = path
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.length = 0
        path.touch()

    def append(self, numbers: Array) -> None:
        """Add numbers at the end, in the column's type."""
        try:
            # Not kept open: there may be more columns than a process may open files.
            with self.path.open("ab") as handle:
                handle.write(np.ascontiguousarray(numbers, dtype=self.dtype).data)
        except OSError as error:
            raise storage.write_error(self.path.parent.parent, error) from error
        self.length += len(numbers)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> Array:
        first, last, _ = part.indices(self.length)
        return np.fromfile(self.path, dtype=self.dtype, count=max(0, last - first), offset=first * self.dtype.itemsize)

    def mapped(self) -> Array:
        """The numbers so far, mapped into memory."""
        return np.memmap(self.path, dtype=self.dtype, mode="r") if self.length else np.empty(0, dtype=self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (self[:],)  # the file stays behind, so the numbers travel as an array

    def drop(self) -> None:
        """Give the disk its room back."""
        with suppress(OSError):  # Windows keeps what is still mapped
            self.path.unlink(missing_ok=True)
        self.length = 0


Numbers: TypeAlias = Column | Array


class Scratch:
    """A folder of unfinished columns, each with a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.columns: list[Column] = []

    def column(self, dtype: npt.DTypeLike) -> Column:
        """An empty column."""
        self.columns.append(Column(self.folder / f"{len(self.columns)}.column", dtype))
        return self.columns[-1]

    def close(self) -> None:
        """Drop every column; what is mapped stays readable until nobody holds it."""
        for column in self.columns:
            column.drop()


@contextmanager
def scratch_folder() -> Iterator[Scratch]:
    """A folder for unfinished work in the user's cache, which may take more room than the memory has.

    Raises StorageError where the disk refuses.
    """
    parent = storage.cache_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="counting.", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise storage.write_error(parent, error) from error
    # What goes wrong further on has a name of its own: the work in here reads and writes other files too.
    with folder as name:
        scratch = Scratch(Path(name))
        try:
            yield scratch
        finally:
            scratch.close()


def mapped(numbers: Numbers) -> Array:
    """Numbers that can be looked up at random."""
    return numbers.mapped() if isinstance(numbers, Column) else numbers


def blocks(length: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Cut a length into (first, last) pieces.

    >>> list(blocks(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    return ((first, min(first + size, length)) for first in range(0, length, size))


def family_blocks(starts: Numbers, size: int = BLOCK) -> Iterator[tuple[int, int, Array]]:
    """Cut contexts into runs whose continuations are about `size` entries, never inside a context.

    yields (first context, last context, where each of them and the one after the last begins)
    """
    contexts = len(starts) - 1
    first = 0
    while first < contexts:
        begins = starts[first : min(first + size, contexts) + 1].astype(np.int64)
        # At least one context, however many continuations it has.
        last = max(1, int(np.searchsorted(begins, begins[0] + size, side="right")) - 1)
        yield first, first + last, begins[: last + 1]
        first += last


def sums(numbers: Array, begins: Array) -> Array:
    """The sum over each context: numbers (entries,) int or float, begins (contexts + 1,) from 0  ->  (contexts,)"""
    running = np.zeros(len(numbers) + 1, dtype=np.float64 if numbers.dtype.kind == "f" else np.int64)
    np.cumsum(numbers, out=running[1:])
    found: Array = running[begins[1:]] - running[begins[:-1]]
    return found
