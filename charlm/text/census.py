"""Text to vocabulary: count, keep what is frequent enough, and say what is lost and what is odd. No torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from charlm.config.text import TextConfig
from charlm.errors import TextError
from charlm.text import vocab
from charlm.text.codec import Codec
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
    options = {"path": config.user_dict} if config.user_dict is not None else {}
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
    codec = Codec(tokenizer, made, level=config.level, reading=config.reading, reverse=config.reverse)
    return Census(codec, loss, survey)


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
