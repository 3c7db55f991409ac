"""Judge the rhyme books by tables of others and by human verse: `python tables/measure.py DATA`.

DATA has `prosody/` (THU-CRRD, for academic use: it judges, and nothing is taken from it) and `poems/`. Printed are the
share of characters whose tone classes agree, and the share of quatrains whose lines 2 and 4 rhyme under either.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from charlm.poems.sounds import Reading, RhymeBook, rhyme_book

RISING, DEPARTING, ENTERING = 29, 30, 17
NOT_HAN = dict.fromkeys([0xFFFD, 0xFF31])  # a character that was lost, and a letter, both errors of the reference
Tones = frozenset[bool]


def reference(data: Path) -> RhymeBook:
    """The reference as a rhyme book: a level line a group, and an oblique one likewise."""
    rows = []
    for name, level in (("pingsheng", True), ("zesheng", False)):
        lines = (data / "prosody" / f"{name}.txt").read_text("utf-8").split("\n")
        for number, line in enumerate(lines, start=1):
            members = "".join(character for character in dict.fromkeys(line) if character >= "\u3400")
            if members := members.translate(NOT_HAN):
                rows.append((Reading(level, f"{name}:{number}", "平" if level else "仄"), members))
    return RhymeBook("reference", "THU-CRRD", rows)


def tones(book: RhymeBook, character: str) -> Tones:
    """Whether a character can be level, oblique, or both."""
    return frozenset(reading.level for reading in book.readings(character))


def quatrains(data: Path, name: str) -> Iterator[list[str]]:
    """The four lines of each quatrain of a set."""
    for line in (data / "poems" / name).read_text("utf-8").splitlines():
        if name.endswith(".json"):
            yield json.loads(line)["content"].split("|")
        else:
            yield [part for part in re.split("[，。？！]", line) if part]


def rhymed(pairs: list[tuple[str, str]], book: RhymeBook) -> float:
    """The share of pairs of characters that rhyme; a character without a reading rhymes with none."""
    return sum(bool(book.rhyme(*pair)) for pair in pairs) / len(pairs)


def agreement(ours: RhymeBook, theirs: RhymeBook) -> dict[str, list[str]]:
    """The shared characters, those whose tone classes meet, those whose classes are the same."""
    shared = sorted(ours.characters & theirs.characters)
    meet = [character for character in shared if tones(ours, character) & tones(theirs, character)]
    same = [character for character in shared if tones(ours, character) == tones(theirs, character)]
    return {"shared": shared, "meet": meet, "same": same}


def main() -> None:
    """Print all figures."""
    data = Path(sys.argv[1])
    ours, theirs, modern = rhyme_book("pingshui"), reference(data), rhyme_book("xinyun")
    found = agreement(ours, theirs)
    shared = len(found["shared"])
    print(f"characters: ours {len(ours.characters):,}, theirs {len(theirs.characters):,}, shared {shared:,}")
    print(f"tone classes meet: {len(found['meet']) / shared:.4%}; are the same: {len(found['same']) / shared:.4%}")
    print("do not meet:", "".join(character for character in found["shared"] if character not in set(found["meet"])))
    for name in ("ccpc_valid.json", "jueju5.valid.txt", "jueju7.valid.txt"):
        poems = [poem for poem in quatrains(data, name) if len(poem) == 4]
        ends = [(poem[1][-1], poem[3][-1]) for poem in poems]
        both = [pair for pair in ends if all(end in ours and end in theirs for end in pair)]
        chance = [(first, ends[place - 1][1]) for place, (first, _) in enumerate(ends)]
        print(f"{name}: {len(ends):,} quatrains, {len(both):,} whose rhyme words ours and theirs know")
        for book in (ours, theirs, modern, rhyme_book("cilin")):
            print(
                f"  {book.title}: rhyme {rhymed(ends, book):.4f}; of those known {rhymed(both, book):.4f};"
                f" with line 4 of another poem {rhymed(chance, book):.4f}"
            )
    verse = "".join(p.read_text("utf-8") for p in sorted((data / "poems").glob("*.txt")))
    verse = "".join(character for character in verse if "\u3400" <= character < "\uff00" or character > "\uffff")
    for book in (ours, theirs):
        print(f"{book.title}: knows {sum(c in book for c in verse) / len(verse):.4%} of {len(verse):,} characters")


if __name__ == "__main__":
    main()
