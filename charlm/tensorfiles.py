"""Named tensors and a few facts in one safetensors file: no code inside, whole or not at all.

The facts travel in the file's own header, so weights and what is known of them cannot come apart.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from charlm import jsonfiles, storage
from charlm.errors import RunError

FACTS = "charlm"
LARGEST_HEADER = 4 << 20  # bytes; read before anything is allocated
BLOCK = 1 << 22  # numbers of an array that are written at once
# The format's names of number types, by numpy's: https://github.com/huggingface/safetensors
TYPES = {"<f8": "F64", "<f4": "F32", "<u8": "U64", "<i8": "I64", "<u4": "U32", "<u2": "U16", "|u1": "U8"}
PICKLE_MARKS = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
PICKLE_SUFFIXES = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"}


def refuse_pickle(path: Path) -> None:
    """Raise RunError for files that could run code when they are opened."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise RunError(
            f"{path} looks like a pickle, which can run any program when it is opened; charlm never opens one",
            hint="where you trust it, convert it with safetensors.torch.save_file in a program of your own",
        )


def write(path: Path, tensors: Mapping[str, Tensor] | Mapping[str, "Rows"], facts: dict[str, Any]) -> None:
    """Write tensors and facts, whole or not at all; raises StorageError. Rows are written in flat memory."""
    rows = {name: array for name, array in tensors.items() if not isinstance(array, Tensor)}
    if rows:
        _write_rows(path, rows, facts)
        return
    with storage.whole_file(path) as temporary:
        temporary.touch()  # the library makes its own file, which nobody else could read
        mode = temporary.stat().st_mode
        plain = {n: t.detach().cpu().contiguous() for n, t in tensors.items() if isinstance(t, Tensor)}
        try:
            save_file(plain, temporary, metadata={FACTS: json.dumps(facts)})
        except SafetensorError as error:  # the library's own name for a full disk
            raise OSError(str(error)) from error
        temporary.chmod(mode)


class Rows(Protocol):
    """Numbers in one dimension that are read in slices, so that they need not all be in memory."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, part: slice, /) -> npt.NDArray[Any]:
        """Some of them."""


def _write_rows(path: Path, arrays: Mapping[str, Rows], facts: dict[str, Any]) -> None:
    # Wide types first, so that every array begins at a multiple of its own width.
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": {FACTS: json.dumps(facts)}}
    place = 0
    for name in names:
        size = len(arrays[name]) * arrays[name].dtype.itemsize
        kind = TYPES[arrays[name].dtype.newbyteorder("<").str]
        header[name] = {"dtype": kind, "shape": [len(arrays[name])], "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with storage.whole_file(path) as temporary, temporary.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            for first in range(0, len(arrays[name]), BLOCK):
                handle.write(_block(arrays[name], first).data)


def _block(rows: Rows, first: int) -> npt.NDArray[Any]:
    """Some of the rows. Mapped ones are read from their file, since pages of a map count as memory of the process."""
    if isinstance(rows, np.memmap) and rows.filename is not None:
        count, size = min(BLOCK, len(rows) - first), rows.dtype.itemsize
        return np.fromfile(rows.filename, dtype=rows.dtype, count=count, offset=rows.offset + first * size)
    return np.ascontiguousarray(rows[first : first + BLOCK])


def map_rows(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Map rows that `write` wrote into memory, read-only, without reading it; raises RunError like `read`."""
    with _opened(path) as file:
        facts = _facts(path, file)
    whole = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(whole[:8].tobytes(), "little")
    header = json.loads(whole[8 : 8 + length].tobytes())
    kinds = {name: kind for kind, name in TYPES.items()}
    data = whole[8 + length :]
    found: dict[str, npt.NDArray[Any]] = {}
    for name, entry in header.items():  # the library has checked that places and shapes fit the file
        if name != "__metadata__" and entry["dtype"] in kinds and len(entry["shape"]) == 1:
            first, last = entry["data_offsets"]
            found[name] = np.asarray(data[first:last].view(kinds[entry["dtype"]]))
    return found, facts


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote, onto the CPU; raises RunError for a missing, damaged or foreign file."""
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        facts = _facts(path, file)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _damaged(path, f"{name} holds numbers that are not finite")
    return tensors, facts


def read_facts(path: Path) -> dict[str, Any]:
    """The facts alone, without touching the tensors; raises RunError like `read`."""
    with _opened(path) as file:
        return _facts(path, file)


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(
        f"{path} cannot be read: {reason}",
        hint="restore it from a copy; `charlm run check` says what else is wrong",
    )


def _facts(path: Path, file: Any) -> dict[str, Any]:
    facts = jsonfiles.parse((file.metadata() or {}).get(FACTS, "{}"))
    if not isinstance(facts, dict):
        raise _damaged(path, "its facts are no table")
    return facts


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    refuse_pickle(path)
    try:
        with path.open("rb") as handle:
            head = handle.read(10)
    except OSError as error:
        raise _damaged(path, storage.reason_of(error)) from error
    if len(head) < 10 or head[8:9] != b"{" or int.from_bytes(head[:8], "little") > LARGEST_HEADER:
        # Only here: a sound file whose header is 640 bytes long begins with the first two bytes of a pickle.
        if head[:2] in PICKLE_MARKS:
            hint = "restore the file charlm wrote"
            raise RunError(f"{path} is a pickle in disguise; charlm never opens one", hint=hint)
        raise _damaged(path, "this is not a safetensors file, or it was cut short")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)[:160]) from error
