"""Lists of one candidate a line: lines that name their list become lists, one of them in memory at a time.

Shared by the formats whose lines stand for candidates. A list in which a line does not fit is left out whole: a list
without one of its candidates would be another list. A line that does not say to which list it belongs spoils those on
both sides of it, unless both are the same.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from charlm.errors import CharlmError, NBestError
from charlm.nbest.base import Hypothesis, Misfit, Source, Utterance, numbered

# The number of a line, the list it belongs to (None: it does not say), and its candidate or what is wrong with it.
Row: TypeAlias = tuple[int, str | None, Hypothesis | NBestError]

MOST_CANDIDATES = 10_000  # in one list; what has more is taken for a file whose lists are not told apart

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|-inf(?:inity)?"
_NUMBER = re.compile(NUMBER, re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]+")


def is_number(text: str) -> bool:
    """Whether a text is a score: a finite number, or minus infinity.

    >>> is_number("-12.5"), is_number("-inf"), is_number("nan"), is_number("1_0")
    (True, True, False, False)
    """
    return _NUMBER.fullmatch(text) is not None


def score_of(text: str, misfit: Misfit, what: str = "a score") -> float:
    """The number that a text is; raises the misfit for anything else, NaN and plus infinity included."""
    value = float(text) if is_number(text) else math.nan
    if math.isnan(value) or value == math.inf:
        raise misfit(f"a finite number as {what}, not {text[:20]!r}")
    return value


def rows(
    source: Source,
    split: Callable[[str], tuple[str, str] | None],
    candidate: Callable[[str, Misfit], Hypothesis],
    expected: str,
    file: str = "",
) -> Iterator[Row]:
    """The lines of a file as rows; blank ones are skipped.

    split      a line -> the list it belongs to and the rest; None where the line does not say
    candidate  the rest -> the candidate, or raises what the misfit makes
    expected   what a line should look like, for the message about one that does not say its list
    """
    for number, line in numbered(source.lines(file)):
        if not line.strip():
            continue
        misfit, parts = source.misfit(number, line, file), split(line)
        if parts is None:
            yield number, None, misfit(expected)
            continue
        try:
            yield number, parts[0], candidate(parts[1], misfit)
        except NBestError as error:
            yield number, parts[0], error


def gathered(found: Iterable[Row], source: Source, file: str = "") -> Iterator[Utterance]:
    """Rows that follow each other with the same name, as one list each."""
    name: str | None = None
    candidates: list[Hypothesis] = []
    first, spoilt, doubtful = 0, False, False

    def whole() -> Iterator[Utterance]:
        if name is not None and not (spoilt or doubtful):
            yield Utterance(name, tuple(candidates), place=f"{source.place(file)}:{first}")

    for number, belongs, row in found:
        if isinstance(row, NBestError):
            source.refuse(row)
        if belongs is None:
            doubtful = True
            continue
        if belongs != name:
            yield from whole()
            name, candidates, first, spoilt = belongs, [], number, doubtful
        spoilt, doubtful = spoilt or doubtful or isinstance(row, NBestError), False
        if isinstance(row, Hypothesis) and not spoilt:
            if len(candidates) == MOST_CANDIDATES:
                source.refuse(too_many(source, number, row.text, file))
                spoilt = True
            else:
                candidates.append(row)
    yield from whole()


def too_many(source: Source, number: int, line: str, file: str = "") -> NBestError:
    """The error of a list that has no end."""
    return source.misfit(number, line, file)(
        f"at most {MOST_CANDIDATES:,} candidates in one list; do the lines say where a list ends?"
    )


def keyed(source: Source, file: str) -> Iterator[tuple[int, str, str, str]]:
    """Lines that begin with a key, as Kaldi and ESPnet write them: number, line, key, the rest without its edges."""
    for number, line in numbered(source.lines(file)):
        if line.strip():
            key, *rest = _BLANKS.split(line.strip(" \t"), maxsplit=1)
            yield number, line, key, rest[0] if rest else ""


def lossy(format: str, what: str) -> CharlmError:
    """The error of what a format would not give back."""
    return CharlmError(f"the format {format} cannot hold {what}", hint="write JSON lines (jsonl) instead")


def word(name: str | int | float, format: str) -> str:
    """An id as the one word that a format needs; raises CharlmError where it is none."""
    text = str(name)
    if not text or re.search(r"\s", text) or text.startswith("\ufeff"):
        raise lossy(format, f"the id {text[:60]!r}, which is not one word")
    return text


def one_line(text: str, name: str | int | float, format: str, *forbidden: str) -> str:
    """A text, without blanks at its edges, that stands between other things; raises CharlmError where it cannot."""
    for bad in ("\n", "\r", *forbidden):
        if bad in text:
            raise lossy(format, f"the candidate {text[:60]!r} of utterance {name!r}, which has {bad!r} in it")
    return text.strip(" \t")


def some_of(utterance: Utterance, format: str) -> tuple[Hypothesis, ...]:
    """The candidates of a list; raises CharlmError where there are none, which only JSON lines can say."""
    if not utterance.hypotheses:
        raise lossy(format, f"utterance {utterance.id!r}, which has no candidates")
    return utterance.hypotheses
