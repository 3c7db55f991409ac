"""A folder of counts: a codec, and how often each n-gram was seen. docs/counts-format.md describes it.

tokenizer.json, vocab.tsv   the codec: counts of the same codec add
counts.safetensors          sorted arrays, as `charlm ngram count` writes them, mapped when they are read
*.tsv, *.tsv.gz             or plain text instead, as any engine can write it: TOKEN TOKEN …<tab>COUNT
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charlm import storage, tensorfiles
from charlm.config.models import LARGEST_ORDER
from charlm.errors import CharlmError, TextError
from charlm.ngrams.columns import Array, Column, Scratch, blocks, mapped
from charlm.ngrams.counting import SortedPairs, build_level, distinct
from charlm.ngrams.counts import CountLevel, Counts, root, too_rare, unigrams
from charlm.ngrams.search import numbers_of
from charlm.ngrams.tables import Starts
from charlm.text.codec import Codec
from charlm.text.vocab import unescape

COUNTS_FILE = "counts.safetensors"
FORMAT = 1
READ = ("simplify", "blank_lines")  # knobs of reading that a codec does not know; counts of older versions do neither
LONGEST_LINE = 1 << 16  # bytes
PIECE = 1 << 18  # lines that are sorted at once


@dataclass(frozen=True)
class CountFolder:
    """Counts and what they are counts of.

    facts  order, context (line or carried), how the text was read (see `READ`), documents, tokens
    """

    path: Path
    codec: Codec
    counts: Counts
    facts: dict[str, Any]

    @property
    def carried(self) -> bool:
        """Whether n-grams go on from line to line."""
        return _is_carried(self.codec, self.facts)


def _read(facts: dict[str, Any]) -> dict[str, bool]:
    return {name: True for name in READ if facts.get(name) is True}


def _is_carried(codec: Codec, facts: dict[str, Any]) -> bool:
    return bool(facts.get("context") == "carried") or codec.reading == "stream"


def save(path: Path, codec: Codec, counts: Counts, facts: dict[str, Any]) -> None:
    """Write a folder of counts, whole or not at all; raises StorageError."""
    named: dict[str, tensorfiles.Rows] = {"1.counts": counts.levels[0].counts}
    for n, level in enumerate(counts.levels[1:], 2):
        named |= {f"{n}.words": level.words, f"{n}.starts": level.starts}
        named |= {f"{n}.counts": level.counts, f"{n}.suffixes": level.suffixes}
    with storage.whole_folder(path) as folder:
        codec.save(folder)
        about = {"format": FORMAT, "order": counts.order, "codec": codec.fingerprint(), **facts}
        tensorfiles.write(folder / COUNTS_FILE, named, about)


def about(path: Path) -> tuple[Codec, bool, dict[str, bool]]:
    """The codec of a folder of counts, whether they are carried, and how the text was read.

    Reads none of the counts. Raises as `load`.
    """
    codec, facts = _codec_and_facts(path)
    return codec, _is_carried(codec, facts), _read(facts)


def _codec_and_facts(path: Path) -> tuple[Codec, dict[str, Any]]:
    if not storage.is_folder(path):
        raise TextError(f"no folder of counts at {path}", hint="charlm ngram count TEXT -o DIR makes one")
    codec = Codec.load(path)
    if not (path / COUNTS_FILE).is_file():
        return codec, {"context": "line"}
    facts = tensorfiles.read_facts(path / COUNTS_FILE)
    if facts.get("format") != FORMAT or facts.get("codec") != codec.fingerprint():
        raise _problem(path, "is of another format, or its vocabulary was changed")
    return codec, facts


def load(path: Path, scratch: Scratch) -> CountFolder:
    """Open a folder of counts; raises TextError or VocabError for what is missing, damaged or foreign."""
    codec, facts = _codec_and_facts(path)
    if not (path / COUNTS_FILE).is_file():
        return CountFolder(path, codec, _from_text(path, codec, scratch), facts)
    arrays, _ = tensorfiles.map_rows(path / COUNTS_FILE)
    levels = _levels(path, arrays, len(codec.vocab), facts.get("order"))
    return CountFolder(path, codec, Counts(len(codec.vocab), levels), facts)


def _problem(path: Path, what: str) -> TextError:
    return TextError(f"{path / COUNTS_FILE} {what}", hint="count again: charlm ngram count TEXT -o DIR")


def _levels(path: Path, arrays: dict[str, Array], vocab_size: int, wanted: Any) -> list[CountLevel]:
    """The orders of a file, every number of it looked at: counts of the wrong shape would be silent nonsense."""
    if "1.counts" not in arrays or len(arrays["1.counts"]) != vocab_size:
        raise _problem(path, "has no counts of single tokens, or of another vocabulary")
    singles = arrays["1.counts"]
    if singles.dtype.kind != "i" or bool((singles < 0).any()) or singles.sum(dtype=np.float64) >= 1 << 53:
        raise _problem(path, "is damaged: the counts of single tokens cannot be")
    levels = [unigrams(singles.astype(np.int64))]
    order = max((n for n in range(1, LARGEST_ORDER + 1) if f"{n}.counts" in arrays), default=1)
    if order != wanted:
        raise _problem(path, f"has counts of order {order}, not {wanted}")
    for n in range(2, order + 1):
        below = len(levels[-1].counts)
        try:
            level = CountLevel(*(arrays[f"{n}.{name}"] for name in ("words", "starts", "counts", "suffixes")))
        except KeyError as error:
            raise _problem(path, f"has no {error.args[0]}") from None
        if level.starts.dtype.kind != "u":
            raise _problem(path, f"is damaged: the arrays of order {n} do not fit together")
        starts = level.starts[:].astype(np.int64)
        sound = (
            len(starts) == below + 1
            and len(level.words) == len(level.counts) == len(level.suffixes) == starts[-1]
            and starts[0] == 0
            and bool((np.diff(starts) >= 0).all())
        )
        kinds = tuple(numbers.dtype.kind for numbers in vars(level).values())
        sound = sound and kinds == ("u", "u", "i", "u") and float(level.counts[:].sum(dtype=np.float64)) < 1 << 53
        for first, last in blocks(len(level.words)):
            sound = sound and int(level.words[first:last].max(initial=0)) < vocab_size
            sound = sound and int(level.suffixes[first:last].max(initial=0)) < below
            sound = sound and int(level.counts[first:last].min(initial=1)) >= 1
        sound = sound and not too_rare(levels[-1].counts, level)
        if not sound:
            raise _problem(path, f"is damaged: the arrays of order {n} do not fit together")
        levels.append(level)
    return levels


# ── plain text ──────────────────────────────────────────────────────────────────────────────────


def _from_text(path: Path, codec: Codec, scratch: Scratch) -> Counts:
    """Counts from lines in any order and any number of files; equal n-grams are added."""
    vocab_size = len(codec.vocab)
    files = sorted([*path.glob("*.tsv"), *path.glob("*.tsv.gz")])
    files = [file for file in files if file.name != "vocab.tsv"]
    if not files:
        raise TextError(
            f"{path} holds no counts: neither {COUNTS_FILE} nor *.tsv nor *.tsv.gz",
            hint="charlm ngram count TEXT -o DIR makes them",
        )
    grams: dict[int, Column] = {}  # by order: ids of the n-grams, end to end
    many: dict[int, Column] = {}
    for file in files:
        for n, ids, counts in _pieces(file, codec):
            grams.setdefault(n, scratch.column(np.uint32)).append(ids.reshape(-1))
            many.setdefault(n, scratch.column(np.int64)).append(counts)
    if not grams:
        raise TextError(f"{path}: there is no count in its files", hint="TOKEN TOKEN …<tab>COUNT, one a line")
    singles = np.zeros(vocab_size, dtype=np.int64)
    if 1 in grams:
        np.add.at(singles, grams[1][:], many[1][:])
    levels = [unigrams(singles)]
    words, starts = root(vocab_size)
    tries = [(words, Starts.plain(starts))]
    for n in range(2, max(grams) + 1):
        runs = []
        for first, last in blocks(len(many[n]) if n in many else 0, PIECE):
            ids = grams[n][first * n : last * n].reshape(-1, n)
            contexts, suffixes = numbers_of(tries, ids[:, :-1]), numbers_of(tries, ids[:, 1:])
            for what, found, part in (("first", contexts, ids[:, :-1]), ("last", suffixes, ids[:, 1:])):
                if bool((found < 0).any()):
                    missing = " ".join(codec.vocab.tokens[i] for i in part[np.argmin(found)])
                    raise TextError(
                        f"{path}: the {what} {n - 1} tokens of a {n}-gram were never counted themselves: {missing!r}",
                        hint="count every order from 1 up, each n-gram that ends at a token of the text",
                    )
            keys = contexts.astype(np.uint64) * np.uint64(vocab_size) + ids[:, -1].astype(np.uint64)
            unique, place, inverse, _ = distinct(keys)
            total = np.zeros(len(unique), dtype=np.int64)
            np.add.at(total, inverse, many[n][first:last])
            runs.append(SortedPairs(unique, total, suffixes[place]))
        level, _ = build_level(runs, len(levels[-1].counts), vocab_size, scratch)
        if too_rare(levels[-1].counts, level):
            raise TextError(
                f"{path}: a {n}-gram was counted more often than its own last {n - 1} tokens",
                hint="count every order from 1 up, each n-gram that ends at a token of the text",
            )
        levels.append(level)
        tries.append((mapped(level.words), Starts.plain(mapped(level.starts))))
    return Counts(vocab_size, levels)


def _pieces(file: Path, codec: Codec) -> Iterator[tuple[int, Array, Array]]:
    """n, ids (k, n) and counts (k,), read from one file."""
    ids_of = {token: number for number, token in enumerate(codec.vocab.tokens)}
    waiting: dict[int, tuple[list[list[int]], list[int]]] = {}
    with storage.open_bytes(file) as handle:
        for number, line in enumerate(iter(lambda: handle.readline(LONGEST_LINE), b""), 1):
            try:
                words, tab, count = line.decode("utf-8").rstrip("\r\n").rpartition("\t")
                if not tab or not (count.isascii() and count.isdecimal()):
                    raise ValueError
                ids = [ids_of[unescape(word)] for word in words.split(" ")]
                if len(ids) > LARGEST_ORDER or int(count) >= 1 << 62:
                    raise ValueError
            except (ValueError, KeyError, OverflowError):
                raise _bad_line(file, number, line) from None
            if int(count) == 0:
                continue
            rows, counts = waiting.setdefault(len(ids), ([], []))
            rows.append(ids)
            counts.append(int(count))
            if len(rows) >= PIECE:
                yield len(ids), np.array(rows, dtype=np.uint32), np.array(counts, dtype=np.int64)
                del waiting[len(ids)]
    for n, (rows, counts) in waiting.items():
        yield n, np.array(rows, dtype=np.uint32), np.array(counts, dtype=np.int64)


def _bad_line(file: Path, number: int, line: bytes) -> CharlmError:
    return TextError(
        f"{file}:{number}: cannot read {line[:60].decode('utf-8', 'replace')!r}",
        hint="a line is TOKEN TOKEN …<tab>COUNT, with tokens of vocab.tsv, spelled as there",
    )
