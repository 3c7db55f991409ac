"""N-best lists of SRILM's own format: two scores and a number of words before the text.

    -1023.5 -45.25 3 今天 天气 好
    -1030.0 -44.50 3 今天 天汽 好

Acoustic score, score of the recogniser's language model, and number of words; the first two are base-10 logarithms,
and become natural ones as `scores.am` and `scores.old_lm`; the number is `scores.words`. <s> and </s> around the text
are left out. SRILM keeps a list a file, called by the utterance: give the folder. In one file, blank lines end the
lists, which are called by their numbers.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance, numbered
from charlm.nbest.rows import NUMBER, Row, gathered, lossy, one_line, score_of, some_of

EXAMPLE = "acoustic score, language model score, number of words, text"
NATURAL = math.log(10)
_LINE = re.compile(rf"[ \t]*({NUMBER})[ \t]+({NUMBER})[ \t]+(\d+)(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)


class SRILM:
    """One candidate a line, one list a file or between blank lines."""

    files: tuple[str, ...] = ()
    folders = True
    scores = "am|old_lm|words"
    references = False
    ids = False
    about = "SRILM's am, lm, words and text; base-10 logarithms, read as natural ones"

    def recognises(self, head: Sequence[str]) -> bool:
        """Three numbers, the third a whole one, before every text."""
        return all(_LINE.fullmatch(line) for line in head)

    def parse(self, source: Source) -> Iterator[Utterance]:
        yield from lists_between(source, _candidate)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for number, utterance in enumerate(utterances):
            if number:
                target.write("")
            for candidate in some_of(utterance, "srilm"):
                text = one_line(candidate.text, utterance.id, "srilm")
                words = candidate.scores.get("words", float(len(text.split())))
                if words != int(words) or words < 0:
                    raise lossy("srilm", f"a number of words like {words} in utterance {utterance.id!r}")
                am, lm = (candidate.scores.get(name, 0.0) / NATURAL for name in ("am", "old_lm"))
                target.write(f"{am!r} {lm!r} {int(words)} {text}")


def lists_between(source: Source, candidate: Callable[[str, Misfit], Hypothesis | None]) -> Iterator[Utterance]:
    """Lists that stand one a file, or in one file between blank lines or headers.

    candidate  a line -> its candidate, or None for a header, after which a list begins; raises what the misfit makes
    """

    def found(file: str) -> Iterator[Row]:
        lists, ended = 0, True
        for number, line in numbered(source.lines(file)):
            if not line.strip():
                ended = ended or file == ""
                continue
            try:
                row: Hypothesis | NBestError | None = candidate(line, source.misfit(number, line, file))
            except NBestError as error:
                row = error
            if row is None:
                ended = True
                continue
            lists, ended = lists + ended, False
            yield number, name_of(file) or str(lists), row

    for file in [""] if "" in source.files else sorted(source.files):
        yield from gathered(found(file), source, file)


def name_of(file: str) -> str:
    """The utterance that a file is called by: its name without the endings of packing and of scores.

    >>> name_of("u1.gz"), name_of("u1.2.score")
    ('u1', 'u1.2')
    """
    return file.removesuffix(".gz").removesuffix(".score")


def without_markers(text: str) -> str:
    """The text without the marks of its beginning and end."""
    return re.sub(r"^<s>(?:[ \t]+|$)|(?:^|[ \t]+)</s>$", "", text.strip(" \t")).strip(" \t")


def _candidate(line: str, misfit: Misfit) -> Hypothesis:
    found = _LINE.fullmatch(line)
    if found is None:
        raise misfit(EXAMPLE)
    scores = {
        "am": score_of(found[1], misfit) * NATURAL,
        "old_lm": score_of(found[2], misfit) * NATURAL,
        "words": float(found[3]),
    }
    return Hypothesis(without_markers(found[4] or ""), scores)
