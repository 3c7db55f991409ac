"""Over how many steps each cell learns: the planted tasks, by cell and seed.

    python bench/lags.py [--task copy] [--longest 200] [--steps 1500] [--hidden 32] [--seeds 5] [--cells lstm,gru]
                         [--plot lags.png] [--json lags.jsonl]

Every cell of the table takes the same sequences and steps with each seed. Printed are, for each cell, the accuracy at
each lag in the end, the mean over seeds, and the lag up to which it was learned, seed by seed; with --json every
curve. The last lines compare the gated cells with `rnn-tanh` after each fifth of the steps.
"""

import argparse
import statistics
from pathlib import Path

from charlm import jsonfiles
from charlm.config.networks import CELLS
from charlm.inspecting.pictures import draw
from charlm.inspecting.planted import Learned, learn
from charlm.jobs.panels import of_lags

PLAIN = "rnn-"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="copy")
    for name, default in {"longest": 200, "steps": 1500, "hidden": 32, "seeds": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, list[Learned]] = {}
    for cell in asked.cells.split(","):
        found[cell] = []
        for seed in range(1, asked.seeds + 1):
            sizes = {"longest": asked.longest, "steps": asked.steps, "hidden": asked.hidden}
            found[cell].append(learn(asked.task, cell, seed=seed, **sizes))
        lags = found[cell][0].lags
        if len(found) == 1:
            print(f"{asked.task}, {asked.steps} steps" + "".join(f"{lag:>6}" for lag in lags) + "  learned to")
        means = [statistics.mean(one.curves[-1][place] for one in found[cell]) for place in range(len(lags))]
        reached = " ".join(str(one.reach) for one in found[cell])
        print(
            f"{cell:<{len(asked.task) + 8 + len(str(asked.steps))}}"
            + "".join(f"{m:>6.2f}" for m in means)
            + f"  {reached}",
            flush=True,
        )
    every = [one for of_cell in found.values() for one in of_cell]
    if asked.json is not None:
        asked.json.write_text("".join(jsonfiles.to_text(one.to_json()) + "\n" for one in every), "utf-8")
    if asked.plot is not None:
        draw(of_lags([of_cell[0] for of_cell in found.values()]), asked.plot)
    gated = [one for cell, of_cell in found.items() if not cell.startswith(PLAIN) for one in of_cell]
    plain = found.get("rnn-tanh", [])
    for place, steps in enumerate(every[0].steps if gated and plain else []):
        middle, of_plain = (statistics.median(one.reaches[place] for one in some) for some in (gated, plain))
        told = f"gated cells: median {middle:g}; rnn-tanh: median {of_plain:g}; {middle / max(of_plain, 1):.1f} ×"
        print(f"after {steps:,} steps, {told}")


if __name__ == "__main__":
    main()
