"""A text in which tokens are missing.

    _       one token: a character of a character model, a word of a word model
    □       the same, as editions mark a lost character; □□ are two
    __      a word: one token or more, and so is any longer run of `_`

What is between blanks is cut into tokens by itself, so that a blank is also where a word begins or ends.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from charlm.errors import ConfigError, TextError
from charlm.text.codec import Codec
from charlm.text.reader import Reader
from charlm.text.vocab import EOS

LONGEST_TEXT = 2000  # tokens
MOST_MISSING = 64  # tokens of one text

_BLANK = re.compile("([_＿]+|□+)")
EXAMPLE = 'charlm fill RUN "我昨天上学迟到了，老师批评了__。"'


@dataclass(frozen=True)
class BlankedText:
    """A text with blanks, as it was written and as it is read.

    parts   what is between the blanks, one more of them than of blanks
    blanks  how many tokens are missing in each; None: one or more
    pieces  the ids of the parts in the order of reading, the last one with the closing `<EOS>` if there is one
    turned  the text is read from its last token to its first: pieces and lengths then stand in that order
    unknown tokens of the parts that the vocabulary does not have
    """

    text: str
    parts: tuple[str, ...]
    blanks: tuple[int | None, ...]
    pieces: tuple[tuple[int, ...], ...]
    turned: bool
    unknown: tuple[str, ...]

    @property
    def lengths(self) -> tuple[int | None, ...]:
        """The lengths of the blanks in the order of reading."""
        return self.blanks[::-1] if self.turned else self.blanks

    def of_single_tokens(self) -> "BlankedText":
        """The same text, in which every blank of any length is one token."""
        return replace(self, blanks=tuple(length or 1 for length in self.blanks))

    def filled(self, fills: Sequence[str]) -> str:
        """The whole text with its blanks filled, in the order of writing."""
        return "".join(part + fill for part, fill in zip(self.parts, (*fills, ""), strict=True))

    def spelled(self, fills: Sequence[Sequence[int]], codec: Codec) -> tuple[str, ...]:
        """What the ids found for the blanks, in the order of reading, spell in the order of writing."""
        found = tuple(codec.decode(ids) for ids in fills)
        return found[::-1] if self.turned else found


def blanked(text: str, codec: Codec, reader: Reader) -> BlankedText:
    """A text with blanks, read as the training text was.

    Raises ConfigError where nothing is missing in it, TextError where it is empty or too long.
    """
    line = reader.line(text)
    if not line.strip():
        raise TextError("an empty text has no blank to fill", hint=f"write __ where a word is missing: {EXAMPLE}")
    found = _BLANK.split(line)
    parts, marks = found[::2], found[1::2]
    if not marks:
        raise ConfigError(
            f"nothing is missing in {_short(line)!r}",
            hint=f"write _ for one token, □□ for two, __ for a word of any length: {EXAMPLE}",
        )
    blanks = tuple(None if mark[0] != "□" and len(mark) > 1 else len(mark) for mark in marks)
    read = [codec.prompt(part) for part in parts]
    turned = bool(getattr(codec, "reverse", False))
    pieces = [tuple(ids) for ids, _ in read]
    if turned:
        pieces.reverse()
    pieces[-1] += (EOS,) if codec.closing else tuple(codec.prompt("\n")[0])
    if (tokens := sum(map(len, pieces))) > LONGEST_TEXT:
        raise TextError(
            f"{_short(line)!r} has {tokens:,} tokens, and a text with blanks may have {LONGEST_TEXT:,}",
            hint="cut it into sentences; what stands far from a blank says little of it",
        )
    if (missing := sum(length or 1 for length in blanks)) > MOST_MISSING:
        raise TextError(
            f"{missing:,} tokens are missing in {_short(line)!r}, and at most {MOST_MISSING} may be",
            hint="cut it into sentences",
        )
    unknown = tuple(token for _, tokens_unknown in read for token in tokens_unknown)
    return BlankedText(line, tuple(parts), blanks, tuple(pieces), turned, unknown)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def candidates_of(given: Sequence[str], sentence: BlankedText, codec: Codec) -> list[tuple[int, ...]]:
    """The ids of what may stand in the blanks of a text.

    Raises ConfigError for a candidate that is empty, or comes twice, that has unknown tokens, or more or fewer than a
    blank has room for.
    """
    found: list[tuple[int, ...]] = []
    for candidate in given:
        ids, unknown = codec.prompt(candidate)
        if not ids:
            raise ConfigError(
                "an empty candidate fills no blank", hint="separate candidates by commas: --among 我,你,他"
            )
        if unknown:
            raise ConfigError(
                f"the model does not know {' '.join(dict.fromkeys(unknown))} of the candidate {candidate!r}",
                hint="its probability says nothing: leave it out, or train on a text that has it",
            )
        wrong = next((length for length in sentence.blanks if length not in (None, len(ids))), None)
        if wrong is not None:
            raise ConfigError(
                f"{candidate!r} has {len(ids)} tokens, and {wrong} are missing in a blank of {_short(sentence.text)!r}",
                hint="write __ for a blank of any length",
            )
        if tuple(ids) in found:
            raise ConfigError(f"the candidate {candidate!r} comes twice", hint="name each once")
        found.append(tuple(ids))
    return found
