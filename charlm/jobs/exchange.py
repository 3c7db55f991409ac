"""Runs to ARPA files and ARPA files to runs: what KenLM, SRILM and OpenGrm read and write."""

import gzip
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from charlm import storage, tensorfiles
from charlm.config.models import NgramConfig
from charlm.config.text import Level, Reading, TextConfig
from charlm.config.training import TrainingConfig
from charlm.errors import ConfigError
from charlm.families import CONFIG_FILE, WEIGHTS_FILE
from charlm.models.ngram import Ngram
from charlm.ngrams.arpa import words as exchange
from charlm.ngrams.arpa.flaws import LONGEST_LINE
from charlm.ngrams.arpa.reading import read as read_arpa
from charlm.ngrams.arpa.writing import write as write_arpa
from charlm.ngrams.tables import tensors_of
from charlm.runs.checking import look_inside
from charlm.runs.layout import RUN_FILE, RunConfig
from charlm.runs.run import Run
from charlm.runs.writing import name_taken, provenance, refuse_name
from charlm.text.codec import Codec
from charlm.text.corpus import Facts
from charlm.text.decoding import Note
from charlm.text.vocab import SPECIALS, SPELLED_UNKNOWN, Vocab
from charlm.tokenizers import TOKENIZERS
from charlm.training.journal import Measured


def arpa_lines(run: Run) -> Iterator[str]:
    """The lines of a run's ARPA file; raises ConfigError for a model that has no such form."""
    if not isinstance(run.model, Ngram):
        raise ConfigError(
            f"{run.path} is a {run.config.model} model; only n-gram models have an ARPA form",
            hint="charlm train TEXT --model ngram",
        )
    tables = run.model.tables
    if tables.uniform and tables.order > 1:
        raise ConfigError(
            f"{run.path} is smoothed by add-k, whose contexts do not back off, as an ARPA file says they do",
            hint="train with another --smoothing",
        )
    if run.carried and run.codec.closing:
        raise ConfigError(
            f"{run.path} has n-grams that go on over line ends, for which an ARPA file has no words",
            hint="train with --context line",
        )
    look_inside(run)  # every number is about to be read, and codes may point outside their book
    words = exchange.words_of(run.codec.vocab.tokens)
    return write_arpa(words, exchange.counts_of(tables), exchange.blocks_of(tables))


def export_arpa(run: Run, output: Path) -> None:
    """Write a run's ARPA file, packed if its name ends in .gz, whole or not at all; raises StorageError."""
    lines = arpa_lines(run)
    with storage.whole_file(output) as temporary:
        if output.suffix == ".gz":
            with gzip.open(temporary, "wt", compresslevel=6, encoding="utf-8", newline="\n") as handle:
                handle.writelines(lines)
        else:
            with temporary.open("w", encoding="utf-8", newline="\n") as handle:
                handle.writelines(lines)


def import_arpa(source: Path, path: Path, *, level: Level | None, lenient: bool, command: str, note: Note) -> None:
    """Make a run of an ARPA file.

    level    how text is cut into its words; None: char where every word is one character, else spaced
    lenient  repair what can be repaired, and say so
    Raises ArpaError for what cannot be read, RunError where `path` exists.
    """
    refuse_name(path)
    if path.exists():
        raise name_taken(path)
    with storage.open_bytes(source) as handle:
        found = read_arpa(_lines(handle), str(source), lenient=lenient, note=note)
    tokens, ids = exchange.tokens_of(found, str(source))
    tables = exchange.tables_of(found, ids, len(tokens))
    if not any(word in SPELLED_UNKNOWN for word in found.words):
        note("the file has no <unk>: unknown tokens are (nearly) impossible")
    if level is None:
        level = "char" if all(len(token) == 1 for token in tokens[len(SPECIALS) :]) else "spaced"
        note(f"its words are taken as --level {level}")
    # Only a stream has the line end among its tokens.
    reading: Reading = "stream" if "\n" in tokens else "lines"
    codec = Codec(TOKENIZERS[level](), Vocab(tokens, [0] * len(tokens)), level=level, reading=reading)
    config = RunConfig(
        texts=(),
        valid=(),
        model="ngram",
        text=TextConfig(level=level, reading=reading),
        family=NgramConfig(order=tables.order, smoothing="arpa"),
        training=TrainingConfig(),
    )
    facts: dict[str, Any] = {
        **provenance("ngram", command),
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "parameters": 0,
        "imported": {"from": str(source), "sha256": storage.sha256_of(source)},
        "corpus": {"key": "arpa", **asdict(Facts())},
        "valid": None,
        "overlap": 0,
        "vocab_size": len(tokens),
        "ended": "it was imported",
    }
    measured = Measured(step=1, epoch=1.0, seconds=0.0, learning_rate=0.0, train_nats=None)
    with storage.whole_folder(path) as folder:
        codec.save(folder)
        storage.write_json(folder / CONFIG_FILE, config.to_json())
        storage.write_json(folder / RUN_FILE, facts)
        tensorfiles.write(folder / WEIGHTS_FILE, tensors_of(tables), {**asdict(measured), "codec": codec.fingerprint()})


def _lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Lines of bounded length; the reader refuses the piece of a longer one."""
    return iter(lambda: handle.readline(LONGEST_LINE + 2), b"")
