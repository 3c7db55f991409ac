"""The form of a poem as an automaton over tokens: what may come next, so that the whole can still be kept.

A poem is a way through the lines of a variant, each with a string of tones (`metre.py`); lines of one letter share a
rhyme, which is chosen by the first of them. The automaton follows all such ways at once. A way is left as soon as it
has no end any more: the tones that may follow are known beforehand, with the characters that are fixed in them, and so
is every rhyme that has enough characters. Therefore whatever is allowed leads to a whole poem, and none is ever thrown
away.
"""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.composing.inventory import Inventory, Kind, is_han, tone_of
from charlm.composing.metre import answers, next_tones, tones_of
from charlm.poems.form import Form, Line, Variant
from charlm.poems.sounds import Reading, RhymeBook
from charlm.text.vocab import EOS, UNK

Place: TypeAlias = tuple[int, int]  # line and column of a character, from 0
ENOUGH = 2  # characters for each line of a rhyme, from which on it may be chosen


class Quotes(Protocol):
    """Lines that are not to be said again."""

    def endings(self, beginning: str, codes: NDArray[np.uint32], tail: str) -> NDArray[np.bool_]:
        """Which of these characters, by code points, would make such a line between its beginning and tail."""


@dataclass(frozen=True, slots=True)
class Track:
    """One way to read what was written so far.

    tones   of the line that is being written
    owed    whether this line must make up for a tone of the one before
    rhymes  the kinds chosen so far, by letter
    """

    variant: int
    line: int
    tones: str
    owed: bool
    rhymes: tuple[tuple[str, Kind], ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The state of one poem.

    line   the characters of the line that is being written
    said   the characters of the line before, where this one repeats it
    ends   the characters that have rhymed, with the letter of their rhyme
    """

    ways: frozenset[Track]
    line: str = ""
    said: str = ""
    ends: frozenset[tuple[str, str]] = frozenset()


@dataclass(eq=False)
class Automaton:
    """A `Constraint` that keeps a form.

    tokens      what each id spells
    fixed       characters that are given, by line and column; the vocabulary need not know them
    groups      the rhyme groups to choose from, for the first rhyme; all where it is empty
    quotes      lines that are not to be written
    """

    form: Form
    book: RhymeBook
    tokens: Sequence[str]
    strictness: str = "common"
    fixed: Mapping[Place, str] = field(default_factory=dict)
    groups: Collection[str] = ()
    quotes: Quotes | None = None

    def __post_init__(self) -> None:
        self.inventory = Inventory(self.tokens, self.book, self.fixed.values())
        self._masks: dict[frozenset[Track], Tensor] = {}
        self._alive: dict[Track, bool] = {}
        self._kinds: dict[tuple[int, str], frozenset[Kind]] = {}

    # ── the constraint ──────────────────────────────────────────────────────────────────────────

    def start(self) -> Written:
        """Before the first character: a way for every variant that the fixed characters leave; see `demands.py`."""
        return Written(self._beginnings)

    def allowed(self, state: Written) -> Tensor:
        """(V,): the characters, the mark or the end that may come next."""
        if len(state.line) < len(state.said):
            return self.inventory.only(self.inventory.id(state.said[len(state.line)]))
        known = self._masks.get(state.ways)
        if known is None:
            known = self._masks[state.ways] = self._mask(state.ways)
        mask = self._without_repeated(known, state)
        return mask if self.quotes is None else self._without_quotes(mask, state)

    def advance(self, state: Written, token: int) -> Written:
        """After a token that was allowed."""
        if token == EOS:
            return state
        if token == UNK or is_han(self.tokens[token]):
            return self._said(state, token)
        ways = [
            self._opened(way)
            for way in state.ways
            if self._is_full(way) and self.inventory.marks[self._sign(way)] == token
        ]
        repeats = any(not self._is_whole(way) and self._line(way).repeats for way in ways)
        kept = {line.rhyme for way in ways for line in self._lines(way)[way.line :]}
        ends = frozenset(pair for pair in state.ends if pair[0] in kept)
        return Written(frozenset(ways), said=state.line if repeats else "", ends=ends)

    def _said(self, state: Written, token: int) -> Written:
        way = next(iter(state.ways))  # all stand at the same place
        column = len(state.line)
        character = self.tokens[token]
        if token == UNK:  # which stands for a character that was given, here or in the line that is repeated
            character = self.fixed.get((way.line, column)) or state.said[column]
        ways = frozenset(after for way in state.ways for after in self._after(way, character))
        ended = {(self._line(way).rhyme, character) for way in ways if self._is_full(way) and self._line(way).rhyme}
        return Written(ways, state.line + character, state.said, state.ends | ended)

    # ── ways ────────────────────────────────────────────────────────────────────────────────────

    def _lines(self, way: Track) -> tuple[Line, ...]:
        return self.form.variants[way.variant].lines

    def _line(self, way: Track) -> Line:
        return self._lines(way)[way.line]

    def _is_whole(self, way: Track) -> bool:
        return way.line == len(self._lines(way))

    def _is_full(self, way: Track) -> bool:
        return not self._is_whole(way) and len(way.tones) == len(self._line(way))

    def _rhyme_here(self, way: Track) -> str:
        """The letter of the rhyme that the next character has to have; empty where none."""
        if self._is_whole(way) or len(way.tones) != len(self._line(way)) - 1:
            return ""
        return self._line(way).rhyme

    def _sign(self, way: Track) -> str:
        """The mark after a line: verse of couplets ends each with a stop, a tune each rhyme."""
        last = way.line == len(self._lines(way)) - 1
        ends = bool(self._line(way).rhyme) if self.form.genre == "词" else way.line % 2 == 1
        return "。" if ends or last else "，"

    def _opened(self, way: Track) -> Track:
        """The way at the beginning of its next line."""
        owes = tones_of(self._line(way), self.form.genre, self.strictness, way.owed)[way.tones]
        return Track(way.variant, way.line + 1, "", owes, way.rhymes)

    @functools.cached_property
    def _beginnings(self) -> frozenset[Track]:
        return frozenset(
            way
            for number, variant in enumerate(self.form.variants)
            if all(self.kinds(number, letter) for letter in letters(variant))
            and self._fits(variant)
            and self.alive(way := Track(number, 0, "", False))
        )

    def _fits(self, variant: Variant) -> bool:
        """Whether every fixed character has a place in the variant, and repeated lines say the same."""
        lines = variant.lines
        inside = all(line < len(lines) and column < len(lines[line]) for line, column in self.fixed)
        return inside and not any(
            lines[line].repeats and self.fixed.get((line - 1, column)) != character
            for (line, column), character in self.fixed.items()
        )

    def alive(self, way: Track) -> bool:
        """Whether a way has an end, as far as tones and fixed characters go."""
        bare = Track(way.variant, way.line, way.tones, way.owed)
        known = self._alive.get(bare)
        if known is None:
            known = self._alive[bare] = self._lives(bare)
        return known

    def _lives(self, way: Track) -> bool:
        if self._is_whole(way):
            return not way.owed
        if self._is_full(way):
            return self._is_closed(way)
        character = self.fixed.get((way.line, len(way.tones)))
        possible = self._next(way) if character is None else self._tones(character)
        return any(tone in possible and self.alive(self._toned(way, tone)) for tone in self._next(way))

    def _is_closed(self, way: Track) -> bool:
        after = self._opened(way)
        mends = not after.owed or (not self._is_whole(after) and answers(self.form, after.line))
        return mends and self.alive(after)

    def _next(self, way: Track) -> str:
        return next_tones(self._line(way), self.form.genre, self.strictness, way.owed).get(way.tones, "")

    @staticmethod
    def _toned(way: Track, tone: str, rhymes: tuple[tuple[str, Kind], ...] | None = None) -> Track:
        return Track(way.variant, way.line, way.tones + tone, way.owed, way.rhymes if rhymes is None else rhymes)

    def _tones(self, character: str) -> str:
        """The tones of a character; either where the book does not know it, for only a person can ask for it."""
        return "".join(self.inventory.tones(character)) or "平仄"

    def _after(self, way: Track, character: str) -> Iterator[Track]:
        """The ways that a character leaves of one."""
        given = self.fixed.get((way.line, len(way.tones)))
        if self._is_whole(way) or self._is_full(way) or (given is not None and given != character):
            return
        letter = self._rhyme_here(way)
        if not letter:
            tones = self._tones(character) if self._toneless(way) else self.inventory.tones(character)
            for tone in tones:
                if tone in self._next(way) and self.alive(after := self._toned(way, tone)):
                    yield after
            return
        chosen = dict(way.rhymes)
        kinds = frozenset({chosen[letter]}) if letter in chosen else self.kinds(way.variant, letter)
        for reading in self.inventory.readings[character]:
            kind = self._kind(way.variant, letter, reading)
            if kind in kinds and tone_of(reading) in self._next(way):
                after = self._toned(way, tone_of(reading), tuple(sorted({**chosen, letter: kind}.items())))
                if self.alive(after):
                    yield after

    def _toneless(self, way: Track) -> bool:
        """Whether the tone at this place does not matter, or the character is given: then it need not be known."""
        return self.strictness == "free" or self.form.genre == "古体" or (way.line, len(way.tones)) in self.fixed

    # ── rhymes ──────────────────────────────────────────────────────────────────────────────────

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
        if self._bars_repeated and len({c for c in given if c}) < sum(c is not None for c in given):
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
    def _bars_repeated(self) -> bool:
        """Whether no character may rhyme with itself."""
        return self.form.genre == "近体" and self.strictness != "free"

    # ── masks ───────────────────────────────────────────────────────────────────────────────────

    def _mask(self, ways: frozenset[Track]) -> Tensor:
        """What any of the ways allows: kinds of ways that ask alike are asked once."""
        mask = torch.zeros(len(self.tokens), dtype=torch.bool)
        for way in ways:
            if self._is_whole(way):
                mask[EOS] = True
            elif self._is_full(way):
                mask[self.inventory.marks[self._sign(way)]] = True
            elif (given := self.fixed.get((way.line, len(way.tones)))) is not None:
                if any(self._after(way, given)):
                    mask[self.inventory.id(given)] = True
            else:
                mask |= self._of_characters(way)
        return mask

    def _of_characters(self, way: Track) -> Tensor:
        letter = self._rhyme_here(way)
        tones = "".join(tone for tone in self._next(way) if self.alive(self._toned(way, tone)))
        if not letter:
            return self.inventory.with_tones(tones, self._toneless(way))
        chosen = dict(way.rhymes)
        kinds = frozenset({chosen[letter]}) if letter in chosen else self.kinds(way.variant, letter)
        return self.inventory.with_kinds(tones, kinds)

    def _given_tail(self, way: Track) -> str | None:
        """The characters after this place, where all of them are given and this one is not; else None."""
        if self._is_whole(way) or self._is_full(way):
            return None
        rest = [self.fixed.get((way.line, column)) for column in range(len(way.tones), len(self._line(way)))]
        given = [character for character in rest[1:] if character is not None]
        return "".join(given) if rest[0] is None and len(given) == len(rest) - 1 else None

    def _without_repeated(self, mask: Tensor, state: Written) -> Tensor:
        """Without what has rhymed before, and what is fixed to rhyme later."""
        if not self._bars_repeated:
            return mask
        barred: set[str] = set()
        for way in state.ways:
            letter = self._rhyme_here(way)
            if letter and (way.line, len(way.tones)) not in self.fixed:
                alike = [(number, line) for number, line in enumerate(self._lines(way)) if line.rhyme == letter]
                given = (self.fixed.get((number, len(line) - 1)) for number, line in alike)
                barred |= {character for character in given if character is not None}
                barred |= {character for of, character in state.ends if of == letter}
        return self.inventory.without(mask, barred)

    def _without_quotes(self, mask: Tensor, state: Written) -> Tensor:
        """Without what would make a line of `quotes`: asked at the last character of a line that is free."""
        assert self.quotes is not None
        tail = {self._given_tail(way) for way in state.ways} - {None}
        if not tail:
            return mask
        ids = mask.nonzero()[:, 0].numpy()
        known = np.zeros(len(ids), np.bool_)
        for given in tail:
            known |= self.quotes.endings(state.line, self.inventory.codes[ids], str(given))
        return self.inventory.only(*ids[~known].tolist()) if known.any() and not known.all() else mask


def letters(variant: Variant) -> list[str]:
    """The letters of its rhymes, in order."""
    return list(dict.fromkeys(line.rhyme for line in variant.lines if line.rhyme))
