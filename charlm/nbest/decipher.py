"""N-best lists in the formats NBestList1.0 and NBestList2.0 of SRI's recogniser, which SRILM reads and writes.

    NBestList1.0
    (-9766) 今天 天气
    (-9800) 今天 天汽

The number in parentheses is the whole score in bytelogs: natural logarithms times 10000.5 / 1024, rounded. It becomes
`scores.am`. In NBestList2.0 each word is followed by its times and scores,

    (-9766) 今天 ( st: 0.00 et: 0.48 g: -123 a: -4000 ) 天气 ( st: 0.50 et: 0.97 g: -200 a: -5443 )

and the acoustic and the language model's scores of the words are added up as `scores.am` and `scores.old_lm`; what
begins before the word before it has ended is a phone or a state, and left out. charlm writes NBestList1.0, a header
for each list.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.rows import one_line, score_of, some_of
from charlm.nbest.srilm import lists_between, without_markers

HEADER = re.compile(r"NBestList[12]\.0\s*")
BYTELOG = 1024 / 10000.5  # nats in one bytelog
_LINE = re.compile(r"\(([^()\s]+)\)(?:[ \t]+(.*))?", re.DOTALL)
_WORD = re.compile(r"(\S+)\s+\(\s*st:\s*(\S+)\s+et:\s*(\S+)\s+g:\s*(\S+)\s+a:\s*(\S+)\s*\)\s*")
_TIMES = re.compile(r"\(\s*st:")


class Decipher:
    """One candidate a line, one list a file or after each header."""

    files: tuple[str, ...] = ()
    folders = True
    scores = "am"
    references = False
    ids = False
    about = "NBestList1.0 and 2.0 of SRILM; bytelogs, read as natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:
        """A header, or numbers in parentheses before every text."""
        return bool(HEADER.fullmatch(head[0])) or all(re.match(r"\([-+]?\d+\)(?:\s|$)", line) for line in head)

    def parse(self, source: Source) -> Iterator[Utterance]:
        yield from lists_between(source, _candidate)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        """Scores are rounded to whole bytelogs, about a tenth of a nat."""
        for utterance in utterances:
            target.write("NBestList1.0")
            for candidate in some_of(utterance, "decipher"):
                score = max(candidate.scores.get("am", 0.0), -1e9)  # bytelogs are whole numbers
                target.write(f"({round(score / BYTELOG)}) {one_line(candidate.text, utterance.id, 'decipher')}")


def _candidate(line: str, misfit: Misfit) -> Hypothesis | None:
    if HEADER.fullmatch(line):
        return None
    found = _LINE.fullmatch(line.strip(" \t"))
    if found is None:
        raise misfit("a score in parentheses before the text, or the header NBestList1.0")
    total, text = score_of(found[1], misfit, "the score") * BYTELOG, found[2] or ""
    if not _TIMES.search(text):
        return Hypothesis(without_markers(text), {"am": total})
    words, am, lm, ended, place = [], 0.0, 0.0, -math.inf, 0
    while place < len(text):
        token = _WORD.match(text, place)
        if token is None:
            raise misfit("word ( st: TIME et: TIME g: NUMBER a: NUMBER ) for every word of an NBestList2.0")
        start, end, grammar, acoustic = (score_of(token[group], misfit) for group in (2, 3, 4, 5))
        if start > ended and not re.search(r"-\d$", token[1]):
            words.append(token[1])
            am, lm, ended = am + acoustic, lm + grammar, end
        place = token.end()
    return Hypothesis(without_markers(" ".join(words)), {"am": am * BYTELOG, "old_lm": lm * BYTELOG})
