"""What would mend a fault of a poem: other characters in its line, as few as can be, tried out by the checker itself.

Characters that the rhyme book does not tell apart mend the same faults, so that one of each kind is tried. A mend
leaves fewer faults than there were, and not the one that was meant.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, product
from typing import TypeAlias

from charlm.poems.checking import check
from charlm.poems.judgement import Fault, Judgement
from charlm.poems.parsing import Poem, with_text
from charlm.poems.sounds import RhymeBook

MOST = 3  # characters of a line that are replaced together; whoever changes more writes it anew
Position: TypeAlias = tuple[int, int]  # line of a judgement and column, from 0
LENGTHS = "no character is wrong there, but their number: a replacement changes no length"


@dataclass(frozen=True)
class Mend:
    """Places of a poem, counted from 0 through its text, and for each the characters that may stand there together."""

    places: tuple[int, ...]
    options: tuple[tuple[str, ...], ...]


class Mender:
    """Finds what mends the faults of poems, with the characters that there are.

    characters  those that may stand in a poem, such as all that a model knows
    """

    def __init__(self, characters: Collection[str], book: RhymeBook) -> None:
        self.book = book
        self.by_tone: dict[frozenset[bool], list[str]] = {}
        self.by_rhyme: dict[frozenset[tuple[bool, str]], list[str]] = {}
        for character in sorted(characters):
            readings = book.readings(character)
            if readings:
                self.by_tone.setdefault(frozenset(one.level for one in readings), []).append(character)
                self.by_rhyme.setdefault(frozenset((one.level, one.group) for one in readings), []).append(character)

    def judged(self, poem: Poem, judgement: Judgement, text: str) -> Judgement:
        """The judgement of a poem with another text, by what the first one judged it."""
        return check(with_text(poem, text), judgement.form, self.book, judgement.strictness)

    def mends(self, poem: Poem, judgement: Judgement, fault: Fault) -> list[Mend]:
        """All ways to replace the fewest characters that mend a fault: of its line, or what it rhymes with."""
        if fault.part == "structure":
            return []
        starts = [0, *accumulate(len(line.text) for line in judgement.lines)]
        for size in range(1, MOST + 1):
            found: list[Mend] = []
            for spots in self._spots(judgement, fault, size):
                places = tuple(starts[number] + column for number, column in spots)
                kinds = [list(self._kinds(judgement, fault, spot, size)) for spot in spots]
                mending = [one for one in product(*kinds) if self._mends(poem, judgement, fault, places, one)]
                if size == 1 and mending:  # all of them at this one place
                    found.append(Mend(places, (tuple(sorted(c for (kind,) in mending for c in kind)),)))
                elif size > 1:
                    found += [Mend(places, tuple(map(tuple, one))) for one in mending]
            if found:
                return found
        return []

    @staticmethod
    def _spots(judgement: Judgement, fault: Fault, size: int) -> Iterator[tuple[Position, ...]]:
        """Where characters may be replaced."""
        own = fault.line - 1
        line = judgement.lines[own]
        yield from combinations([(own, column) for column in range(len(line.text))], size)
        if size == 1 and fault.part == "rhyme":
            for number, other in enumerate(judgement.lines):
                if number != own and other.text and other.rhyme == line.rhyme:
                    yield ((number, len(other.text) - 1),)

    def _kinds(self, judgement: Judgement, fault: Fault, spot: Position, size: int) -> Iterator[list[str]]:
        """Lists of characters of one kind that may stand at a spot; of several spots only the other tone is tried."""
        line = judgement.lines[spot[0]]
        if spot[1] == len(line.text) - 1 and line.rhyme:
            groups = {one.group for one in judgement.lines if one.rhyme == line.rhyme and one.group}
            if fault.part == "rhyme":
                groups |= {one.group for one in self.book.readings(judgement.lines[fault.line - 1].text[-1])}
            for kind, members in self.by_rhyme.items():
                if size == 1 and any(group in groups for _, group in kind):
                    yield members
            return
        own = {one.level for one in self.book.readings(line.text[spot[1]])}
        for levels, members in self.by_tone.items():
            if levels != own and (size == 1 or len(levels) == 1):
                yield members

    def _mends(
        self, poem: Poem, judgement: Judgement, fault: Fault, places: Sequence[int], kinds: Sequence[list[str]]
    ) -> bool:
        said = list(poem.text)
        for place, members in zip(places, kinds, strict=True):
            # One that stands nowhere in the poem, so that no character rhymes with itself.
            said[place] = next((c for c in members if c not in poem.text), members[0])
        return self.mended_by(poem, judgement, fault, "".join(said))

    def mended_by(self, poem: Poem, judgement: Judgement, fault: Fault, text: str) -> bool:
        """Whether a poem with another text has fewer faults, and not this one."""
        after = self.judged(poem, judgement, text)
        return len(after.faults) < len(judgement.faults) and _key(fault) not in map(_key, after.faults)


def _key(fault: Fault) -> tuple[str, int, int]:
    return fault.rule, fault.line, fault.column


def why_nothing_mends(fault: Fault) -> str:
    """A sentence for a fault that no replacement of a few characters mends."""
    if fault.rule == "异字":
        return "nobody knows what the characters that are none of Chinese stand for"
    if fault.part == "structure":
        return LENGTHS
    if fault.rule in ("失粘", "失对"):
        return f"line {fault.line} and those after it follow another pattern than those before; write it anew"
    return f"no replacement of up to {MOST} characters of line {fault.line} mends it and breaks nothing else"
