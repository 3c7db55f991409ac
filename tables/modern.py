"""Today's readings by pinyin, in the 16 groups of 中华通韵 (2019).

pypinyin's dictionary of characters has every reading that any dictionary ever gave; of these are kept the first, and
those that two words of its dictionary of words use. The neutral tone is left out where there is another.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from pypinyin import Style
from pypinyin.constants import PHRASES_DICT, PINYIN_DICT
from pypinyin.style import convert

STORY = [
    "readings: the first of its dictionary of characters, and those that two words of its dictionary of words use",
    "groups: a o e i u ü ai ei ao ou an en ang eng ong er (啊喔鹅衣乌迂哀欸熬欧安恩昂英雍儿 in the standard)",
]

# group: the finals that rhyme in it, in pypinyin's strict writing with v for ü
FINALS = {
    "a": "a ia ua",
    "o": "o uo",
    "e": "e ie ve ê",
    "i": "i",
    "u": "u",
    "ü": "v",
    "ai": "ai uai",
    "ei": "ei uei",
    "ao": "ao iao",
    "ou": "ou iou",
    "an": "an ian uan van",
    "en": "en in uen vn",
    "ang": "ang iang uang",
    "eng": "eng ing ueng",
    "ong": "ong iong",
    "er": "er",
}
TONES = {"1": "阴", "2": "阳", "3": "上", "4": "去"}
PLACE = {final: group for group, finals in FINALS.items() for final in finals.split()}
OFTEN = 2  # words that must use a reading


def grouped(characters: Iterable[str], simplified: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], set[str]]:
    """(group, tone) to characters, of those given and all others up to U+9FFF that have a reading.

    simplified  the simplified forms of a traditional character: the words are written in these
    """
    spoken = _in_words()
    rows: dict[tuple[str, str], set[str]] = {(group, tone): set() for group in FINALS for tone in TONES.values()}
    for character in {*characters, *map(chr, range(0x3400, 0xA000))}:
        written = PINYIN_DICT.get(ord(character))
        if not written:
            continue
        readings = written.split(",")
        toned = [reading for reading in readings if _place(reading)] or readings
        forms = {character, *simplified.get(character, ())}
        kept = {toned[0]} | {reading for reading in toned if max(spoken[form, reading] for form in forms) >= OFTEN}
        for reading in kept:
            if place := _place(reading):
                rows[place].add(character)
    return rows


def first_tone(character: str) -> str | None:
    """The tone of the first reading that has one."""
    written = PINYIN_DICT.get(ord(character), "")
    places = (_place(reading) for reading in written.split(",") if reading)
    return next((place[1] for place in places if place), None)


def _in_words() -> Counter[tuple[str, str]]:
    """How many words have a character in a reading."""
    count: Counter[tuple[str, str]] = Counter()
    for word, readings in PHRASES_DICT.items():
        count.update((character, each[0]) for character, each in zip(word, readings, strict=False))
    return count


def _place(reading: str) -> tuple[str, str] | None:
    """Group and tone of a syllable such as cháng; None for a neutral tone or a sound without a final."""
    final = convert(reading, Style.FINALS_TONE3, strict=True)
    if not final or final[-1] not in TONES or final[:-1] not in PLACE:
        return None
    return PLACE[final[:-1]], TONES[final[-1]]
