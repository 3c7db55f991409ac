"""N-best lists as plain text: one candidate a line, a blank line between lists.

    做做业
    坐坐业
    做作业

    他在家里写做业
    他在家里写作业

A list is called by its number, from 1. There are no scores and no references. Every line is a candidate
or blank, so no line is malformed; a line of white space alone is blank.
"""

from collections.abc import Iterable, Iterator, Sequence

from charlm.errors import CharlmError
from charlm.nbest.base import Hypothesis, Source, Target, Utterance, numbered
from charlm.nbest.rows import Row, gathered


class Plain:
    """Plain lists; they hold texts alone, and leave out ids, scores, references and other fields."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ""
    references = False
    ids = False
    about = "one candidate a line, a blank line between lists; no scores"

    def recognises(self, head: Sequence[str]) -> bool:  # noqa: ARG002 (a protocol's)
        """Never from lines that are not blank: they are as well a text."""
        return False

    def parse(self, source: Source) -> Iterator[Utterance]:
        def found() -> Iterator[Row]:
            lists, ended = 0, True
            for number, line in numbered(source.lines()):
                if line.strip():
                    lists, ended = lists + ended, False
                    yield number, str(lists), Hypothesis(line)
                else:
                    ended = True

        yield from gathered(found(), source)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for number, utterance in enumerate(utterances):
            if number:
                target.write("")
            if not utterance.hypotheses:
                raise CharlmError(
                    f"a plain list cannot hold utterance {utterance.id!r}, which has no candidates",
                    hint="write JSON lines (jsonl) instead",
                )
            for hypothesis in utterance.hypotheses:
                target.write(_one_line(hypothesis.text, utterance.id))


def _one_line(text: str, name: str | int | float) -> str:
    # An empty candidate would cut its list in two, and every later list would be taken for the wrong utterance.
    if not text.strip() or "\n" in text or "\r" in text:
        raise CharlmError(
            f"a plain list cannot hold the candidate {text[:60]!r} of utterance {name!r}",
            hint="its candidates are single lines that are not blank; write JSON lines (jsonl) instead",
        )
    return text
