"""How long does `charlm --help` take, beside importing typer alone? Turn by turn, medians."""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "import typer": [sys.executable, "-c", "import typer"],
    "charlm --help": [sys.executable, "-m", "charlm", "--help"],
    "charlm train --help": [sys.executable, "-m", "charlm", "train", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
}
ROUNDS = 9


def main() -> None:
    """Print the table."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    peer = statistics.median(seconds["import typer"])
    print(f"{'command':<22}{'median':>9}{'fastest':>9}{'ratio':>8}   ({ROUNDS} rounds)")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<22}{median:>8.3f}s{min(times):>8.3f}s{median / peer:>8.2f}")


if __name__ == "__main__":
    main()
