"""Verse in a terminal: columns that line up, whatever takes two cells, with the marks of tones and rhymes."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size

from charlm.poems.form import Form, Variant
from charlm.poems.judgement import Fault, JudgedLine, Judgement

WIDTH = 80
GAP = "  "
LONGEST_SHOWN = 36  # characters of what is no line of verse
CAPTIONS = ("", "line", "tones", "form", "rhyme", "")


def padded(text: str, width: int) -> str:
    """A text in so many cells: cut off, or filled with spaces.

    >>> padded("平仄", 6) + "|"
    '平仄  |'
    """
    return set_cell_size(text, width)


def columns(rows: Sequence[Sequence[str]], *, last_free: bool = False) -> Iterator[str]:
    """Rows of texts in columns as wide as their widest; of the last column nothing is cut or filled."""
    widths = [max(cell_len(row[number]) for row in rows) for number in range(len(rows[0]))]
    if last_free:
        widths[-1] = 0
    for row in rows:
        cells = [padded(text, width) if width else "" for text, width in zip(row, widths, strict=True)]
        if last_free:
            cells[-1] = row[-1]
        yield GAP.join(cell for cell, width in zip(cells, widths, strict=True) if width or cell).rstrip()


def vertical(lines: Sequence[str]) -> Iterator[str]:
    """Lines of verse as columns, the first one on the right.

    >>> list(vertical(["春江", "花月夜"]))
    ['花　春', '月　江', '夜']
    """
    for row in zip_longest(*reversed(lines), fillvalue="　"):
        yield "　".join(row).rstrip()


def wrapped(text: str, indent: str, width: int = WIDTH) -> Iterator[str]:
    """A sentence in lines of so many cells, all but the first indented; cut at spaces, and inside of what has none."""
    line, first = "", True
    for word in (piece for whole in text.split(" ") for piece in _pieces(whole, width // 2)):
        tried = f"{line} {word}" if line else word
        room = width if first else width - cell_len(indent)
        if line and cell_len(tried) > room:
            yield line if first else indent + line
            line, first = word, False
        else:
            line = tried
    if line:
        yield line if first else indent + line


def _pieces(word: str, cells: int) -> Iterator[str]:
    """A word, in pieces if it is too long."""
    while cell_len(word) > cells:
        head = set_cell_size(word, cells).rstrip()
        yield head
        word = word[len(head) :]
    yield word


def judged(judgement: Judgement) -> Iterator[str]:
    """A judgement as people read it: what it was judged by, the grid, the faults, the remarks and the readings."""
    if judgement.title:
        yield from wrapped(judgement.title, "  ")
    yield from wrapped(headline(judgement), "  ")
    rows = [CAPTIONS, *(_row(number, line, judgement) for number, line in enumerate(judgement.lines, 1))]
    shown = list(columns(rows))
    if max(map(cell_len, shown)) > WIDTH:
        yield from _stacked(rows[1:])
    else:
        start = cell_len(str(len(judgement.lines))) + cell_len(GAP)
        yield shown[0]
        for text, line in zip(shown[1:], judgement.lines, strict=True):
            yield text
            if line.faulty:
                yield _pointers(line, start)
    if judgement.faults or judgement.remarks or judgement.readings:
        yield ""
    for fault in judgement.faults:
        yield from wrapped(f"fault   {told_fault(fault)}", " " * 8)
    for remark in judgement.remarks:
        yield from wrapped(f"remark  {told_fault(remark)}", " " * 8)
    if judgement.readings:
        told = ", ".join(
            f"{one.character} {one.reading} ({one.line}:{one.column}{', seldom' if one.seldom else ''})"
            for one in judgement.readings
        )
        yield from wrapped(f"read as {told}", " " * 8)


def headline(judgement: Judgement) -> str:
    """What was judged, by what, and how it ended."""
    ended = _counted(len(judgement.faults)).removeprefix("it ")
    if judgement.by == "shape" and judgement.of("structure"):
        ended = f"no known form, this is the nearest: {ended}"
    if judgement.readings and judgement.conforms:
        ended += " under the readings below"
    told = [judgement.form.name, judgement.variant.name, judgement.book, judgement.strictness, ended]
    also = [f"as {name} {_counted(count)}" for name, count in judgement.also]
    return " · ".join([*told, *also])


def _counted(faults: int) -> str:
    return "it conforms" if not faults else f"{faults} fault{'s' if faults > 1 else ''}"


def told_fault(fault: Fault) -> str:
    """A fault as a sentence with its place."""
    place = f"line {fault.line}" + (f", character {fault.column}" if fault.column else "")
    return f"{fault.rule}  {place}: {fault.said}"


def _row(number: int, line: JudgedLine, judgement: Judgement) -> tuple[str, ...]:
    text = line.text if len(line.text) <= LONGEST_SHOWN else line.text[: LONGEST_SHOWN - 1] + "…"
    tones = line.tones if text == line.text and line.slots else ""
    letters = len({row.rhyme for row in judgement.lines if row.rhyme}) > 1
    rhyme = " ".join(part for part in ("韵" if line.rhyme else "", line.rhyme if letters else "", line.group) if part)
    return str(number), text or "—", tones, line.slots, rhyme, line.relation


def _pointers(line: JudgedLine, start: int) -> str:
    """A line that points at the faulty characters above it."""
    cells = ["^" * cell_len(c) if n in line.faulty else " " * cell_len(c) for n, c in enumerate(line.text, 1)]
    return (" " * start + "".join(cells)).rstrip()


def _stacked(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Each line above its tones and slots, where they do not stand side by side."""
    for number, text, tones, slots, rhyme, relation in rows:
        yield f"{number:>2}  {text}  {rhyme}  {relation}".rstrip()
        for below in (tones, slots):
            if below:
                yield f"    {below}"


def pattern(variant: Variant) -> Iterator[str]:
    """A variant as its form file has it, stanzas parted by an empty line."""
    for number, stanza in enumerate(variant.stanzas):
        if number:
            yield ""
        yield from (f"  {line}" for line in stanza)


def shape(form: Form) -> list[str]:
    """The lengths of a form's lines, stanza by stanza, each with `.` if it rhymes and `,` if not.

    >>> from charlm.poems.form import find_form
    >>> shape(find_form("七绝"))
    ['7,7.7,7.']
    """
    stanzas = form.variants[0].stanzas
    return ["".join(f"{len(line)}{'.' if line.rhyme else ','}" for line in stanza) for stanza in stanzas]
