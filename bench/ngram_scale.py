"""Time and peak memory of training an n-gram model on a large corpus, which a small model writes.

    python bench/ngram_scale.py RUN [MILLION_TOKENS] [MEMORY]      default: 100 2G

RUN is an n-gram run; its model is sampled exactly, many lines side by side. With `lmplz` on the PATH or in $LMPLZ, it
is given the same text, characters apart, and the same memory.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from charlm.models.ngram import Ngram
from charlm.ngrams.search import find
from charlm.runs.run import load as load_run

ROWS = 1 << 15
LONGEST = 200


class Sampler:
    """Draws tokens: from what is seen after a context, or, with what is left, after the shorter one."""

    def __init__(self, model: Ngram) -> None:
        self.tables = model.tables
        self.random = np.random.default_rng(1)
        self.sums = []
        for level in self.tables.levels:
            p = np.exp(level.log_probs.at(slice(None)).astype(np.float64))
            self.sums.append(np.concatenate([[0.0], np.cumsum(p)]))

    def draw(self, state: np.ndarray) -> np.ndarray:
        """One token for each row: state (B, N-1), the entries of the last tokens.

        What a context leaves over goes to tokens that it has not seen; one that it has is drawn again.
        """
        tokens = np.full(len(state), -1, dtype=np.int64)
        self._draw(state, np.arange(len(state)), self.tables.order, tokens)
        return tokens

    def _draw(self, state: np.ndarray, rows: np.ndarray, n: int, tokens: np.ndarray) -> None:
        """Fill in the tokens of some rows by P(· | the last n-1 tokens)."""
        if not len(rows):
            return
        level = self.tables.levels[n - 1]
        contexts = state[rows, n - 2] if n > 1 else np.zeros(len(rows), dtype=np.int64)
        known = contexts >= 0
        self._draw(state, rows[~known], n - 1, tokens)
        rows, contexts = rows[known], contexts[known]
        low, high = level.starts.at(contexts), level.starts.at(contexts + 1)
        base = self.sums[n - 1][low]
        mass = self.sums[n - 1][high] - base
        u = self.random.random(len(rows)) * (mass if n == 1 else 1.0)
        hit = u < mass
        entries = np.searchsorted(self.sums[n - 1], (base + u)[hit], side="right") - 1
        tokens[rows[hit]] = level.words[np.minimum(entries, high[hit] - 1)]
        rows, contexts = rows[~hit], contexts[~hit]
        while len(rows):
            self._draw(state, rows, n - 1, tokens)
            again = find(level.words, level.starts, contexts, tokens[rows]) >= 0
            rows, contexts = rows[again], contexts[again]


def write(model: Ngram, spelled: list[str], path: Path, apart: Path, tokens: int) -> int:
    """Write about so many tokens as lines; returns how many there are."""
    sampler, written = Sampler(model), 0
    with path.open("w", encoding="utf-8") as file, apart.open("w", encoding="utf-8") as other:
        while written < tokens:
            state = np.full((ROWS, model.tables.order - 1), -1, dtype=np.int64)
            state[:, 0] = 0
            lines = np.zeros((ROWS, LONGEST), dtype=np.int64)
            alive = np.arange(ROWS)
            for place in range(LONGEST):
                drawn = sampler.draw(state)
                lines[alive, place] = drawn
                going = drawn != 0
                alive, drawn = alive[going], drawn[going]
                if not len(alive):
                    break
                after = np.full((len(alive), model.tables.order - 1), -1, dtype=np.int64)
                after[:, 0] = drawn
                for n in range(2, model.tables.order):
                    level, before = model.tables.levels[n - 1], state[going, n - 2]
                    known = before >= 0
                    after[known, n - 1] = find(level.words, level.starts, before[known], drawn[known])
                state = after
            for row in lines.tolist():
                words = [spelled[i] for i in row[: row.index(0) if 0 in row else LONGEST]]
                written += len(words) + 1
                file.write("".join(words) + "\n")
                other.write(" ".join(words) + "\n")
    return written


def measured(command: list[str], **where: object) -> str:
    """Seconds and peak memory of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **where)  # type: ignore[call-overload]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return f"{seconds:>8.1f} s {usage.ru_maxrss / 1024:>8.0f} MiB"


def main() -> None:
    """Print the table."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    run = load_run(sys.argv[1])
    assert isinstance(run.model, Ngram)
    millions = float(sys.argv[2]) if len(sys.argv) > 2 else 100.0
    memory = sys.argv[3] if len(sys.argv) > 3 else "2G"
    with tempfile.TemporaryDirectory() as folder:
        text, apart = Path(folder) / "text.txt", Path(folder) / "apart.txt"
        start = time.perf_counter()
        tokens = write(run.model, run.codec.vocab.tokens, text, apart, int(millions * 1e6))
        print(f"{tokens:,} tokens written in {time.perf_counter() - start:.0f} s", flush=True)
        environment = {**os.environ, "CHARLM_CACHE": f"{folder}/cache"}
        train = [sys.executable, "-m", "charlm", "train", str(text), "--valid", str(_head(text))]
        train += ["--vocab", str(sys.argv[1]), "--model", "ngram", "--memory", memory, "--run", f"{folder}/run"]
        print(f"{'charlm train --order 5':<28}{measured(train, env=environment)}", flush=True)
        lmplz = os.environ.get("LMPLZ") or shutil.which("lmplz")
        if lmplz:
            # Without the fallback it gives up here: every character is seen often, so none is seen once.
            command = [lmplz, "-o", "5", "-S", memory, "-T", folder, "--discount_fallback"]
            command += ["--text", str(apart), "--arpa", f"{folder}/x.arpa"]
            print(f"{'lmplz -o 5':<28}{measured(command, stderr=subprocess.DEVNULL)}")
        else:
            print("lmplz: not found")


def _head(text: Path) -> Path:
    """A thousand lines, so that something is measured."""
    head = text.with_name("head.txt")
    with text.open(encoding="utf-8") as file:
        head.write_text("".join(next(file) for _ in range(1000)), encoding="utf-8")
    return head


if __name__ == "__main__":
    main()
