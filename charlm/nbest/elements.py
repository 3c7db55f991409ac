"""JSON files piece by piece: the elements of an array or the members of an object, one of them in memory at a time.

No string of JSON goes over a line, so a file is cut into brackets, commas, colons, strings and other words line by
line. Several arrays or objects may follow each other. A file that is all one line is in memory whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from charlm.errors import NBestError
from charlm.nbest.base import Source, numbered

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s"\[\]{},:]+|"')
# Inside an element only brackets and strings matter.
_INSIDE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^"\[\]{}]+|"')


@dataclass
class Element:
    """One element of an array, one member of an object, or an object that stands alone.

    number  the line on which it begins, from 1
    key     the JSON text of a member's name; None for what is no member
    text    the JSON text of its value
    """

    number: int
    key: str | None
    text: str


def elements(source: Source, *, members: bool = False) -> Iterator[Element]:
    """The elements of the arrays in a file.

    members  take the members of objects too, instead of objects as they stand

    What is no array or object, or ends inside one, goes to `source.refuse`; nothing after it is read.
    """
    try:
        yield from _elements(source, members)
    except NBestError as error:
        source.refuse(error)


def _elements(source: Source, members: bool) -> Iterator[Element]:
    opened: list[str] = []  # brackets that wait for their end
    key: str | None = None
    pieces: list[str] = []
    first, number, line = 0, 0, ""
    inner = 0  # how deep an element begins
    for number, line in numbered(source.lines()):
        at = 0
        while match := (_INSIDE if len(opened) > inner and opened else _PIECE).search(line, at):
            piece, at = match[0], match.end()
            if piece == '"':
                raise _misfit(source, number, match, "a string that ends on its line")
            if not opened:
                if piece not in "[{":
                    raise _misfit(source, number, match, "an array or object of JSON")
                opened = [piece]
                inner = 0 if piece == "{" and not members else 1
                pieces, key, first = ([piece] if inner == 0 else []), None, number
                continue
            depth = len(opened)
            if depth == inner and not pieces and key is None:
                first = number
            if piece in "[{":
                opened.append(piece)
            elif piece in "]}" and opened.pop() + piece not in ("[]", "{}"):
                raise _misfit(source, number, match, "brackets that fit together")
            if depth == inner and piece in ",]}":
                if pieces:
                    yield Element(first, key, " ".join(pieces))
                elif piece == "," or key is not None:
                    raise _misfit(source, number, match, "a value before this")
                pieces, key = [], None
                continue
            if depth == inner == 1 and piece == ":" and opened[0] == "{" and key is None and len(pieces) == 1:
                key, pieces = pieces[0], []
                continue
            pieces.append(piece)
            if not opened:  # an object that stood alone
                yield Element(first, None, " ".join(pieces))
                pieces = []
    if opened:
        raise source.misfit(first or number, " ".join(pieces) or line)("an end of what begins here")


def _misfit(source: Source, number: int, match: re.Match[str], expected: str) -> NBestError:
    """The error of a piece, shown with a little of what stands before it and of what follows."""
    start = max(match.start() - 20, 0)
    return source.misfit(number, match.string[start : start + 60])(expected)
