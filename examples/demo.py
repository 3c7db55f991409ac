"""`make demo`: train a small model on our own text, measure it, let it write, let it choose.

Everything goes through the `charlm` command, as a user would type it; the runs land in checkpoints/.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ROOT / "corpora"
VERSES, EVERYDAY = Path("checkpoints/demo-verses"), Path("checkpoints/demo-everyday")


def charlm(*arguments: object) -> None:
    """Show a command and run it; stop where it fails."""
    words = [str(argument) for argument in arguments]
    shown = " ".join(str(Path(word).relative_to(ROOT)) if word.startswith(str(ROOT)) else word for word in words)
    print(f"\n$ charlm {shown}", flush=True)  # noqa: T201
    result = subprocess.run([sys.executable, "-m", "charlm", *words], check=False)
    if result.returncode:
        sys.exit(result.returncode)


def main() -> None:
    """The demo."""
    for run in (VERSES, EVERYDAY):
        shutil.rmtree(run, ignore_errors=True)  # our own, from an earlier demo
    quatrains, written, everyday = (CORPORA / f"{name}.txt" for name in ("quatrains", "written.verses", "everyday.zh"))
    small = ("--min-count", 2, "--config", CORPORA / "small.toml")
    print("Of each training the weights that are best on the validation text are kept.")  # noqa: T201
    charlm("train", quatrains, written, *small, "--run", VERSES)
    charlm("eval", VERSES, quatrains, "--part", "test")
    charlm("sample", VERSES, "--count", 3, "--temperature", 0.8, "--seed", 7)
    print("\nThe model that comes with charlm has read the verse of Tang and Song.")  # noqa: T201
    charlm("sample", "--form", "七绝", "--acrostic", "春江花月", "--show-tones")
    charlm("train", everyday, *small, "--run", EVERYDAY)
    charlm("eval", EVERYDAY, everyday, "--part", "test")
    charlm("score", EVERYDAY, CORPORA / "homework.nbest.jsonl", "--best")


if __name__ == "__main__":
    main()
