"""Training, size and speed of a 5-gram of characters, beside KenLM, turn by turn.

    python bench/ngrams.py TRAIN VALID [ROUNDS]

Prints medians. KenLM's `lmplz` and `build_binary` are looked for on the PATH or in $KENLM_BIN, its Python module in the
environment; what is not there is left out. Training is a whole process, from text to model; queries are on one core.
"""

import importlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charlm.config.text import TextConfig
from charlm.runs.run import load as load_run
from charlm.text.files import documents

BATCH_TOKENS = 8192  # as in charlm/scoring.py


def _each(score: Callable[[str], float], lines: list[str]) -> None:
    for line in lines:
        score(line)


def tool(name: str) -> str | None:
    """A program of KenLM's."""
    folder = os.environ.get("KENLM_BIN")
    return shutil.which(name, path=folder) if folder else shutil.which(name)


def process(command: list[str], **where: Any) -> tuple[float, float]:
    """Seconds and peak MiB of a command."""
    start = time.perf_counter()
    made = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **where)
    _, status, usage = os.wait4(made.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def batches(ids: list[list[int]]) -> list[torch.Tensor]:
    """Lines of like length side by side, the opening <EOS> in front."""
    made: list[torch.Tensor] = []
    waiting: list[list[int]] = []
    for line in sorted(ids, key=len):
        waiting.append(line)
        if len(waiting) * len(line) >= BATCH_TOKENS or line is ids[-1]:
            rows = np.zeros((len(waiting), len(line) + 1), dtype=np.int64)
            for row, one in enumerate(waiting):
                rows[row, 1 : len(one) + 1] = one
            made.append(torch.from_numpy(rows))
            waiting = []
    if waiting:
        rows = np.zeros((len(waiting), max(map(len, waiting)) + 1), dtype=np.int64)
        for row, one in enumerate(waiting):
            rows[row, 1 : len(one) + 1] = one
        made.append(torch.from_numpy(rows))
    return made


def training(train: str, apart: Path, folder: Path, rounds: int) -> None:
    """Whole processes, turn by turn."""
    lmplz = tool("lmplz")
    times: dict[str, list[tuple[float, float]]] = {"charlm train": [], "lmplz -S 1G": []}
    for number in range(rounds):
        environment = {**os.environ, "CHARLM_CACHE": str(folder / f"cache-{number}")}
        shutil.copy(train, folder / "train.txt")
        command = [
            sys.executable,
            "-m",
            "charlm",
            "train",
            str(folder / "train.txt"),
            "--valid",
            str(_head(train, folder)),
        ]
        command += ["--model", "ngram", "--order", "5", "--run", str(folder / f"run-{number}")]
        times["charlm train"].append(process(command, env=environment))
        if lmplz:
            arpa = [
                lmplz,
                "-o",
                "5",
                "-S",
                "1G",
                "-T",
                str(folder),
                "--text",
                str(apart),
                "--arpa",
                str(folder / "x.arpa"),
            ]
            times["lmplz -S 1G"].append(process(arpa))
    _table("training, text to model", times)


def _head(train: str, folder: Path) -> Path:
    head = folder / "head.txt"
    with Path(train).open(encoding="utf-8") as file:
        head.write_text("".join(next(file) for _ in range(100)), encoding="utf-8")
    return head


def _table(title: str, times: dict[str, list[tuple[float, float]]]) -> None:
    print(f"{title:<28}{'median':>9}{'fastest':>9}{'peak MiB':>10}")
    for name, found in times.items():
        if found:
            seconds = [one for one, _ in found]
            print(
                f"{name:<28}{statistics.median(seconds):>8.2f}s{min(seconds):>8.2f}s{max(p for _, p in found):>10.0f}"
            )


def queries(folder: Path, valid: str, rounds: int) -> None:
    """Tokens per second on one core, turn by turn."""
    torch.set_num_threads(1)
    run = load_run(folder / "run-0")
    start = time.perf_counter()
    load_run(folder / "run-0")
    opening = time.perf_counter() - start
    start = time.perf_counter()
    from charlm.families import FAMILIES

    FAMILIES["ngram"].load(run.config.family, len(run.codec.vocab), folder / "run-0")
    tables = time.perf_counter() - start
    print(f"\nopening the run {opening * 1e3:.1f} ms, of which its tables {tables * 1e3:.1f} ms")
    print(f"size {(folder / 'run-0' / 'model.safetensors').stat().st_size:,} bytes", end="")
    lines = list(documents([valid], TextConfig()))
    ids = [run.codec.encode(line).ids for line in lines]
    tokens = sum(map(len, ids))
    rows = batches(ids)

    def charlm_score() -> None:
        for row in rows:
            run.model.score(row[:, :-1], row[:, 1:], run.model.initial_state(len(row)))

    subjects: dict[str, Callable[[], None]] = {"charlm, numpy": _from_the_start(run.model, -(1 << 40), charlm_score)}
    if importlib.util.find_spec("numba"):
        subjects["charlm, numba"] = _from_the_start(run.model, 1 << 40, charlm_score)
    binary = tool("build_binary")
    if binary and importlib.util.find_spec("kenlm"):
        kenlm: Any = importlib.import_module("kenlm")
        apart = [" ".join(line) for line in lines]
        for kind in ("probing", "trie"):
            made = folder / f"{kind}.bin"
            subprocess.run([binary, kind, str(folder / "x.arpa"), str(made)], check=True, capture_output=True)
            print(f"; KenLM {kind} {made.stat().st_size:,}", end="")
            model = kenlm.Model(str(made))
            subjects[f"kenlm.score, {kind}"] = partial(_each, model.score, apart)
    print()
    speeds: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            start = time.perf_counter()
            for _ in range(5):
                subject()
            if number:  # the first round warms up
                speeds[name].append(5 * tokens / (time.perf_counter() - start) / 1e6)
    peer = statistics.median(speeds.get("kenlm.score, probing", [float("nan")]))
    print(f"{'queries, one core':<28}{'M tokens/s':>12}{'fastest':>9}{'ratio':>8}")
    for name, found in speeds.items():
        print(f"{name:<28}{statistics.median(found):>12.2f}{max(found):>9.2f}{statistics.median(found) / peer:>8.2f}")


def _from_the_start(model: Any, searches: int, work: Callable[[], None]) -> Callable[[], None]:
    """Work with a model that has searched so often already, which decides whether it searches in machine code."""

    def run() -> None:
        model.searches = searches
        work()

    return run


def main() -> None:
    """Print the tables."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    train, valid = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart = folder / "apart.txt"
        with apart.open("w", encoding="utf-8") as file:
            file.writelines(" ".join(line) + "\n" for line in documents([train], TextConfig()))
        training(train, apart, folder, rounds)
        queries(folder, valid, rounds)


if __name__ == "__main__":
    main()
