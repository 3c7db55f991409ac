"""What the poems of a training text say, so that none of their lines is said again, and copies can be counted.

Two Bloom filters (Bloom 1970): of whole lines, and of every five characters in a row. They never miss what they hold,
and take something else for it now and then, at a rate that is known: so no line is ever copied, a few innocent ones are
not written either, and a share that is counted can be corrected.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from charlm import jsonfiles, tensorfiles
from charlm.errors import RunError
from charlm.text.corpus import Corpus

GRAM = 5  # characters in a row that are called a copy
LINE_RATE, GRAM_RATE = 0.003, 0.1  # how often a filter takes something else for what it holds
LONGEST = 16  # characters of a line of verse
LOOKED_AT, AT_ONCE = 500, 10_000  # documents
SHORTEST = 3  # characters; a shorter line is nobody's
HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]+")
NOVELTY_FILE = "lines.safetensors"
FACTS = {"format": int, "probes": {"lines": int, "grams": int}}
Hashes = NDArray[np.uint64]
Codes = NDArray[np.uint32]


@dataclass(frozen=True)
class Bloom:
    """A set of hashes in a few bits each.

    bits    packed
    probes  places that each hash sets
    """

    bits: NDArray[np.uint8]
    probes: int

    @classmethod
    def of(cls, hashes: Hashes, rate: float) -> "Bloom":
        """The filter that holds some hashes and takes others for them at this rate."""
        different = np.unique(hashes)
        size = max(64, math.ceil(-len(different) * math.log(rate) / math.log(2) ** 2))
        filled = np.zeros(-(-size // 8) * 8, np.bool_)
        probes = max(1, round(-math.log2(rate)))
        for probe in range(probes):
            filled[_places(different, probe, len(filled))] = True
        return cls(np.packbits(filled), probes)

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these it holds, or takes for what it holds."""
        left = np.arange(len(hashes))  # each probe is asked about those alone that all before it let pass
        for probe in range(self.probes):
            places = _places(hashes[left], probe, len(self.bits) * 8)
            left = left[(self.bits[places >> 3] >> (7 - (places & 7)) & 1).astype(np.bool_)]
        held = np.zeros(len(hashes), np.bool_)
        held[left] = True
        return held

    @property
    def rate(self) -> float:
        """How often it takes something else for what it holds."""
        return float((np.unpackbits(self.bits).mean()) ** self.probes)


def _places(hashes: Hashes, probe: int, size: int) -> NDArray[np.int64]:
    """Where each hash sets one of its bits: two halves of it make all (Kirsch & Mitzenmacher 2008)."""
    low, high = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32) | np.uint64(1)
    return ((low + np.uint64(probe) * high) % np.uint64(size)).astype(np.int64)


def hashes(texts: Sequence[str]) -> Hashes:
    """A number for each of some texts of one length, the same on every machine."""
    width = len(texts[0]) if texts else 0
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).reshape(len(texts), width)
    return np.broadcast_to(_mixed(list(codes.T), width), (len(texts),))


def _mixed(columns: Sequence[Any], width: int) -> Hashes:
    """One number of the characters of each column, one after the other; columns of one row serve all."""
    found = np.full(1, width, np.uint64)
    for column in columns:
        found = (found ^ column) * np.uint64(0x9E3779B97F4A7C15)
        found = found ^ found >> np.uint64(29)
    return found * np.uint64(0xBF58476D1CE4E5B9) ^ found >> np.uint64(32)


def is_verse(poems: Sequence[str]) -> bool:
    """Whether some documents are verse by their looks: nearly all are Han and marks, in four clauses or more."""
    few = [clauses(poem) for poem in poems]
    looks = [
        len(c) >= 4 and max(map(len, c)) <= LONGEST and sum(map(len, c)) > 0.6 * len(p)
        for c, p in zip(few, poems, strict=True)
    ]
    return len(looks) > 0 and sum(looks) >= 0.9 * len(looks)


def clauses(text: str) -> list[str]:
    """The lines of a poem: what stands between its marks."""
    return HAN.findall(text)


@dataclass(frozen=True)
class Novelty:
    """What is known of a training text."""

    lines: Bloom
    grams: Bloom

    @classmethod
    def of(cls, poems: Iterable[str]) -> "Novelty":
        """What some poems say."""
        by_length: dict[int, list[str]] = {}
        grams: list[Hashes] = []
        for poem in poems:
            for line in clauses(poem):
                by_length.setdefault(len(line), []).append(line)
        for length, lines in by_length.items():
            grams += [hashes([line[at : at + GRAM] for line in lines]) for at in range(length - GRAM + 1)]
        whole = [hashes(lines) for length, lines in by_length.items() if length >= SHORTEST]
        return cls(Bloom.of(_all(whole), LINE_RATE), Bloom.of(_all(grams), GRAM_RATE))

    def endings(self, beginning: str, codes: Codes, tail: str = "") -> NDArray[np.bool_]:
        """Which of these characters (N,), by code points, make a line of the text with what stands about them."""
        width = len(beginning) + 1 + len(tail)
        grams = [part[at : at + GRAM] for part in (beginning, tail) for at in range(len(part) - GRAM + 1)]
        # A line whose first characters nobody ever wrote in a row is no line of the text, whatever its end.
        if width < SHORTEST or (grams and not self.grams.holds(hashes(grams)).all()):
            return np.zeros(len(codes), np.bool_)
        columns = [*(np.full(1, ord(c), np.uint32) for c in beginning), codes, *(np.uint32(ord(c)) for c in tail)]
        return self.lines.holds(np.broadcast_to(_mixed(columns, width), codes.shape))

    def copied(self, lines: Iterable[str]) -> list[bool]:
        """Which lines have five characters in a row that the text has, or seem to have them (`grams.rate` a look)."""
        return [
            len(line) >= GRAM
            and bool(self.grams.holds(hashes([line[at : at + GRAM] for at in range(len(line) - GRAM + 1)])).any())
            for line in lines
        ]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        parts = {"lines": self.lines, "grams": self.grams}
        tensors = {name: torch.from_numpy(part.bits) for name, part in parts.items()}
        facts = {"format": 1, "probes": {name: part.probes for name, part in parts.items()}}
        tensorfiles.write(path, tensors, facts)

    @classmethod
    def load(cls, path: Path) -> "Novelty":
        """Read what `save` wrote; raises RunError for a file that is something else."""
        tensors, facts = tensorfiles.read(path)
        wrong = jsonfiles.misfit(FACTS, facts) or next(
            (f"{name} is no bits" for name in ("lines", "grams") if not _is_bits(tensors.get(name))), ""
        )
        if wrong:
            raise RunError(f"{path} holds no lines of poems: {wrong}", hint="restore it, or train the run again")
        return cls(*(Bloom(tensors[name].numpy(), facts["probes"][name]) for name in ("lines", "grams")))


def said_in(corpora: Sequence[Corpus], tokens: Sequence[str]) -> Novelty | None:
    """What encoded texts say, if they are verse by the looks of their first poems; else None.

    tokens  what each id spells
    """
    signs = np.array([ord(token) if len(token) == 1 else ord("，") for token in tokens], "<u4")

    def spelled(corpus: Corpus, first: int, last: int) -> str:
        ids = corpus.ids[corpus.starts[first] : corpus.starts[last]]
        return str(signs[ids].tobytes(), "utf-32-le")

    if not is_verse([spelled(corpora[0], number, number + 1) for number in range(min(len(corpora[0]), LOOKED_AT))]):
        return None
    parts = ((corpus, first) for corpus in corpora for first in range(0, len(corpus), AT_ONCE))
    return Novelty.of(spelled(corpus, first, min(first + AT_ONCE, len(corpus))) for corpus, first in parts)


@dataclass(frozen=True)
class Together:
    """What several texts say."""

    known: Sequence[Novelty]

    def endings(self, beginning: str, codes: Codes, tail: str = "") -> NDArray[np.bool_]:
        """Which of these characters make a line of any of them."""
        found: NDArray[np.bool_] = np.any([one.endings(beginning, codes, tail) for one in self.known], axis=0)
        return found

    def copied(self, lines: Sequence[str]) -> list[bool]:
        """Which lines have five characters in a row of any of them."""
        each = [one.copied(lines) for one in self.known]
        return [any(found) for found in zip(*each, strict=True)]


def _is_bits(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.dtype == torch.uint8 and tensor.dim() == 1 and len(tensor) > 0


def _all(parts: list[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)
