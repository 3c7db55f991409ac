"""Rhyme books: from a character to its readings, each a tone and a rhyme group.

Three books come with charlm: 平水韵, the 106 groups by which regulated verse rhymes; 词林正韵, the 19 parts by which
tunes (词) rhyme; 中华通韵, 16 groups of today's speech. `tables/*.md` tell where their tables come from.

A book of a user's own is a text file in UTF-8, one row a line, the columns parted by tabs:

    # title: my dialect        a comment; this one names the book
    东	平	东同铜桐            group, tone, and the characters of that group and tone

A group may have several rows, a character may stand in several. Tones: 平 阴 阳 are level, 上 去 入 are oblique.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from charlm.choices import Choices
from charlm.errors import TextError
from charlm.storage import exists, is_file, read_text, unread_hint

LEVEL_TONES = frozenset("平阴阳")
OBLIQUE_TONES = frozenset("上去入")
OF_OLD = ("pingshui", "cilin")  # books of the sounds by which old verse was written
MANY = 1000  # characters asked for, after which an index pays
EXPECTED = "a row is `group<TAB>tone<TAB>characters`, with the tone one of 平 上 去 入 阴 阳"


@dataclass(frozen=True)
class Reading:
    """One way to read a character.

    level  平 (level), else 仄 (oblique)
    group  the name of its rhyme group: 东 of 平水韵, 第一部 of 词林正韵, ang of 中华通韵
    tone   平 上 去 入; of today's speech 阴 阳 上 去
    """

    level: bool
    group: str
    tone: str


class RhymeBook:
    """The readings of characters. What a book does not know has none, and is never taken to fit."""

    def __init__(
        self, name: str, title: str, rows: Iterable[tuple[Reading, str]], seldom: Mapping[str, bool] | None = None
    ) -> None:
        """A book of some rows.

        rows    a reading, and the characters that have it; the groups stand in the order of the rows
        seldom  of characters with both tones that verse uses in one nearly alone: whether it is the level one that it
                seldom uses
        """
        self.name = name
        self._seldom = seldom or {}
        self.title = title
        self._rows = list(rows)
        self._known: dict[str, frozenset[Reading]] = {}
        self._indexed = False

    def __repr__(self) -> str:
        return f"<RhymeBook {self.name}: {self.title}, {len(self.groups)} groups>"

    def __contains__(self, character: object) -> bool:
        """Whether it knows a character."""
        return isinstance(character, str) and bool(self.readings(character))

    def readings(self, character: str) -> frozenset[Reading]:
        """Every reading of a character; none where the book does not know it, or for what is not one character."""
        known = self._known.get(character)
        if known is None:
            if len(self._known) == MANY and not self._indexed:
                self._index()
                return self.readings(character)
            has = len(character) == 1
            known = frozenset(reading for reading, members in self._rows if has and character in members)
            self._known[character] = known
        return known

    def usual(self, character: str) -> frozenset[Reading]:
        """The readings that verse uses: those that it has for a character, without a tone that it seldom gives it."""
        readings = self.readings(character)
        if character not in self._seldom:
            return readings
        return frozenset(one for one in readings if one.level is not self._seldom[character]) or readings

    def _index(self) -> None:
        """Look at every character once: a few poems are read sooner without, a whole vocabulary with it."""
        self._indexed = True
        found: dict[str, tuple[Reading, ...]] = {}
        for reading, characters in self._rows:
            own: dict[str, tuple[Reading, ...]] = dict.fromkeys(characters, (reading,))
            for character in own.keys() & found.keys():
                own[character] = (*found[character], reading)
            found.update(own)
        self._known.update((character, frozenset(readings)) for character, readings in found.items())

    @functools.cached_property
    def characters(self) -> frozenset[str]:
        """Every character that the book knows."""
        return frozenset().union(*(members for _, members in self._rows))

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the rhyme groups, in the order of the book."""
        return tuple(dict.fromkeys(reading.group for reading, _ in self._rows))

    def members(self, group: str) -> frozenset[str]:
        """The characters of a rhyme group, of all its tones. Raises ConfigError where the book has no such group."""
        known = Choices(f"rhyme group of {self.title}", {name: name for name in self.groups})
        return frozenset().union(*(members for reading, members in self._rows if reading.group == known[group]))

    def rhyme(self, *characters: str, mixed: bool = False) -> frozenset[str]:
        """The groups in which all these characters rhyme; none where they do not, or where one is unknown.

        mixed  let level and oblique readings of one group rhyme, as some tunes do; else all are level, or all oblique
        Entering tones rhyme with each other alone in the older books, since they have groups of their own.
        """
        shared = [{(mixed or reading.level, reading.group) for reading in self.readings(c)} for c in characters]
        common = set.intersection(*shared) if shared else set()
        return frozenset(group for _, group in common)


def _own(name: str) -> RhymeBook:
    table = files("charlm.poems").joinpath("tables", f"{name}.tsv")
    return _parsed(table.read_text("utf-8"), name, table.name, _seldom() if name in OF_OLD else None)


def _seldom() -> dict[str, bool]:
    """Characters of both tones that verse seldom uses in one: whether that is the level one."""
    text = files("charlm.poems").joinpath("tables", "seldom.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {character: tone in LEVEL_TONES for tone, characters in rows for character in characters}


# name -> what makes the book, which is asked for once (`rhyme_book`)
RHYME_BOOKS: Choices[Callable[[], RhymeBook]] = Choices(
    "rhyme book", {name: functools.partial(_own, name) for name in ("pingshui", "cilin", "xinyun")}
)


@functools.cache
def rhyme_book(name_or_path: str) -> RhymeBook:
    """A book of RHYME_BOOKS, or one of a file (its form is above); loaded once.

    Raises ConfigError for an unknown name, TextError for a file that cannot be read, with its line.
    """
    if name_or_path in RHYME_BOOKS or not _is_path(name_or_path):
        return RHYME_BOOKS[name_or_path]()
    path = Path(name_or_path)
    if not exists(path):  # also a name that no system takes
        raise _unread(path, f"cannot read {path}: it is not there")
    text = read_text(path, error=lambda why: _unread(path, why))
    return _parsed(text.removeprefix("\ufeff"), path.stem, str(path))


def _is_path(name: str) -> bool:
    """Whether someone means a file: it has a folder or an ending, or is there."""
    return any(sign in name for sign in "/\\.") or is_file(Path(name))


def _unread(path: Path, why: str) -> TextError:
    """What is wrong with a file; of one in another encoding, the line where that shows."""
    place = re.search(r"is not UTF-8 text: byte (\d+)", why)
    if place is None:
        hint = unread_hint(path) if exists(path) else "check the spelling"
        return TextError(why, hint=f"{hint}; the books that come with charlm: {', '.join(RHYME_BOOKS)}")
    line = path.read_bytes().count(b"\n", 0, int(place[1])) + 1
    return TextError(
        f"{path}:{line}: {why.removeprefix(f'{path} ')}",
        hint=f"save it as UTF-8, or for a Chinese one `iconv -f gb18030 -t utf-8 {path} > book.tsv`",
    )


def _parsed(text: str, name: str, source: str, seldom: Mapping[str, bool] | None = None) -> RhymeBook:
    title = name
    rows: list[tuple[Reading, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            before, colon, after = line[1:].partition(":")
            title = after.strip() if colon and before.strip() == "title" else title
        elif line.strip():
            rows.append(_row(line, f"{source}:{number}"))
    if not rows:
        raise TextError(f"{source} has no row of a rhyme book", hint=EXPECTED)
    return RhymeBook(name, title, rows, seldom)


def _row(line: str, place: str) -> tuple[Reading, str]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) != 3 or not all(columns):
        raise TextError(f"{place}: {len(columns)} columns, or an empty one, in {line[:40]!r}", hint=EXPECTED)
    group, tone, characters = columns
    if tone not in LEVEL_TONES | OBLIQUE_TONES:
        raise TextError(f"{place}: {tone!r} is no tone", hint=EXPECTED)
    if not characters.isalpha():
        odd = next(character for character in characters if not character.isalpha())
        raise TextError(f"{place}: {odd!r} is no character that can rhyme", hint="write them without anything between")
    return Reading(tone in LEVEL_TONES, group, tone), characters
