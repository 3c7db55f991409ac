"""Text to vocabulary: count, keep what is frequent enough, and say what is lost and what is odd. No torch."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from charlm.config.text import TextConfig
from charlm.errors import TextError, VocabError
from charlm.text import files as text
from charlm.text import vocab
from charlm.text.codec import VOCAB_FILE, Codec
from charlm.text.decoding import Note
from charlm.text.survey import Survey
from charlm.text.vocab import Loss, Vocab
from charlm.tokenizers import TOKENIZERS, Tokenizer
from charlm.tokenizers.words import STARTS_HAN, Words


@dataclass(frozen=True)
class Census:
    """A codec fresh from its text, what it loses of it, and what is odd in it."""

    codec: Codec
    loss: Loss
    survey: Survey


def make_tokenizer(config: TextConfig) -> Tokenizer:
    """The tokenizer that a text config asks for; raises VocabError for a bad user dictionary."""
    options = {"path": config.user_dict} if config.user_dict else {}
    return TOKENIZERS[config.level](**options)


def build(counts: Mapping[str, int], config: TextConfig) -> tuple[Vocab, Loss]:
    """The vocabulary of some counts within the config's limits; raises TextError where it would be empty."""
    made, loss = Vocab.from_counts(
        counts, min_count=config.min_count, max_size=config.max_size, coverage=config.coverage
    )
    if len(made) == len(vocab.SPECIALS):
        if not any(number for token, number in counts.items() if token != vocab.SPECIALS[vocab.EOS]):
            raise TextError(
                "the text holds no tokens: the vocabulary would be empty",
                hint="is the file empty, or every line blank?",
            )
        raise TextError(
            f"no token of the text is seen {config.min_count} times or more: the vocabulary would be empty",
            hint="is the text very short? try --min-count 1"
            if config.min_count > 1
            else "allow more tokens with --max-size or --coverage; `<EOS>` and `<unk>` in a text do not count",
        )
    return made, loss


def take(documents: Iterable[str], config: TextConfig, survey: Survey) -> Census:
    """Count some documents and make their codec."""
    tokenizer = make_tokenizer(config)
    if isinstance(tokenizer, Words):
        survey.remarks += tokenizer.remarks
    counts = vocab.count(survey.watch(documents), tokenizer, closing=config.reading == "lines")
    made, loss = build(counts, config)
    return Census(Codec(tokenizer, made, level=config.level, reading=config.reading), loss, survey)


def of_files(sources: list[str], config: TextConfig, *, shard: tuple[int, int] = (1, 1), note: Note) -> Census:
    """The census of text files, or the sum of vocabularies that were made of shards.

    shard  (K, N): every N-th document, from the K-th
    """
    if sources and all((Path(source) / VOCAB_FILE).is_file() for source in sources):
        return _sum([Path(source) for source in sources], config, note)
    first, of = shard
    taken = take(islice(text.documents(sources, config, note=note), first - 1, None, of), config, Survey())
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
    """What the vocabulary in `folder` does not know of a text: in all, and by script."""
    codec = Codec.load(folder)
    reading = TextConfig(reading=codec.reading, encoding=config.encoding, field=config.field, simplify=config.simplify)
    documents = text.some(text.documents(sources, reading, note=note), ", ".join(sources))
    counts = vocab.count(documents, codec.tokenizer, closing=False)
    scripts: dict[str, Counter[str]] = {}
    for token, n in counts.items():
        scripts.setdefault(script_of(token), Counter())[token] += n
    return codec.vocab.unknown(counts), {name: codec.vocab.unknown(part) for name, part in sorted(scripts.items())}


def script_of(token: str) -> str:
    """A rough script of a token: han, latin, digit, space, punctuation or other.

    >>> script_of("字"), script_of("word"), script_of("，")
    ('han', 'latin', 'punctuation')
    """
    head = token[0]
    if STARTS_HAN.match(head):
        return "han"
    if head.isspace():
        return "space"
    if head.isnumeric():
        return "digit"
    if head.isalpha():
        return "latin" if head < "\u0250" else "other"
    return "punctuation"
