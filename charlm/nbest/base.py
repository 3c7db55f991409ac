"""What an n-best list is: an utterance, its candidate transcripts, and what was said about each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from charlm.errors import CharlmError, NBestError

Misfit = Callable[[str], NBestError]  # makes the error of a line, from what was expected there


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
    place       the file and line where the list begins, for messages; lists are equal wherever they stood
    """

    id: str | int | float
    hypotheses: tuple[Hypothesis, ...]
    reference: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False)


def stop(error: CharlmError) -> None:
    """End the reading at the first list that does not fit."""
    raise error


@dataclass(frozen=True)
class Source:
    """Where lists come from: one file of lines, or several that belong together.

    name    what error messages call the whole, such as a path
    files   name of a file -> what opens it; a file that stands alone is called ""
    refuse  is told of each list that does not fit, once; it raises, or the list is left out and the next one read
    beam    candidates of each list, for a format that does not say where a list ends; None: nobody knows
    """

    name: str
    files: Mapping[str, Callable[[], Iterable[str]]]
    refuse: Callable[[CharlmError], None] = stop
    beam: int | None = None

    @classmethod
    def of(
        cls,
        lines: Iterable[str],
        name: str,
        *,
        refuse: Callable[[CharlmError], None] = stop,
        beam: int | None = None,
    ) -> "Source":
        """A source of one file, whose lines are at hand, with or without their line ends."""
        return cls(name, {"": lambda: lines}, refuse, beam)

    def lines(self, file: str = "") -> Iterable[str]:
        """The lines of one of the files; raises CharlmError where there is none of this name."""
        if file not in self.files:
            known = ", ".join(name or "one without a name" for name in self.files) or "nothing"
            wanted = f"no file {file}" if file else "several files, and one is wanted"
            raise CharlmError(f"{self.name} holds {wanted}", hint=f"there is {known}; is it another format?")
        return self.files[file]()

    def place(self, file: str = "") -> str:
        """What error messages call one of the files."""
        return f"{self.name}/{file}" if file else self.name

    def misfit(self, number: int, line: str, file: str = "") -> Misfit:
        """Makes the error of one line of a file."""
        return lambda expected: NBestError(self.place(file), number, line, expected=expected)


class Target(Protocol):
    """Where lists go: one file of lines, or several that belong together."""

    def write(self, line: str, file: str = "") -> None:
        """Add a line, without its line end, to one of the files; a file that stands alone is called ""."""


class NBestFormat(Protocol):
    """Turns files of lines into utterances and back. Opens no files, keeps one utterance in memory at a time.

    files       the names of the files that must lie in the folder of lists; none for a format of one file of any name
    folders     whether a folder may hold a file for each list, called by its id
    scores      a regular expression for the names of the scores that it holds; "" where it holds none
    references  whether it holds what was really said
    ids         whether one file of it holds what lists are called; else they are called by their numbers
    about       one line for people: what stands in such lists, and what their scores are

    Law: `parse` gives back what was rendered, for everything in it that the format can hold.
    """

    @property
    def files(self) -> tuple[str, ...]: ...

    @property
    def folders(self) -> bool: ...

    @property
    def scores(self) -> str: ...

    @property
    def references(self) -> bool: ...

    @property
    def ids(self) -> bool: ...

    @property
    def about(self) -> str: ...

    def recognises(self, head: Sequence[str]) -> bool:
        """Whether a file that begins with these lines (none blank, without line ends) can be in this format."""

    def parse(self, source: Source) -> Iterator[Utterance]:
        """Read utterances from all files of the source, side by side.

        What does not fit goes to `source.refuse`, as an NBestError naming file and line (from 1), and its list is
        left out.
        """

    def render(self, utterances: Iterable[Utterance], target: Target) -> None:
        """Write each utterance before the next one is taken.

        raises   CharlmError for a candidate that the format would not give back
        """


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    r"""Number lines from 1 and take off their line ends, and a byte-order mark before the first.

    >>> list(numbered(["\ufeff做作业\r\n", "坐坐业"]))
    [(1, '做作业'), (2, '坐坐业')]
    """
    for number, line in enumerate(lines, 1):
        yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")
