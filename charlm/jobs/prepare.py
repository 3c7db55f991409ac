"""Text files to codec and corpora: what must be ready before anything can be learned."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from charlm.config.settings import weighed
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, TextError
from charlm.jobs.annotate import annotate, controlled
from charlm.ngrams.counts import Counts
from charlm.runs.layout import RunConfig
from charlm.text import census, corpus
from charlm.text import files as text
from charlm.text.codec import Codec
from charlm.text.corpus import Corpus
from charlm.text.decoding import Note, nobody
from charlm.text.habits import Habits
from charlm.text.sources import can_be_read_twice, source_files
from charlm.text.survey import Overlap, Survey
from charlm.training.texts import Texts


class Told:
    """Documents that are read as often as needed; what there is to tell of them is told once.

    documents  reads them, telling a note
    """

    def __init__(self, documents: Callable[[Note], Iterable[str]], note: Note) -> None:
        self.documents, self.note = documents, note
        self.is_told = False

    def __call__(self) -> Iterable[str]:
        """The documents; the first time with what there is to tell."""
        note = nobody if self.is_told else self.note
        self.is_told = True
        return self.documents(note)

    def look(self, sources: Iterable[str], config: TextConfig) -> None:
        """Tell at least what the beginnings tell, where nobody has read the documents, since they lay in the cache."""
        if not self.is_told:
            text.look(sources, config, self.note)


@dataclass(frozen=True)
class Prepared:
    """Text that is ready to be learned: codec, corpora, and what was found on the way.

    counts  n-grams that were counted before, instead of a text
    """

    codec: Codec
    texts: Texts
    facts: dict[str, Any]
    counts: Counts | None = None


def prepare(config: RunConfig, vocab_folder: Path | None, note: Note) -> Prepared:
    """Read, count and encode the texts of a config, in a few passes and flat memory.

    vocab_folder  a vocabulary made by `charlm vocab`, instead of one from this text
    Raises TextError, VocabError or ConfigError.
    """
    files = plain_files(config.texts)
    valid_files = plain_files(config.valid) if config.valid else []
    split = not valid_files

    def train_documents(note: Note = nobody) -> Iterable[str]:
        return (
            text.part(config.texts, config.text, "train", note=note)
            if split
            else text.documents(config.texts, config.text, note=note)
        )

    def read_valid(note: Note) -> Iterable[str]:
        if split:
            return text.part(config.texts, config.text, "valid")
        return text.documents(config.valid, config.text, note=note)

    def described(sources: Iterable[str], part: str) -> Iterable[tuple[str, Any]]:
        found = text.described(sources, config.text)
        return found if part == "whole" else (pair for pair in found if text.part_of(pair[0]) == part)

    valid_documents = Told(read_valid, note)

    codec = None
    if vocab_folder is not None:
        codec = Codec.load(vocab_folder).turned(config.text.reverse)
        if codec.reading != config.text.reading:
            raise ConfigError(
                f"the vocabulary in {vocab_folder} was made for --reading {codec.reading}, not {config.text.reading}",
                hint="give the same --reading to `charlm vocab` and `charlm train`",
            )
    overlap = Overlap(valid_documents() if not split and config.text.reading == "lines" else ())
    survey = Survey()
    habits = Habits()
    documents = habits.watch(overlap.watch(train_documents(note)))
    facts: dict[str, Any] = {}
    if codec is None:
        taken = census.take(documents, config.text, survey)
        codec, loss = taken.codec, taken.loss
        lost = f"; {loss.types:,} rarer ones become <UNK>, {loss.rate:.2%} of the text" if loss.types else ""
        note(f"vocabulary: {len(codec.vocab):,} tokens{lost}")
    else:
        for _ in survey.watch(documents):
            pass
    controls = config.training.controls
    annotated = annotate(described(config.texts, "train" if split else "whole"), controls) if controls else None
    if annotated is not None:
        codec = controlled(codec, annotated, controls, note)
    for finding in survey.findings():
        note(f"in the text: {finding}")
    if overlap.count:
        note(f"{overlap.count:,} validation documents also stand in the training text: figures will flatter")

    # Caches of older versions call the whole last tenth of a stream "valid".
    held_back = "half of the last tenth" if config.text.reading == "stream" else "valid"
    train = encoded(files, config.text, codec, "train" if split else "whole", train_documents)
    try:
        valid = encoded(valid_files or files, config.text, codec, held_back if split else "whole", valid_documents)
    except corpus.EmptyText:
        if not split:
            raise empty_valid(config) from None
        valid = None
        note("the text is too short to hold a part back: nothing will be measured, and the last weights are kept")
    if not split:
        valid_documents.look(config.valid, config.text)
    where = (
        "one half of the stream's last tenth" if config.text.reading == "stream" else "5 % of the documents, by hash"
    )
    more = tuple(_other(each, config, codec) for each in config.more)
    if more:
        known = Overlap(valid_documents() if config.text.reading == "lines" else ())
        for each in config.more:
            for _ in known.watch(text.documents([weighed(each)[0]], config.text, note=note)):
                pass
        if known.count:
            note(f"{known.count:,} validation documents also stand in what --more names: figures will flatter")
        facts["more"] = [
            {"from": weighed(each)[0], "weight": weight, "key": read.sha256, **asdict(read.facts)}
            for each, (read, weight) in zip(config.more, more, strict=True)
        ]
    if annotated is not None:
        train = annotated.told(train, codec, config.training)
        if valid is not None:
            held_out = described(config.texts, "valid") if split else described(config.valid, "whole")
            valid = annotate(held_out, controls).told(valid, codec, config.training)
        more = tuple(
            (annotate(described([weighed(each)[0]], "whole"), controls).told(read, codec, config.training), weight)
            for each, (read, weight) in zip(config.more, more, strict=True)
        )
        facts["control"] = {"key": annotated.key, "counts": dict(annotated.counts.most_common())}
    facts |= {
        "corpus": {"key": train.sha256, **asdict(train.facts)},
        "valid": {"from": where if split else "its own file", **asdict(valid.facts)} if valid else None,
        "overlap": overlap.count if not split else 0,
        "vocab_size": len(codec.vocab),
        "habits": habits.to_json(),
    }
    return Prepared(codec, Texts(train, valid, config.text.carries, more), facts)


def _other(given: str, config: RunConfig, codec: Codec) -> tuple[Corpus, float]:
    """Other text, in the vocabulary of the text that is learned, and its weight."""
    name, weight = weighed(given)
    documents = partial(text.documents, [name], config.text)
    return encoded(plain_files([name]), config.text, codec, "whole", documents), weight


def empty_valid(config: RunConfig) -> TextError:
    """The error for a validation text that was named and holds nothing."""
    return TextError(f"the validation text {config.valid[0]} is empty", hint="leave --valid out to split the text")


def encoded(
    files: list[str], config: TextConfig, codec: Codec, part: str, documents: Callable[[], Iterable[str]]
) -> Corpus:
    """The corpus of some documents of some files; part: which of them, as it shall be known in the cache."""
    settings = (part, config.reading, config.encoding, config.field, config.simplify, config.blank_lines)
    return corpus.encode(documents, codec, corpus.key_of(files, settings, codec))


def plain_files(sources: Iterable[str]) -> list[str]:
    """The files of some sources; raises TextError for what flows by only once."""
    files = source_files(sources)
    if not can_be_read_twice(files):
        raise TextError(
            "training and counting read their text several times, but stdin and pipes flow by only once",
            hint="write it to a file first: COMMAND > text.txt; then name text.txt",
        )
    return files
