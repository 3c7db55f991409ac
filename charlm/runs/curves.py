"""The learning curve of a run, as a picture or as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.errors import RunError

Entries = Sequence[dict[str, Any]]
WIDTH, HEIGHT = 64, 16
MANY_DIGITS = 1000  # which no longer fit beside three places, in a column of seven


def _series(entries: Entries, key: str) -> list[tuple[float, float]]:
    points = [(float(entry["step"]), float(entry[key])) for entry in entries if entry.get(key) is not None]
    return points


def _need(entries: Entries) -> None:
    if not entries:
        raise RunError(
            "the run has no history to draw",
            hint="a network has one from its first validation on; what is mixed or imported has none",
        )
    if not _series(entries, "train_nats") and not _series(entries, "valid_nats"):
        raise RunError(
            "the history of the run has no finite figure to draw",
            hint="nothing was measured (see --valid), or the loss was infinite",
        )


def picture(entries: Entries, path: Path, *, title: str) -> Path:
    """Write a PNG of training and validation loss by step; raises ImportError without matplotlib."""
    _need(entries)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for key, name, style in (("train_nats", "training text", "--"), ("valid_nats", "validation text", "-")):
        if points := _series(entries, key):
            axes.plot(*zip(*points, strict=True), style, marker="o", markersize=3, label=name)
    best = [entry for entry in entries if entry.get("is_best") and entry.get("valid_nats") is not None]
    if best:
        step, nats = best[-1]["step"], best[-1]["valid_nats"]
        axes.annotate(f"{nats:.3f}", (step, nats), textcoords="offset points", xytext=(0, 8), ha="center")
    axes.set_xlabel("step")
    axes.set_ylabel("nats per token")
    if title.isascii():  # the fonts that matplotlib brings have no Chinese
        axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    with storage.whole_file(path) as temporary, temporary.open("wb") as handle:
        figure.savefig(handle, format="png")
    return path


def text_plot(entries: Entries) -> str:
    """The same in characters: `o` is the validation text, `·` the training text."""
    _need(entries)
    series = {"·": _series(entries, "train_nats"), "o": _series(entries, "valid_nats")}
    steps = [step for points in series.values() for step, _ in points]
    values = [nats for points in series.values() for _, nats in points]
    low, high, last = min(values), max(values), max(steps)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for sign, points in series.items():
        for step, nats in points:
            column = round(step / last * (WIDTH - 1)) if last else 0
            row = round((high - nats) / (high - low) * (HEIGHT - 1)) if high > low else 0
            grid[row][column] = sign
    lines = []
    for row, cells in enumerate(grid):
        value = high - (high - low) * row / (HEIGHT - 1)
        label = f"{value:{'7.3f' if abs(value) < MANY_DIGITS else '7.1e'}}" if row % 5 == 0 else " " * 7
        lines.append(f"{label} │{''.join(cells).rstrip()}")
    lines.append(" " * 8 + "└" + "─" * WIDTH)
    lines.append(f"{'nats':>7}   0{f'step {last:,.0f}':>{WIDTH - 1}}")
    lines.append(" " * 9 + "o validation text   · training text")
    return "\n".join(lines)
