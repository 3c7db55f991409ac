"""Tokens and their ids: `<EOS>` is 0, `<UNK>` is 1, control tokens follow, the rest stand by frequency.

A control token is read and nothing else: it tells a model what follows, such as the form of a poem, and is never
a target that counts, never drawn, never shown, and never met in a text.

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
    """An immutable two-way table; looking up a token that is not there gives `<UNK>`.

    controls  how many of the tokens are control tokens: those right after `<EOS>` and `<UNK>`
    """

    def __init__(self, tokens: Iterable[str], counts: Iterable[int], *, controls: int = 0) -> None:
        self.tokens = list(tokens)
        self.counts = list(counts)
        self.controls = controls
        self.ids = {token: number for number, token in enumerate(self.tokens)}
        if tuple(self.tokens[:2]) != SPECIALS or len(self.counts) != len(self.tokens):
            raise VocabError("a vocabulary begins with <EOS> and <UNK>", hint="make it with `charlm vocab`")
        if len(self.ids) != len(self.tokens):
            twice = next(t for t, n in Counter(self.tokens).items() if n > 1)
            raise VocabError(f"the token {twice!r} stands in the vocabulary twice", hint="make it with `charlm vocab`")
        if not 0 <= controls <= len(self.tokens) - len(SPECIALS):
            raise VocabError(
                f"{controls} control tokens among {len(self.tokens):,} tokens",
                hint="restore tokenizer.json and vocab.tsv",
            )
        for name in self.control_names:
            if not name.strip() or name in SPELLED_SPECIALS:
                raise VocabError(f"{name!r} is no name for a control token", hint="choose one such as <form:jueju>")

    @property
    def control_ids(self) -> range:
        """The ids of the control tokens."""
        return range(len(SPECIALS), len(SPECIALS) + self.controls)

    @property
    def control_names(self) -> list[str]:
        """The control tokens."""
        return self.tokens[self.control_ids.start : self.control_ids.stop]

    @property
    def has_counts(self) -> bool:
        """Whether it says how frequent its tokens are; that of an imported model does not."""
        return any(self.counts[len(SPECIALS) :])

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and (self.tokens, self.controls) == (other.tokens, other.controls)

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and the content is large

    def id(self, token: str) -> int:
        """The id of a token; one that a text spells like a special or a control token is unknown, never special."""
        number = UNK if token in SPELLED_SPECIALS else self.ids.get(token, UNK)
        return number if number >= len(SPECIALS) + self.controls else UNK

    def control(self, name: str) -> int:
        """The id of a control token; raises VocabError where there is none of this name."""
        number = self.ids.get(name, UNK)
        if number not in self.control_ids:
            known = ", ".join(self.control_names[:8]) or "none"
            raise VocabError(f"no control token is called {name!r}", hint=f"this vocabulary has: {known}")
        return number

    def with_controls(self, names: Iterable[str]) -> "Vocab":
        """This vocabulary with further control tokens, which move all other ids up.

        What a text spells like one of them is unknown from now on. Raises VocabError for a name that cannot be.
        """
        if isinstance(names, str):
            raise VocabError(f"one name, {names!r}, where a list is meant", hint="give a list of control tokens")
        new, first = list(names), self.control_ids.stop
        spelled = {name for name in new if self.ids.get(name, UNK) >= first}
        rest = [(t, n) for t, n in zip(self.tokens[first:], self.counts[first:], strict=True) if t not in spelled]
        counts = [*self.counts[:first], *[0] * len(new), *(n for _, n in rest)]
        counts[UNK] += sum(self.counts[self.ids[name]] for name in spelled)
        return Vocab([*self.tokens[:first], *new, *(t for t, _ in rest)], counts, controls=self.controls + len(new))

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
        """The counts again, so that vocabularies of shards can be added; control tokens are not counted."""
        counts = Counter(dict(zip(self.tokens, self.counts, strict=True)))
        for name in self.control_names:
            del counts[name]
        return counts

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
    def read(cls, path: Path, *, controls: int = 0) -> "Vocab":
        """Read what `lines` wrote, of which so many are control tokens; raises VocabError with file and line."""

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
            return cls(tokens, counts, controls=controls)
        except VocabError as error:
            raise problem(f"{path}: {error}") from None
