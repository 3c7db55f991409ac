"""Texts, or vocabularies of shards, to a vocabulary; and what a vocabulary does not know of a text."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, VocabError
from charlm.text import files, vocab
from charlm.text.census import Census, build, script_of, take
from charlm.text.codec import VOCAB_FILE, Codec
from charlm.text.decoding import Note
from charlm.text.survey import Survey
from charlm.text.vocab import Loss


def of_files(sources: list[str], config: TextConfig, *, shard: files.Shard = files.WHOLE, note: Note) -> Census:
    """The census of text files, or the sum of vocabularies that were made of shards.

    shard  (K, N): every N-th document, from the K-th
    Raises ConfigError for a shard of such vocabularies, which were counted already.
    """
    if sources and all(storage.is_file(Path(source) / VOCAB_FILE) for source in sources):
        if shard != files.WHOLE:
            raise ConfigError(
                "--shard takes documents of a text, and vocabularies have none", hint="leave it out to add them"
            )
        return _sum([Path(source) for source in sources], config, note)
    if shard != files.WHOLE and (config.min_count > 1 or config.max_size or config.coverage):
        note("a shard that leaves rare tokens out does not add exactly; keep --min-count, --max-size for the sum")
    documents = files.documents(sources, config, note=note)
    taken = take(files.sharded(documents, shard), config, Survey())
    while taken.survey.remarks:  # told here, and not once more among the findings, which not every caller shows
        note(taken.survey.remarks.pop(0))
    return taken


def _sum(folders: list[Path], config: TextConfig, note: Note) -> Census:
    codecs = [Codec.load(folder) for folder in folders]
    for folder, codec in zip(folders, codecs, strict=True):
        if _kind(codec) != _kind(codecs[0]):
            raise VocabError(
                f"{folder} cuts text otherwise than {folders[0]}, so their counts do not add",
                hint="count all shards with the same --level, --reading, --user-dict and control tokens",
            )
        if codec.vocab.counts[vocab.UNK]:
            note(f"{folder} has left out rare tokens already; count shards with --min-count 1 to add them exactly")
    counts = sum((codec.vocab.counter() for codec in codecs), Counter[str]())
    made, loss = build(counts, config)
    first = codecs[0]
    return Census(first.over(made).with_controls(first.vocab.control_names), loss, Survey())


def _kind(codec: Codec) -> tuple[Any, ...]:
    """What shards must have in common."""
    return codec.level, codec.reading, codec.tokenizer.spec(), codec.vocab.control_names


def unknown_of(
    folder: Path, sources: list[str], config: TextConfig, *, shard: files.Shard = files.WHOLE, note: Note
) -> tuple[Loss, dict[str, Loss]]:
    """What the vocabulary in `folder` does not know of a text, or of a shard of it: in all, and by script.

    The vocabulary of a run reads the text as the run learned it.
    """
    codec = Codec.load(folder)
    config = replace(config, reading=codec.reading)
    if storage.is_file(folder / "run.json"):
        from charlm.runs.layout import read_config  # here, not above: it loads torch, which a vocabulary does without

        mine = read_config(folder).text
        config = replace(config, simplify=mine.simplify or config.simplify, blank_lines=mine.blank_lines)
    documents = files.some(files.documents(sources, config, note=note), ", ".join(sources))
    counts = vocab.count(files.sharded(documents, shard), codec.tokenizer, closing=False)
    scripts: dict[str, Counter[str]] = {}
    for token, n in counts.items():
        scripts.setdefault(script_of(token), Counter())[token] += n
    return codec.vocab.unknown(counts), {name: codec.vocab.unknown(part) for name, part in sorted(scripts.items())}
