"""N-best lists as tab-separated lines: the id of the list, scores, and the text.

    id	am	ctc	text
    u1	-12.4	-3.5	做做业
    u1	-13.0	-3.1	做作业

The first line may name the scores, between `id` and `text`; without it one score is `am`, and several are `am`,
`score2`, `score3` and so on. A score that is missing is left empty. Natural logarithms, larger is better, are what
charlm weighs; the numbers are taken as they are. The lines of a list stand together. References have no place.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from charlm.nbest.base import Hypothesis, Misfit, Source, Target, Utterance, numbered
from charlm.nbest.rows import gathered, is_number, lossy, one_line, rows, score_of, some_of

EXAMPLE = "id, scores and text between tabs"


class TabSeparated:
    """One candidate a line; the names of the scores are those of the first list that is written."""

    files: tuple[str, ...] = ()
    folders = False
    scores = ".*"
    references = False
    ids = True
    about = "id, scores and text between tabs; scores as they are (nats)"

    def recognises(self, head: Sequence[str]) -> bool:
        """A first line that names the columns, or numbers in all columns but the first and the last."""
        table = [line.split("\t") for line in head]
        names, *_ = table
        if is_header(names):
            return True
        width = len(names)
        return width > 2 and all(
            len(row) == width and row[0].strip() and all(is_number(cell.strip()) for cell in row[1:-1]) for row in table
        )

    def parse(self, source: Source) -> Iterator[Utterance]:
        lines = iter(source.lines())
        head: list[str] = []
        names: list[str] | None = None
        for _, line in numbered(lines):
            head.append(line)
            if line.strip():
                cells = line.split("\t")
                if is_header(cells):
                    names, head[-1] = [cell.strip() for cell in cells[1:-1]], ""
                else:
                    names = ["am", *(f"score{number}" for number in range(2, len(cells) - 1))][: len(cells) - 2]
                break
        inner = Source(source.name, {"": lambda: _chained(head, lines)}, source.refuse)

        def candidate(rest: str, misfit: Misfit) -> Hypothesis:
            *cells, text = rest.split("\t")
            if names is None or len(cells) != len(names):
                raise misfit(f"{len(names or ()) + 2} columns ({EXAMPLE}), as in the first line")
            pairs = zip(names, cells, strict=True)
            scores = {name: score_of(cell.strip(), misfit, name) for name, cell in pairs if cell.strip()}
            return Hypothesis(text.strip(" "), scores)

        yield from gathered(rows(inner, _split, candidate, EXAMPLE), inner)

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        names: list[str] | None = None
        for utterance in utterances:
            known = list(dict.fromkeys(name for candidate in utterance.hypotheses for name in candidate.scores))
            if names is None:
                names = known
                _refuse_names(names)
                target.write("\t".join(["id", *names, "text"]))
            elif missing := [name for name in known if name not in names]:
                what = f"scores called {', '.join(missing)} of utterance {utterance.id!r}, which the first list had not"
                raise lossy("tsv", what)
            key = str(utterance.id).strip()
            if not key or re.search(r"[\t\r\n]", key):
                raise lossy("tsv", f"the id {key[:60]!r}")
            for candidate in some_of(utterance, "tsv"):
                cells = [repr(candidate.scores[name]) if name in candidate.scores else "" for name in names]
                target.write("\t".join([key, *cells, one_line(candidate.text, key, "tsv", "\t")]))


def is_header(cells: Sequence[str]) -> bool:
    """Whether a line names the columns: id, scores, text."""
    names = [cell.strip().lower() for cell in cells]
    return len(names) > 1 and names[0] in ("id", "utt", "utt_id") and names[-1] in ("text", "hyp", "hypothesis")


def _split(line: str) -> tuple[str, str] | None:
    name, tab, rest = line.partition("\t")
    return (name.strip(), rest) if tab and name.strip() else None


def _chained(head: list[str], lines: Iterator[str]) -> Iterator[str]:
    yield from head
    yield from lines


def _refuse_names(names: Sequence[str]) -> None:
    for name in names:
        if name != name.strip() or not name or re.search(r"[\t\r\n]", name):
            raise lossy("tsv", f"a score called {name!r}")
