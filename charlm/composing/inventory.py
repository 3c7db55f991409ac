"""The characters that a model knows, by tone and by rhyme: which of its tokens a place in a poem admits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.poems.sounds import Reading, RhymeBook
from charlm.text.vocab import UNK

Kind: TypeAlias = tuple[bool | None, str]  # whether a rhyme is level (None: its lines are both), and its group
MARKS = "，。"


class Inventory:
    """What the tokens of a vocabulary are to verse.

    tokens  what each id spells
    given   characters that a person asks for; the vocabulary need not know them, and `<UNK>` stands for them then
    """

    def __init__(self, tokens: Sequence[str], book: RhymeBook, given: Collection[str] = ()) -> None:
        self.tokens = tokens
        self.ids = {token: number for number, token in enumerate(tokens)}
        # A token of several characters is none of a line, whatever number stands for it.
        self.codes = np.array([ord(token) if len(token) == 1 else 0 for token in tokens], np.uint32)
        self.marks = {mark: _mark(mark, self.ids) for mark in MARKS}
        self.known = {token for token in tokens if is_han(token)}
        # What a person asks for may be meant in any reading; what is written freely has those that verse uses.
        self.readings = {character: book.usual(character) for character in self.known}
        self.readings |= {character: book.readings(character) for character in given}
        self._by_tones: dict[tuple[str, bool], Tensor] = {}
        self._by_kinds: dict[tuple[str, frozenset[Kind]], Tensor] = {}
        self.spoken: dict[tuple[bool, str], set[str]] = {}  # level or not, group -> characters
        for character, readings in self.readings.items():
            for reading in readings:
                self.spoken.setdefault((reading.level, reading.group), set()).add(character)

    def id(self, character: str) -> int:
        """The id of a character."""
        return self.ids.get(character, UNK)

    def only(self, *ids: int) -> Tensor:
        """(V,): these tokens and no other."""
        mask = torch.zeros(len(self.tokens), dtype=torch.bool)
        mask[list(ids)] = True
        return mask

    def without(self, mask: Tensor, characters: Collection[str]) -> Tensor:
        """(V,): a mask less some characters."""
        barred = [self.ids[character] for character in characters if character in self.known]
        if barred:
            mask = mask.clone()
            mask[barred] = False
        return mask

    def tones(self, character: str) -> set[str]:
        """平, 仄 or both; none where the book does not know it."""
        return {tone_of(reading) for reading in self.readings[character]}

    def members(self, kind: Kind, slot: str) -> set[str]:
        """The characters of a kind of rhyme whose tone fits a slot, those that the vocabulary does not know too."""
        levels = [level for level in (True, False) if kind[0] in (None, level) and slot in ("中", tone(level))]
        return _union(self.spoken.get((level, kind[1]), set()) for level in levels)

    def with_tones(self, tones: str, unknown: bool) -> Tensor:
        """(V,): the characters that have one of these tones, and those of no known tone if `unknown`."""
        known = self._by_tones.get((tones, unknown))
        if known is None:
            known = self._by_tones[tones, unknown] = self._with_tones(tones, unknown)
        return known

    def _with_tones(self, tones: str, unknown: bool) -> Tensor:
        levels = {one == "平" for one in tones}
        found = _union(characters for (level, _), characters in self.spoken.items() if level in levels)
        if unknown:
            found |= {character for character in self.known if not self.readings[character]}
        return self.only(*(self.ids[character] for character in found & self.known))

    def with_kinds(self, tones: str, kinds: frozenset[Kind]) -> Tensor:
        """(V,): the characters that have one of these tones in one of these rhymes."""
        known = self._by_kinds.get((tones, kinds))
        if known is None:
            known = self._by_kinds[tones, kinds] = self._with_kinds(tones, kinds)
        return known

    def _with_kinds(self, tones: str, kinds: frozenset[Kind]) -> Tensor:
        found = _union(self.members(kind, one) for kind in kinds for one in tones)
        return self.only(*(self.ids[character] for character in found & self.known))


def tone(level: bool) -> str:
    """平 or 仄."""
    return "平" if level else "仄"


def tone_of(reading: Reading) -> str:
    """平 or 仄."""
    return tone(reading.level)


def is_han(token: str) -> bool:
    """Whether a token is one Chinese character."""
    return len(token) == 1 and ("\u3400" <= token <= "\u9fff" or "\U00020000" <= token <= "\U0003ffff")


def _union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)


def _mark(mark: str, ids: Mapping[str, int]) -> int:
    for token in (mark, "\n"):
        if token in ids:
            return ids[token]
    raise ConfigError(
        f"the model does not know {mark}, so its lines have no end",
        hint="train on verse with its marks, one poem a line: 春眠不觉晓，处处闻啼鸟。",
    )
