"""Which strings of tones a line may have, for whoever writes it: the other side of `regulated.py`, which judges.

The two share no code, so that each may find the mistakes of the other. Followed is 王力, 诗词格律: of a line
of regulated verse the even characters and the last stand fast, the odd ones are free, but

    仄平仄仄平 with an oblique third (孤平) and 三平尾 are never written
    平平平仄仄 may be said as 平平仄平仄
    仄仄平平仄 may have an oblique fourth, if the third of the next line, of 平平仄仄平, is level

A tune (词), and everything in `strict`, has the tones of its slots; in `free` every tone will do.
"""

import functools
from collections.abc import Mapping
from itertools import product

from charlm.poems.form import Form, Line

TONES = "平仄"
Language = Mapping[str, bool]  # tones of a line -> whether the next line must make up for one of them


@functools.cache
def tones_of(line: Line, genre: str, strictness: str, owed: bool) -> Language:
    """The strings of tones that a line may have.

    owed  whether it must make up for an oblique tone of the line before
    """
    if strictness == "free":
        return {said: False for said in _spelled("中" * (len(line) - 1) + (line.slots[-1] if line.rhyme else "中"))}
    if strictness == "common" and genre == "近体" and len(line) in (5, 7):
        return {said: owes for said, owes in _regulated(line.slots).items() if not owed or said[-3] == "平"}
    return {said: False for said in _spelled(line.slots)}


def _spelled(slots: str) -> list[str]:
    return ["".join(said) for said in product(*(TONES if slot == "中" else slot for slot in slots))]


def _regulated(slots: str) -> Language:
    size = len(slots)
    loose = "".join("中" if place % 2 == 0 and place < size - 1 else slot for place, slot in enumerate(slots))
    plain, found = _spelled(loose), {}
    kind = slots[-4] + slots[-1]
    for said in plain:
        first, third, fourth = said[-5], said[-3], said[-2]
        lonely = kind == "平平" and first == third == "仄"  # 孤平
        if not lonely and not (third == fourth == said[-1] == "平"):
            found[said] = False
    if kind == "平仄":
        found |= {said[:-5] + "平平仄平仄": False for said in plain}
    if kind == "仄仄":
        found |= {said[:-2] + "仄仄": True for said in plain}
    return found


@functools.cache
def next_tones(line: Line, genre: str, strictness: str, owed: bool) -> Mapping[str, str]:
    """For every beginning of such a string, the tones that may come next."""
    following: dict[str, str] = {}
    for said in tones_of(line, genre, strictness, owed):
        for place, tone in enumerate(said):
            before = following.get(said[:place], "")
            following[said[:place]] = before if tone in before else before + tone
    return following


def answers(form: Form, line: int) -> bool:
    """Whether a line is the second of a couplet, so that it may make up for the first."""
    return form.genre == "近体" and line % 2 == 1
