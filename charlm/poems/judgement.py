"""What a checker says of a poem: its lines beside those of the form, faults, remarks, and readings that were needed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from charlm.config.poems import Strictness
from charlm.poems.form import Form, Variant

Aspect = Literal["structure", "tone", "rhyme"]
PARTS: tuple[Aspect, ...] = ("structure", "tone", "rhyme")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, or, among the remarks, one that is unusual and allowed.

    rule    its name, such as 失粘
    line    of the judgement, from 1
    column  of the line, from 1; 0 where the whole line is meant
    said    the sentence for people
    """

    rule: str
    part: Aspect
    line: int
    column: int
    said: str


@dataclass(frozen=True)
class ReadAs:
    """The reading under which a character of several readings conforms.

    seldom  whether verse hardly ever reads it so
    """

    line: int
    column: int
    character: str
    reading: str
    seldom: bool = False


@dataclass(frozen=True)
class JudgedLine:
    """A line of the poem beside the line of the form that it stands for.

    text      its characters; empty where the poem lacks the line
    tones     for each, as it is read: 平, 仄, 通 (of either tone, where the slot takes both) or ？ (not in the book)
    slots     what the form wants of each; empty for a line that the form does not have
    rhyme     the letter of its rhyme in the form
    group     the rhyme group that it keeps; empty where it keeps none
    relation  对, 粘, 失对 or 失粘: how it follows the line before, in regulated verse
    faulty    columns of faults, from 1
    """

    text: str
    tones: str
    slots: str
    rhyme: str = ""
    group: str = ""
    relation: str = ""
    faulty: tuple[int, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """How a poem keeps a form, its structure, tones and rhymes apart.

    by    whether the form was asked for, named by the title, or told by the shape of the poem
    also  other forms of the same shape: their names, and how many faults the poem has as such
    """

    form: Form
    variant: Variant
    book: str
    strictness: Strictness
    lines: tuple[JudgedLine, ...]
    faults: tuple[Fault, ...]
    remarks: tuple[Fault, ...]
    readings: tuple[ReadAs, ...]
    title: str = ""
    source: str = ""
    place: int = 1
    by: Literal["asked", "title", "shape"] = "asked"
    also: tuple[tuple[str, int], ...] = ()

    @property
    def conforms(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    @property
    def parts(self) -> tuple[Aspect, ...]:
        """What was looked at: `free` leaves the tones out."""
        return tuple(part for part in PARTS if part != "tone" or self.strictness != "free")

    def of(self, part: Aspect) -> list[Fault]:
        """The faults of one part."""
        return [fault for fault in self.faults if fault.part == part]

    def record(self) -> dict[str, Any]:
        """The judgement as JSON: stable keys; a part is kept, broken or, being left out, null."""
        return {
            "source": self.source,
            "line": self.place,
            "title": self.title,
            "form": self.form.name,
            "variant": self.variant.name,
            "by": self.by,
            "rhyme_book": self.book,
            "strictness": self.strictness,
            "conforms": self.conforms,
            **{part: not self.of(part) if part in self.parts else None for part in PARTS},
            "lines": [vars(line) | {"faulty": list(line.faulty)} for line in self.lines],
            "faults": [vars(fault) for fault in self.faults],
            "remarks": [vars(remark) for remark in self.remarks],
            "readings": [vars(reading) for reading in self.readings],
            "also": dict(self.also),
        }


@dataclass
class Gathered:
    """Faults and remarks while they are gathered; `cost` orders variants, faults first."""

    faults: list[Fault] = field(default_factory=list)
    remarks: list[Fault] = field(default_factory=list)

    def fault(self, rule: str, part: Aspect, line: int, column: int, said: str) -> None:
        """One more fault."""
        self.faults.append(Fault(rule, part, line, column, said))

    def remark(self, rule: str, part: Aspect, line: int, column: int, said: str) -> None:
        """One more remark."""
        self.remarks.append(Fault(rule, part, line, column, said))

    def add(self, other: "Gathered") -> None:
        """All of another's."""
        self.faults += other.faults
        self.remarks += other.remarks

    @property
    def cost(self) -> float:
        """Faults, those of structure three times; remarks a little."""
        return sum(3.0 if fault.part == "structure" else 1.0 for fault in self.faults) + 0.01 * len(self.remarks)


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """By line and column."""
    return tuple(sorted(set(faults), key=lambda fault: (fault.line, fault.column, fault.part, fault.rule)))
