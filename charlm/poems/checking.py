"""Does a poem keep a form? Every variant is tried, and the one that fits best is told, structure, tone and rhyme apart.

The checker shares the rhyme books and the form files with whatever writes verse, and nothing else, so that each may
judge the other. Each genre has its rules: those of regulated verse (`regulated.py`) are for 近体 alone, in a 词 each
slot counts by itself, and 古体 has length and rhyme only.

    strict   every slot as the form has it, line ends as well; no rescue makes up for anything
    common   regulated verse by its rules of what is free and what may be mended; a 词 by its slots
    free     lengths and rhyme only
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import get_args

from charlm.choices import closest
from charlm.config.poems import Strictness
from charlm.errors import ConfigError
from charlm.poems.aligning import Beside, align, has_shape, shape_cost
from charlm.poems.form import Form, Variant, find_form, forms, known_as
from charlm.poems.judgement import JudgedLine, Judgement, ReadAs, in_order
from charlm.poems.parsing import LOST, Poem, poem_of, tune_of
from charlm.poems.regulated import Tones, Walk, Way, walk, ways
from charlm.poems.rhyming import rhymes
from charlm.poems.sounds import Reading, RhymeBook, rhyme_book

REGULATED = {5, 7}  # characters of the lines to which the rules of regulated verse apply
OLD_STYLE = 1.5  # faults of a 绝句 from which on it is rather taken for one of the old style
MOST_SHOWN = 10  # characters that are none of verse
CLOSE = 2  # other forms are told that have at most as many faults more


def check(
    poem: Poem | str,
    form: Form | str | None = None,
    book: RhymeBook | str | None = None,
    strictness: Strictness = "common",
) -> Judgement:
    """Judge one poem.

    poem  as it was parsed, or as text, whose first line may be no title
    form  a form, its name or its file; None: that of the title, else the one that fits best
    book  a rhyme book, its name or its file; None: the form's own
    Raises ConfigError for names that nobody bears, FormError and TextError for files that cannot be read.
    """
    if strictness not in get_args(Strictness):
        known = list(get_args(Strictness))
        raise ConfigError(f"no strictness is called {strictness!r}", hint=closest(str(strictness), known))
    given = poem_of(poem) if isinstance(poem, str) else poem
    chosen_book = rhyme_book(book) if isinstance(book, str) else book
    asked = find_form(form) if isinstance(form, str) else form
    titled = known_as(tune_of(given.title)) if asked is None and given.title else None
    if titled is not None and not fits(given.lengths, titled) and fits(given.lengths):
        titled = None  # 浪淘沙 is a title of quatrains, too
    if asked is not None or titled is not None:
        only = asked or titled
        assert only is not None
        return replace(_judged(given, only, chosen_book, strictness), by="asked" if asked is not None else "title")
    judged = [_judged(given, one, chosen_book, strictness) for one in candidates(given.lengths)]
    judged.sort(key=_distance)
    best = judged[0]
    most = len(best.faults) + CLOSE if not best.of("structure") else -1
    others = [one for one in judged[1:] if len(one.faults) <= most and (best.faults or one.form.genre != "古体")]
    return replace(best, by="shape", also=tuple((one.form.name, len(one.faults)) for one in others))


def _distance(judgement: Judgement) -> float:
    faults, remarks = len(judgement.faults), len(judgement.remarks)
    structure = len(judgement.of("structure"))
    return faults + 2 * structure + 0.01 * remarks + (OLD_STYLE if judgement.form.genre == "古体" else 0.0)


@functools.lru_cache(maxsize=4096)
def candidates(lengths: tuple[int, ...]) -> tuple[Form, ...]:
    """The forms of ours that lines of these lengths fit; where there is none, the nearest one alone."""
    fitting = tuple(form for form in forms() if _is_shaped(form, lengths))
    return fitting or (_nearest(lengths),)


def _nearest(lengths: tuple[int, ...]) -> Form:
    """The form to one of whose variants lines of these lengths are nearest; of several the first."""

    def far(choice: tuple[int, Form, Variant]) -> int:
        return abs(sum(choice[2].lengths) - sum(lengths))

    choices = [(number, form, variant) for number, form in enumerate(forms()) for variant in form.variants]
    least, first, nearest = math.inf, 0, choices[0][1]
    for number, form, variant in sorted(choices, key=far):  # what is near is soon found, and the rest soon given up
        cost = shape_cost(variant, lengths, least)
        if (cost, number) < (least, first):
            least, first, nearest = cost, number, form
    return nearest


@functools.lru_cache(maxsize=4096)
def fits(lengths: tuple[int, ...], form: Form | None = None) -> bool:
    """Whether lines of these lengths have the shape of a form; None: of any of ours."""
    among = [form] if form is not None else forms()
    return any(_is_shaped(one, lengths) for one in among)


def _is_shaped(form: Form, lengths: tuple[int, ...]) -> bool:
    return any(has_shape(variant, lengths) for variant in form.variants)


def _judged(poem: Poem, form: Form, book: RhymeBook | None, strictness: Strictness) -> Judgement:
    """The judgement under the variant that fits best."""
    own = book or rhyme_book(form.rhyme_book)
    tried = [_Trial(poem, form, group, own, strictness) for group in _schemes(form, poem.lengths)]
    # Where a first line may rhyme and need not, it is taken to rhyme.
    best = min(tried, key=lambda trial: (trial.found.cost, -len(trial.chosen)))
    return best.judgement()


def _schemes(form: Form, lengths: tuple[int, ...]) -> Iterator[list[Variant]]:
    """The variants one by one; of regulated verse of the right shape, those of one rhyme scheme together."""
    if form.genre != "近体" or not _is_shaped(form, lengths):
        yield from ([variant] for variant in form.variants)
        return
    kind = _shape
    for _, group in groupby(sorted(form.variants, key=kind), key=kind):
        yield list(group)


def _shape(variant: Variant) -> tuple[str, tuple[int, ...]]:
    return variant.scheme, variant.lengths


class _Trial:
    """A poem beside one variant, or beside the patterns of regulated verse that share a rhyme scheme."""

    def __init__(
        self, poem: Poem, form: Form, variants: list[Variant], book: RhymeBook, strictness: Strictness
    ) -> None:
        self.poem, self.form, self.variants, self.book, self.strictness = poem, form, variants, book, strictness
        self.rows, self.found = align(poem, variants[0], strictness)
        if poem.odd:
            shown = " ".join(list(dict.fromkeys(character for character, _ in poem.odd))[:MOST_SHOWN])
            said = f"no Chinese characters in line {poem.odd[0][1]} of the text: {shown}"
            self.found.fault("异字", "structure", 1, 0, said)
        self.chosen, rhymed = rhymes(self.rows, form.genre, strictness, book, _neighbours)
        self.found.add(rhymed)
        self.tones = [tuple(self._tones(character) for character in row.text) for row in self.rows]
        self.walk: Walk | None = None
        sizes = {len(row.text) for row in self.rows}
        whole = all(row.comparable for row in self.rows)
        if strictness == "free":
            pass
        elif form.genre == "近体" and whole and sizes <= REGULATED:
            seldom = [tuple(self._seldom(character) for character in row.text) for row in self.rows]
            self.walk = walk(self.rows, self.tones, variants, strictness, seldom)
            self.found.faults += self.walk.faults
            self.found.remarks += self.walk.remarks
        else:
            self._check_slots()

    def _tones(self, character: str) -> Tones:
        return frozenset("平" if reading.level else "仄" for reading in self.book.readings(character))

    def _seldom(self, character: str) -> Tones:
        usual = self.book.usual(character)
        return self._tones(character) - {"平" if reading.level else "仄" for reading in usual}

    def _check_slots(self) -> None:
        for number, (row, tones) in enumerate(zip(self.rows, self.tones, strict=True)):
            if not row.comparable or row.line is None:
                continue
            for place, (slot, known) in enumerate(zip(row.line.slots, tones, strict=True)):
                last = place == len(row.text) - 1
                if slot == "中" or not known or slot in known or (last and row.line.rhyme):
                    continue
                if self.form.genre == "近体" and self.strictness != "strict" and place % 2 == 0 and not last:
                    continue
                is_ = next(iter(known))
                said = f"{row.text[place]} is {is_}, the form has {slot}"
                self.found.fault("出律", "tone", number + 1, place + 1, said)

    def judgement(self) -> Judgement:
        """What is told of it."""
        variant = self.variants[self.walk.patterns[0]] if self.walk else self.variants[0]
        lines: list[JudgedLine] = []
        readings: list[ReadAs] = []
        faulty: dict[int, list[int]] = {}
        for fault in self.found.faults:
            if fault.column:
                faulty.setdefault(fault.line, []).append(fault.column)
        for number, row in enumerate(self.rows):
            slots = self._slots(number)
            tones = self._as_read(number, slots)
            group = self.chosen[number].group if number in self.chosen else ""
            marked = tuple(sorted(set(faulty.get(number + 1, []))))
            relation = self.walk.relation(number) if self.walk else ""
            rhyme = row.line.rhyme if row.line is not None else ""
            lines.append(JudgedLine(row.text, tones, slots, rhyme, group, relation, marked))
            readings += self._readings(number, tones, marked)
        self._tell_unknown()
        return Judgement(
            form=self.form,
            variant=variant,
            book=self.book.name,
            strictness=self.strictness,
            lines=tuple(lines),
            faults=in_order(self.found.faults),
            remarks=in_order(self.found.remarks),
            readings=tuple(readings),
            title=self.poem.title,
            source=self.poem.source,
            place=self.poem.place,
        )

    def _slots(self, number: int) -> str:
        if self.walk:
            return self.variants[self.walk.patterns[number]].lines[number].slots
        line = self.rows[number].line
        return line.slots if line is not None else ""

    def _as_read(self, number: int, slots: str) -> str:
        """The tone of each character as the form lets it be read; 通 where a character of two tones may have either."""
        row, tones = self.rows[number], self.tones[number]
        if self.walk:
            way = self.walk.ways[number]
            free = []
            for place, known in enumerate(tones):
                last = place == len(tones) - 1 and number in self.chosen
                free.append(len(known) == 2 and not last and self._may_turn(way, place, slots, row))
            said = list(way.tones)
        else:
            free = [len(known) == 2 for known in tones]
            said = ["".join(known) or "？" for known in tones]
            if row.comparable and self.strictness != "free":
                for place, slot in enumerate(slots):
                    if slot in tones[place]:
                        said[place], free[place] = slot, False
        if number in self.chosen:
            said[-1], free[-1] = ("平" if self.chosen[number].level else "仄"), False
        return "".join("通" if open_ else one for one, open_ in zip(said, free, strict=True))

    def _may_turn(self, way: Way, place: int, slots: str, row: Beside) -> bool:
        """Whether the line is read as well with the other tone at this place."""
        other = [frozenset(one) for one in way.tones]
        other[place] = frozenset("平仄") - other[place]
        rhymed = row.line is not None and bool(row.line.rhyme)
        turned = ways(tuple(other), slots, rhymed, self.strictness)[0]
        return replace(turned, tones=way.tones) == way

    def _readings(self, number: int, tones: str, faulty: Sequence[int]) -> Iterator[ReadAs]:
        """The characters of a line that conform under one of their readings only."""
        text = self.rows[number].text
        for place, character in enumerate(text):
            column = place + 1
            known = self.book.readings(character)
            if column in faulty or tones[place] in "通？":
                continue
            kept = {one for one in known if one.level == (tones[place] == "平")}
            if place == len(text) - 1 and number in self.chosen:
                kept = {one for one in kept if one.group == self.chosen[number].group}
                needed = len({(one.level, one.group) for one in known}) > 1
            else:
                needed = len({one.level for one in known}) > 1
            if needed:
                seldom = kept.isdisjoint(self.book.usual(character))
                yield ReadAs(number + 1, column, character, _told(kept), seldom)

    def _tell_unknown(self) -> None:
        for number, row in enumerate(self.rows):
            for place, character in enumerate(row.text):
                last = place == len(row.text) - 1 and row.line is not None and row.line.rhyme
                if self.tones[number][place] or last:
                    continue
                why = "a lost character" if character == LOST else f"{character} is not in the rhyme book"
                if self.strictness != "free":
                    self.found.remark("不详", "tone", number + 1, place + 1, f"{why}: taken to fit")


def _told(readings: set[Reading]) -> str:
    """Readings of one class of tones for people: 平 东 where it is one, else the class."""
    one = next(iter(readings))
    return f"{one.tone} {one.group}" if len(readings) == 1 else "平" if one.level else "仄"


def _neighbours(one: str, other: str) -> bool:
    """Whether two characters rhyme in the wider parts of 词林正韵."""
    return bool(rhyme_book("cilin").rhyme(one, other))
