"""Texts, or vocabularies of shards, to a vocabulary; and what a vocabulary does not know of a text."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

from charlm import storage
from charlm.config.text import TextConfig
from charlm.errors import VocabError
from charlm.text import files, vocab
from charlm.text.census import Census, build, script_of, take
from charlm.text.codec import VOCAB_FILE, Codec
from charlm.text.decoding import Note
from charlm.text.survey import Survey
from charlm.text.vocab import Loss


def of_files(sources: list[str], config: TextConfig, *, shard: tuple[int, int] = (1, 1), note: Note) -> Census:
    """The census of text files, or the sum of vocabularies that were made of shards.

    shard  (K, N): every N-th document, from the K-th
    """
    if sources and all(storage.is_file(Path(source) / VOCAB_FILE) for source in sources):
        return _sum([Path(source) for source in sources], config, note)
    first, of = shard
    taken = take(islice(files.documents(sources, config, note=note), first - 1, None, of), config, Survey())
    while taken.survey.remarks:  # told here, and not once more among the findings, which not every caller shows
        note(taken.survey.remarks.pop(0))
    return taken


def _sum(folders: list[Path], config: TextConfig, note: Note) -> Census:
    codecs = [Codec.load(folder) for folder in folders]
    for folder, codec in zip(folders, codecs, strict=True):
        if (codec.level, codec.reading, codec.tokenizer.spec()) != (
            codecs[0].level,
            codecs[0].reading,
            codecs[0].tokenizer.spec(),
        ):
            raise VocabError(
                f"{folder} cuts text otherwise than {folders[0]}, so their counts do not add",
                hint="count all shards with the same --level, --reading and --user-dict",
            )
        if codec.vocab.counts[vocab.UNK]:
            note(f"{folder} has left out rare tokens already; count shards with --min-count 1 to add them exactly")
    counts = sum((codec.vocab.counter() for codec in codecs), Counter[str]())
    made, loss = build(counts, config)
    first = codecs[0]
    return Census(Codec(first.tokenizer, made, level=first.level, reading=first.reading), loss, Survey())


def unknown_of(folder: Path, sources: list[str], config: TextConfig, *, note: Note) -> tuple[Loss, dict[str, Loss]]:
    """What the vocabulary in `folder` does not know of a text: in all, and by script. A run reads it as it learned."""
    codec = Codec.load(folder)
    config = replace(config, reading=codec.reading)
    if storage.is_file(folder / "run.json"):
        from charlm.runs.layout import read_config  # here, not above: it loads torch, which a vocabulary does without

        mine = read_config(folder).text
        config = replace(config, simplify=mine.simplify or config.simplify, blank_lines=mine.blank_lines)
    documents = files.some(files.documents(sources, config, note=note), ", ".join(sources))
    counts = vocab.count(documents, codec.tokenizer, closing=False)
    scripts: dict[str, Counter[str]] = {}
    for token, n in counts.items():
        scripts.setdefault(script_of(token), Counter())[token] += n
    return codec.vocab.unknown(counts), {name: codec.vocab.unknown(part) for name, part in sorted(scripts.items())}
