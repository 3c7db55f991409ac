"""Texts to n-gram counts on the disk, and counts from there to what a model learns from."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from charlm import storage
from charlm.config.models import NgramConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, StorageError
from charlm.jobs.prepare import Prepared, Told, empty_valid, encoded, plain_files
from charlm.ngrams import adding, countfiles
from charlm.ngrams.columns import scratch_folder
from charlm.ngrams.counting import count
from charlm.runs.layout import RunConfig
from charlm.runs.writing import refuse_name
from charlm.text import census, corpus
from charlm.text import files as text
from charlm.text.codec import Codec
from charlm.text.corpus import Corpus
from charlm.text.decoding import Note
from charlm.text.survey import Survey
from charlm.training.texts import Texts


def tally(
    sources: Sequence[str],
    config: TextConfig,
    ngram: NgramConfig,
    output: Path,
    *,
    vocab_folder: Path | None,
    shard: text.Shard,
    note: Note,
) -> dict[str, Any]:
    """Count the n-grams of some files and keep them in the folder `output`; returns what is to be told of them.

    shard  (K, N): every N-th document, from the K-th
    Raises StorageError where `output` exists, and what `prepare` raises.
    """
    refuse_name(output, "the folder of counts", "-o")
    storage.refuse_as_folder(output, "-o")
    if storage.exists(output):
        raise StorageError(f"{output} exists already; nothing was changed", hint="choose another folder with -o")
    files = plain_files(sources)
    given = Codec.load(vocab_folder) if vocab_folder is not None else None
    if given is not None:
        config = replace(config, reading=given.reading, level=given.level)
    elif shard != text.WHOLE:
        raise ConfigError(
            "shards must share a vocabulary for their counts to add",
            hint="charlm vocab TEXT -o vocab/; then --vocab vocab/ for every shard",
        )
    documents = Told(lambda note: text.sharded(text.documents(sources, config, note=note), shard), note)
    if given is None:
        taken = census.take(documents(), config, Survey())
        for finding in taken.survey.findings():
            note(f"in the text: {finding}")
        codec = taken.codec
    else:
        codec = given.turned(config.reverse)
    text.refuse_shards_of_carried(config.carries, shard)
    made = encoded(files, config, codec, "shard {}/{}".format(*shard), documents)
    documents.look(sources, config)
    beginnings = np.zeros(1, dtype=np.int64) if config.carries else made.starts[:-1]
    read = {name: getattr(config, name) for name in countfiles.READ}
    facts = {"context": "carried" if config.carries else "line", **read, **asdict(made.facts)}
    with scratch_folder() as scratch:
        counts = count(made.ids, beginnings, len(codec.vocab), ngram.order, memory=ngram.memory_bytes, scratch=scratch)
        countfiles.save(output, codec, counts, facts)
        return {"folder": str(output), "ngrams": [len(level.counts) for level in counts.levels], **facts}


def settle_text(folders: Sequence[str]) -> dict[str, Any]:
    """The knobs of reading that counts bring with them."""
    codec, carried, read = countfiles.about(Path(folders[0]))
    context = "carried" if carried else "line"
    return {"reading": codec.reading, "level": codec.level, "context": context, "reverse": codec.reverse, **read}


def prepare_counts(config: RunConfig, note: Note, stack: ExitStack) -> Prepared:
    """Add the counts that a config names, and encode its validation text with their codec.

    stack  keeps the sum on the disk as long as it is needed
    Raises ConfigError where the counts are of different codecs or contexts, TextError where a folder is no such.
    """
    scratch = stack.enter_context(scratch_folder())
    folders = [countfiles.load(Path(name), scratch) for name in (*config.counts, *config.without)]
    first = folders[0]
    for folder in folders[1:]:
        if folder.codec.fingerprint() != first.codec.fingerprint():
            raise ConfigError(
                f"{folder.path} is read backwards and {first.path} is not, or the other way round, so they do not add"
                if folder.codec.reverse != first.codec.reverse
                else f"{folder.path} counts other tokens than {first.path}, so they do not add",
                hint="make one vocabulary with `charlm vocab` and count every shard with --vocab",
            )
        if folder.carried != first.carried:
            raise ConfigError(f"{folder.path} and {first.path} differ in --context", hint="count them alike")
        for name in countfiles.READ:  # counts that other engines made do not say
            if name in folder.facts.keys() & first.facts.keys() and folder.facts[name] != first.facts[name]:
                knob = "--" + name.replace("_", "-")
                raise ConfigError(f"{folder.path} and {first.path} differ in {knob}", hint="count them alike")
    signs = [1] * len(config.counts) + [-1] * len(config.without)
    counts = adding.add([(folder.counts, sign) for folder, sign in zip(folders, signs, strict=True)], scratch)
    tokens = int(counts.levels[0].counts[:].sum())
    if not tokens:
        note("the counts are all zero: every token will be as likely as any other")
    valid = None
    if config.valid:
        files = plain_files(config.valid)
        documents = Told(lambda note: text.documents(config.valid, config.text, note=note), note)
        try:
            valid = encoded(files, config.text, first.codec, "whole", documents)
        except corpus.EmptyText:
            raise empty_valid(config) from None
        documents.look(config.valid, config.text)
    nothing = Corpus(np.empty(0, dtype=np.uint16), np.zeros(1, dtype=np.int64), corpus.Facts(tokens=tokens), "counts")
    facts = {
        "corpus": {"key": "counts", **asdict(nothing.facts)},
        "valid": {"from": "its own file", **asdict(valid.facts)} if valid else None,
        "overlap": 0,
        "vocab_size": len(first.codec.vocab),
    }
    return Prepared(first.codec, Texts(nothing, valid, first.carried), facts, counts)
