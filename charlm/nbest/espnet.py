"""N-best lists of ESPnet and FunASR: a folder 1best_recog with the best candidates, 2best_recog with the second, …

    1best_recog/text    u1 做作业
    1best_recog/score   u1 tensor(-5.25)
    2best_recog/text    u1 做做业

The score, which sums up decoder, CTC and language model as the search weighed them, becomes `scores.am`: a natural
logarithm. All files name the utterances in the order of 1best_recog/text; an utterance may be missing from the later
ones. Tokens and their numbers, which lie beside the texts, are not read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Source, Target, Utterance
from charlm.nbest.rows import keyed, one_line, score_of, some_of, word

_FOLDER = re.compile(r"([1-9]\d*)best_recog/text")
_TENSOR = re.compile(r"tensor\(\s*([^,)\s]+).*\)")
Line = tuple[int, str, str, str]


class ESPnet:
    """A folder of folders, one for each rank."""

    files: tuple[str, ...] = ("1best_recog/text",)
    folders = False
    scores = "am"
    references = False
    ids = True
    about = "ESPnet's and FunASR's folders {n}best_recog of text and score; natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:  # noqa: ARG002 (a protocol's)
        """Never from the lines of one file."""
        return False

    def parse(self, source: Source) -> Iterator[Utterance]:
        source.lines(self.files[0])
        ranks = sorted(int(match[1]) for name in source.files if (match := _FOLDER.fullmatch(name)))
        columns = [_Column(source, rank) for rank in ranks]
        try:
            while (key := columns[0].key) is not None:
                place = f"{source.place(columns[0].file)}:{columns[0].number}"
                candidates, refused = [], False
                for column in columns:
                    if column.key == key:
                        try:
                            candidates.append(column.take())
                        except _OutOfStep:
                            raise
                        except NBestError as error:
                            source.refuse(error)
                            refused = True
                if not refused:
                    yield Utterance(key, tuple(candidates), place=place)
            for column in columns:
                if column.key is not None:
                    raise column.misfit(f"an utterance of {self.files[0]}, in the order of that file")
        except _OutOfStep as error:
            source.refuse(error)
        except NBestError as error:
            source.refuse(error)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for utterance in utterances:
            key = word(utterance.id, "espnet")
            for rank, candidate in enumerate(some_of(utterance, "espnet"), 1):
                target.write(f"{key} {one_line(candidate.text, key, 'espnet')}", f"{rank}best_recog/text")
                score = f"{candidate.scores['am']!r}" if "am" in candidate.scores else ""
                target.write(f"{key} {score}", f"{rank}best_recog/score")


class _OutOfStep(NBestError):
    """A score of another utterance: from here on nothing can be told."""


class _Column:
    """The candidates of one rank, in the order of their files; `key` is the utterance whose candidate comes next."""

    def __init__(self, source: Source, rank: int) -> None:
        self.source, self.file = source, f"{rank}best_recog/text"
        self.score_file = f"{rank}best_recog/score"
        self.texts = keyed(source, self.file)
        self.scores = keyed(source, self.score_file) if self.score_file in source.files else None
        self._next: Line | None = next(self.texts, None)

    @property
    def key(self) -> str | None:
        return self._next[2] if self._next else None

    @property
    def number(self) -> int:
        return self._next[0] if self._next else 0

    def misfit(self, expected: str) -> NBestError:
        assert self._next is not None
        return self.source.misfit(self._next[0], self._next[1], self.file)(expected)

    def take(self) -> Hypothesis:
        assert self._next is not None
        number, line, key, text = self._next
        self._next = next(self.texts, None)
        if self.scores is None:
            return Hypothesis(text)
        found = next(self.scores, None)
        if found is None or found[2] != key:
            at, shown = (found[0], found[1]) if found else (number, line)
            place = self.source.place(self.score_file if found else self.file)
            raise _OutOfStep(place, at, shown, expected=f"a score of {key} here in {self.score_file}")
        if not found[3]:
            return Hypothesis(text)
        inner = _TENSOR.fullmatch(found[3])
        misfit = self.source.misfit(found[0], found[1], self.score_file)
        return Hypothesis(text, {"am": score_of(inner[1] if inner else found[3], misfit)})
