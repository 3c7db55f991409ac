"""Poems out of lines of text, as people write them down: one a line, or several lines each, with or without a title.

、 belongs to its line and splits nothing; every other mark, a space inside a line and the line end part two lines of
verse. Quotes, title marks and what stands in brackets are no part of the poem.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from charlm.tokenizers.mixed import HAN

LOST = "□"  # a character that is lost: it fits wherever it stands
ENDS = "，。？！；：,.?!;:|／/"
SILENT = "、·・“”‘’「」『』《》〈〉\"'—…～~-"
BRACKETED = re.compile(r"[（(\[【〔［{][^）)\]】〕］}]*[）)\]】〕］}]")
VERSE = re.compile(f"[{HAN}{LOST}]")
END = re.compile(f"[{re.escape(ENDS)}]")
NAME_ENDS = re.compile(r"[·・•:：（(【\[\s]")
LONGEST_TITLE = 40
FEWEST = 4  # lines of the shortest poem: what has as many may be a whole poem

Fits = Callable[[tuple[int, ...]], bool]  # whether lines of these lengths are a form that is known


@dataclass(frozen=True)
class Clause:
    """What stands between two marks: one line of verse, mostly."""

    text: str
    place: int  # line of the file, from 1


@dataclass(frozen=True)
class Poem:
    """A poem as it was written down.

    place   the line of the file in which it begins, from 1
    marked  whether its lines are parted by anything at all
    odd     characters that are neither Han nor a mark, and the line of the file of each
    """

    clauses: tuple[Clause, ...]
    title: str = ""
    source: str = ""
    place: int = 1
    odd: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """Its characters without any mark."""
        return "".join(clause.text for clause in self.clauses)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The number of characters of each line."""
        return tuple(len(clause.text) for clause in self.clauses)

    @property
    def marked(self) -> bool:
        """Whether anything parts its lines."""
        return len(self.clauses) > 1


@dataclass(frozen=True)
class _Row:
    """One line of the file."""

    place: int
    raw: str

    @property
    def bare(self) -> str:
        return BRACKETED.sub("", self.raw)

    @property
    def clauses(self) -> list[Clause]:
        parts = re.split(rf"[{re.escape(ENDS)}\s]+", self.bare)
        texts = ["".join(VERSE.findall(part)) for part in parts]
        return [Clause(text, self.place) for text in texts if text]

    @property
    def has_marks(self) -> bool:
        return END.search(self.bare) is not None

    @property
    def odd(self) -> list[tuple[str, int]]:
        strange = (c for c in self.bare if not (VERSE.match(c) or c in ENDS or c in SILENT or c.isspace()))
        return [(c, self.place) for c in strange]


def poem_of(text: str, *, title: str = "", source: str = "", place: int = 1) -> Poem:
    """The one poem of a text, whatever lines it has.

    >>> poem_of("白日依山尽，黄河入海流。").lengths
    (5, 5)
    """
    return _poem([_Row(number, raw) for number, raw in enumerate(text.split("\n"), place)], title, source)


def with_text(poem: Poem, text: str) -> Poem:
    """The same poem with other characters, as many as it has."""
    clauses, start = [], 0
    for clause in poem.clauses:
        clauses.append(Clause(text[start : start + len(clause.text)], clause.place))
        start += len(clause.text)
    return replace(poem, clauses=tuple(clauses))


def rewritten(lines: Sequence[str], poem: Poem) -> dict[int, str]:
    """The lines of a file, by number from 0, in which a poem stands, with its characters for those that stand there."""
    waiting = iter(poem.text)
    found: dict[int, str] = {}
    for place in dict.fromkeys(clause.place for clause in poem.clauses):
        raw = lines[place - 1]
        silent = {at for match in BRACKETED.finditer(raw) for at in range(*match.span())}
        found[place - 1] = "".join(
            next(waiting) if at not in silent and VERSE.match(c) else c for at, c in enumerate(raw)
        )
    return found


def _poem(rows: list[_Row], title: str, source: str) -> Poem:
    clauses = [clause for row in rows for clause in row.clauses]
    odd = [one for row in rows for one in row.odd]
    return Poem(tuple(clauses), title, source, rows[0].place if rows else 1, tuple(odd))


def tune_of(title: str) -> str:
    """What a title begins with: 水调歌头·明月几时有 is written to the tune 水调歌头.

    >>> tune_of("《如梦令》"), tune_of("念奴娇 赤壁怀古")
    ('如梦令', '念奴娇')
    """
    return NAME_ENDS.split(title.strip(f"#{SILENT} \t\u3000"))[0].strip(SILENT)


def poems_in(lines: Iterable[str], source: str, fits: Fits, is_form: Callable[[str], bool]) -> list[Poem]:
    """The poems of a text file, lines without any verse left out.

    fits     tells the shapes of the forms that are known, and with them where a poem ends
    is_form  whether a form has this name, so that a title of one is known as such
    """
    blocks: list[list[_Row]] = [[]]
    for place, raw in enumerate(lines, 1):
        row = _Row(place, raw.strip("\n"))
        if row.raw.strip():
            blocks[-1].append(row)
        elif blocks[-1]:
            blocks.append([])
    found: list[Poem] = []
    waiting = ""  # a title that stands apart from its poem
    for block, after in pairwise([*(block for block in blocks if block), None]):
        assert block is not None
        title, rows = _titled(block, fits, is_form)
        if not title and after is not None and _is_title(block, after, fits):
            waiting = _name(block)
            continue
        if not rows:
            waiting = title
            continue
        poems = [_poem(part, title or waiting, source) for part in _parted(rows, fits, bool(title or waiting))]
        if found and len(poems) == 1 and not title and not waiting and _goes_on(found[-1], poems[0], fits):
            poems = [_joined(found.pop(), poems[0])]
        found += poems
        waiting = ""
    return [poem for poem in found if poem.clauses or poem.odd]


def _name(rows: list[_Row]) -> str:
    return " ".join(row.raw.strip(" \t\u3000#") for row in rows)[:LONGEST_TITLE]


def _titled(block: list[_Row], fits: Fits, is_form: Callable[[str], bool]) -> tuple[str, list[_Row]]:
    """The title lines at the head of a block, and the verse below them."""
    head = 0
    while head < len(block) and (
        block[head].raw.lstrip().startswith("#") or re.fullmatch(r"\s*《[^》]*》[^，。]*", block[head].raw)
    ):
        head += 1
    rest = block[head:]
    if head == 0 and len(rest) > 1 and (is_form(tune_of(rest[0].raw)) or rest[0].raw.startswith(("【", "题：", "题:"))):
        head, rest = 1, rest[1:]
    if any(row.has_marks for row in rest):
        while rest and not rest[0].has_marks:
            head, rest = head + 1, rest[1:]
    elif head == 0 and not _fits(rest, fits):
        for more in (1, 2):  # a title, and perhaps the poet's name, above verse without marks
            if len(rest) > more and _fits(rest[more:], fits):
                head, rest = more, rest[more:]
                break
    return _name(block[:head]), rest


def _fits(rows: list[_Row], fits: Fits) -> bool:
    return fits(tuple(len(clause.text) for row in rows for clause in row.clauses))


def _is_title(block: list[_Row], after: list[_Row], fits: Fits) -> bool:
    """Whether a block without marks is the title of the next one."""
    short = len(block) <= 2 and not any(row.has_marks for row in block)
    return short and not _fits(block, fits) and len(_name(block)) < LONGEST_TITLE and any(r.has_marks for r in after)


def _parted(rows: list[_Row], fits: Fits, titled: bool) -> list[list[_Row]]:
    """The poems of a block: every line one, or all lines together."""
    alone = sum(_fits([row], fits) for row in rows)
    # Two quatrains in two lines have the shape of one poem of eight lines; a title is of one poem.
    if len(rows) == 1 or (_fits(rows, fits) and (titled or alone < len(rows))):
        return [rows]
    whole = [len(row.clauses) >= FEWEST for row in rows]
    if 2 * alone > len(rows) or (all(whole) and not titled and (alone or len(rows) > 2)):
        return [[row] for row in rows]
    return [rows]


def _goes_on(before: Poem, after: Poem, fits: Fits) -> bool:
    """Whether a poem is the second stanza of the one before."""
    return not fits(before.lengths) and not fits(after.lengths) and fits(before.lengths + after.lengths)


def _joined(before: Poem, after: Poem) -> Poem:
    clauses = before.clauses + after.clauses
    return Poem(clauses, before.title, before.source, before.place, before.odd + after.odd)
