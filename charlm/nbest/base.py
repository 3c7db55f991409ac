"""What an n-best list is: an utterance, its candidate transcripts, and what was said about each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Hypothesis:
    """One candidate transcript, exactly as the recogniser wrote it.

    text    the transcript; may be empty, since a recogniser may hear nothing
    scores  name -> score, larger is better, usually a log-probability in nats; `am` is the acoustic score
    extra   fields of the source that charlm does not know, passed through unchanged
    """

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Utterance:
    """One list of candidates.

    id          the name or number of the utterance, or the number of its line where the source gives none
    hypotheses  in the order of the source, which is the recogniser's if it has one; none where it gave none
    reference   what was really said; None where that is unknown, "" where nothing was
    extra       fields of the source that charlm does not know, passed through unchanged
    """

    id: str | int | float
    hypotheses: tuple[Hypothesis, ...]
    reference: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class NBestFormat(Protocol):
    """Turns lines into utterances and back. Opens no files, keeps one utterance in memory at a time.

    Law: `parse(render(u))` equals `u`, for everything in `u` that the format can hold.
    """

    def parse(self, lines: Iterable[str], source: str) -> Iterator[Utterance]:
        """Read utterances from lines, with or without their line ends.

        source   what error messages call the place that the lines come from, such as a file name
        raises   NBestError naming source and line (from 1) at the first line that does not fit
        """

    def render(self, utterances: Iterable[Utterance]) -> Iterator[str]:
        """Write utterances as lines without line ends.

        raises   CharlmError for a candidate that the format would not give back
        """


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    r"""Number lines from 1 and take off their line ends, and a byte-order mark before the first.

    >>> list(numbered(["\ufeff做作业\r\n", "坐坐业"]))
    [(1, '做作业'), (2, '坐坐业')]
    """
    for number, line in enumerate(lines, 1):
        yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")
