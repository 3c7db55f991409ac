"""A file of poems to judgements, one for each; and what they come to."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from charlm import jsonfiles
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig
from charlm.errors import TextError
from charlm.poems import checking
from charlm.poems.form import Form, find_form, known_as
from charlm.poems.judgement import Judgement
from charlm.poems.parsing import Poem, poem_of, poems_in
from charlm.poems.sounds import rhyme_book
from charlm.text.decoding import Note, decoded_lines
from charlm.text.files import POEM_FIELDS
from charlm.text.sources import opened, source_files

TITLE_FIELDS = ("rhythmic", "title")  # the tune's name first, where there is one
WHAT = "a poem is Chinese text: one a line, or several lines each with a blank line between"


def check_files(sources: Iterable[str], config: CheckConfig, text: TextConfig, *, note: Note) -> Iterator[Judgement]:
    """Judge every poem of the files.

    Raises ConfigError, FormError and TextError for an unknown form or book, and TextError for a file without a poem.
    """
    form = find_form(config.form) if config.form is not None else None
    book = rhyme_book(config.rhyme_book) if config.rhyme_book is not None else None
    for name in source_files(sources, note=note):
        for poem in poems_of(name, text, form, note=note):
            yield checking.check(poem, form, book, config.strictness)


def poems_of(name: str, text: TextConfig, form: Form | None = None, *, note: Note) -> list[Poem]:
    """The poems of one file: text, JSON lines or a JSON collection; raises TextError where there is none.

    form  the one that they should have, which tells where one ends
    """
    return poems_among(lines_of(name, text, note=note), shown_name(name), text, form)


def shown_name(name: str) -> str:
    """How a file is called in sentences."""
    return "standard input" if name == "-" else name


def lines_of(name: str, text: TextConfig, *, note: Note) -> list[str]:
    """The lines of a file, with their ends; raises TextError where it has none."""
    with opened(name) as raw:
        lines = list(decoded_lines(raw, shown_name(name), text.encoding, note))
    if not any(line.strip() for line in lines):
        raise TextError(f"{shown_name(name)} is empty", hint=WHAT)
    return lines


def holds_records(lines: list[str]) -> bool:
    """Whether the lines of a file are JSON."""
    first = next((line.strip() for line in lines if line.strip()), "")
    return first[:1] in ("{", "[") and '"' in "".join(lines[:3])


def poems_among(lines: list[str], shown: str, text: TextConfig, form: Form | None = None) -> list[Poem]:
    """The poems of the lines of a file; raises TextError where there is none."""
    if holds_records(lines):
        found = list(_of_records(lines, shown, text.field))
    else:
        found = poems_in(
            lines,
            shown,
            lambda lengths: checking.fits(lengths, form),
            lambda title: known_as(title) is not None,
        )
    if not any(poem.clauses for poem in found):
        odd = next((f": {c!r} in line {place} is no Chinese character" for p in found for c, place in p.odd), "")
        raise TextError(f"{shown} holds no Chinese verse{odd}", hint=WHAT)
    return found


def _of_records(lines: list[str], name: str, field: str) -> Iterator[Poem]:
    """The poems of JSON objects: their text, and their tune or title."""
    for record, place in _records(lines, name):
        parts = next((record[key] for key in (field, *POEM_FIELDS) if key in record), None)
        whole = "\n".join(map(str, parts)) if isinstance(parts, list) else parts
        if not isinstance(whole, str):
            keys = ", ".join(map(str, record))[:80]
            hint = f"name the field that holds the poem with --field; its fields are {keys or 'none'}"
            raise TextError(f"{name}:{place}: the object has no text in {field!r}", hint=hint)
        title = next((str(record[key]) for key in TITLE_FIELDS if record.get(key)), "")
        poem = poem_of(whole, title=title, source=name, place=place)
        # Lines of the text are no lines of the file here.
        yield Poem(poem.clauses, title, name, place, tuple((c, place) for c, _ in poem.odd))


def _records(lines: list[str], name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """JSON objects, each with the line in which it begins: one a line, or one text of them all."""
    hint = "JSON lines have one object a line, a collection is one array of objects"
    try:
        whole = jsonfiles.parse("".join(lines))
        found = [(record, 1) for record in (whole if isinstance(whole, list) else [whole])]
    except ValueError:
        found = []
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    found.append((jsonfiles.parse(line), number))
                except ValueError as error:
                    raise TextError(f"{name}:{number} is not JSON: {error}", hint=hint) from error
    for record, place in found:
        if not isinstance(record, dict):
            raise TextError(f"{name}:{place}: {str(record)[:40]!r} is no JSON object", hint=hint)
        yield record, place


@dataclass
class Tally:
    """What judgements come to: how many poems, how many conform, and how often each rule was broken.

    parts  how many keep structure, tone and rhyme; what was not looked at is not there
    rules  how many break each, once a poem
    forms  as what they were judged

    Tallies add, so that shards may be judged anywhere.
    """

    poems: int = 0
    conforming: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def add(self, judgement: Judgement) -> None:
        """One poem more."""
        self.poems += 1
        self.conforming += judgement.conforms
        for part in judgement.parts:
            self.parts[part] += not judgement.of(part)
        self.rules.update({fault.rule for fault in judgement.faults})
        self.forms[judgement.form.name] += 1

    def __add__(self, other: "Tally") -> "Tally":
        total = Tally(self.poems + other.poems, self.conforming + other.conforming)
        for one in (self, other):
            total.parts.update(one.parts)
            total.rules.update(one.rules)
            total.forms.update(one.forms)
        return total

    def record(self) -> dict[str, Any]:
        """The tally as JSON."""
        tables = {"parts": self.parts, "rules": self.rules, "forms": self.forms}
        ordered = {name: dict(table.most_common()) for name, table in tables.items()}
        return {"poems": self.poems, "conforming": self.conforming, **ordered}


def tally(judgements: Iterable[Judgement]) -> Tally:
    """What judgements come to."""
    total = Tally()
    for judgement in judgements:
        total.add(judgement)
    return total
