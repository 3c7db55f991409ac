"""Lists of candidates from a path: the format recognised, references joined, and what is wrong told once.

For all commands that read lists. A list that does not fit stops the reading, or is left out where the user asked to
keep going; either way the message names file and line.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from charlm import storage
from charlm.choices import Choices
from charlm.config.text import TextConfig
from charlm.errors import CharlmError, ConfigError, NBestError, TextError
from charlm.nbest import NBEST_FORMATS, Source, Utterance
from charlm.nbest.recognising import PEEKED, ambiguous, formats_of, formats_of_folder, guess
from charlm.nbest.references import references_of
from charlm.text.decoding import Note
from charlm.text.files import lines_of

REMEMBERED = 100_000  # ids among which one that comes again is noticed; memory does not grow with the lists


@dataclass
class Refusals:
    """What becomes of a list that does not fit: an error, or with `keep_going` a sentence and a number.

    tell    is told of every error that does not stop the work
    format  what the lists are in, so that another format halfway is noticed
    """

    keep_going: bool = False
    tell: Callable[[CharlmError], None] | None = None
    format: str = ""
    count: int = 0

    def __call__(self, error: CharlmError) -> None:
        error = self._explained(error)
        if not self.keep_going:
            raise error
        self.count += 1
        if self.tell is not None:
            self.tell(error)

    def finish(self) -> None:
        """Raise CharlmError where something was left out; call it when all the rest is written."""
        if self.count:
            raise CharlmError(
                f"{self.count:,} mistakes in the lists; everything that was fine was written",
                hint="mend what is named above, or live without it",
            )

    def _explained(self, error: CharlmError) -> CharlmError:
        """Say where the format seems to change."""
        if isinstance(error, NBestError) and self.format:
            found = formats_of([error.line]) if error.line.strip() else []
            if found and self.format not in found:
                error.hint += f". This line looks like {' or '.join(found)}: does the format change here?"
        return error


@dataclass(frozen=True)
class Lists:
    """What an input holds.

    format  a name of NBEST_FORMATS, or `text`: lines that are no lists
    source  where its lines are
    guessed how the format was found: named by the user, or recognised
    """

    format: str
    source: Source
    guessed: bool

    def utterances(
        self, refuse: Callable[[CharlmError], None], references: Path | None, note: Note
    ) -> Iterator[Utterance]:
        """The lists, each id once, with references from a file of their own where one is given."""
        found = without_repeats(NBEST_FORMATS[self.format].parse(self.source), refuse)
        if references is not None:
            known = references_of(Source.of(lines_of(str(references), TextConfig()), str(references), refuse=refuse))
            found = with_references(found, known, str(references), refuse, note)
        return found


def lists_at(
    name: str, format: str, config: TextConfig, refusals: Refusals, *, beam: int | None = None, note: Note
) -> Lists:
    """Open what may be lists: a file, a folder, or `-` for stdin.

    format  a name of NBEST_FORMATS, `text`, or `auto`: told by the files of a folder, or by the first lines
    beam    candidates of each list, for formats that do not tell them apart

    Raises ConfigError for a format that does not go with the path, TextError where several formats are possible.
    """
    Choices("format", dict.fromkeys(["auto", *NBEST_FORMATS, "text"]))[format]
    if beam is not None and beam < 1:
        raise ConfigError(f"--beam must be at least 1, not {beam}", hint="it is how many candidates each list has")
    kind = _of_folder(name, config) if format == "auto" and storage.is_folder(Path(name)) else format
    if kind in NBEST_FORMATS:
        refusals.format = kind
        files = NBEST_FORMATS[kind].files
        if storage.is_folder(Path(name)) and (files or NBEST_FORMATS[kind].folders):
            inside = dict.fromkeys([*files, *_files_of(Path(name))])
            opens = {file: partial(lines_of, str(Path(name) / file), config, note=note) for file in inside}
            return Lists(kind, Source(name, opens, refusals, beam), format == "auto")
        if len(files) > 1 or any("/" in file for file in files):
            raise ConfigError(f"{name} is one file, and this format spans {', '.join(files)}", hint="give their folder")
    lines = lines_of(name, config, note=note)
    if kind == "auto":
        head = list(islice(lines, PEEKED))
        lines = chain(head, lines)
        kind = guess(head, name)
    refusals.format = kind
    return Lists(kind, Source.of(lines, name, refuse=refusals, beam=beam), format == "auto")


def _of_folder(name: str, config: TextConfig) -> str:
    def head(file: str) -> list[str]:
        try:
            return list(islice(lines_of(str(Path(name) / file), config), PEEKED))
        except TextError:  # no text, so no lists; what is wrong with it is told if it is wanted
            return []

    files = _files_of(Path(name))
    found = formats_of_folder(files, head)
    if len(found) > 1:
        raise ambiguous(name, found, head(min(files)))
    return found[0] if found else "auto"


def _files_of(folder: Path) -> list[str]:
    """The names of the files in a folder and in its folders, without hidden ones."""
    try:
        entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
        inner = [file for entry in entries if entry.is_dir() for file in sorted(entry.iterdir()) if file.is_file()]
    except OSError as error:
        raise TextError(
            f"cannot read {error.filename}: {storage.reason_of(error)}", hint="check its permissions"
        ) from error
    return [str(path.relative_to(folder).as_posix()) for path in (*(e for e in entries if e.is_file()), *inner)]


def without_repeats(utterances: Iterable[Utterance], refuse: Callable[[CharlmError], None]) -> Iterator[Utterance]:
    """Each id once; one that comes again among the last REMEMBERED is refused, and its list left out."""
    order: deque[str] = deque()
    seen: dict[str, str] = {}
    for utterance in utterances:
        name = str(utterance.id)
        if name in seen:
            refuse(
                CharlmError(
                    f"{utterance.place}: the id {name!r} comes again; its first list is at {seen[name]}",
                    hint="an id names one list, whose lines stand together; give the others names of their own",
                )
            )
            continue
        order.append(name)
        seen[name] = utterance.place
        if len(order) > REMEMBERED:
            del seen[order.popleft()]
        yield utterance


def with_references(
    utterances: Iterable[Utterance],
    references: dict[str, str],
    where: str,
    refuse: Callable[[CharlmError], None],
    note: Note,
) -> Iterator[Utterance]:
    """The lists with what was really said. A list without reference is refused, and passes as it is."""
    left = dict.fromkeys(references)
    for utterance in utterances:
        name = str(utterance.id)
        left.pop(name, None)
        if name not in references:
            example = f"; they are called {next(iter(references))!r} and so on" if references else "; it is empty"
            refuse(
                CharlmError(
                    f"{utterance.place}: {where} has no reference for {name!r}",
                    hint=f"{len(references):,} references are there{example}; ids must agree letter by letter",
                )
            )
            yield utterance
            continue
        yield replace(utterance, reference=references[name])
    if left:
        note(f"{len(left):,} references belong to no list, such as that of {next(iter(left))!r}")
