"""Forms of verse as data: one TOML file for each, which the checker, a generator and the documentation read alike.

A form has one or several variants, a variant has stanzas, a stanza has lines, and a line is written as its slots:

    中仄平平·中仄平 a

平 and 仄 are the level and the oblique tone, 中 is either; `·` is the caesura and `、` a pause that may be written as
such (both take no character); a letter after the slots is the rhyme of the line, lines of one letter rhyme, and `=`
says that the line repeats the one before, or the end of a longer one. An empty line parts two stanzas. docs/verse.md
has every field.
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from charlm import storage
from charlm.choices import closest
from charlm.errors import ConfigError, FormError

Genre = Literal["近体", "古体", "词"]

FOLDER = Path(__file__).resolve().parent / "forms"
LINE = re.compile(r"(?P<slots>[平仄中、·]+)(?:\s+(?P<rhyme>[a-z])\s*(?P<repeats>=)?)?")
FIELDS = {"name": str, "genre": str, "rhyme_book": str, "aliases": list, "parallel": list, "variants": list}
VARIANT_FIELDS = {"name": str, "note": str, "lines": str, "seldom": bool}
LONGEST_LINE = 16  # characters: no form has more, and a checker may try every reading of every one
MOST_LINES = 64


@dataclass(frozen=True)
class Line:
    """One line of a variant.

    slots    平, 仄 or 中 for each character
    rhyme    the letter of its rhyme; empty where it does not rhyme
    caesura  characters before the caesura; 0 where there is none
    pauses   after how many characters a 、 may be written
    repeats  whether it says the line before once more, or the end of a longer one
    """

    slots: str
    rhyme: str = ""
    caesura: int = 0
    pauses: tuple[int, ...] = ()
    repeats: bool = False

    def __len__(self) -> int:
        return len(self.slots)

    def __str__(self) -> str:
        """The line as it is written in a form file."""
        marks = {**dict.fromkeys(self.pauses, "、"), **({self.caesura: "·"} if self.caesura else {})}
        written = "".join(marks.get(place, "") + slot for place, slot in enumerate(self.slots))
        return f"{written} {self.rhyme}{' =' if self.repeats else ''}".rstrip()


@dataclass(frozen=True)
class Variant:
    """One shape of a form: a pattern of regulated verse, or one that a manual gives for a tune (又一体).

    seldom  whether people seldom write it, so that it is written only where what is given leaves no other
    """

    name: str
    stanzas: tuple[tuple[Line, ...], ...]
    note: str = ""
    seldom: bool = False

    @functools.cached_property
    def lines(self) -> tuple[Line, ...]:
        """All lines, whatever stanza they stand in."""
        return tuple(line for stanza in self.stanzas for line in stanza)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The number of characters of each line."""
        return tuple(map(len, self.lines))

    @property
    def scheme(self) -> str:
        """The rhyme letter of each line, `-` for none."""
        return "".join(line.rhyme or "-" for line in self.lines)


@dataclass(frozen=True)
class Form:
    """A form of verse.

    genre       近体 (regulated), 古体 (length and rhyme only) or 词 (written to a tune)
    rhyme_book  the book by which it rhymes where nobody asks for another
    parallel    pairs of lines, counted from 1, that should be parallel couplets (对仗): no rule, only told
    """

    name: str
    genre: Genre
    variants: tuple[Variant, ...]
    aliases: tuple[str, ...] = ()
    rhyme_book: str = "pingshui"
    parallel: tuple[tuple[int, int], ...] = ()


def form_names() -> list[str]:
    """The names of the forms that come with charlm, regulated verse first, then tunes from short to long."""
    return list(_known())


@functools.cache
def _known() -> dict[str, Form]:
    found = [read_form(path) for path in FOLDER.glob("*.toml")]
    genres = get_args(Genre)
    found.sort(key=lambda form: (genres.index(form.genre), sum(form.variants[0].lengths), form.name))
    return {form.name: form for form in found}


def forms() -> list[Form]:
    """The forms that come with charlm, in the order of `form_names`."""
    return list(_known().values())


def known_as(name: str) -> Form | None:
    """The form of ours that has this name or alias; None where there is none."""
    return next((form for form in forms() if name == form.name or name in form.aliases), None)


def find_form(name: str) -> Form:
    """The form of a name or alias, or that of a file: whatever ends in .toml or has a folder before it.

    Raises ConfigError for a name that nobody bears, FormError for a file that is no form.
    """
    if found := known_as(name):
        return found
    path = Path(name)
    if path.suffix == ".toml" or len(path.parts) > 1:
        return read_form(path)
    names = [*form_names(), *(alias for form in forms() for alias in form.aliases)]
    near = closest(name, names)
    hint = near if near.startswith("did you") else "`charlm poem forms` lists them."
    raise ConfigError(f"no form is called {name!r}", hint=f"{hint} A form of your own is a file, such as mine.toml")


def read_form(path: Path) -> Form:
    """Read a form file; raises FormError with file, line and field."""
    text = storage.read_text(path, error=lambda reason: FormError(reason, hint="a form is a TOML file in UTF-8"))
    return parse_form(text, str(path))


def parse_form(text: str, source: str) -> Form:
    """The form that a TOML text describes; raises FormError with source, line and field."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"at line (\d+)", str(error))
        where = f"{source}:{place[1] if place else text.count(chr(10)) + 1}"
        hint = 'texts stand in quotes, lines between """ and """; docs/verse.md shows a whole file'
        raise FormError(f"{where}: is not TOML: {error or 'nested too deeply'}", hint=hint) from error
    return _Reading(source, text).form(table)


class _Reading:
    """A form file while it is read: knows in which line of the file a field stands."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self.rows = text.splitlines()

    def place(self, field: str, variant: int | None = None) -> int:
        """The line of a field of the form or of the variant of this number, from 1; the nearest if it is missing."""
        seen = -1
        for number, row in enumerate(self.rows, 1):
            if re.match(r"\s*\[\[\s*variants\s*\]\]", row):
                seen += 1
                if seen == variant and field == "":
                    return number
            elif (seen if variant is not None else None) == variant and re.match(rf"\s*[\"']?{field}[\"']?\s*=", row):
                return number
        return 1 if variant is None or field == "" else self.place("", variant)

    def refuse(self, line: int, field: str, wrong: str, hint: str = "docs/verse.md shows a whole file") -> FormError:
        return FormError(f"{self.source}:{line}: {field}: {wrong}", hint=hint)

    def check(self, table: dict[str, Any], fields: Mapping[str, type], needed: str, variant: int | None = None) -> None:
        """Refuse fields that are unknown, of another kind, missing or empty."""
        for name, value in table.items():
            line = self.place(re.escape(name), variant)
            if name not in fields:
                raise self.refuse(line, name, "there is no such field", closest(name, list(fields)))
            if not isinstance(value, fields[name]):
                kinds: dict[type, str] = {list: "a list in [ ]", bool: "true or false"}
                kind = kinds.get(fields[name], "a text in quotes")
                raise self.refuse(line, name, f"is {value!r:.40}, not {kind}")
        for name in needed.split():
            if not table.get(name):
                wrong = "is empty" if name in table else "is missing"
                raise self.refuse(self.place(name, variant), name, wrong)

    def form(self, table: dict[str, Any]) -> Form:
        """The form of a whole file."""
        self.check(table, FIELDS, "name genre variants")
        if table["genre"] not in get_args(Genre):
            wrong = f"no genre is called {table['genre']!r}"
            raise self.refuse(self.place("genre"), "genre", wrong, f"choose from {', '.join(get_args(Genre))}")
        variants = []
        for number, inner in enumerate(table["variants"]):
            if not isinstance(inner, dict):
                raise self.refuse(self.place("variants"), "variants", "are tables, each under a line [[variants]]")
            variants.append(self.variant(inner, number))
        names = [variant.name for variant in variants]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self.refuse(self.place("name", number), "name", f"two variants are called {name!r}")
        return Form(
            name=table["name"],
            genre=table["genre"],
            variants=tuple(variants),
            aliases=tuple(self.texts(table, "aliases")),
            rhyme_book=table.get("rhyme_book") or ("cilin" if table["genre"] == "词" else "pingshui"),
            parallel=tuple(self.pairs(table, min(len(variant.lines) for variant in variants))),
        )

    def texts(self, table: dict[str, Any], field: str) -> list[str]:
        """A list of texts."""
        for value in table.get(field, []):
            if not isinstance(value, str) or not value:
                raise self.refuse(self.place(field), field, f"{value!r} is no name in quotes")
        return list(table.get(field, []))

    def pairs(self, table: dict[str, Any], lines: int) -> list[tuple[int, int]]:
        """A list of pairs of neighbouring lines."""
        found = []
        for pair in table.get("parallel", []):
            whole = isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)
            if not whole or not 1 <= pair[0] < pair[1] <= lines:
                wrong = f"{pair!r} is no pair of lines between 1 and {lines}"
                raise self.refuse(self.place("parallel"), "parallel", wrong, "for example [[3, 4], [5, 6]]")
            found.append((pair[0], pair[1]))
        return found

    def variant(self, table: dict[str, Any], number: int) -> Variant:
        """One variant."""
        self.check(table, VARIANT_FIELDS, "lines", number)
        start = self.place("lines", number)
        row = self.rows[start - 1]
        # The first line end after `\"\"\"` is no part of the text.
        start += 1 if re.search(r"(\"\"\"|''')\s*$", row) else 0
        stanzas: list[list[Line]] = [[]]
        for offset, written in enumerate(table["lines"].splitlines()):
            place = start + offset
            if not written.strip():
                stanzas.append([])
            else:
                stanzas[-1].append(self.line(written.strip(), place, stanzas[-1]))
        kept = tuple(tuple(stanza) for stanza in stanzas if stanza)
        if not kept:
            raise self.refuse(self.place("lines", number), "lines", "has no line")
        if sum(map(len, kept)) > MOST_LINES:
            raise self.refuse(self.place("lines", number), "lines", f"more than {MOST_LINES} lines")
        if not any(line.rhyme for stanza in kept for line in stanza):
            raise self.refuse(
                start, "lines", "no line rhymes", "set a letter after the slots of those that do: 仄平平 a"
            )
        return Variant(table.get("name") or str(number + 1), kept, table.get("note", ""), table.get("seldom", False))

    def line(self, written: str, place: int, before: list[Line]) -> Line:
        """One line of a variant."""
        found = LINE.fullmatch(written)
        if found is None:
            odd = next((c for c in written if c not in "平仄中、·= " and not c.islower()), "")
            what = f"{odd!r} is no slot" if odd else "cannot be read"
            hint = "a line is 平, 仄 or 中 for each character, and a letter a to z if it rhymes: 中仄仄平平 a"
            raise self.refuse(place, "lines", f"{written[:40]!r}: {what}", hint)
        marked, slots = found["slots"], ""
        caesuras: list[int] = []
        pauses: list[int] = []
        for mark in marked:
            if mark in "·、":
                (caesuras if mark == "·" else pauses).append(len(slots))
            else:
                slots += mark
        if len(caesuras) > 1 or {0, len(slots)} & {*caesuras, *pauses}:
            wrong = f"{written!r}: one caesura at most, and marks only between slots"
            raise self.refuse(place, "lines", wrong)
        if len(slots) > LONGEST_LINE:
            raise self.refuse(place, "lines", f"{len(slots)} slots, more than {LONGEST_LINE}")
        repeats = found["repeats"] is not None
        if repeats and not (before and before[-1].slots.endswith(slots)):
            raise self.refuse(place, "lines", "`=` repeats the end of the line before, which must have the same slots")
        return Line(slots, found["rhyme"] or "", caesuras[0] if caesuras else 0, tuple(pauses), repeats)
