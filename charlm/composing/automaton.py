"""The form of a poem as an automaton over tokens: what may come next, so that the whole can still be kept.

It follows all ways through the form at once (`ways.py`), and leaves those that have no end any more. Therefore whatever
is allowed leads to a whole poem, and none is ever thrown away. Poems go the same ways again and again, so that what is
known of a set of ways is kept.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.composing.inventory import Inventory, Kind, is_han
from charlm.composing.ways import Place, Track, Ways
from charlm.poems.form import Form
from charlm.poems.sounds import RhymeBook
from charlm.text.vocab import EOS, UNK

Tracks: TypeAlias = frozenset[Track]
Asked: TypeAlias = tuple[str, bool | frozenset[Kind]]  # tones, and whether unknown ones too, or which rhymes
Key = TypeVar("Key")
Known = TypeVar("Known")
MOST_KNOWN = 100_000  # sets of ways that are remembered


class Quotes(Protocol):
    """Lines that are not to be said again."""

    def endings(self, beginning: str, codes: NDArray[np.uint32], tail: str) -> NDArray[np.bool_]:
        """Which of these characters, by code points, would make such a line between its beginning and tail."""


@dataclass(frozen=True, slots=True)
class Written:
    """The state of one poem.

    line   the characters of the line that is being written
    said   what the line before ends with, where this one may say it again: in some of the ways, or in all of them
    ends   the characters that have rhymed, with the letter of their rhyme
    """

    ways: Tracks
    line: str = ""
    said: str = ""
    ends: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Choice:
    """What may come next in some ways, whatever was said before.

    letters  of the rhymes that a character may be chosen for here
    given    characters that are fixed to rhyme with it later
    tails    what is fixed after this place, where it is the last free one of its line, and how much of the line's end
             is said again
    """

    mask: Tensor
    letters: frozenset[str]
    given: frozenset[str]
    tails: tuple[tuple[str, int], ...]


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
        self.ways = Ways(self.form, self.inventory, self.strictness, self.fixed, self.groups)
        self._choices: dict[Tracks, _Choice] = {}
        self._masks: dict[frozenset[int | Asked], Tensor] = {}
        self._after: dict[tuple[Tracks, Hashable], tuple[Tracks, frozenset[str]]] = {}

    # ── the constraint ──────────────────────────────────────────────────────────────────────────

    def start(self) -> Written:
        """Before the first character: a way for every variant that the fixed characters leave; see `demands.py`."""
        return Written(self.ways.beginnings)

    def allowed(self, state: Written) -> Tensor:
        """(V,): the characters, the mark or the end that may come next."""
        if len(state.line) >= len(state.said):
            return self._chosen(state, state.ways)
        again = self.inventory.only(self.inventory.id(state.said[len(state.line)]))
        free = self._free(state.ways)
        return self._chosen(state, free) | again if free else again

    def _chosen(self, state: Written, ways: Tracks) -> Tensor:
        """What may come next in some of the ways, as if none had to repeat a line."""
        choice = self._choices.get(ways)
        if choice is None:
            choice = _room(self._choices)[ways] = self._choice(ways)
        mask = choice.mask
        if choice.letters:
            rhymed = {character for letter, character in state.ends if letter in choice.letters}
            mask = self.inventory.without(mask, choice.given | rhymed)
        return self._without_quotes(mask, state.line, choice.tails) if choice.tails else mask

    def _free(self, ways: Tracks) -> Tracks:
        """Those that do not repeat the line before."""
        return frozenset(way for way in ways if not way.spot.line.repeats)

    def advance(self, state: Written, token: int) -> Written:
        """After a token that was allowed."""
        if token == EOS:
            return state
        if token == UNK or is_han(self.tokens[token]):
            return self._said(state, token)
        return self._closed(state, token)

    def _said(self, state: Written, token: int) -> Written:
        place = (next(iter(state.ways)).spot.number, len(state.line))  # of all of them
        character = self.tokens[token]
        if token == UNK:  # which stands for a character that was given, here or in the line that is repeated
            character = self.fixed.get(place) or state.said[place[1]]
        if len(state.line) < len(state.said) and character != state.said[len(state.line)]:
            state = replace(state, ways=self._free(state.ways), said="")
        # What the book says of a character is all that counts, unless a certain one is asked for.
        kind: Hashable = character if place in self.fixed else self.inventory.readings[character]
        known = self._after.get((state.ways, kind))
        if known is None:
            ways = frozenset(after for way in state.ways for after in self.ways.after(way, character))
            letters = frozenset(way.spot.line.rhyme for way in ways if way.spot.is_full) - {""}
            known = _room(self._after)[state.ways, kind] = ways, letters
        ways, letters = known
        ended = {(letter, character) for letter in letters}
        return Written(ways, state.line + character, state.said, state.ends | ended if ended else state.ends)

    def _closed(self, state: Written, token: int) -> Written:
        """After the mark of a line."""
        known = self._after.get((state.ways, token))
        if known is None:
            full = [way for way in state.ways if way.spot.is_full and self._mark(way) == token]
            ways = frozenset(Track(way.spot.opened, way.rhymes) for way in full)
            coming = frozenset(line.rhyme for way in ways for line in way.spot.lines[way.spot.number :])
            known = _room(self._after)[state.ways, token] = ways, coming
        ways, coming = known
        again = max((len(way.spot.line) for way in ways if way.spot.line.repeats), default=0)
        ends = frozenset(pair for pair in state.ends if pair[0] in coming)
        return Written(ways, said=state.line[len(state.line) - again :] if again else "", ends=ends)

    # ── masks ───────────────────────────────────────────────────────────────────────────────────

    def _choice(self, ways: Tracks) -> _Choice:
        asks = frozenset(ask for way in ways for ask in self._asks(way))
        mask = self._masks.get(asks)
        if mask is None:
            mask = torch.zeros(len(self.tokens), dtype=torch.bool)
            for ask in asks:
                mask |= self.inventory.only(ask) if isinstance(ask, int) else self._of_characters(ask)
            self._masks[asks] = mask
        letters: set[str] = set()
        given: set[str] = set()
        for way in ways if self.ways.bars_repeated else ():
            letter = way.spot.letter
            if letter and way.spot.given is None:
                alike = [(number, line) for number, line in enumerate(way.spot.lines) if line.rhyme == letter]
                letters.add(letter)
                given |= {self.fixed.get((number, len(line) - 1), "") for number, line in alike}
        spots = (way.spot for way in ways if self.quotes is not None)
        tails = {(spot.tail, spot.echoed) for spot in spots if spot.tail is not None}
        return _Choice(mask, frozenset(letters), frozenset(given), tuple(sorted(tails)))

    def _asks(self, way: Track) -> Iterator[int | Asked]:
        """What a way asks of the next token: one token, or tones, with those of no tone or with rhymes."""
        spot = way.spot
        if spot.is_whole:
            yield EOS
        elif spot.is_full:
            yield self._mark(way)
        elif spot.given is not None:
            if any(True for _ in self.ways.after(way, spot.given)):
                yield self.inventory.id(spot.given)
        else:
            yield "".join(spot.after), self.ways.chosen(way) if spot.letter else spot.is_toneless

    def _mark(self, way: Track) -> int:
        return self.inventory.marks[way.spot.mark]

    def _of_characters(self, asked: Asked) -> Tensor:
        tones, rest = asked
        return (
            self.inventory.with_tones(tones, rest) if isinstance(rest, bool) else self.inventory.with_kinds(tones, rest)
        )

    def _without_quotes(self, mask: Tensor, line: str, tails: Sequence[tuple[str, int]]) -> Tensor:
        """Without what would make a line of `quotes`, this one or the end of it said again, unless nothing is left."""
        assert self.quotes is not None
        ids = mask.nonzero()[:, 0].numpy()
        known = np.zeros(len(ids), np.bool_)
        for given, echoed in tails:
            known |= self.quotes.endings(line, self.inventory.codes[ids], given)
            if echoed > len(given):
                before = line[len(line) - (echoed - 1 - len(given)) :]
                known |= self.quotes.endings(before, self.inventory.codes[ids], given)
        if not known.any() or known.all():
            return mask
        mask = mask.clone()
        mask[torch.from_numpy(ids[known])] = False
        return mask


def _room(memory: dict[Key, Known]) -> dict[Key, Known]:
    """A memory with room for one more."""
    if len(memory) >= MOST_KNOWN:
        memory.clear()
    return memory
