"""Where human verse and a rhyme book disagree: `python tables/usage.py DATA`, for whoever extends `later.tsv`.

With `--write` it makes `seldom.tsv` instead: the characters of both tones that verse uses in one of them nearly alone.

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
TABLES = Path(__file__).resolve().parent.parent / "charlm" / "poems" / "tables"
PLENTY, NOISE = 30, 0.04  # places of a character from which on its tones are known, and the share that may be mistakes
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


def seldom(tones: Counts, book: RhymeBook) -> dict[str, list[str]]:
    """By tone, the characters of both tones that stand for it in fewer places than mistakes would explain."""
    found: dict[str, list[str]] = {"平": [], "仄": []}
    for character, seen in sorted(tones.items(), key=lambda pair: (-sum(pair[1].values()), pair[0])):
        total = sum(seen.values())
        if _level(character, book) is None and character in book and total >= PLENTY:
            for tone, name in (("平", "level"), ("仄", "oblique")):
                if seen[name] < NOISE * total:
                    found[tone].append(character)
    return found


def noise(tones: Counts, book: RhymeBook) -> float:
    """How often a character of one tone stands where its line wants the other: what such counts say by mistake."""
    known = {character: _level(character, book) for character in tones}
    wrong = sum(seen["oblique" if known[c] else "level"] for c, seen in tones.items() if known[c] is not None)
    return wrong / sum(sum(seen.values()) for c, seen in tones.items() if known[c] is not None)


def write(data: Path, book: RhymeBook) -> None:
    """`seldom.tsv` and its page, by the poems in which a line that turns is rarest: of four or eight lines of seven."""
    tones: Counts = defaultdict(Counter)
    for lines in poems(data):
        if len(lines) in (4, 8) and {len(line) for line in lines} == {7}:
            count_tones(lines, book, tones)
    found = seldom(tones, book)
    rows = "".join(f"{tone}\t{''.join(characters)}\n" for tone, characters in found.items())
    said = "# characters of both tones that verse seldom uses in this one, the most frequent first\n"
    (TABLES / "seldom.tsv").write_text(said + rows, "utf-8")
    page = f"""# Where seldom.tsv comes from

Characters to which 平水韵 gives both tones, and which verse uses in one of them nearly alone: 风 is level, though 讽
was written so once. Made by `python tables/usage.py DATA --write`; `tables/README.md` tells of the rest.

- counted in the training poems of DATA, in the public domain, of four or eight lines of seven: the second, fourth and
  sixth character of a line, each by the tone that the two others want
- a character of {PLENTY} such places or more, fewer than {NOISE:.0%} of which want the tone, is listed under it;
  characters of one tone stand in {noise(tones, book):.1%} of their places against it, the noise of such counts
- {len(found["平"])} characters are seldom level, {len(found["仄"])} seldom oblique
"""
    (TABLES / "seldom.md").write_text(page, "utf-8")


def main() -> None:
    """Print the findings, the most frequent first; or write them."""
    data = Path(sys.argv[1])
    verse, song = rhyme_book("pingshui"), rhyme_book("cilin")
    if "--write" in sys.argv[2:]:
        write(data, verse)
        return
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
