"""Runs to ARPA files and ARPA files to runs: what KenLM, SRILM and OpenGrm read and write."""

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

from charlm import jsonfiles, storage, tensorfiles
from charlm.config.models import NgramConfig
from charlm.config.text import Level, TextConfig, TextReading
from charlm.config.training import TrainingConfig
from charlm.errors import ArpaError, ConfigError, TextError
from charlm.families import CONFIG_FILE, WEIGHTS_FILE
from charlm.models.ngram import Ngram
from charlm.ngrams.arpa import words as arpa_words
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
from charlm.text.decoding import Note, normalize
from charlm.text.vocab import SPECIALS, SPELLED_SPECIALS, SPELLED_UNKNOWN, Vocab
from charlm.tokenizers import TOKENIZERS, Tokenizer
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
    words = arpa_words.words_of(run.codec.vocab.tokens)
    blocks = arpa_words.blocks_of(tables)
    return write_arpa(words, arpa_words.counts_of(tables), blocks, reverse=run.codec.reverse)


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


def import_arpa(
    source: Path,
    path: Path,
    *,
    level: Level | None,
    lenient: bool,
    command: str,
    note: Note,
    encoding: str | None = None,
) -> None:
    """Make a run of an ARPA file; `-` reads it from stdin.

    level    how text is cut into its words; None: char where every word is one character, else spaced
    lenient  repair what can be repaired, and say so
    encoding of the words; None: UTF-8
    Raises ArpaError for what cannot be read, RunError where `path` exists.
    """
    refuse_name(path)
    storage.refuse_as_folder(path, "--run")
    if storage.exists(path):
        raise name_taken(path)
    digest = hashlib.sha256()
    with _opened(source, digest) as handle:
        lines = _lines(handle) if encoding is None else _recoded(handle, encoding, str(source))
        found = read_arpa(lines, str(source), lenient=lenient, note=note)
    if lenient:
        found = arpa_words.with_one_unknown(found, str(source), note)
    tokens, ids = arpa_words.tokens_of(found, str(source))
    tables = arpa_words.tables_of(found, ids, len(tokens))
    if not any(word in SPELLED_UNKNOWN for word in found.words):
        note("the file has no <unk>: unknown tokens are (nearly) impossible")
    if level is None:
        level = "char" if all(len(token) == 1 for token in tokens[len(SPECIALS) :]) else "spaced"
        note(f"its words are taken as --level {level}")
    # Only a stream has the line end among its tokens.
    reading: TextReading = "stream" if "\n" in tokens and not found.reverse else "lines"
    if found.reverse:
        note(f"{source} says that its lines are read backwards, and so the run reads them")
    tokenizer = TOKENIZERS[level]()
    tokens = _readable(tokens, tokenizer, level, str(source), note)
    codec = Codec(tokenizer, Vocab(tokens, [0] * len(tokens)), level=level, reading=reading, reverse=found.reverse)
    config = RunConfig(
        texts=(),
        valid=(),
        model="ngram",
        text=TextConfig(level=level, reading=reading, reverse=found.reverse),
        family=NgramConfig(order=tables.order, smoothing="arpa"),
        training=TrainingConfig(),
    )
    facts: dict[str, Any] = {
        **provenance("ngram", command),
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "parameters": 0,
        "imported": {"from": str(source), "sha256": digest.hexdigest()},
        "corpus": {"key": "arpa", **asdict(Facts())},
        "valid": None,
        "overlap": 0,
        "vocab_size": len(tokens),
        "ended": "it was imported",
    }
    with storage.whole_folder(path) as folder:
        codec.save(folder)
        jsonfiles.write(folder / CONFIG_FILE, config.to_json())
        jsonfiles.write(folder / RUN_FILE, facts)
        tensorfiles.write(
            folder / WEIGHTS_FILE, tensors_of(tables), {**asdict(Measured.of_one_pass()), "codec": codec.fingerprint()}
        )


def _readable(tokens: list[str], tokenizer: Tokenizer, level: Level, source: str, note: Note) -> list[str]:
    """The tokens, spelled as text is when it is read; says of how many it is never read whatever the spelling."""

    def occurs(token: str) -> bool:
        if not token or "\r" in token or "\0" in token or normalize(token) != token:
            return False
        # Where a dictionary cuts, a word may stand in a sentence that alone is cut otherwise.
        return level == "word" or tokenizer.split(token) == [token]

    taken = set(tokens)
    found, respelled, never = list(tokens), 0, []
    for number, token in enumerate(tokens[len(SPECIALS) :], len(SPECIALS)):
        if occurs(token):
            continue
        spelled = normalize(token)
        if spelled not in taken and spelled not in SPELLED_SPECIALS and occurs(spelled):
            found[number], respelled = spelled, respelled + 1
            taken.add(spelled)
        else:
            never.append(token)
    if respelled:
        note(f"{source}: {respelled:,} of its words are spelled anew, in NFC and without invisible characters")
    if never:
        some = ", ".join(ascii(token[:30]) for token in never[:3]) + (", …" if len(never) > 3 else "")
        note(f"{source}: {len(never):,} of its words can never occur in a text that is read by --level {level}: {some}")
    return found


def _lines(handle: IO[bytes]) -> Iterator[bytes]:
    """Lines of bounded length; the reader refuses the piece of a longer one."""
    return iter(lambda: handle.readline(LONGEST_LINE + 2), b"")


def _recoded(handle: IO[bytes], encoding: str, source: str) -> Iterator[bytes]:
    """Lines of bounded length in UTF-8, whatever they were written in."""
    try:
        text = io.TextIOWrapper(handle, encoding, newline="\n")
    except (LookupError, ValueError) as error:
        hint = "for example utf-8, gb18030, big5, utf-16"
        raise TextError(f"no encoding of text is called {encoding!r}", hint=hint) from error
    number = 1
    try:
        for line in iter(lambda: text.readline(LONGEST_LINE + 2), ""):
            yield line.encode("utf-8", "surrogatepass")
            number += 1
    except UnicodeError as error:
        raise ArpaError(
            f"{source}: what follows line {number - 1} is not {encoding}: {error}",
            hint="name its encoding with --encoding, or repair the file with `iconv -c`",
        ) from error
    finally:
        text.detach()


class _Hashed(io.RawIOBase):
    """Bytes that are hashed while they are read, since a pipe flows by only once."""

    def __init__(self, raw: IO[bytes], digest: Any) -> None:
        self.raw, self.digest = raw, digest

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        data = self.raw.read(len(room))
        self.digest.update(data)
        room[: len(data)] = data
        return len(data)


@contextmanager
def _opened(source: Path, digest: Any) -> Iterator[IO[bytes]]:
    """A file, a pipe, or stdin for `-`, unpacked; `digest` is told every byte of it. Raises TextError."""
    name = str(source)
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else source.open("rb", buffering=0) as raw:
            whole = io.BufferedReader(_Hashed(cast(IO[bytes], raw), digest), 1 << 16)
            if whole.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(whole, "rb") as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield whole
            while whole.read(1 << 20):  # the hash is that of the whole file
                pass
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise TextError(
            f"{name} is a damaged gzip file: {error}", hint=f"try `gzip -t {name}`, or fetch it again"
        ) from error
    except OSError as error:
        hint = storage.unread_hint(source)
        raise TextError(f"cannot read {name}: {storage.reason_of(error)}", hint=hint) from error
