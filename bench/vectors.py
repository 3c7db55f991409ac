"""Word vectors beside gensim: words per second, and how far both say the same.

    python bench/vectors.py WORDS.txt [--epochs 1] [--rounds 3] [--threads 2] [--size 100] [--min-count 5] [--method M]
    python bench/vectors.py WORDS.txt --agreement [--epochs 5]

WORDS.txt is cut by white space already, one document a line; gensim is wanted beside charlm (`charlm[oracles]`). Both
learn by skip-gram with negative sampling and the same settings. Every figure is a process of its own, turn by turn, and
the median over the rounds; the vocabulary is counted, and machine code made, before the clock starts. Beside words per
second of the clock stand those per second of the processor, since a machine that others use gives less of it.

--agreement asks how alike two trainings are: the rank correlation of the cosines of 10,000 pairs among the 3,000 most
frequent words, between ours and gensim's, and beside it between two seeds of gensim.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PAIRS, FREQUENT = 10_000, 3_000


def gensim(asked: argparse.Namespace, seed: int, output: str) -> dict[str, float]:
    """Train gensim's; words of the text per second."""
    from gensim.models import Word2Vec

    with Path(asked.text).open(encoding="utf-8") as lines:
        documents = [line.split() for line in lines]
    model = Word2Vec(
        vector_size=asked.size, window=5, min_count=asked.min_count, sg=1, negative=5, sample=1e-3, seed=seed,
        workers=asked.threads,
    )  # fmt: skip
    model.build_vocab(documents)
    words = asked.epochs * sum(map(len, documents))
    clock, processor = time.perf_counter(), time.process_time()
    model.train(documents, total_examples=model.corpus_count, epochs=asked.epochs)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    if output:
        model.wv.save_word2vec_format(output)
    return {"clock": words / clock, "processor": words / processor}


def charlm(asked: argparse.Namespace, seed: int, output: str) -> dict[str, float]:
    """Train ours; words of the text per second."""
    from charlm.config.embedding import EmbeddingConfig
    from charlm.config.text import TextConfig
    from charlm.embedding import compiled, formats, skipgram
    from charlm.embedding.frequencies import counts_of
    from charlm.embedding.vectors import some_of
    from charlm.jobs.prepare import encoded
    from charlm.text import census, files
    from charlm.text.decoding import nobody
    from charlm.text.survey import Survey

    text = TextConfig(level="spaced", min_count=asked.min_count)
    codec = census.take(files.documents([asked.text], text), text, Survey()).codec
    corpus = encoded([asked.text], text, codec, "whole", lambda: files.documents([asked.text], text))
    counts = counts_of(codec.vocab.tokens, codec.vocab.counts)
    config = EmbeddingConfig(
        size=asked.size, epochs=asked.epochs, threads=asked.threads, seed=seed, method=asked.method
    )
    if asked.method != "batched" and compiled.is_there():  # made before the clock starts, as gensim's was long ago
        warm = EmbeddingConfig(size=asked.size, epochs=1e-9, threads=1, method=asked.method)
        skipgram.learn(corpus, counts, warm, report=nobody, signal=lambda: None)
    processor = time.process_time()
    made = skipgram.learn(corpus, counts, config, report=nobody, signal=lambda: None)
    processor = time.process_time() - processor
    if output:
        words = [place for place, count in enumerate(counts) if count > 0]
        formats.write(some_of(codec.vocab.tokens, made.matrix, words), Path(output))
    return {"clock": made.words / made.seconds, "processor": made.words / processor}


LEARNERS = {"gensim": gensim, "charlm": charlm}


def apart(arguments: list[str], name: str, seed: int, output: str = "") -> dict[str, float]:
    """One training in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--one", name, "--seed", str(seed), "--output", output]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def ranks(numbers: Any) -> Any:
    """The rank of each number; cosines of different pairs are never equal."""
    places = np.empty(len(numbers))
    places[np.argsort(numbers)] = np.arange(len(numbers))
    return places


def agreement(arguments: list[str]) -> None:
    """Print the rank correlations of cosines."""
    from charlm.embedding import formats

    trainings = [("gensim", 1), ("gensim", 2), ("charlm", 1), ("charlm", 2)]
    with tempfile.TemporaryDirectory() as folder:
        for name, seed in trainings:
            apart(arguments, name, seed, f"{folder}/{name}-{seed}.txt")
        read = [formats.read(Path(folder) / f"{name}-{seed}.txt") for name, seed in trainings]
    words = [word for word in read[0].words if all(word in vectors.places for vectors in read)][:FREQUENT]
    pairs = np.random.default_rng(0).integers(0, len(words), (2 * PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]][:PAIRS]
    cosines = []
    for vectors in read:
        rows = vectors.directions[vectors.several(words)]
        cosines.append(ranks((rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(1)))
    for one, other in ((0, 1), (2, 0), (2, 1), (3, 0), (3, 1), (2, 3)):
        both = " and ".join(f"{name}, seed {seed}" for name, seed in (trainings[one], trainings[other]))
        print(f"{both}: {np.corrcoef(cosines[one], cosines[other])[0, 1]:.4f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("--one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="")
    asked = parser.parse_args()
    asked.epochs = asked.epochs or (5 if asked.agreement else 1)
    if asked.one:
        print(json.dumps(LEARNERS[asked.one](asked, asked.seed, asked.output)))
        return
    shared = {"epochs": asked.epochs, "threads": asked.threads, "size": asked.size, "min-count": asked.min_count}
    arguments = [asked.text, "--method", asked.method]
    arguments += [word for name, value in shared.items() for word in (f"--{name}", str(value))]
    if asked.agreement:
        agreement(arguments)
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in LEARNERS}
    for round_ in range(asked.rounds):
        for name, speeds in found.items():
            speeds.append(apart(arguments, name, round_ + 1))
    print(f"{asked.threads} threads, medians of {asked.rounds} rounds; and the median of the rounds' ratios")
    for unit in ("clock", "processor"):
        medians = {name: statistics.median(speed[unit] for speed in speeds) for name, speeds in found.items()}
        turns = zip(found["charlm"], found["gensim"], strict=True)
        ratio = statistics.median(ours[unit] / theirs[unit] for ours, theirs in turns)
        figures = "  ".join(f"{medians[name]:>10,.0f} {name}" for name in LEARNERS)
        print(f"words per second of the {unit:<10}{figures}   × {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
