"""N-best lists of Moses and of other programs for translation: fields between |||.

    0 ||| 今天 天气 ||| LM0= -12.5 Distortion0= 0 ||| -14.2
    0 ||| 今天 天汽 ||| LM0= -13.1 Distortion0= 0 ||| -15.0

Number of the list, text, features, and the total, which becomes `scores.am`. A feature keeps its name; of several
values under one name the second is called NAME.2 and so on, and values without a name are feature, feature.2 and so
on. Moses takes natural logarithms, larger is better, and so does charlm. Further fields, such as alignments, are left
out.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.rows import gathered, lossy, one_line, rows, score_of, some_of, word

EXAMPLE = "0 ||| text ||| LM0= -12.5 ||| -14.2"


class Moses:
    """One candidate a line; the total is the acoustic score."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ".*"
    references = False
    ids = True
    about = "Moses' number ||| text ||| features ||| total; natural logarithms, the total is scores.am"

    def recognises(self, head: Sequence[str]) -> bool:
        """Two fields or more in every line."""
        return all(re.match(r"\S+\s+\|\|\|\s", line) for line in head)

    def parse(self, source: Source) -> Iterator[Utterance]:
        yield from gathered(rows(source, _split, _candidate, EXAMPLE), source)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for utterance in utterances:
            key = word(utterance.id, "moses")
            for candidate in some_of(utterance, "moses"):
                scores = dict(candidate.scores)
                total = [repr(scores.pop("am"))] if "am" in scores else []
                if bad := [name for name in scores if re.search(r"[\s|=:]", name) or not name]:
                    raise lossy("moses", f"a score called {bad[0]!r}")
                features = " ".join(f"{name}= {value!r}" for name, value in scores.items())
                target.write(" ||| ".join([key, one_line(candidate.text, key, "moses", "|||"), features, *total]))


def _split(line: str) -> tuple[str, str] | None:
    name, barrier, rest = line.partition("|||")
    return (name.strip(), rest) if barrier and name.strip() else None


def _candidate(rest: str, misfit: Misfit) -> Hypothesis:
    text, *fields = rest.split("|||")
    scores: dict[str, float] = {}
    name, seen = "feature", 0
    for cell in fields[0].split() if fields else ():
        if cell[-1] in "=:":
            name, seen = cell[:-1], 0
            continue
        seen += 1
        scores[name if seen == 1 else f"{name}.{seen}"] = score_of(cell, misfit, name)
    if len(fields) > 1:
        scores["am"] = score_of(fields[1].strip(), misfit, "the total")
    return Hypothesis(text.strip(" \t"), scores)
