"""Peak memory of `charlm vocab` and of the start of `charlm train`, on corpora of growing size.

    python bench/memory.py [MEGABYTES ...]        default: 10 100; 1000 takes some minutes

The corpora are generated: characters drawn with Zipf frequencies, lines of 10 to 60 of them.
"""

import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

ALPHABET = np.array([chr(code) for code in range(0x4E00, 0x4E00 + 6000)])


def generate(path: Path, megabytes: int) -> None:
    """Write a corpus of about this size."""
    random = np.random.default_rng(1)
    weights = 1 / np.arange(1, len(ALPHABET) + 1)
    weights /= weights.sum()
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            characters = ALPHABET[random.choice(len(ALPHABET), 1_000_000, p=weights)]
            cuts = np.cumsum(random.integers(10, 61, 28_000))
            file.writelines("".join(line) + "\n" for line in np.split(characters, cuts[cuts < 1_000_000]))


def peak(command: list[str], cache: Path) -> tuple[float, float]:
    """Peak memory in MiB and seconds of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CHARLM_CACHE": str(cache)},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def main() -> None:
    """Print the table."""
    charlm = [sys.executable, "-m", "charlm"]
    network = [
        "--hidden",
        "32",
        "--embedding",
        "16",
        "--layers",
        "1",
        "--steps",
        "2",
        "--validations",
        "1",
        "--precision",
        "float32",
    ]
    print(f"{'corpus':>10}{'vocab':>18}{'train, 2 steps':>22}{'again, encoded':>22}")
    for megabytes in [int(argument) for argument in sys.argv[1:]] or [10, 100]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            text, small = folder / "text.txt", folder / "valid.txt"
            generate(text, megabytes)
            with text.open(encoding="utf-8") as lines:
                small.write_text("".join(islice(lines, 500)), "utf-8")
            cells = [peak([*charlm, "vocab", str(text), "-o", str(folder / "v")], folder / "cache")]
            for run in ("a", "b"):
                train = [*charlm, "train", str(text), "--valid", str(small), "--vocab", str(folder / "v")]
                cells.append(peak([*train, *network, "--run", str(folder / run)], folder / "cache"))
            row = "".join(f"{f'{mebibytes:,.0f} MiB {seconds:,.0f} s':>{width}}" for (mebibytes, seconds), width in
                          zip(cells, (18, 22, 22), strict=True))  # fmt: skip
            print(f"{megabytes:>7} MB{row}", flush=True)


if __name__ == "__main__":
    main()
