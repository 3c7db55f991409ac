"""Lines of verse from left to right, or from right to left so that the rhyme comes first: what a form costs either way.

    python bench/reading_order.py turn TEXT > TURNED
    python bench/reading_order.py cost FORWARD BACKWARD VALID [--form 七绝]
    charlm sample FORWARD --count 500 --temperature 1 | python bench/reading_order.py rhymes

FORWARD and BACKWARD are runs of the same text and the same knobs, but that every line of BACKWARD's text is turned.
`cost` reads poems of people that keep the form, and says how much probability its tones and rhymes leave at each
character, over all patterns that the poem may still be of: what the masks of a generator would cost, in nats.
`rhymes` says how many quatrains of those drawn freely rhyme.
"""

import argparse
import math
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from charlm.poems.form import Variant, find_form
from charlm.poems.sounds import RhymeBook, rhyme_book
from charlm.runs.run import Run, load
from charlm.text.vocab import EOS, UNK

HAN = re.compile("[\u3400-\u9fff]+")
AT_ONCE = 250  # poems that are read side by side
LETTER = "a"  # regulated verse has one rhyme


def turned(text: str) -> str:
    """Every line of verse from its last character to its first; marks stay behind them."""
    return HAN.sub(lambda line: line[0][::-1], text)


def groups_of(book: RhymeBook, character: str, slot: str) -> frozenset[str]:
    """The rhyme groups of the readings of a character that fit a slot."""
    return frozenset(r.group for r in book.readings(character) if slot == "中" or r.level == (slot == "平"))


class Sounds:
    """Which tokens of a vocabulary fit a slot, and which rhyme besides."""

    def __init__(self, tokens: Sequence[str], book: RhymeBook) -> None:
        self.masks: dict[tuple[str, str], Tensor] = {}
        self.tokens, self.book = tokens, book

    def fitting(self, slot: str, groups: frozenset[str] | None) -> Tensor:
        """(V,): groups  of which one must be had; None asks for no rhyme."""
        if groups is None:
            return self._mask(slot, "")
        return torch.stack([self._mask(slot, group) for group in groups]).any(0)

    def _mask(self, slot: str, group: str) -> Tensor:
        if (slot, group) not in self.masks:
            had = [groups_of(self.book, token, slot) if HAN.fullmatch(token) else () for token in self.tokens]
            free = [slot == "中" and not group and bool(HAN.fullmatch(token)) for token in self.tokens]
            fits = [bool(found) and group in ("", *found) for found in had]
            self.masks[slot, group] = torch.tensor([one or other for one, other in zip(fits, free, strict=True)])
        return self.masks[slot, group]


class Reading:
    """One poem while it is read: the patterns that it may still be of, and the rhyme that it has chosen."""

    def __init__(self, lines: Sequence[str], variants: Sequence[Variant], sounds: Sounds) -> None:
        self.lines, self.sounds = lines, sounds
        # With the groups of the rhyme that it has chosen, None before.
        self.alive: list[tuple[Variant, frozenset[str] | None]] = [
            (variant, None) for variant in variants if variant.lengths == tuple(map(len, lines))
        ]

    def allowed(self, line: int, place: int) -> tuple[Tensor, bool]:
        """What any pattern allows there, and whether each of them asks for the rhyme that was chosen."""
        masks, rhymed = [], True
        for variant, groups in self.alive:
            wanted = groups if self._rhymes(variant, line, place) else None
            masks.append(self.sounds.fitting(variant.lines[line].slots[place], wanted))
            rhymed = rhymed and wanted is not None
        return torch.stack(masks).any(0), rhymed

    def read(self, line: int, place: int) -> None:
        """Leave the patterns that the poem's own character does not fit."""
        character = self.lines[line][place]
        kept: list[tuple[Variant, frozenset[str] | None]] = []
        for variant, groups in self.alive:
            slot = variant.lines[line].slots[place]
            had = groups_of(self.sounds.book, character, slot)
            if self._rhymes(variant, line, place):
                had = had if groups is None else had & groups
                groups = had
            if had or slot == "中":
                kept.append((variant, groups))
        self.alive = kept

    def _rhymes(self, variant: Variant, line: int, place: int) -> bool:
        return place == len(variant.lines[line]) - 1 and variant.lines[line].rhyme == LETTER


def quatrains(text: str) -> Iterator[list[str]]:
    """The lines of each poem."""
    for row in text.splitlines():
        yield HAN.findall(row)


def places(lines: Sequence[str], backward: bool) -> list[tuple[int, int]]:
    """Line and place of each character, in the order of reading."""
    return [
        (number, place)
        for number, line in enumerate(lines)
        for place in (range(len(line) - 1, -1, -1) if backward else range(len(line)))
    ]


def keeps(lines: Sequence[str], variants: Sequence[Variant], sounds: Sounds) -> bool:
    """Whether a poem is of one of the patterns, to the end."""
    reading = Reading(lines, variants, sounds)
    for line, place in places(lines, backward=False):
        reading.read(line, place)
    return bool(reading.alive) and all(groups for _, groups in reading.alive)


@dataclass
class Measured:
    """What poems cost a model, in nats.

    characters  -ln P of each character
    rhymes      -ln of what the masks leave where every pattern asks for the rhyme that was chosen
    elsewhere   the same at the other characters
    """

    characters: list[float] = field(default_factory=list)
    rhymes: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)

    def told(self) -> str:
        """One line for people."""
        every = self.rhymes + self.elsewhere
        error = statistics.stdev(every) / math.sqrt(len(every))
        return (
            f"perplexity of a character {math.exp(statistics.mean(self.characters)):.2f}; the form costs "
            f"{statistics.mean(every):.4f} nats a character (± {error:.4f}): {statistics.mean(self.rhymes):.3f} where "
            f"the rhyme is asked for ({len(self.rhymes):,} places), {statistics.mean(self.elsewhere):.4f} elsewhere"
        )


@torch.no_grad()
def measure(run: Run, poems: Sequence[Sequence[str]], variants: Sequence[Variant], backward: bool) -> Measured:
    """What the form costs a model, on poems that keep it."""
    sounds = Sounds(run.codec.vocab.tokens, rhyme_book("pingshui"))
    found = Measured()
    for first in range(0, len(poems), AT_ONCE):
        some = poems[first : first + AT_ONCE]
        readings = [Reading(lines, variants, sounds) for lines in some]
        texts = ["".join(f"{line}{'，。'[number % 2]}" for number, line in enumerate(lines)) for lines in some]
        ids = torch.tensor([(EOS, *run.codec.line(turned(text) if backward else text).ids) for text in texts])
        order = places(some[0], backward)
        steps = iter(order)
        state = run.model.initial_state(len(some))
        for column in range(ids.shape[1] - 1):
            says, state = run.model.step(ids[:, column], state)
            following = ids[:, column + 1]
            if not HAN.fullmatch(sounds.tokens[int(following[0])]) and int(following[0]) > UNK:
                continue  # a mark
            try:
                line, place = next(steps)
            except StopIteration:
                break
            found.characters += (-says.gather(1, following[:, None])[:, 0]).tolist()
            for row, reading in enumerate(readings):
                mask, rhymed = reading.allowed(line, place)
                (found.rhymes if rhymed else found.elsewhere).append(-float(says[row][mask].logsumexp(0)))
                reading.read(line, place)
    return found


def rhyming(text: str, book: RhymeBook) -> str:
    """How many quatrains of regular lines rhyme."""
    found = [lines for lines in quatrains(text) if len(lines) == 4 and {len(line) for line in lines} in ({5}, {7})]
    rhymed = sum(bool(book.rhyme(lines[1][-1], lines[3][-1])) for lines in found)
    turned_round = sum(bool(book.rhyme(lines[1][0], lines[3][0])) for lines in found)
    return (
        f"{len(found):,} quatrains; {rhymed / max(1, len(found)):.1%} rhyme at the ends, "
        f"{turned_round / max(1, len(found)):.1%} at the heads of their lines"
    )


def main() -> None:
    """Turn a text, or print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["turn", "cost", "rhymes"])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--form", default="七绝")
    given = parser.parse_args()
    if given.what == "turn":
        for path in given.paths:
            sys.stdout.write(turned(path.read_text("utf-8")))
        return
    if given.what == "rhymes":
        print(rhyming(sys.stdin.read(), rhyme_book("pingshui")))
        return
    forward, backward, valid = given.paths
    variants = find_form(given.form).variants
    runs = {"left to right": load(forward), "right to left": load(backward)}
    sounds = Sounds(runs["left to right"].codec.vocab.tokens, rhyme_book("pingshui"))
    shape = variants[0].lengths
    read = [lines for lines in quatrains(valid.read_text("utf-8")) if tuple(map(len, lines)) == shape]
    kept = [lines for lines in read if keeps(lines, variants, sounds)]
    print(f"{given.form}: {len(kept):,} of {len(read):,} poems keep the form")
    for name, run in runs.items():
        print(f"{name}: {measure(run, kept, variants, name == 'right to left').told()}", flush=True)


if __name__ == "__main__":
    main()
