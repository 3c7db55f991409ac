"""What can be said of every token of a text, and so asked of a network's units.

position, left      tokens since the line began, 0 for its first one, and until the token that ends it
in clause, to mark  the same between marks (，。.! and their like): in verse, a line of the poem
in quotes           inside “ ”, 「 」, 『 』, or straight double quotes
in brackets         inside ( ), [ ], { }, （ ）, 【 】, 《 》, 〈 〉
level tone          平, by a rhyme book; for characters that have but one tone class
"""

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.poems.sounds import RhymeBook

QUOTES = {"“": "”", "「": "」", "『": "』", "‘": "’"}
BRACKETS = {"(": ")", "[": "]", "{": "}", "（": "）", "【": "】", "《": "》", "〈": "〉"}
STRAIGHT = '"'
FEWEST = 20  # tokens of each class, or a feature is not asked for
ROUND = 10  # tokens of verse among so many, or tones are not asked for

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Feature:
    """A number for every token, nan where there is none to tell.

    binary  whether it is 0 or 1, so that a probe has an accuracy; else it has an R²
    """

    name: str
    values: Values
    binary: bool


def is_mark(token: str) -> bool:
    """Whether a token parts clauses: punctuation or a line end, but for quotes and brackets.

    >>> [is_mark(token) for token in "，。!\\n“(a-"]
    [True, True, True, True, False, False, False, False]
    """
    return token == "\n" or (len(token) == 1 and unicodedata.category(token) == "Po" and token not in "\"'")


def features(documents: Sequence[Sequence[str]], book: RhymeBook | None) -> list[Feature]:
    """The features of some documents' tokens, end to end, which vary enough to be asked for.

    book  tells tones; None: they are not asked for
    """
    found = [
        Feature("position", _counted(documents, lambda token: token == "\n"), False),
        Feature("left", _left(documents, lambda token: token == "\n"), False),
        Feature("in clause", _counted(documents, is_mark), False),
        Feature("to mark", _left(documents, is_mark), False),
        Feature("in quotes", _inside(documents, QUOTES), True),
        Feature("in brackets", _inside(documents, BRACKETS), True),
    ]
    if book is not None:
        found.append(Feature("level tone", _tones(documents, book), True))
    return [feature for feature in found if _varies(feature)]


def _varies(feature: Feature) -> bool:
    known = feature.values[np.isfinite(feature.values)]
    if feature.binary:
        return bool(min((known == 0).sum(), (known == 1).sum()) >= FEWEST)
    return len(known) >= FEWEST and bool(known.std() > 0)


def _counted(documents: Sequence[Sequence[str]], ends: Callable[[str], bool]) -> Values:
    """Tokens since the last end."""
    found = []
    for document in documents:
        count = 0
        for token in document:
            found.append(count)
            count = 0 if ends(token) else count + 1
    return np.array(found, dtype=float)


def _left(documents: Sequence[Sequence[str]], ends: Callable[[str], bool]) -> Values:
    """Tokens until the next end, which closes each document at the latest."""
    turned = [[*reversed(document)] for document in reversed(documents)]
    found = []
    for document in turned:
        count = 0
        for token in document:
            count = 0 if ends(token) else count + 1
            found.append(count)
    return np.array(found[::-1], dtype=float)


def _inside(documents: Sequence[Sequence[str]], pairs: dict[str, str]) -> Values:
    """1 from an opening sign on until its closing one; a document that ends closes what is open in it."""
    closing, found = set(pairs.values()), []
    for document in documents:
        depth, straight = 0, False
        for token in document:
            if token in pairs:
                depth += 1
            elif token in closing:
                depth = max(0, depth - 1)
            elif token == STRAIGHT and pairs is QUOTES:
                straight = not straight
            found.append(float(depth > 0 or straight))
    return np.array(found)


def _tones(documents: Sequence[Sequence[str]], book: RhymeBook) -> Values:
    """1 for level, 0 for oblique, nan for characters that the book does not know, or in both classes."""
    known: dict[str, float] = {}
    found = []
    for document in documents:
        for token in document:
            if token not in known:
                levels = {reading.level for reading in book.readings(token)}
                known[token] = float(levels.pop()) if len(levels) == 1 else math.nan
            found.append(known[token])
    values = np.array(found)
    return values if np.isfinite(values).sum() * ROUND > len(values) else np.full(len(values), math.nan)
