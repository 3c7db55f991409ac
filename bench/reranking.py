"""What language models bring to lists of candidates: each alone, and all with weights that were tuned on other lists.

    python bench/reranking.py zh|en [--minutes 38] [--seed 1] [--sound] [--out bench-reranking]

Models are trained on the texts of $CHARLM_DATA for the language: counts in seconds, and a forward and a backward
network side by side for --minutes, one thread each. Chinese: `zh/*.train.txt`, of whose lines one half is cut at
punctuation, as speech has none; each network is then mixed with the counts of its direction, of whole lines and of
lines so cut, by EM on `zh/*.valid.txt`. English: Penn Treebank, WikiText-2 and Shakespeare in small letters, no
punctuation; the lists are of another kind of text, for which such a mixture would not be weighed.

Lists are `nbest/{zh,en}_*_dev.jsonl`. Each file is cut in two by the SHA-256 of the ids, and each half is told of by
weights that were tuned on the other, beside each model alone (with the recogniser's scores and the weight of all).
Pairs stand in no order that means something, so neither place nor margin is tuned there. Runs stand in OUT and are
kept: a call that was cut off goes on.
"""

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("CHARLM_DATA", "../shared/data"))
PAIRS = ("zh_asr1best", "zh_sighan15")
SETS = {
    "zh": ("zh_synthetic", *PAIRS),
    "en": ("en_atis", "en_wsj", "en_cv", "en_ls_clean", "en_ls_other"),
}
ZH = ("dialog", "wiki", "speech")
PUNCTUATION = re.compile(r'[，。！？、；：“”‘’（）《》…—,.!?;:"()\[\]\-·~ ]+')
COUNTED = ("errors", "reference_units", "wrong_sentences", "sentences")
SHORTEST = 4  # characters of a part of a line, or words of a line of English


def command(*arguments: object) -> list[str]:
    """A command of charlm."""
    return [sys.executable, "-m", "charlm", *map(str, arguments)]


def charlm(*arguments: object) -> str:
    """What a command of charlm prints."""
    return subprocess.run(command(*arguments), check=True, stdout=subprocess.PIPE, text=True).stdout


def chinese(seed: int) -> Iterator[str]:
    """Lines as they are, and the parts of others between punctuation; nine thousand lines of speech have none."""
    numbers = random.Random(seed)
    for name in ("dialog", "speech", "wiki"):
        for line in (DATA / "zh" / f"{name}.train.txt").read_text("utf-8").splitlines():
            if name == "speech" or numbers.random() < 0.5:
                yield line.strip()
            else:
                yield from (part for part in PUNCTUATION.split(line) if len(part) >= SHORTEST)


def english() -> Iterator[str]:
    """Lines as a recogniser would write them."""
    files = [
        DATA / "ptb" / "train.txt",
        *(DATA / "wikitext2" / f"{name}.txt" for name in ("train_part", "valid", "test")),
    ]
    for file in [*files, DATA / "tinyshakespeare" / "train.txt"]:
        for line in file.read_text("utf-8").splitlines():
            for sentence in [] if line.strip().startswith("=") else re.split(r" [.?!;] ", line):
                words = _spoken(sentence).split()
                if len(words) >= SHORTEST:
                    yield " ".join(words)


def _spoken(line: str) -> str:
    line = line.lower().replace("’", "'").replace("@.@", " point ").replace("@-@", " ").replace("@,@", "")
    line = re.sub(r"\s+('s|'re|'ve|'ll|'d|'m|n't)\b", r"\1", line)
    line = re.sub(r"<unk>|\bn\b|[^a-z' ]+", " ", line)
    return re.sub(r"(?<![a-z])'|'(?![a-z])", " ", line)


def written(asked: argparse.Namespace) -> Path:
    """The text that everything of the language learns from, in an order drawn with the seed."""
    path: Path = asked.out / f"{asked.language}-{asked.seed}.txt"
    if not path.exists():
        lines = sorted(line for line in (chinese(asked.seed) if asked.language == "zh" else english()) if line)
        random.Random(asked.seed).shuffle(lines)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def trained(asked: argparse.Namespace) -> list[Path]:
    """The runs: counts first, then the two networks side by side, and mixtures of both for Chinese."""
    text, out = written(asked), asked.out
    if asked.language == "zh":
        whole = [DATA / "zh" / f"{name}.train.txt" for name in ZH]
        counts: dict[str, list[object]] = {"counts": [*whole, "--order", 5, "--min-count", 2]}
        size: list[object] = ["--hidden", 384, "--embedding", 256]
    else:
        words: list[object] = ["--level", "spaced", "--order", 3, "--min-count", 2]
        counts = {"counts": [text, *words], "letters": [text, "--level", "char", "--order", 9]}
        size = ["--level", "spaced", "--hidden", 384, "--embedding", 384]
    for name, options in counts.items():
        if not (out / name).exists():
            charlm("train", *options, "--model", "ngram", "--run", out / name, "--quiet")
    # With one thread, 16 rows are what 32 are to the two threads that the preset has in mind.
    budget = ["--minutes", asked.minutes, "--workers", 1, "--batch-size", 16, "--seed", asked.seed, "--validations", 6]
    learned = ["--preset", "base", *size, "--vocab", out / "counts", *budget, "--quiet"]
    working = []
    directions = [f"{name}-{asked.seed}" for name in ("forward", "backward")]
    for name, more in zip(directions, ([], ["--reverse"]), strict=True):
        if not (out / name).exists():
            own = command("train", text, *more, *learned, "--run", out / name)
        elif not json.loads((out / name / "run.json").read_text("utf-8"))["ended"]:
            own = command("train", "--resume", out / name, "--quiet")
        else:
            continue
        working.append(subprocess.Popen(own, stdout=sys.stderr, env={**os.environ, "OMP_NUM_THREADS": "1"}))
    if any([each.wait() for each in working]):
        sys.exit("a training failed")
    networks = [out / name for name in directions]
    return [*(out / name for name in counts), *(mixed(asked, networks, text) if asked.language == "zh" else networks)]


def mixed(asked: argparse.Namespace, networks: list[Path], text: Path) -> list[Path]:
    """Each network with the counts of its direction, of whole lines and of what it has read."""
    held_out, runs = asked.out / "held-out.txt", []
    held_out.write_text("".join((DATA / "zh" / f"{name}.valid.txt").read_text("utf-8") for name in ZH), "utf-8")
    whole = [DATA / "zh" / f"{name}.train.txt" for name in ZH]
    for network, more in zip(networks, ([], ["--reverse"]), strict=True):
        members = [network]
        for name, texts in {"counts": whole, "parts": [text]}.items():
            members.append(asked.out / (name + "-back" * bool(more)))
            options = ["--model", "ngram", "--order", 5, "--vocab", asked.out / "counts", *more, "--quiet"]
            if not members[-1].exists():
                charlm("train", *texts, *options, "--run", members[-1])
        runs.append(asked.out / f"{network.name}-mixed")
        if not runs[-1].exists():
            charlm("run", "mix", *members, "--tune", held_out, "--run", runs[-1], "--quiet")
    return runs


def halves(asked: argparse.Namespace, name: str) -> tuple[Path, Path]:
    """The lists of a file in two parts."""
    parts: tuple[list[str], list[str]] = [], []
    for line in (DATA / "nbest" / f"{name}_dev.jsonl").read_text("utf-8").splitlines():
        parts[hashlib.sha256(str(json.loads(line)["id"]).encode()).digest()[0] % 2].append(line)
    paths = asked.out / f"{name}.even.jsonl", asked.out / f"{name}.odd.jsonl"
    for path, lines in zip(paths, parts, strict=True):
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return paths


def main() -> None:
    """Print a table for each file of lists."""
    parser = argparse.ArgumentParser()
    parser.add_argument("language", choices=sorted(SETS))
    parser.add_argument("--minutes", type=float, default=38)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sound", action="store_true", help="let the scores by pinyin be tried (charlm[sound])")
    parser.add_argument("--out", type=Path, default=Path("bench-reranking"))
    asked = parser.parse_args()
    asked.out.mkdir(exist_ok=True)
    runs = trained(asked)
    gains = []
    for name in SETS[asked.language]:
        options: list[object] = ["--without", "rank", "--without", "first"] if name in PAIRS else []
        options += [] if asked.sound else ["--without", "sound_distance", "--without", "sound_agreement"]
        options += ["--seed", asked.seed, "--overwrite", "--quiet"]
        even, odd = halves(asked, name)
        reports = []
        for tuned, told in ((even, odd), (odd, even)):
            weights = tuned.with_suffix(".toml")
            charlm("nbest", "tune", *runs, tuned, "-o", weights, *options)
            reports.append(
                json.loads(charlm("nbest", "report", *runs, told, "--weights", weights, "--json", "--quiet"))
            )
        gains.append(show(name, reports))
    print(f"\nmean relative gain {sum(gains) / len(gains):.1%}")


def show(name: str, reports: list[dict[str, Any]]) -> float:
    """One file of lists, and by which share its error fell."""
    print(f"\n{name}: {sum(report['lists'] for report in reports):,} lists, {reports[0]['metric'].upper()}")
    rows: dict[str, Counter[str]] = {}
    for report in reports:
        parts = {"first": report["first"], "recogniser alone": report["alone"], **report["members"]}
        for row, rates in {**parts, "all": report["reranked"], "oracle": report["oracle"]}.items():
            if rates is not None:
                rows.setdefault(row, Counter()).update({key: rates[key] for key in COUNTED})
    for row, of in rows.items():
        if of["reference_units"] == rows["first"]["reference_units"]:  # a run may count for nothing in one half
            rate, right = of["errors"] / of["reference_units"], 1 - of["wrong_sentences"] / of["sentences"]
            print(f"  {row:<17}{rate:>8.2%}   whole lists right {right:>7.2%}")
    for report in reports:
        gain = report["gain"]
        told = f"gain {gain['value']:.2%} ({gain['low']:.2%} to {gain['high']:.2%}) of {report['first']['rate']:.2%}"
        print(f"  {told}; {report['decision']}")
    return 1 - rows["all"]["errors"] / rows["first"]["errors"] if rows["first"]["errors"] else 0.0


if __name__ == "__main__":
    main()
