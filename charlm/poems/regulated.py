"""The rules of regulated verse: which tones may differ from the pattern, and what must then make up for it.

Followed is 王力, 诗词格律. Of a line, the last five characters decide; a line of seven has two opposite tones before.
With A for 仄仄平平仄, a for 仄仄仄平平, B for 平平平仄仄 and b for 平平仄仄平:

    一三五不论   the first, third and fifth character of seven are free (of five the first and third), but:
    孤平         b whose first is oblique and whose third is not level: a fault
    三平尾       three level tones at the end: a fault; 三仄尾, three oblique ones: told, and no fault
    拗救         b, first oblique and third level: it mends itself (本句自救); B as 平平仄平仄, the same (特拗);
                 A whose fourth is oblique is mended by a level third of the next line (对句相救), else a fault;
                 A whose third alone is oblique may be mended so, and need not
    对, 粘       the second line of a couplet answers the first, the first line of the next sticks to it

A poem is a way through the patterns of its form: each line is matched to that line of one of them, and going over to
another pattern is 失对 within a couplet and 失粘 between two. The way with the fewest faults is the one that is told.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from charlm.config.poems import Strictness
from charlm.poems.aligning import Beside
from charlm.poems.form import Variant
from charlm.poems.judgement import Fault

Tones = frozenset[str]  # of one character: some of 平 and 仄; none where the book does not know it
OFF, UNUSUAL, SELDOM = 1.0, 0.01, 0.02  # what a fault, a remark and a tone that verse seldom gives a character cost
CHANGE = 1.001  # going over to another pattern: a little more than one fault, so that a lone tone is told as such


@dataclass(frozen=True)
class Way:
    """One way to read a line.

    tones   平 or 仄 for each character, ？ for one that the book does not know
    owes    the column of an oblique tone that the next line must make up for; 0 for none
    may     whether the next line may mend it, and need not
    mends   whether it makes up for what the line before owes
    seldom  how many characters are read with a tone that verse seldom gives them
    """

    tones: str
    faults: tuple[tuple[str, int, str], ...]  # rule, column, sentence
    remarks: tuple[tuple[str, int, str], ...]
    owes: int = 0
    may: bool = False
    mends: bool = False
    seldom: int = 0

    @property
    def cost(self) -> float:
        return OFF * len(self.faults) + UNUSUAL * len(self.remarks) + SELDOM * self.seldom


@functools.lru_cache(maxsize=4096)
def ways(
    tones: tuple[Tones, ...], slots: str, rhymed: bool, strictness: Strictness, seldom: tuple[Tones, ...] = ()
) -> list[Way]:
    """The ways to read a line of five or seven characters beside its pattern; the best of each kind of debt.

    seldom  of each character, the tones that verse seldom gives it
    """
    options = [sorted(one) or ["？"] for one in tones]
    best: dict[tuple[int, bool, bool], Way] = {}
    for said in product(*options):
        way = _way("".join(said), slots, rhymed, strictness)
        if strained := sum(tone in rare for tone, rare in zip(said, seldom, strict=False)):
            way = replace(way, seldom=strained)
        kind = (way.owes, way.may, way.mends)
        if kind not in best or way.cost < best[kind].cost:
            best[kind] = way
    return list(best.values())


def _way(said: str, slots: str, rhymed: bool, strictness: Strictness) -> Way:
    size = len(slots)
    faults: list[tuple[str, int, str]] = []
    remarks: list[tuple[str, int, str]] = []
    for column in range(1, size + 1):
        tone, slot = said[column - 1], slots[column - 1]
        # The last tone of a rhymed line is the rhyme's affair; odd places are free, but in `strict`.
        decides = column % 2 == 0 or column == size or strictness == "strict"
        if tone not in (slot, "？") and slot != "中" and decides and not (rhymed and column == size):
            faults.append(("出律", column, f"is {tone}, the pattern has {slot}"))
    if strictness == "strict":
        return Way(said, tuple(faults), ())
    first, third, fourth = size - 4, size - 2, size - 1  # columns of the last five, of which `five` are the tones
    five, kind = said[-5:], slots[-4] + slots[-1]
    owes, may, mends = 0, False, False
    if kind == "平仄" and five == "平平仄平仄":
        faults = [fault for fault in faults if fault[1] != fourth]
        remarks.append(("拗救", fourth, "平平仄平仄 for 平平平仄仄: the line mends itself (特拗, 本句自救)"))
    elif five[2:] == "仄仄仄" and kind == "平仄":
        remarks.append(("三仄尾", third, "three oblique tones at the end"))
    elif kind == "仄仄" and five[1] + five[4] == "仄仄" and five[3] == "仄":
        faults = [fault for fault in faults if fault[1] != fourth]
        owes = fourth
    elif kind == "仄仄" and five[1] + five[4] == "仄仄" and five[2] == "仄":
        may = True
    elif kind == "平平" and five[1] + five[3] + five[4] == "平仄平":
        mends = five[2] == "平"
        if five[0] == "仄" and five[2] == "平":
            remarks.append(("拗救", third, f"the level tone mends the oblique one at {first} (孤平, 本句自救)"))
        elif five[0] == five[2] == "仄":
            faults.append(("孤平", first, "one level tone alone between oblique ones"))
    if five[2:] == "平平平" and kind[1] == "平":
        faults.append(("三平尾", third, "three level tones at the end"))
    return Way(said, tuple(faults), tuple(remarks), owes, may, mends)


@dataclass(frozen=True)
class Walk:
    """A way through the patterns, line by line: the pattern and the reading of each, and what is wrong."""

    cost: float
    patterns: tuple[int, ...] = ()
    ways: tuple[Way, ...] = ()
    faults: tuple[Fault, ...] = ()
    remarks: tuple[Fault, ...] = ()

    def relation(self, number: int) -> str:
        """How a line, counted from 0, follows the one before."""
        if number == 0:
            return ""
        kept = self.patterns[number] == self.patterns[number - 1]
        return ("" if kept else "失") + ("对" if number % 2 else "粘")


def walk(
    rows: Sequence[Beside],
    tones: Sequence[tuple[Tones, ...]],
    variants: Sequence[Variant],
    strictness: Strictness,
    seldom: Sequence[tuple[Tones, ...]],
) -> Walk:
    """The best way through variants of one rhyme scheme, for a poem whose lines all have the right length (Viterbi).

    tones, seldom  of each character of each line, the tones that it has, and those of them that verse seldom gives it
    """
    states = {(number, 0, False): Walk(0.0) for number in range(len(variants))}
    for place, row in enumerate(rows):
        reached: dict[tuple[int, int, bool], Walk] = {}
        for number, variant in enumerate(variants):
            line = variant.lines[place]
            for way in ways(tones[place], line.slots, bool(line.rhyme), strictness, seldom[place]):
                for (before, owes, may), so_far in states.items():
                    if place == 0 and before != number:
                        continue
                    step = _step(so_far, (before, owes, may), number, way, place, row.text, rows)
                    state = (number, way.owes, way.may)
                    if state not in reached or step.cost < reached[state].cost:
                        reached[state] = step
        states = reached
    ended = [_unmended(done, owes, len(rows), rows[-1].text) if owes else done for (_, owes, _), done in states.items()]
    return min(ended, key=lambda done: done.cost)


def _step(
    so_far: Walk,
    state: tuple[int, int, bool],
    number: int,
    way: Way,
    place: int,
    text: str,
    rows: Sequence[Beside],
) -> Walk:
    before, owes, may = state
    line = place + 1
    faults = [Fault(rule, "tone", line, column, f"{text[column - 1]} {said}") for rule, column, said in way.faults]
    remarks = [Fault(rule, "tone", line, column, said) for rule, column, said in way.remarks]
    cost = so_far.cost + way.cost
    mends = way.mends and before == number
    if before != number:
        cost += CHANGE
        rule, told = ("失对", "does not answer") if place % 2 else ("失粘", "does not stick to")
        said = f"the second character {told} that of line {place}"
        faults.append(Fault(rule, "tone", line, 2, said))
    if (owes or may) and mends:
        third = len(text) - 2
        said = f"the level tone at {third} mends the oblique one of line {place} (对句相救)"
        remarks.append(Fault("拗救", "tone", line, third, said))
        cost += UNUSUAL
    found = Walk(
        cost,
        (*so_far.patterns, number),
        (*so_far.ways, way),
        (*so_far.faults, *faults),
        (*so_far.remarks, *remarks),
    )
    return _unmended(found, owes, place, rows[place - 1].text) if owes and not mends else found


def _unmended(found: Walk, owes: int, line: int, text: str) -> Walk:
    """The same with an oblique tone that the line after `line` did not make up for."""
    fault = Fault("出律", "tone", line, owes, f"{text[owes - 1]} is 仄, and the next line does not mend it (拗而不救)")
    return Walk(found.cost + OFF, found.patterns, found.ways, (*found.faults, fault), found.remarks)
