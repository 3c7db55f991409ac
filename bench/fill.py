"""What a second direction buys: how often a token that was taken out is found, from both sides and from one.

    python bench/fill.py [--minutes 20 | --steps 500] [--count 2000] [--seed 1] [--whole 200] [--candidates 1000]
                         [--hidden 512] [--embedding 384] [--layers 2] [--batch-size 32] [--out bench-fill]

Texts are `zh/*.train.txt` and `zh/*.valid.txt` of $CHARLM_DATA, by characters, as seen three times or more. Networks of
one size are trained one after the other, each for the same minutes or steps: from both sides, forward, backward (where
`charlm train` knows --reverse), and the nearest tokens of both sides and of one; and counts of five tokens. All are
asked for the same tokens, drawn with the seed from the whole validation text. With --whole, the forward network also
scores whole sentences for so many tokens. Runs stand in OUT and are kept, so a call that was cut off goes on.

`both` has two directions of two thirds of --hidden, and so as many weights as `forward` within a few hundredths, and
its speed. `double` has two directions as wide as `forward`, and `wide` is a forward network with as many weights as
that.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("CHARLM_DATA", "../shared/data"))
SETS = ("wiki", "dialog", "speech")
TO_REACH = 1.6  # times the accuracy of forward only


def charlm(*arguments: object) -> str:
    """What a command of charlm prints."""
    command = [sys.executable, "-m", "charlm", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def knows_reverse() -> bool:
    """Whether `charlm train` can make a backward model."""
    return "--reverse" in charlm("train", "--help")


def kinds(asked: argparse.Namespace) -> dict[str, list[object]]:
    """The options of each run."""
    size = ["--hidden", asked.hidden, "--embedding", asked.embedding, "--layers", asked.layers, "--dropout", 0.1]
    budget = ["--steps", asked.steps, "--validations", 1] if asked.steps else ["--minutes", asked.minutes]
    learned = [*size, *budget, "--batch-size", asked.batch_size, "--seed", asked.seed]
    if not asked.steps:
        learned += ["--sampled", 0.15]
    narrow, wide = [*learned], [*learned]
    narrow[1] = max(8, asked.hidden * 2 // 3 // 8 * 8)
    wide[1] = round(asked.hidden * 2**0.5)
    found = {
        "both": ["--model", "cloze", "--longest-blank", 1, *narrow],
        "forward": ["--model", "recurrent", *learned],
        "double": ["--model", "cloze", "--longest-blank", 1, *learned],
        "wide": ["--model", "recurrent", *wide],
        "around": ["--model", "cloze-window", "--longest-blank", 1, *learned],
        "window": ["--model", "window", *learned],
        "counts": ["--model", "ngram", "--order", 5],
    }
    if knows_reverse():
        found["backward"] = ["--model", "recurrent", "--reverse", *learned]
    return {name: options for name, options in found.items() if not asked.only or name in asked.only.split(",")}


def trained(asked: argparse.Namespace) -> list[Path]:
    """The runs, made where they are not there yet, all over the vocabulary of the first."""
    asked.out.mkdir(exist_ok=True)
    paths: list[Path] = []
    valid = [option for name in SETS for option in ("--valid", DATA / "zh" / f"{name}.valid.txt")]
    texts = [DATA / "zh" / f"{name}.train.txt" for name in SETS]
    for name, options in kinds(asked).items():
        path = asked.out / name
        vocab = ["--vocab", paths[0]] if paths else ["--min-count", 3]
        if not path.exists():
            charlm("train", *texts, *valid, *vocab, *options, "--run", path)
        elif (path / "resume").exists() and not json.loads((path / "run.json").read_text("utf-8"))["ended"]:
            charlm("train", "--resume", path)
        paths.append(path)
    return paths


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=20)
    budget.add_argument("--steps", type=int, default=0)
    numbers = {"count": 2000, "seed": 1, "whole": 0, "candidates": 1000, "hidden": 512, "embedding": 384, "layers": 2}
    for name, default in {**numbers, "batch-size": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", default="", help="names of the runs, commas between them")
    parser.add_argument("--out", type=Path, default=Path("bench-fill"))
    asked = parser.parse_args()
    paths = trained(asked)
    held_out = [option for name in SETS for option in ("--test", DATA / "zh" / f"{name}.valid.txt")]
    test = [*held_out, "--seed", asked.seed, "--json"]
    found = [json.loads(line) for line in charlm("fill", *paths, *test, "--count", asked.count).splitlines()]
    show(found)
    if asked.whole:
        some = [asked.out / name for name in ("both", "forward") if asked.out / name in paths]
        more = ["--count", asked.whole, "--whole", "--candidates", asked.candidates]
        print(f"and of {asked.whole:,} tokens, whole sentences with {asked.candidates:,} candidates beside them:")
        show([json.loads(line) for line in charlm("fill", *some, *test, *more).splitlines()])


def show(found: list[dict[str, Any]]) -> None:
    """The accuracies, and how many times that of forward only each of them is."""
    forward = next((each["top1"] for each in found if Path(each["run"]).name == "forward"), None)
    for each in found:
        name, ratio = Path(each["run"]).name, each["top1"] / forward if forward else float("nan")
        goal = f"   (to reach: {TO_REACH} ×)" if name == "both" else ""
        told = f"{each['top1']:>7.2%} at once {each['top5']:>7.2%} among five {ratio:>6.2f} × forward{goal}"
        print(f"{name:<10}{each['way']:<17}{told}", flush=True)


if __name__ == "__main__":
    main()
