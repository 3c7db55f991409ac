"""The ways through the lines of a form: what tones and rhymes a poem may still take after what was written.

A poem is a way through the lines of a variant, each with a string of tones (`metre.py`); lines of one letter share a
rhyme, which is chosen by the first of them. A way is left as soon as it has no end any more: the tones that may follow
are known beforehand, with the characters that are fixed in them, and so is every rhyme that has enough characters.
"""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from charlm.composing.inventory import Inventory, Kind, tone_of
from charlm.composing.metre import answers, next_tones, tones_of
from charlm.poems.form import Form, Line, Variant
from charlm.poems.sounds import Reading

Place: TypeAlias = tuple[int, int]  # line and column of a character, from 0
ENOUGH = 2  # characters for each line of a rhyme, from which on it may be chosen


class Spot:
    """Where a poem stands in a variant, whatever rhymes it has chosen; there is one of each, made when it is reached.

    number  of the line that is being written, from 0
    tones   of that line so far
    owed    whether this line must make up for a tone of the one before
    """

    def __init__(self, ways: "Ways", variant: int, number: int, tones: str, owed: bool) -> None:
        self.ways, self.variant, self.number, self.tones, self.owed = ways, variant, number, tones, owed
        self.lines = ways.form.variants[variant].lines
        self.is_whole = number == len(self.lines)
        self.line = Line("") if self.is_whole else self.lines[number]
        self.is_full = not self.is_whole and len(tones) == len(self.line)
        place = (number, len(tones))
        self.given = None if self.is_whole or self.is_full else ways.fixed.get(place)

    @functools.cached_property
    def letter(self) -> str:
        """The letter of the rhyme that the next character has to have; empty where none."""
        return self.line.rhyme if len(self.tones) == len(self.line) - 1 else ""

    @functools.cached_property
    def mark(self) -> str:
        """The mark after the line: verse of couplets ends each with a stop, a tune each rhyme."""
        last = self.number == len(self.lines) - 1
        ends = bool(self.line.rhyme) if self.ways.form.genre == "词" else self.number % 2 == 1
        return "。" if ends or last else "，"

    @functools.cached_property
    def is_toneless(self) -> bool:
        """Whether the tone at this place does not matter, or the character is given: then it need not be known."""
        return self.ways.strictness == "free" or self.ways.form.genre == "古体" or self.given is not None

    @functools.cached_property
    def tail(self) -> str | None:
        """The characters after this place, where all of them are given and this one is not; else None."""
        if self.is_whole or self.is_full or self.given is not None:
            return None
        rest = [self.ways.fixed.get((self.number, column)) for column in range(len(self.tones) + 1, len(self.line))]
        return None if None in rest else "".join(map(str, rest))

    @functools.cached_property
    def echoed(self) -> int:
        """How many characters at the end of this line are said again as the next one; 0 where none are, or all."""
        following = self.lines[self.number + 1 : self.number + 2]
        again = max((len(line) for line in following if line.repeats), default=0)
        return again if again < len(self.line) else 0

    @functools.cached_property
    def opened(self) -> "Spot":
        """The beginning of the next line, once this one is full."""
        owes = tones_of(self.line, self.ways.form.genre, self.ways.strictness, self.owed)[self.tones]
        return self.ways.spot(self.variant, self.number + 1, "", owes)

    @functools.cached_property
    def lives(self) -> bool:
        """Whether a poem can be kept from here on, as far as tones and fixed characters go."""
        if self.is_whole:
            return not self.owed
        if self.is_full:
            after = self.opened
            mends = not after.owed or (not after.is_whole and answers(self.ways.form, after.number))
            return mends and after.lives
        possible = "平仄" if self.given is None else self.ways.tones(self.given)
        return any(tone in possible and self._toned(tone).lives for tone in self._following)

    @functools.cached_property
    def after(self) -> Mapping[str, "Spot"]:
        """By its tone, where the next character leads, as far as there is an end from there."""
        if self.is_whole or self.is_full:
            return {}
        return {tone: spot for tone in self._following if (spot := self._toned(tone)).lives}

    @property
    def _following(self) -> str:
        """The tones that may come next, as far as the line goes."""
        genre, strictness = self.ways.form.genre, self.ways.strictness
        return next_tones(self.line, genre, strictness, self.owed).get(self.tones, "")

    def _toned(self, tone: str) -> "Spot":
        return self.ways.spot(self.variant, self.number, self.tones + tone, self.owed)


class Track(NamedTuple):
    """One way to read what was written so far: where it stands, and the kinds of rhyme chosen so far, by letter."""

    spot: Spot
    rhymes: tuple[tuple[str, Kind], ...] = ()


@dataclass(eq=False)
class Ways:
    """All ways through a form.

    inventory  the characters that there are
    fixed      characters that are given, by line and column
    groups     the rhyme groups to choose from, for the first rhyme; all where it is empty
    """

    form: Form
    inventory: Inventory
    strictness: str = "common"
    fixed: Mapping[Place, str] = field(default_factory=dict)
    groups: Collection[str] = ()

    def __post_init__(self) -> None:
        self._spots: dict[tuple[int, int, str, bool], Spot] = {}
        self._kinds: dict[tuple[int, str], frozenset[Kind]] = {}

    def spot(self, variant: int, number: int, tones: str, owed: bool) -> Spot:
        """The one spot of these facts."""
        key = variant, number, tones, owed
        known = self._spots.get(key)
        if known is None:
            known = self._spots[key] = Spot(self, *key)
        return known

    @functools.cached_property
    def beginnings(self) -> frozenset[Track]:
        """A way for every variant that the fixed characters leave; seldom ones only where they leave no other."""
        found = [
            (variant.seldom, Track(spot))
            for number, variant in enumerate(self.form.variants)
            if all(self.kinds(number, letter) for letter in letters(variant))
            and self._fits(variant)
            and (spot := self.spot(number, 0, "", False)).lives
        ]
        least = min((seldom for seldom, _ in found), default=False)
        return frozenset(track for seldom, track in found if seldom == least)

    def _fits(self, variant: Variant) -> bool:
        """Whether every fixed character has a place in the variant, and repeated lines say the same."""
        lines = variant.lines
        inside = all(line < len(lines) and column < len(lines[line]) for line, column in self.fixed)
        return inside and not any(
            lines[line].repeats
            and self.fixed.get((line - 1, column + len(lines[line - 1]) - len(lines[line]))) != character
            for (line, column), character in self.fixed.items()
        )

    def tones(self, character: str) -> str:
        """The tones of a character; either where the book does not know it, for only a person can ask for it."""
        return "".join(self.inventory.tones(character)) or "平仄"

    def after(self, way: Track, character: str) -> Iterator[Track]:
        """The ways that a character leaves of one."""
        spot, letter = way.spot, way.spot.letter
        if spot.given is not None and spot.given != character:
            return
        if not letter:
            for tone in self.tones(character) if spot.is_toneless else self.inventory.tones(character):
                if tone in spot.after:
                    yield Track(spot.after[tone], way.rhymes)
            return
        kinds = self.chosen(way)
        for reading in self.inventory.readings[character]:
            kind, tone = self._kind(spot.variant, letter, reading), tone_of(reading)
            if kind in kinds and tone in spot.after:
                yield Track(spot.after[tone], tuple(sorted({**dict(way.rhymes), letter: kind}.items())))

    # ── rhymes ──────────────────────────────────────────────────────────────────────────────────

    def chosen(self, way: Track) -> frozenset[Kind]:
        """The rhymes that the next character may have: one, if it was chosen."""
        letter = way.spot.letter
        return frozenset(kind for of, kind in way.rhymes if of == letter) or self.kinds(way.spot.variant, letter)

    def kinds(self, variant: int, letter: str) -> frozenset[Kind]:
        """The rhymes from which the lines of a letter may choose."""
        known = self._kinds.get((variant, letter))
        if known is None:
            lines = self.form.variants[variant].lines
            places = [(n, line) for n, line in enumerate(lines) if line.rhyme == letter and not line.repeats]
            asked = set(self.groups) if letter == letters(self.form.variants[variant])[0] else set()
            mixed = self._is_mixed(variant, letter)
            every = {(None if mixed else level, group) for level, group in self.inventory.spoken}
            known = self._kinds[variant, letter] = frozenset(
                kind for kind in every if (not asked or kind[1] in asked) and self._rhymes(kind, places)
            )
        return known

    def _kind(self, variant: int, letter: str, reading: Reading) -> Kind:
        """The kind of a reading: lines of one letter whose slots have both tones rhyme across them."""
        return (None if self._is_mixed(variant, letter) else reading.level, reading.group)

    def _is_mixed(self, variant: int, letter: str) -> bool:
        return len({line.slots[-1] for line in self.form.variants[variant].lines if line.rhyme == letter}) > 1

    def _rhymes(self, kind: Kind, places: Sequence[tuple[int, Line]]) -> bool:
        """Whether there are characters enough of a kind for all its lines, the fixed ones among them."""
        given = [self.fixed.get((number, len(line) - 1)) for number, line in places]
        if self.bars_repeated and len({c for c in given if c}) < sum(c is not None for c in given):
            return False
        for slot in {line.slots[-1] for _, line in places}:
            members = self.inventory.members(kind, slot)
            mine = [c for c, (_, line) in zip(given, places, strict=True) if line.slots[-1] == slot]
            fixed = [c for c in mine if c is not None]
            if any(c not in members for c in fixed):
                return False
            free = len(mine) - len(fixed)
            if free and len(members & self.inventory.known) < ENOUGH * len(mine):
                return False
        return True

    @property
    def bars_repeated(self) -> bool:
        """Whether no character may rhyme with itself."""
        return self.form.genre == "近体" and self.strictness != "free"


def letters(variant: Variant) -> list[str]:
    """The letters of its rhymes, in order."""
    return list(dict.fromkeys(line.rhyme for line in variant.lines if line.rhyme))
