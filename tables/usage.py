"""Where human verse and a rhyme book disagree: `python tables/usage.py DATA`, for whoever extends `later.tsv`.

Of the training poems of DATA (`poems/`), each character of a place that alternates is counted by the tone that its line
wants there, and each rhyme word by the groups that all other rhyme words of its poem share. Printed are the characters
that stand often where no reading of theirs fits, and the frequent ones that the book does not know.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from charlm.poems.sounds import RhymeBook, rhyme_book

Counts = dict[str, Counter[str]]
PLACES = {5: (1, 3), 7: (1, 3, 5)}  # the second, fourth and sixth characters of a line
SEEN, SHARE = 6, 0.35  # how often, and in what part of its places, a character must misfit to be shown


def poems(data: Path) -> Iterator[list[str]]:
    """The lines of every regular training poem, each poem once."""
    told = set()
    for path in sorted((data / "poems").glob("*.train.txt")):
        for line in path.read_text("utf-8").splitlines():
            if line not in told:
                told.add(line)
                yield [part for part in re.split("[，。？！]", line) if part]


def tunes(data: Path) -> Iterator[list[str]]:
    """The last characters of the sentences of every training tune."""
    for line in (data / "poems" / "songci.train.jsonl").read_text("utf-8").splitlines():
        yield re.findall("(.)[。？！]", json.loads(line)["text"])


def count_tones(lines: list[str], book: RhymeBook, wanted: Counts) -> None:
    """Note what tone the other places of a line want at each of its alternating places."""
    for line in lines:
        places = PLACES.get(len(line), ())
        level = [_level(line[place], book) for place in places]
        for own, place in enumerate(places):
            others = {
                known ^ ((other - own) % 2 == 1)
                for other, known in enumerate(level)
                if other != own and known is not None
            }
            if (
                len(others) == 1
                and sum(known is not None for known in level) - (level[own] is not None) == len(places) - 1
            ):
                wanted[line[place]]["level" if others.pop() else "oblique"] += 1


def _level(character: str, book: RhymeBook) -> bool | None:
    """Whether a character is level; None where it can be both, or is unknown."""
    classes = {reading.level for reading in book.readings(character)}
    return classes.pop() if len(classes) == 1 else None


def count_rhymes(ends: list[str], book: RhymeBook, groups: Counts, *, mixed: bool = False) -> None:
    """Note for each rhyme word the groups that the others share."""
    for place, end in enumerate(ends):
        others = [other for at, other in enumerate(ends) if at != place and other in book]
        if shared := book.rhyme(*others, mixed=mixed) if others else frozenset():
            groups[end].update(shared)
            groups[end]["places"] += 1


def misfits(counts: Counts, fits: dict[str, set[str]]) -> Iterator[tuple[int, str]]:
    """(how often, a sentence) for what stands often where it does not fit."""
    for character, seen in counts.items():
        total = seen["places"] or sum(seen.values())
        for kind, often in seen.items():
            if kind != "places" and kind not in fits[character] and often >= SEEN and often >= SHARE * total:
                yield often, f"{character} {kind} {often}/{total} ({' '.join(sorted(fits[character]))})"


def main() -> None:
    """Print the findings, the most frequent first."""
    data = Path(sys.argv[1])
    verse, song = rhyme_book("pingshui"), rhyme_book("cilin")
    tones, groups, parts, seen = defaultdict(Counter), defaultdict(Counter), defaultdict(Counter), Counter()
    for lines in poems(data):
        seen.update("".join(lines))
        count_tones(lines, verse, tones)
        count_rhymes([line[-1] for line in lines[1::2]], verse, groups)
    for ends in tunes(data):
        for place in range(len(ends) - 2):  # a tune may change its rhyme, so only neighbours are asked
            count_rhymes(ends[place : place + 3], song, parts, mixed=True)
    classes = {c: {"level" if reading.level else "oblique" for reading in verse.readings(c)} for c in tones}
    by_verse = {c: {reading.group for reading in verse.readings(c)} for c in groups}
    by_song = {c: {reading.group for reading in song.readings(c)} for c in parts}
    for title, counts, fits in (("tones", tones, classes), ("rhymes", groups, by_verse), ("tunes", parts, by_song)):
        print(f"== {title}")
        print("\n".join(sentence for _, sentence in sorted(misfits(counts, fits), reverse=True)))
    print("== unknown:", " ".join(f"{c}{often}" for c, often in seen.most_common() if often >= SEEN and c not in verse))


if __name__ == "__main__":
    main()
