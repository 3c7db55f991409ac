"""Tokens and their ids: `<EOS>` is 0, `<UNK>` is 1, the rest stand by frequency.

`count` is a pure function of some lines and its results add, so a corpus may be counted in shards, here
or on any engine; `Vocab.from_counts` then gives the same vocabulary as one pass.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from charlm import storage
from charlm.errors import VocabError
from charlm.tokenizers import Tokenizer

EOS, UNK = 0, 1
SPECIALS = ("<EOS>", "<UNK>")
# How a corpus may spell an unknown word itself (the Penn Treebank does); these are read as <UNK>.
SPELLED_UNKNOWN = frozenset({"<UNK>", "<unk>"})
SPELLED_SPECIALS = SPELLED_UNKNOWN | {"<EOS>"}

_HIDDEN = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")


def escape(token: str) -> str:
    """Make white space and control characters of a token visible.

    >>> escape(" "), escape("a\\\\")
    ('\\\\u{20}', 'a\\\\u{5c}')
    """
    return _HIDDEN.sub(lambda match: f"\\u{{{ord(match[0]):x}}}", token)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def count(documents: Iterable[str], tokenizer: Tokenizer, *, closing: bool = True) -> Counter[str]:
    """Count the tokens of some documents, `<EOS>` once for each document that it closes. Counts add."""
    counts: Counter[str] = Counter()
    number = 0
    for number, document in enumerate(documents, 1):  # noqa: B007
        counts.update(tokenizer.split(document))
    if spelled := counts.pop("<EOS>", 0):  # a word of the text, not the end of a document
        counts["<UNK>"] += spelled
    if closing and number:
        counts["<EOS>"] += number
    return counts


@dataclass(frozen=True)
class Loss:
    """What a vocabulary leaves out of the text it was made from."""

    types: int
    tokens: int
    of_tokens: int
    examples: tuple[tuple[str, int], ...]

    @property
    def rate(self) -> float:
        """Share of the text's tokens that are unknown."""
        return self.tokens / self.of_tokens if self.of_tokens else 0.0


class Vocab:
    """An immutable two-way table; looking up a token that is not there gives `<UNK>`."""

    def __init__(self, tokens: Iterable[str], counts: Iterable[int]) -> None:
        self.tokens = list(tokens)
        self.counts = list(counts)
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if tuple(self.tokens[:2]) != SPECIALS or len(self.counts) != len(self.tokens):
            raise VocabError("a vocabulary begins with <EOS> and <UNK>", hint="make it with `charlm vocab`")
        if len(self.ids) != len(self.tokens):
            twice = next(t for t, n in Counter(self.tokens).items() if n > 1)
            raise VocabError(f"the token {twice!r} stands in the vocabulary twice", hint="make it with `charlm vocab`")

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self.tokens == other.tokens

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and the content is large

    def id(self, token: str) -> int:
        """The id of a token; one that a text spells like a special token is unknown, never special."""
        return UNK if token in SPELLED_SPECIALS else self.ids.get(token, UNK)

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        coverage: float | None = None,
    ) -> tuple["Vocab", Loss]:
        """Keep tokens by frequency, equal ones in code-point order, until a limit is met; say what is lost."""
        unknown = sum(counts.get(token, 0) for token in SPELLED_SPECIALS - {"<EOS>"})
        proper = {token: n for token, n in counts.items() if token not in SPELLED_SPECIALS and n > 0}
        total = sum(proper.values())
        kept: list[tuple[str, int]] = []
        covered = 0
        ranked = sorted(proper.items(), key=lambda item: (-item[1], item[0]))
        for token, n in ranked:
            full = max_size is not None and len(kept) + len(SPECIALS) >= max_size
            if n < min_count or full or (coverage is not None and covered >= coverage * total):
                break
            kept.append((token, n))
            covered += n
        lost = ranked[len(kept) :]
        lost_tokens = total - covered
        tokens = [*SPECIALS, *(token for token, _ in kept)]
        vocab = cls(tokens, [counts.get("<EOS>", 0), unknown + lost_tokens, *(n for _, n in kept)])
        return vocab, Loss(len(lost), lost_tokens, total, tuple(lost[:10]))

    def counter(self) -> Counter[str]:
        """The counts again, so that vocabularies of shards can be added."""
        return Counter(dict(zip(self.tokens, self.counts, strict=True)))

    def unknown(self, counts: Mapping[str, int]) -> Loss:
        """What this vocabulary would leave out of another text."""
        foreign = {t: n for t, n in counts.items() if t != "<EOS>" and self.id(t) == UNK}
        examples = sorted(foreign.items(), key=lambda item: (-item[1], item[0]))[:10]
        total = sum(n for t, n in counts.items() if t != "<EOS>")
        return Loss(len(foreign), sum(foreign.values()), total, tuple(examples))

    def lines(self) -> str:
        """The vocabulary as text: token, tab, count; the line number from 0 is the id."""
        return "".join(f"{escape(t)}\t{n}\n" for t, n in zip(self.tokens, self.counts, strict=True))

    @classmethod
    def read(cls, path: Path) -> "Vocab":
        """Read what `lines` wrote; raises VocabError with file and line."""

        def problem(reason: str) -> VocabError:
            return VocabError(reason, hint="vocab.tsv holds TOKEN<tab>COUNT lines; make it with `charlm vocab`")

        tokens, counts = [], []
        *lines, rest = storage.read_text(path, error=problem).split("\n")
        for number, line in enumerate(lines, 1):
            token, tab, n = line.rpartition("\t")
            try:
                if not tab or not token or not (n.isascii() and n.isdecimal()):
                    raise ValueError
                tokens.append(unescape(token))
                counts.append(int(n))
            except (ValueError, OverflowError):  # also escapes beyond Unicode and endless numbers
                raise problem(f"{path}:{number}: cannot read {line[:60]!r}") from None
        if rest:
            raise problem(f"{path}:{len(lines) + 1}: the last line has no end: was the file cut short?")
        if len(tokens) < len(SPECIALS):
            raise problem(f"{path} holds no vocabulary")
        try:
            return cls(tokens, counts)
        except VocabError as error:
            raise problem(f"{path}: {error}") from None
