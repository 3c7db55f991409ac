"""Whether the lines that a form lets rhyme do so, and in which group of a rhyme book.

Lines of one letter share one group. A character of several readings rhymes if one of them fits, and the reading is
told. The group is the one that most of the lines have, so that the fewest are said to leave it.
"""

from collections.abc import Callable, Sequence

from charlm.config.poems import Strictness
from charlm.poems.aligning import Beside
from charlm.poems.form import Genre
from charlm.poems.judgement import Gathered
from charlm.poems.sounds import Reading, RhymeBook

TONES = {True: "level (平)", False: "oblique (仄)"}
# Whether two characters rhyme by the wider parts of 词林正韵: such groups of 平水韵 are neighbours (邻韵).
AreNeighbours = Callable[[str, str], bool]


def rhymes(
    rows: Sequence[Beside], genre: Genre, strictness: Strictness, book: RhymeBook, neighbours: AreNeighbours
) -> tuple[dict[int, Reading], Gathered]:
    """The reading under which each line rhymes, by its number from 0, and what is wrong with the rhymes."""
    chosen: dict[int, Reading] = {}
    found = Gathered()
    letters = dict.fromkeys(row.line.rhyme for row in rows if row.line is not None and row.line.rhyme and row.text)
    for letter in letters:
        numbers = [n for n, row in enumerate(rows) if row.text and row.line is not None and row.line.rhyme == letter]
        _one_rhyme(rows, numbers, genre, strictness, book, neighbours, chosen, found)
    return chosen, found


def _wanted(row: Beside, book: RhymeBook) -> list[Reading]:
    """The readings of a line's last character that its slot allows, in an order that does not change."""
    assert row.line is not None
    slot = row.line.slots[-1]
    fitting = [one for one in book.readings(row.text[-1]) if slot == "中" or one.level == (slot == "平")]
    return sorted(fitting, key=lambda one: (one.group, one.tone))


def _one_rhyme(
    rows: Sequence[Beside],
    numbers: Sequence[int],
    genre: Genre,
    strictness: Strictness,
    book: RhymeBook,
    neighbours: AreNeighbours,
    chosen: dict[int, Reading],
    found: Gathered,
) -> None:
    readings = {number: _wanted(rows[number], book) for number in numbers}
    mixed = len({rows[number].line.slots[-1] for number in numbers if rows[number].line is not None}) > 1  # type: ignore[union-attr]
    votes: dict[tuple[bool, str], float] = {}
    for number in numbers:
        kinds = {(mixed or one.level, one.group) for one in readings[number]}
        for kind in kinds:
            # Of two groups that as many lines share, the one that a line cannot do without is meant.
            votes[kind] = votes.get(kind, 0.0) + 1.0 + 0.01 / len(kinds) + (0.001 if number == numbers[-1] else 0.0)
    best = max(sorted(votes), key=lambda kind: votes[kind], default=None)
    keepers = []
    for number in numbers:
        row, place = rows[number], len(rows[number].text)
        fitting = [one for one in readings[number] if best == (mixed or one.level, one.group)]
        if fitting:
            chosen[number] = fitting[0]
            keepers.append(number)
        elif not book.readings(row.text[-1]):
            said = f"{row.text[-1]} is not in the rhyme book: nobody can say whether it rhymes"
            found.remark("不详", "rhyme", number + 1, place, said)
    group = best[1] if best is not None else ""
    for number in numbers:
        row, place = rows[number], len(rows[number].text)
        known = book.readings(row.text[-1])
        if number in keepers or not known:
            continue
        others = [rows[keeper].text[-1] for keeper in keepers]
        near = bool(readings[number]) and any(neighbours(row.text[-1], other) for other in others)
        groups = ", ".join(sorted({one.group for one in readings[number]} or {one.group for one in known}))
        if near and strictness != "strict" and (genre == "古体" or (genre == "近体" and number == 0)):
            rule = "首句借韵" if genre == "近体" else "通韵"
            found.remark(rule, "rhyme", number + 1, place, f"{row.text[-1]} ({groups}) is a neighbour of {group}")
        elif not readings[number]:
            slot = row.line.slots[-1] == "平" if row.line is not None else True
            said = f"{row.text[-1]} ({groups}) is {TONES[not slot]}; a {TONES[slot]} rhyme is wanted"
            found.fault("出韵", "rhyme", number + 1, place, said)
        else:
            also = ", which is a neighbour (邻韵)" if near else ""
            said = f"{row.text[-1]} ({groups}) does not rhyme in {group}{also}"
            found.fault("出韵", "rhyme", number + 1, place, said)
    _tell_repeated(rows, numbers, genre, strictness, found)


def _tell_repeated(
    rows: Sequence[Beside], numbers: Sequence[int], genre: Genre, strictness: Strictness, found: Gathered
) -> None:
    """Name a character that rhymes with itself (重韵)."""
    seen: dict[str, int] = {}
    for number in numbers:
        row = rows[number]
        last = row.text[-1]
        if last in seen and row.line is not None and not row.line.repeats:
            said = f"{last} rhymes with itself (line {seen[last] + 1})"
            tell = found.fault if genre == "近体" and strictness != "free" else found.remark
            tell("重韵", "rhyme", number + 1, len(row.text), said)
        seen.setdefault(last, number)
