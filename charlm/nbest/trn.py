"""Transcripts as sclite reads them: a text, and the id of its utterance in parentheses.

    做做业 (u1)
    做作业 (u1)

Lines of one id that follow each other are a list; a file of best candidates has one line an utterance. There are no
scores. In references an alternation { one / other } is read as its first branch, and @ is nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.nbest.base import Hypothesis, Source, Target, Utterance
from charlm.nbest.rows import gathered, lossy, one_line, rows, some_of, word

EXAMPLE = "a text and an id in parentheses: 做作业 (u1)"
_LINE = re.compile(r"(.*?)[ \t]*\(([^()\s]+)\)\s*")
_ALTERNATION = re.compile(r"\{([^{}/]*)(?:/[^{}]*)?\}")


class Trn:
    """One candidate a line."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ""
    references = False
    ids = True
    about = "sclite's text (id); no scores"

    def recognises(self, head: Sequence[str]) -> bool:
        """A name with a digit in it, in parentheses after a blank, at the end of every line."""
        return all(re.fullmatch(r"(?:.*\s)?\(\S*\d\S*\)\s*", line) for line in head)

    def parse(self, source: Source) -> Iterator[Utterance]:
        yield from gathered(rows(source, split, lambda text, _: Hypothesis(text), EXAMPLE), source)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for utterance in utterances:
            key = word(utterance.id, "trn")
            if set(key) & set("()"):
                raise lossy("trn", f"the id {key!r}")
            for candidate in some_of(utterance, "trn"):
                target.write(f"{one_line(candidate.text, key, 'trn')} ({key})")


def split(line: str) -> tuple[str, str] | None:
    """Id and text of a line; None where there is no id."""
    found = _LINE.fullmatch(line)
    return (found[2], found[1].strip(" \t")) if found else None


def without_alternations(text: str) -> str:
    """A reference with the first branch of each alternation.

    >>> without_alternations("{ uh / @ } it { is / 's { xx } } fine")
    'uh it is fine'
    """
    while (simpler := _ALTERNATION.sub(lambda match: "" if match[1].strip() == "@" else match[1], text)) != text:
        text = simpler
    return re.sub(r"[ \t]+", " ", text).strip()
