"""From any text to the text that a model reads: the one value that training, eval, score and prompts share.

Whoever hands a text to a codec asks a Reader first; so a character that training converted, an accent that it
composed or a space that it cut off is never met in another shape.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from charlm.config.text import TextConfig, TextReading
from charlm.errors import ConfigError, MissingExtra
from charlm.text.decoding import normalize

# Syllables, letters old and new, and half-width ones: Hangul is written with spaces, other than its neighbours.
HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc]")
SHARED_MARKS = "“”‘’…—·"  # written in Chinese and elsewhere; the characters beside them tell which it is

T = TypeVar("T")


def several(things: Iterable[T], what: str = "texts") -> Iterable[T]:
    """What was given; raises ConfigError for a bare string, whose characters would be taken one by one."""
    if isinstance(things, str | bytes):
        shown = f"{things[:20]!r}{'…' if len(things) > 20 else ''}"
        raise ConfigError(f"one string, {shown}, was given where {what} are wanted", hint=f"give a list: [{shown}]")
    return things


def one_line(text: str) -> str:
    """Join the lines of a text: without a gap after Chinese, with a space elsewhere, Korean included.

    >>> one_line("春眠不觉晓，\\n处处闻啼鸟。"), one_line("a\\nb")
    ('春眠不觉晓，处处闻啼鸟。', 'a b')
    """
    lines = [line for piece in text.replace("\r", "\n").split("\n") if (line := piece.strip())]
    joined = lines[:1]
    for before, line in pairwise(lines):
        sides = before.rstrip(SHARED_MARKS)[-1:], line.lstrip(SHARED_MARKS)[:1]
        joined += ["" if min(sides) >= "\u2e80" and not HANGUL.search("".join(sides)) else " ", line]
    return "".join(joined)


@dataclass
class Reader:
    """How a text is read; it pickles as its knobs.

    reading   lines: a text stands alone, and white space at its edges is cut off; stream: it stays as it is
    simplify  traditional characters become simplified ones
    reverse   lines are read backwards, so that a prompt is how a line ends
    """

    reading: TextReading = "lines"
    simplify: bool = False
    reverse: bool = False
    _convert: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, config: TextConfig) -> "Reader":
        """The reader of a page of knobs."""
        return cls(config.reading, config.simplify, config.reverse)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_convert": None}

    def document(self, text: str) -> str:
        """A document as training reads it. Raises MissingExtra where OpenCC is wanted and missing."""
        text = self._characters(text)
        return text.strip() if self.reading == "lines" else text

    def line(self, text: str) -> str:
        """A text that stands alone, whoever wrote it: as a document, but without line ends of its own.

        With the reading `lines` several lines become one; a stream keeps them, without the last end.
        """
        text = self._characters(text)
        return one_line(text) if self.reading == "lines" else _unix(text).removesuffix("\n")

    def prompt(self, text: str) -> str:
        """A text that will go on, so that its end stays as it is; read backwards it goes on at its beginning."""
        text = self._characters(text)
        if self.reverse:
            return text.rstrip()
        return text.lstrip() if self.reading == "lines" else _unix(text)

    def _characters(self, text: str) -> str:
        if not isinstance(text, str):  # such as the None or NaN of a table's empty field
            raise ConfigError(
                f"a text is wanted, not {text!r:.40}", hint="decode bytes, and leave out what has no text"
            )
        text = normalize(text)
        if not self.simplify:
            return text
        if self._convert is None:
            self._convert = _simplifier()
        return self._convert(text)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _simplifier() -> Callable[[str], str]:
    try:
        import opencc
    except ImportError:
        raise MissingExtra("OpenCC", "simplify", "--simplify") from None
    convert: Callable[[str], str] = opencc.OpenCC("t2s").convert
    return convert
