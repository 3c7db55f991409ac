"""What the Guangyun (1008) says of each character: its rhymes among the 206, and where a rhyme divides, its mouth.

Two packages list its heads: `qieyun` 0.13.3 (data CC0) and `tshet-uinh` 0.1.0 (MIT). Facts are taken from both.
"""

import csv
import re
from importlib.resources import files

import Qieyun
from tshet_uinh.data import 廣韻impl as book
from tshet_uinh.壓縮表示 import decode音韻編碼 as decode

HAN = r"[㐀-鿿\U00020000-\U0003ffff]"

# Heads that 王三, an older version of the same dictionary, has and the Guangyun lost; tshet-uinh lists them apart.
LOST = {"忘": "陽", "韻": "震"}
# Rhymes whose characters with rounded lips go their own way in verse of the Song.
DIVIDED = frozenset("佳卦泰")
LABIALS = frozenset("幫滂並明")


class Rhymes(dict[str, set[str]]):
    """Character to rhymes; a rhyme of DIVIDED is written with 開, 合 or 脣 behind it, such as 泰合."""

    def add(self, character: str, rhyme: str) -> None:
        """Note one more rhyme of a character."""
        self.setdefault(character, set()).add(rhyme)


def entries() -> list[object]:
    """Every head of the dictionary, in its order, as tshet-uinh has it."""
    return [entry for rime in book.by原書小韻.values() for entry in rime]


def heads() -> tuple[Rhymes, dict[str, int]]:
    """The rhymes of every head by either package, and how many pairs of head and rhyme each one has alone."""
    rhymes = Rhymes()
    first, second = set(), set()
    for entry in entries():
        first.add((entry.字頭, entry.韻目原貌))
        rhymes.add(entry.字頭, _divided(entry))
    plain = {(head, rhyme[0]) for head, own in rhymes.items() for rhyme in own}
    with files(Qieyun).joinpath("rhyme_book.csv").open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            if row["資料名稱"] != "廣韻":
                continue
            pair = (row["字頭"] or row["字頭覈校前"], row["韻部原貌"])
            if len(pair[0]) != 1:  # a character that has no code of its own
                continue
            second.add(pair)
            if pair not in plain:
                lips = _lips(row["最簡描述"]) if pair[1] in DIVIDED else ""
                rhymes.add(pair[0], pair[1] + lips)
    for head, rhyme in LOST.items():
        rhymes.add(head, rhyme)
    both = first & second
    return rhymes, {
        "in both": len(both),
        "in tshet-uinh alone": len(first - both),
        "in qieyun alone": len(second - both),
    }


def _divided(entry: object) -> str:
    rhyme = entry.韻目原貌
    if rhyme not in DIVIDED:
        return rhyme
    return rhyme + _lips(decode(entry.音韻編碼).描述)


def _lips(described: str) -> str:
    """開, 合 or 脣 of a description such as 匣合二佳去."""
    if described[0] in LABIALS:
        return "脣"
    return "合" if "合" in described else "開"


def cross_readings() -> Rhymes:
    """Readings that a gloss gives besides (又 … 切, 又音 …), where they lead to one rhyme without doubt.

    A spelling (反切) is looked up whole, else by its second character, which rhymes with the reading.
    """
    whole, lower = Rhymes(), Rhymes()
    known = Rhymes()
    for entry in entries():
        if entry.音韻編碼 is None:
            continue
        rhyme = _divided(entry)
        known.add(entry.字頭, rhyme)
        if entry.反切:
            whole.add(entry.反切, rhyme)
            lower.add(entry.反切[1], rhyme)
    found = Rhymes()
    for entry in entries():
        for spelling in _spellings(entry.釋義):
            rhymes = whole.get(spelling) or lower.get(spelling[1], set())
            if len(rhymes) == 1:
                found.add(entry.字頭, *rhymes)
        for same in re.findall(f"又音({HAN})", entry.釋義):
            if len(known.get(same, ())) == 1:
                found.add(entry.字頭, *known[same])
    return found


def _spellings(gloss: str) -> list[str]:
    found = []
    for count, word in ((1, ""), (2, "[二兩]"), (3, "三"), (4, "四")):
        for pairs in re.findall(f"又({HAN}{{{2 * count}}}){word}切", gloss):
            found += [pairs[place : place + 2] for place in range(0, len(pairs), 2)]
    return found


def written_also() -> dict[str, set[str]]:
    """Other writings that the glosses name (俗作, 亦作, 或作 …), each with the heads under which they stand."""
    named = re.compile(f"(?:俗|亦|又|或|本|今|古|通|正|籀文|說文|經典|字林|爾雅|字書)(?:單|省|或)?作({HAN})")
    found: dict[str, set[str]] = {}
    for entry in entries():
        for writing in named.findall(entry.釋義):
            found.setdefault(writing, set()).add(entry.字頭)
    return found
