"""N-best lists of Kaldi: a folder of texts and costs, with a line `UTTERANCE-NUMBER value` in each file.

    words_text   u1-1 做 做 业        the candidate
    acwt         u1-1 1024.5          acoustic cost, which becomes scores.am
    lmwt         u1-1 61.2            cost of the graph; also lmwt.nolm, lmwt.lmonly and whatever begins with lmwt

Costs are negative natural logarithms; their signs are turned, and the costs of lmwt files are scores called like the
file. Kaldi's acoustic costs are not scaled: an acoustic weight of about 0.1 belongs to them (1 for chain models). The
files hold the same keys in the same order; the numbers give the order inside a list. `words_text` alone is read as
well. A key without a value has no such score.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance
from charlm.nbest.rows import Row, gathered, keyed, lossy, one_line, score_of, some_of, word

TEXTS = "words_text"
_KEY = re.compile(r"(.+)-(\d+)")
_SCORE = re.compile(r"lmwt(?:\.[\w.+-]+)?")
_RANK = "rank"


class Kaldi:
    """A folder with words_text, and acwt and lmwt beside it where there are any."""

    files: tuple[str, ...] = (TEXTS,)
    folders = False
    scores = rf"am|{_SCORE.pattern}"
    references = False
    ids = True
    about = "Kaldi's folder of words_text, acwt and lmwt, keys utt-n; costs are negative natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:
        """A words_text alone: keys of several utterances, numbered from 0 or 1 in each."""
        names = numbered_names(head)
        return names is not None and len(names) > 1

    def parse(self, source: Source) -> Iterator[Utterance]:
        for utterance in gathered(self._rows(source), source, _texts_of(source)):
            order = sorted(utterance.hypotheses, key=lambda candidate: candidate.extra[_RANK])
            yield replace(utterance, hypotheses=tuple(replace(candidate, extra={}) for candidate in order))

    def _rows(self, source: Source) -> Iterator[Row]:
        texts = _texts_of(source)
        costs = [] if texts == "" else [name for name in source.files if name == "acwt" or _SCORE.fullmatch(name)]
        for lines in zip_longest(*(keyed(source, file) for file in (texts, *costs))):
            found = _KEY.fullmatch(lines[0][2]) if lines[0] else None
            if lines[0] and found is None:
                number, whole, *_ = lines[0]
                yield number, None, source.misfit(number, whole, texts)("utterance-number before the text")
                continue
            for file, line in zip((texts, *costs), lines, strict=True):
                if error := _out_of_step(source, file, line, lines, (texts, *costs)):
                    yield error[0], None, error[1]
                    return
            assert found is not None
            number, _, _, text = lines[0]
            try:
                scores = {}
                for file, (at, line, _, value) in zip(costs, lines[1:], strict=True):
                    if value:
                        scores["am" if file == "acwt" else file] = _negated(value, source.misfit(at, line, file))
                yield number, found[1], Hypothesis(text, scores, {_RANK: int(found[2])})
            except NBestError as error_:
                yield number, found[1], error_

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        files: list[str] | None = None
        for utterance in utterances:
            key = word(utterance.id, "kaldi")
            names = {name for one in utterance.hypotheses for name in one.scores if re.fullmatch(self.scores, name)}
            files = sorted(names) if files is None else files
            if names - set(files):
                what = f"scores called {', '.join(sorted(names - set(files)))} of utterance {utterance.id!r}"
                raise lossy("kaldi", f"{what}, which the first list had not")
            for number, candidate in enumerate(some_of(utterance, "kaldi"), 1):
                target.write(f"{key}-{number} {one_line(candidate.text, key, 'kaldi')}", TEXTS)
                for name in files:
                    cost = f" {-candidate.scores[name]!r}" if name in candidate.scores else ""
                    target.write(f"{key}-{number}{cost}", "acwt" if name == "am" else name)


def numbered_names(head: Sequence[str]) -> list[str] | None:
    """The utterances of lines whose keys are their names and, one after another from 0 or 1, numbers; else None."""
    names: list[str] = []
    last = 0
    for line in head:
        found = _KEY.fullmatch(line.split(None, 1)[0])
        if found is None:
            return None
        name, number = found[1], int(found[2])
        if names and names[-1] == name:
            if number != last + 1:
                return None
        elif number > 1 or name in names:
            return None
        else:
            names.append(name)
        last = number
    return names


Keyed = tuple[int, str, str, str]


def _negated(cost: str, misfit: Misfit) -> float:
    """The score of a cost; an endless cost is the score of what is impossible."""
    return -math.inf if cost.lstrip("+").lower() in ("inf", "infinity") else 0.0 - score_of(cost, misfit, "a cost")


def _texts_of(source: Source) -> str:
    return "" if "" in source.files else TEXTS


def _out_of_step(
    source: Source, file: str, line: Keyed | None, lines: Sequence[Keyed | None], files: Sequence[str]
) -> tuple[int, NBestError] | None:
    """The error of a line that has not the key of the others: the number of its line, and what to say."""
    others = [(name, other) for name, other in zip(files, lines, strict=True) if other is not None]
    name, (number, whole, key, _) = others[0]
    if line is None:
        return number, source.misfit(number, whole, name)(f"the same keys in {file}, which ends before {key}")
    if line[2] != key:
        expected = f"the key {key}, as in {name or 'the texts'}; are both files whole, and in the same order?"
        return line[0], source.misfit(line[0], line[1], file)(expected)
    return None
