"""Bits per character for the minutes spent: counts, presets, mixtures and two plain loops on one text.

    python bench/quality.py [--text tang|ptb|shakespeare] [--minutes 1 5 20] [--long 60] [--out bench-quality]

Every point is a process of its own, one after the other, measured on the whole validation text. Points stand in
`OUT/TEXT.jsonl` as they are made, so a call that was cut off goes on, and what is made with other options is made
anew; `OUT/TEXT.png` shows them all.

`plain` is what one writes first: the `base` network from `nn.LSTM` and `nn.Linear`, float32, AdamW at a constant rate.
`2012` is the recipe of the language-model example that comes with torch: 2 × 200, SGD with clipped gradients, whose
rate falls to a quarter when the validation text gets no better. The longest point of `base` is trained with `Text.long`
besides. A mixture is tuned on the even lines of the validation text and measured on the odd ones, and the other way
round, so no line is measured by weights that have seen it.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("CHARLM_DATA", "../shared/data"))


@dataclass(frozen=True)
class Text:
    """What is learned and measured, how it is read, and what others published: (name, validation perplexity)."""

    train: str
    valid: str
    read: tuple[str, ...]
    words: bool = False
    whole: bool = False  # one document, its empty lines included
    long: tuple[str, ...] = ()  # what the longest point is trained with besides: many passes ask for more noise
    published: tuple[tuple[str, float], ...] = ()


TEXTS = {
    "tang": Text(
        "poems/tang.train.txt",
        "poems/tang.valid.txt",
        ("--min-count", "2"),
        long=("--dropout", "0.2"),
    ),
    "ptb": Text(
        "ptb/train.txt",
        "ptb/valid.txt",
        ("--level", "spaced", "--context", "carried"),
        words=True,
        published=(("Zaremba 2014, medium", 86.2), ("Zaremba 2014, large", 82.2), ("AWD-LSTM 2018", 60.0)),
    ),
    "shakespeare": Text("tinyshakespeare/train.txt", "tinyshakespeare/valid.txt", ("--reading", "stream"), whole=True),
}
PEERS = ("plain", "2012")
ORDERS = (2, 3, 5)


# ── the plain loops ───────────────────────────────────────────────────────────────────────────────


def stream(text: Text) -> tuple[Any, Any, int]:
    """Training and validation text as tensors of ids, and how many kinds of tokens there are."""
    import torch

    def tokens(file: str) -> list[str]:
        whole = (DATA / file).read_text("utf-8")
        if text.whole:
            return list(whole)
        lines = (line.split() if text.words else list(line) for line in whole.splitlines() if line.strip())
        return [token for line in lines for token in (*line, "\n")]

    kept, other = tokens(text.train), tokens(text.valid)
    counts = Counter(kept)
    least = 2 if "--min-count" in text.read else 1
    known = {token: number for number, (token, times) in enumerate(counts.most_common(), 1) if times >= least}
    train, valid = (torch.tensor([known.get(token, 0) for token in part]) for part in (kept, other))
    return train, valid, len(known) + 1


def peer(name: str, text: Text, minutes: float) -> tuple[float, int]:
    """Nats on the validation text after `minutes` of a plain loop, and how many tokens it has."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    train, valid, size = stream(text)
    plain = name == "plain"
    wide, narrow, rows, window, drop = (512, 384, 32, 64, 0.1) if plain else (200, 200, 20, 35, 0.2)
    embedding, dropout = nn.Embedding(size, narrow), nn.Dropout(drop)
    core = nn.LSTM(narrow, wide, num_layers=2, dropout=drop)
    output = nn.Linear(wide, size)
    model = nn.ModuleList([embedding, core, output, dropout])
    parameters = list(model.parameters())
    rate = 1e-3 if plain else 20.0
    if not plain:
        for weight in (embedding.weight, output.weight):
            nn.init.uniform_(weight, -0.1, 0.1)
        nn.init.zeros_(output.bias)
    optimizer = (torch.optim.AdamW if plain else torch.optim.SGD)(parameters, lr=rate)

    def nats(ids: Any, target: Any, state: Any) -> tuple[Any, Any]:
        hidden, state = core(dropout(embedding(ids)), state)
        return nn.functional.cross_entropy(output(dropout(hidden)).flatten(0, 1), target.flatten()), state

    def measured() -> float:
        model.eval()
        total, state = 0.0, None
        ids = torch.cat([torch.zeros(1, dtype=valid.dtype), valid])[:, None]
        with torch.no_grad():
            for start in range(0, len(valid), 500):
                part, target = ids[start : start + 500], valid[start : start + 500, None]
                part = part[: len(target)]
                loss, state = nats(part, target, state)
                total += float(loss) * len(target)
        model.train()
        return total

    length = len(train) // rows
    columns = train[: length * rows].view(rows, length).t().contiguous()
    begun, best, kept = time.monotonic(), math.inf, None
    while True:
        state = None
        for start in range(0, length - 1, window):
            target = columns[start + 1 : start + 1 + window]
            loss, state = nats(columns[start : start + len(target)], target, state)
            state = tuple(leaf.detach() for leaf in state)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0 if plain else 0.25)
            optimizer.step()
            if time.monotonic() - begun > minutes * 60:
                return min(measured(), best), len(valid)
        found = measured()
        if found < best:
            best, kept = found, {key: value.clone() for key, value in model.state_dict().items()}
        elif not plain and kept is not None:
            model.load_state_dict(kept)
            optimizer.param_groups[0]["lr"] /= 4


# ── ours ──────────────────────────────────────────────────────────────────────────────────────────


def charlm(*arguments: str | Path) -> str:
    """What a command of charlm prints."""
    command = [sys.executable, "-m", "charlm", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def evaluated(run: Path, text: Path, *how: str) -> dict[str, Any]:
    """The figures of a run on a text."""
    found: dict[str, Any] = json.loads(charlm("eval", run, text, "--json", *how))
    return found


class Points:
    """The points of one text, made where they are missing or were made in another way."""

    def __init__(self, name: str, out: Path) -> None:
        self.text, self.out = TEXTS[name], out / name
        self.out.mkdir(parents=True, exist_ok=True)
        self.train, self.valid, self.file = DATA / self.text.train, DATA / self.text.valid, out / f"{name}.jsonl"
        lines = self.file.read_text("utf-8").splitlines() if self.file.exists() else []
        self.found: dict[str, dict[str, Any]] = {point["name"]: point for point in map(json.loads, lines)}

    def stands(self, name: str, made: list[Any]) -> bool:
        """Whether a point is there already, made with these options or of members with these."""
        return name in self.found and self.found[name].get("made") == made

    def add(self, name: str, kind: str, made: list[Any], seconds: float, nats: float, like: dict[str, Any]) -> None:
        """Write a point down and tell it; `like` has the tokens and characters that it was measured on."""
        characters, tokens = like["characters"], like["tokens"]
        bits, perplexity = nats / math.log(2) / characters, math.exp(nats / tokens)
        self.found[name] = {"name": name, "kind": kind, "seconds": seconds, "bits": bits, "perplexity": perplexity,
                            "tokens": tokens, "characters": characters, "made": made}  # fmt: skip
        with self.file.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(self.found[name]) + "\n")
        print(f"{name:<32}{seconds:>8.0f} s {perplexity:>9.2f} perplexity {bits:>7.3f} bits per character", flush=True)

    def where(self, name: str) -> Path:
        """The run of a point."""
        return self.out / name.replace(" ", "-")

    def run(self, name: str, kind: str, *options: str) -> str:
        """A point that `charlm train` makes; its name."""
        run, made = self.where(name), list(options)
        if not self.stands(name, made):
            subprocess.run(["rm", "-rf", run], check=True)
            start = time.monotonic()
            charlm("train", self.train, "--valid", self.valid, *self.text.read, *options, "--run", run, "--quiet")
            seconds = time.monotonic() - start
            score = evaluated(run, self.valid)
            self.add(name, kind, made, seconds, score["nats"], score)
        return name

    def mix(self, name: str, members: list[str], seconds: float) -> None:
        """A mixture, tuned on one half of the validation text and measured on the other, both ways round."""
        made = [self.found[member]["made"] for member in members]
        if self.stands(name, made):
            return
        lines = self.valid.read_text("utf-8").splitlines(keepends=True)
        halves = [self.out / "even.txt", self.out / "odd.txt"]
        for number, half in enumerate(halves):
            half.write_text("".join(lines[number::2]), "utf-8")
        scores, mixing = [], []
        for tune, measure in (halves, halves[::-1]):
            run = self.where(f"{name}-{tune.stem}")
            subprocess.run(["rm", "-rf", run], check=True)
            start = time.monotonic()
            charlm("run", "mix", *map(self.where, members), "--tune", tune, "--run", run)
            mixing.append(time.monotonic() - start)
            scores.append(evaluated(run, measure))
        both = {key: sum(score[key] for score in scores) for key in ("nats", "characters", "tokens")}
        self.add(name, "mixture", made, seconds + sum(mixing) / len(mixing), both["nats"], both)

    def peer(self, name: str, key: str, minutes: float) -> None:
        """A point of a plain loop, on as many characters as ours."""
        point, made = f"{name}, {minutes:g} min", [name, minutes]
        if self.stands(point, made):
            return
        command = [sys.executable, __file__, "--peer", name, key, str(minutes)]
        nats, tokens = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        like = next(iter(self.found.values()))
        if tokens != like["tokens"]:
            raise SystemExit(f"{name} measured {tokens} tokens, charlm {like['tokens']}: they cannot be compared")
        self.add(point, name, made, minutes * 60, nats, like)

    def draw(self, path: Path) -> None:
        """Seconds against bits per character, by kind; published figures as lines."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        for kind in dict.fromkeys(point["kind"] for point in self.found.values()):
            mine = sorted((p["seconds"], p["bits"], p["perplexity"]) for p in self.found.values() if p["kind"] == kind)
            style = "--" if kind in PEERS else "-"
            axes.plot([x for x, _, _ in mine], [y for _, y, _ in mine], style, marker="o", markersize=4, label=kind)
            # A mixture stands right below its network, and so does what it is marked with.
            place = (0, -12) if kind == "mixture" else (0, 6)
            for x, y, perplexity in mine:
                axes.annotate(f"{perplexity:.3g}", (x, y), textcoords="offset points", xytext=place, fontsize=7)
        like = next(iter(self.found.values()))
        for name, perplexity in self.text.published:
            bits = math.log2(perplexity) * like["tokens"] / like["characters"]
            axes.axhline(bits, color="grey", linewidth=0.8, linestyle=":")
            axes.annotate(name, (axes.get_xlim()[1], bits), ha="right", va="bottom", fontsize=7, color="grey")
        axes.set_xscale("log")
        axes.set_xlabel("seconds of training on this machine")
        axes.set_ylabel("bits per character, validation text (marked: perplexity)")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        figure.savefig(path, format="png")


def main() -> None:
    """Make what is missing, and draw it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default="tang", choices=TEXTS)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--long", type=float, default=60, help="minutes of the last point of `base`; 0 leaves it out")
    parser.add_argument("--out", type=Path, default=Path("bench-quality"))
    parser.add_argument("--peer", nargs=3)
    asked = parser.parse_args()
    if asked.peer:
        name, key, minutes = asked.peer
        sys.stdout.write(json.dumps(peer(name, TEXTS[key], float(minutes))))
        return
    if not (DATA / TEXTS[asked.text].train).exists():
        raise SystemExit(f"{DATA} has no {TEXTS[asked.text].train}: set CHARLM_DATA to where the texts are")
    points = Points(asked.text, asked.out)
    counts = [points.run(f"counts of order {order}", "counts", "--model", "ngram", "--order", str(order))
              for order in ORDERS]  # fmt: skip
    spent = points.found[f"counts of order {ORDERS[-1]}"]["seconds"]
    for minutes in asked.minutes:
        for preset in ("tiny", "small"):
            if minutes <= 5:
                points.run(f"{preset}, {minutes:g} min", preset, "--preset", preset, "--minutes", f"{minutes:g}")
    for minutes in asked.minutes + [asked.long] * bool(asked.long):
        besides = points.text.long if minutes == asked.long else ()
        base = points.run(f"base, {minutes:g} min", "base", "--preset", "base", "--minutes", f"{minutes:g}", *besides)
        points.mix(f"base and counts, {minutes:g} min", [base, counts[-1]], minutes * 60 + spent)
        if minutes != asked.long:
            for name in PEERS:
                points.peer(name, asked.text, minutes)
    points.draw(asked.out / f"{asked.text}.png")


if __name__ == "__main__":
    main()
