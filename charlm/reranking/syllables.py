"""What the sound of candidates says, from the list alone: Mandarin syllables by pypinyin (charlm[sound]).

A recogniser errs by sound: its candidates are written otherwise and said alike. So a candidate that sounds as the
recogniser's first one, or syllable for syllable as most of the list, is the likelier; a language model hears nothing
of that. Both are named scores of a candidate like any other, larger is better; they count only with a weight.

    sound_distance   - letters and tones of pinyin by which a candidate differs from the first one (Levenshtein 1966)
    sound_agreement  Σ log share of the list that says the same syllable, or none, at the same place: the places are
                     those of the first candidate, to which every other is aligned (after Mangu, Brill & Stolcke 2000)
"""

import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log
from typing import Any

from rapidfuzz.distance import Levenshtein

from charlm.errors import MissingExtra

DISTANCE, AGREEMENT = "sound_distance", "sound_agreement"
SOUNDS = (DISTANCE, AGREEMENT)

Place = tuple[int, int]  # of the first candidate, and how manieth of what was inserted before it; 0 for its own


def can_hear() -> bool:
    """Whether pypinyin is installed."""
    return importlib.util.find_spec("pypinyin") is not None


def sound_scores(texts: Sequence[str]) -> dict[str, list[float]]:
    """Both scores of every text of a list, the recogniser's first one first: {name: one value for each text}.

    Raises MissingExtra where pypinyin is not installed.
    """
    said = [_syllables()(text) for text in texts]
    if not said:
        return {name: [] for name in SOUNDS}
    letters = [" ".join(syllables) for syllables in said]
    distances = [0.0 - Levenshtein.distance(letters[0], other) for other in letters]
    return {DISTANCE: distances, AGREEMENT: _agreements(said)}


def _agreements(said: Sequence[tuple[str, ...]]) -> list[float]:
    placed = [_placed(said[0], syllables) for syllables in said]
    votes: dict[Place, Counter[str]] = {}
    for syllables in placed:
        for place, syllable in syllables.items():
            votes.setdefault(place, Counter())[syllable] += 1
    found = []
    for syllables in placed:
        total = 0.0
        for place, counts in votes.items():
            same = counts[syllables[place]] if place in syllables else len(said) - counts.total()
            total += log(same / len(said))
        found.append(total)
    return found


def _placed(first: tuple[str, ...], other: tuple[str, ...]) -> dict[Place, str]:
    """Where the syllables of a candidate stand beside those of the first one."""
    found: dict[Place, str] = {}
    for code in Levenshtein.opcodes(first, other):
        syllables = other[code.dest_start : code.dest_end]
        if code.tag == "insert":
            found |= {(code.src_start, 1 + n): syllable for n, syllable in enumerate(syllables)}
        else:  # nothing where syllables of the first one are left out
            found |= {(code.src_start + n, 0): syllable for n, syllable in enumerate(syllables)}
    return found


@lru_cache(maxsize=1)
def _syllables() -> Callable[[str], tuple[str, ...]]:
    """What turns a text into syllables with tones; words of other scripts stay, in lower case."""
    try:
        from pypinyin import Style, lazy_pinyin
    except ImportError:
        raise MissingExtra("pypinyin", "sound", "--sound") from None

    def foreign(text: str) -> Any:  # a list is taken as well, whatever the library's types say
        return text.lower().split()

    @lru_cache(maxsize=1 << 14)
    def syllables(text: str) -> tuple[str, ...]:
        return tuple(lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=foreign))

    return syllables
