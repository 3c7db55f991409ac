"""What mends the faults of poems, ranked by how well a run likes the poem with it; and poems that are mended."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from charlm import storage
from charlm.appraising.verses import marked
from charlm.composing.inventory import is_han
from charlm.composing.replacing import replacements
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, VerseError
from charlm.jobs.poem import holds_records, lines_of, poems_among, shown_name
from charlm.jobs.sample import ensure_verse
from charlm.poems import checking
from charlm.poems.form import Form, find_form
from charlm.poems.judgement import Fault, Judgement
from charlm.poems.mending import Mend, Mender, why_nothing_mends
from charlm.poems.parsing import Poem, rewritten, with_text
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run
from charlm.text.decoding import Note
from charlm.text.vocab import EOS


@dataclass(frozen=True)
class Mended:
    """A line that is mended.

    line      of the judgement, from 1
    before    its characters
    after     the same with the new ones
    columns   where they stand, from 1
    gain      nats that the run gives the whole poem more than before; negative where it liked the fault
    text      all characters of the poem
    """

    line: int
    before: str
    after: str
    columns: tuple[int, ...]
    gain: float
    text: str


@dataclass(frozen=True)
class Remedy:
    """What mends one fault, the best first; why nothing does."""

    fault: Fault
    ways: tuple[Mended, ...]
    why: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """A poem, what is wrong with it, and what it is when it is mended.

    mended  without a fault; None where some are left, which are `left`
    """

    poem: Poem
    judgement: Judgement
    remedies: tuple[Remedy, ...]
    mended: Poem | None
    left: tuple[Fault, ...] = ()

    def record(self) -> dict[str, Any]:
        """The diagnosis as JSON."""
        found = [
            {**vars(one.fault), "why": one.why or None,
             "ways": [{"line": way.line, "before": way.before, "after": way.after, "columns": list(way.columns),
                       "gain": way.gain} for way in one.ways]}
            for one in self.remedies
        ]  # fmt: skip
        return {
            "source": self.poem.source,
            "line": self.poem.place,
            "title": self.poem.title,
            "form": self.judgement.form.name,
            "faults": found,
            "mended": None if self.mended is None else [clause.text for clause in self.mended.clauses],
            "left": [vars(fault) for fault in self.left],
        }


@dataclass
class Physician:
    """Mends poems with the characters that a run knows.

    most  ways that are told of each fault
    """

    run: Run
    most: int = 5
    _menders: dict[str, Mender] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ensure_verse(self.run)
        self.characters = {token for token in self.run.codec.vocab.tokens if is_han(token)}
        if not self.characters:
            raise ConfigError(f"{self.run.path} knows no Chinese characters, so it has none to mend poems with",
                              hint="train on verse, a poem on each line")  # fmt: skip

    def diagnose(self, poem: Poem, judgement: Judgement, book_name: str | None) -> Diagnosis:
        """What is wrong with a poem, what mends it, and the poem mended."""
        mender = self._mender(book_name or judgement.form.rhyme_book)
        remedies = tuple(self._remedy(mender, poem, judgement, fault) for fault in judgement.faults)
        mended, left = self._mended(mender, poem, judgement, remedies)
        return Diagnosis(poem, judgement, remedies, None if left else mended, left)

    def _mender(self, name: str) -> Mender:
        if name not in self._menders:
            self._menders[name] = Mender(self.characters, rhyme_book(name))
        return self._menders[name]

    def _remedy(self, mender: Mender, poem: Poem, judgement: Judgement, fault: Fault) -> Remedy:
        found = mender.mends(poem, judgement, fault)
        ways = self._ranked(mender, poem, judgement, fault, found)
        return Remedy(fault, tuple(ways[: self.most]), "" if ways else why_nothing_mends(fault))

    def _ranked(
        self, mender: Mender, poem: Poem, judgement: Judgement, fault: Fault, found: Sequence[Mend]
    ) -> list[Mended]:
        """The likeliest first, each asked about by itself: where one of a kind mends, another may not."""
        known = self._log_prob(poem, judgement.form)
        tried: list[tuple[float, Mend, str]] = []
        for mend in found:
            ids, at = self._encoded(poem, judgement.form)
            options = [[self.run.codec.vocab.id(c) for c in some] for some in mend.options]
            places = {at[place]: ids_ for place, ids_ in zip(mend.places, options, strict=True)}
            for one in replacements(self.run.model, ids, places):
                said = list(poem.text)
                for place, token in zip(mend.places, one.ids, strict=True):
                    said[place] = self.run.codec.vocab.tokens[token]
                tried.append((one.log_prob - known, mend, "".join(said)))
        ways: list[Mended] = []
        for gain, mend, text in sorted(tried, key=lambda one: -one[0]):
            if len(ways) == self.most:
                break
            if mender.mended_by(poem, judgement, fault, text):
                ways.append(_told(judgement, mend, gain, text))
        return ways

    def _encoded(self, poem: Poem, form: Form) -> tuple[list[int], list[int]]:
        """The ids of a poem with the marks of its form, `<EOS>` at the end, and the position of each character."""
        text = marked(tuple(clause.text for clause in poem.clauses), form)
        return [*map(self.run.codec.vocab.id, text), EOS], [at for at, c in enumerate(text) if c not in "，。"]

    def _log_prob(self, poem: Poem, form: Form) -> float:
        ids, _ = self._encoded(poem, form)
        return replacements(self.run.model, ids, {})[0].log_prob

    def _mended(
        self, mender: Mender, poem: Poem, judgement: Judgement, remedies: Sequence[Remedy]
    ) -> tuple[Poem, tuple[Fault, ...]]:
        """One fault after the other mended by the best way; each leaves fewer, so there is an end."""
        while judgement.faults:
            way = next((one.ways[0] for one in remedies if one.ways), None)
            if way is None:
                break
            poem = with_text(poem, way.text)
            judgement = mender.judged(poem, judgement, way.text)
            remedies = [self._remedy(mender, poem, judgement, fault) for fault in judgement.faults]
        return poem, judgement.faults


def _told(judgement: Judgement, mend: Mend, gain: float, text: str) -> Mended:
    """A way to mend, by the line in which it changes something."""
    starts = [0, *accumulate(len(line.text) for line in judgement.lines)]
    number = bisect_right(starts, mend.places[0]) - 1
    start, before = starts[number], judgement.lines[number].text
    after = text[start : start + len(before)]
    return Mended(number + 1, before, after, tuple(place - start + 1 for place in mend.places), gain, text)


@dataclass(frozen=True)
class PoemFile:
    """A file of poems while it is mended."""

    name: str
    lines: list[str]
    poems: list[Poem]
    form: Form | None

    def with_poems(self, mended: Sequence[Poem]) -> str:
        """The text of the file with mended poems in place of theirs, all else as it was."""
        lines = list(self.lines)
        for poem in mended:
            for number, line in rewritten(self.lines, poem).items():
                lines[number] = line
        return "".join(lines)


def opened_poems(name: str, config: CheckConfig, text: TextConfig, *, writes: bool, note: Note) -> "PoemFile":
    """The poems of a file. Raises ConfigError where they shall be written back into JSON, TextError without any."""
    form = find_form(config.form) if config.form is not None else None
    lines = lines_of(name, text, note=note)
    if writes and holds_records(lines):
        raise ConfigError(f"--apply writes poems as text, and {shown_name(name)} is JSON",
                          hint="take the mended poems from --json instead")  # fmt: skip
    return PoemFile(name, lines, poems_among(lines, shown_name(name), text, form), form)


def diagnoses(document: PoemFile, physician: Physician, config: CheckConfig) -> Iterator[Diagnosis]:
    """Each poem of a file, judged and mended."""
    book = rhyme_book(config.rhyme_book) if config.rhyme_book is not None else None
    for poem in document.poems:
        judgement = checking.check(poem, document.form, book, config.strictness)
        yield physician.diagnose(poem, judgement, config.rhyme_book)


def write_mended(document: PoemFile, found: Sequence[Diagnosis], output: Path) -> None:
    """Write the file with all its poems mended, whole or not at all; raises VerseError where one cannot be."""
    left = [(one.poem, fault) for one in found for fault in one.left]
    if left:
        poem, fault = left[0]
        raise VerseError(
            f"{shown_name(document.name)}:{poem.place}: {len(left)} faults are left, the first {fault.rule} in line "
            f"{fault.line}: {fault.said}; nothing was written",
            hint="mend by hand what is told to have no remedy, then give the command again",
        )
    storage.write_text(output, document.with_poems([one.mended for one in found if one.mended is not None]))
