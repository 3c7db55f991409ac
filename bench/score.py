"""Hypotheses per second: one by one, in buckets of like length, and as a trie, turn by turn.

    python bench/score.py [LISTS.jsonl ...] [--lists 1000] [--rounds 5] [--size 10] [--threads 1] [--precision float32]
                          [--ngram TEXT] [--check]

A network of two LSTM layers of 512 units over 6,000 characters with random weights scores lists of ten candidates of
15 characters, each the first one with one to three characters replaced by one of two others, and then every file that
is named, its texts by their most frequent 6,000 characters. In each round every way takes its turn on the same lists;
`one by one` is too slow for all of them and takes the first tenth. Rates are medians over the rounds, ratios medians of
each round's ratio, so that what else the machine does counts for little; with one thread seconds are those in which
the process had its core. --precision fp16, bf16 or auto rounds products, and says how far scores are from those in
float32.

--size 1000 makes lists of 1,000 candidates; --ngram TEXT trains a 5-gram of a text and lets it score the lists as ids
and, the tokens included, through `Run.score_lists`; --check compares the scores of the ways.
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import torch

import charlm
from charlm import jsonfiles, memory
from charlm.config.networks import RecurrentConfig
from charlm.models.base import LanguageModel
from charlm.models.lowered import lowered
from charlm.models.recurrent import Recurrent
from charlm.scoring import FEWEST_ROWS, distinct, log_probs_of_lines, log_probs_of_prefixes
from charlm.text.vocab import EOS, UNK

VOCAB = 6000
Lists = list[list[list[int]]]


def made(lists: int, size: int, length: int = 15) -> Lists:
    """Lists of candidates that differ from the first in one to three places, where there are two other characters."""
    numbers = np.random.default_rng(1)
    found = []
    for _ in range(lists):
        first, *others = numbers.integers(2, VOCAB, (3, length))
        candidates = [first]
        for _ in range(size - 1):
            other = first.copy()
            places = numbers.choice(length, numbers.integers(1, 4), replace=False)
            other[places] = others[numbers.integers(0, 2)][places]
            candidates.append(other)
        found.append([[*candidate.tolist(), EOS] for candidate in candidates])
    return found


def texts_of(file: Path) -> list[list[str]]:
    """The candidates of each list of a file of JSON lines."""
    records = [jsonfiles.parse(line) for line in file.read_text("utf-8").splitlines()]
    return [[candidate["text"] for candidate in record["hyps"]] for record in records]


def as_ids(lists: list[list[str]]) -> Lists:
    """Characters by frequency."""
    counts = Counter(character for texts in lists for text in texts for character in text)
    ids = {character: 2 + rank for rank, (character, _) in enumerate(counts.most_common(VOCAB - 2))}
    return [[[*(ids.get(character, UNK) for character in text), EOS] for text in texts] for texts in lists]


def one_by_one(model: LanguageModel, lists: Lists) -> list[float]:
    """Each hypothesis by itself."""
    return [float(found.sum()) for some in lists for one in some for found in log_probs_of_lines(model, [one])]


def buckets(model: LanguageModel, lists: Lists) -> list[float]:
    """Hypotheses of like length side by side."""
    every = [document for documents in lists for document in documents]
    return [float(found.sum()) for found in log_probs_of_lines(model, every, fewest=FEWEST_ROWS)]


def trie(model: LanguageModel, lists: Lists) -> list[float]:
    """What hypotheses share read once; lists in groups as `charlm score` takes them."""
    return [
        float(found.sum())
        for start in range(0, len(lists), 256)
        for found in log_probs_of_prefixes(model, list(chain(*lists[start : start + 256])), fewest=FEWEST_ROWS)
    ]


def rate(way: Callable[[LanguageModel, Lists], object], model: LanguageModel, lists: Lists) -> float:
    """Hypotheses per second, of a process that may have one core for itself, or of the clock where it has several."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    way(model, lists)
    return sum(map(len, lists)) / (clock() - start)


def compare(name: str, model: LanguageModel, lists: Lists, rounds: int, check: bool, exact: LanguageModel) -> None:
    """Print the rates of the three ways on some lists, and what the trie gains; `exact` is the model in float32."""
    tokens = sum(len(document) for documents in lists for document in documents)
    share = tokens / sum(map(distinct, lists))
    few = max(1, len(lists) // 10)
    rates: dict[str, list[float]] = {"one by one": [], "buckets": [], "trie": []}
    for _ in range(rounds):
        rates["one by one"].append(rate(one_by_one, model, lists[:few]))
        rates["buckets"].append(rate(buckets, model, lists))
        rates["trie"].append(rate(trie, model, lists))
    gains = [
        statistics.median(fast / slow for fast, slow in zip(rates["trie"], rates[way], strict=True))
        for way in ("one by one", "buckets")
    ]
    shown = " · ".join(f"{way} {statistics.median(found):,.0f}/s" for way, found in rates.items())
    print(f"{name}: {len(lists):,} lists, {tokens:,} tokens, {share:.2f} × the beginnings", flush=True)
    print(f"    {shown}; trie {gains[0]:.1f} × one by one, {gains[1]:.2f} × buckets", flush=True)
    if check:
        ways = buckets(model, lists[:few]), trie(model, lists[:few]), one_by_one(model, lists[:few])
        apart = max(float(np.abs(np.array(ways[0]) - np.array(other)).max()) for other in ways[1:])
        print(f"    sums of a hypothesis differ by at most {apart:.1e} nats", flush=True)
    if exact is not model:
        off = [
            (rounded - true) / len(document)
            for rounded, true, document in zip(trie(model, lists), trie(exact, lists), chain(*lists), strict=True)
        ]
        print(f"    from float32, a hypothesis: {np.abs(off).mean():.1e} nats a token in the mean, at most "
              f"{np.abs(off).max():.1e}", flush=True)  # fmt: skip


def ngram(text: str, files: list[Path], rounds: int) -> None:
    """Print what a 5-gram scores in a second: ids in batches, and texts."""
    with tempfile.TemporaryDirectory() as folder:
        run = charlm.train(text, Path(folder) / "run", model="ngram", order=5)
        for file in files:
            texts = texts_of(file)
            ids = [[run.codec.line(run.reader.line(text)).ids for text in some] for some in texts]
            count, rates = sum(map(len, texts)), []
            for _ in range(rounds):
                start = time.process_time()
                run.score_lists(texts)
                rates.append((rate(buckets, run.model, ids), count / (time.process_time() - start)))
            told("numpy", file, rates)
            if find_spec("numba") is not None:
                run.model.searches = 1 << 40  # type: ignore[attr-defined]  # as after a second of work
                rate(buckets, run.model, ids)
                told("compiled (charlm[fast])", file, [(rate(buckets, run.model, ids),) for _ in range(rounds)])


def told(how: str, file: Path, rates: Sequence[tuple[float, ...]]) -> None:
    """Print the medians of hypotheses per second, as ids and as texts."""
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    shown = " · ".join(f"{what} {median:,.0f}/s" for what, median in zip(("ids", "texts"), medians, strict=False))
    print(f"5-gram, {how}, {file.name}: {shown}", flush=True)


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    for name, default in (("lists", 1000), ("rounds", 5), ("size", 10), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", choices=("float32", "fp16", "bf16", "auto"), default="float32")
    parser.add_argument("--ngram")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    memory.keep_freed()
    torch.manual_seed(1)
    exact = Recurrent(RecurrentConfig(layers=2, hidden=512, embedding=512), VOCAB).eval()
    model = lowered(exact, asked.precision, torch.device("cpu"))
    if asked.lists:
        named = {f"made, {asked.size} × 15": made(asked.lists, asked.size)}
        named |= {file.name: as_ids(texts_of(file))[: asked.lists] for file in asked.files}
        for name, lists in named.items():
            compare(name, model, lists, asked.rounds, asked.check, exact)
    if asked.ngram:
        ngram(asked.ngram, asked.files, asked.rounds)


if __name__ == "__main__":
    main()
