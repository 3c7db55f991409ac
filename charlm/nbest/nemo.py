"""N-best lists as NeMo's beam search writes them: a candidate, a tab and its score a line.

    今天天气	-12.5
    今天天汽	-13.1

NeMo writes as many lines for each utterance as the beam is wide, and nothing between them: say the width with --beam.
Without it a list ends with a blank line, and so charlm writes them. A list is called by its number, from 1; give the
references as lines of NeMo's manifest. The score becomes `scores.am`: a natural logarithm, with the weighted n-gram
in it where the search had one.
"""

from collections.abc import Iterable, Iterator, Sequence

from charlm.errors import NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance, numbered
from charlm.nbest.rows import Row, gathered, is_number, one_line, score_of, some_of

EXAMPLE = "a candidate, a tab and its score"


class NeMo:
    """One candidate a line, lists told apart by their length."""

    files: tuple[str, ...] = ()
    folders = False
    scores = "am"
    references = False
    ids = False
    about = "NeMo's candidate and score between tabs, --beam lines a list; natural logarithms"

    def recognises(self, head: Sequence[str]) -> bool:
        """Two columns, the second of numbers."""
        table = [line.split("\t") for line in head]
        return all(len(row) == 2 and is_number(row[1].strip()) for row in table)

    def parse(self, source: Source) -> Iterator[Utterance]:
        yield from gathered(self._rows(source), source)

    def _rows(self, source: Source) -> Iterator[Row]:
        lists, inside, ended = 0, 0, True
        number, line = 0, ""
        for number, line in numbered(source.lines()):
            if not line.strip(" "):  # a tab alone is a candidate in which nothing was heard
                ended = ended or source.beam is None
                continue
            if ended:
                lists, inside, ended = lists + 1, 0, False
            inside += 1
            misfit = source.misfit(number, line)
            try:
                yield number, str(lists), _candidate(line, misfit)
            except NBestError as error:
                yield number, str(lists), error
            ended = inside == source.beam
        if lists and not ended:
            width = "--beam N, the width of the beam" if source.beam is None else f"{source.beam} lines in each"
            yield number, str(lists), source.misfit(number, line)(f"a blank line after each list, or {width}")

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        for utterance in utterances:
            for candidate in some_of(utterance, "nemo"):
                score = repr(candidate.scores["am"]) if "am" in candidate.scores else ""
                target.write(f"{one_line(candidate.text, utterance.id, 'nemo', chr(9))}\t{score}")
            target.write("")


def _candidate(line: str, misfit: Misfit) -> Hypothesis:
    text, *cells = line.split("\t")
    if len(cells) != 1:
        raise misfit(EXAMPLE)
    return Hypothesis(text.strip(" "), {"am": score_of(cells[0].strip(), misfit)} if cells[0].strip() else {})
