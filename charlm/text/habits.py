"""How a text is written: its case, the width of its letters and marks, its punctuation, and how its lines end.

A recogniser writes the same sentence otherwise than the text a model has learned from: in capitals, without
punctuation, with ASCII commas between Han characters. A model that never met such marks finds every candidate unlikely,
and those with most of them unlikeliest. So what it reads of a candidate is written as its text was.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

SAMPLE = 1 << 18  # characters; of a longer text every second, fourth, … document is looked at
FEWEST = 50  # letters, lines or characters without which nothing is concluded
RARE = 0.005  # a share of letters or lines that is no habit
RARE_CASE = 0.015  # the same for capitals: texts in small letters have some, as signs (N for a number)
RARE_MARK = 1e-5  # the same for one mark among all characters
NARROW_SHARE = 0.05  # of ASCII marks to full-width ones, in a text that writes the latter
USUAL = 0.9  # a share of lines that is a habit

WIDTHS = dict(zip(",.?!:;()", "，。？！：；（）", strict=True))  # marks, ASCII and between Han characters
MARKS = "".join(WIDTHS) + "".join(WIDTHS.values()) + '、…—“”‘’《》〈〉「」『』【】·"[]{}~～'  # ' and - stand in words
CLOSING, QUOTES = ".?!。？！…", '"”’」』)）'
HAN_RANGE = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KINDS: Mapping[str, re.Pattern[str]] = {
    "han": re.compile(f"[{HAN_RANGE}]"),
    "upper": re.compile("[A-Z]"),
    "lower": re.compile("[a-z]"),
    "wide": re.compile("[０-９Ａ-Ｚａ-ｚ]"),
    "narrow": re.compile("[0-9A-Za-z]"),
    "digits": re.compile("[0-9０-９]"),
}
MARK = re.compile(f"[{re.escape(MARKS)}]")
TO_NARROW = {0xFEE0 + ord(c): ord(c) for c in "".join(map(chr, range(0x21, 0x7F))) if c.isalnum()}
TO_WIDE = {narrow: wide for wide, narrow in TO_NARROW.items()}

Rewriting = Callable[[str], str]


@dataclass
class Habits:
    """Counts of how a text is written; they add, and all are 0 where nothing is known.

    counts  by name: `characters`, those of KINDS, `mark X` of each mark, `lines`, and `end X` of lines that X closes
    """

    counts: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    stride: int = 1

    def watch(self, documents: Iterable[str]) -> Iterator[str]:
        """Pass documents on, looking at each, or of many at some."""
        for document in documents:
            if self.seen % self.stride == 0:
                self.add(document)
                if self.counts["characters"] > SAMPLE * self.stride.bit_length():
                    self.stride *= 2
            self.seen += 1
            yield document

    def add(self, text: str, times: int = 1, *, is_line: bool = True) -> None:
        """Look at a line, or at another piece of text."""
        self.counts["characters"] += times * len(text)
        for name, kind in KINDS.items():
            self.counts[name] += times * len(kind.findall(text))
        for mark in MARK.findall(text):
            self.counts[f"mark {mark}"] += times
        if is_line and (line := text.strip().rstrip(QUOTES)):
            self.counts["lines"] += times
            if line[-1] in CLOSING:
                self.counts[f"end {line[-1]}"] += times

    @classmethod
    def of_vocab(cls, tokens: Iterable[str], counts: Iterable[int]) -> "Habits":
        """What a vocabulary tells: all but how lines end."""
        made = cls()
        for token, times in zip(tokens, counts, strict=True):
            made.add(token, times, is_line=False)
        return made

    def to_json(self) -> dict[str, int]:
        """The counts that are not 0."""
        return {name: number for name, number in sorted(self.counts.items()) if number}


@dataclass(frozen=True)
class View:
    """Candidates as the text of a model would have them: `view(text)`. To see a view again changes nothing."""

    habits: Habits

    def __call__(self, text: str) -> str:
        for change in self.changes.values():
            text = change(text)
        return text

    def told(self, texts: Iterable[str]) -> list[str]:
        """Which changes make a difference to some of these texts."""
        several, found = list(texts), []
        for name, change in self.changes.items():
            changed = [change(text) for text in several]
            found += [name] if changed != several else []
            several = changed
        return found

    @cached_property
    def changes(self) -> dict[str, Rewriting]:
        """What is done to a text, step by step, under the name by which it is told."""
        n, found = self.habits.counts, dict[str, Rewriting]()
        if n["characters"] < FEWEST:
            return found
        letters, alike = n["upper"] + n["lower"], n["wide"] + n["narrow"]
        if n["wide"] <= RARE * alike or alike < FEWEST:
            found["half-width letters and digits"] = lambda text: text.translate(TO_NARROW)
        elif alike >= FEWEST and n["narrow"] <= RARE * alike:
            found["full-width letters and digits"] = lambda text: text.translate(TO_WIDE)
        if letters >= FEWEST and n["upper"] <= RARE_CASE * letters:
            found["lower case"] = str.lower
        elif letters >= FEWEST and n["lower"] <= RARE_CASE * letters:
            found["upper case"] = str.upper
        if n["han"] > letters:
            wider = {a: b for a, b in WIDTHS.items() if n[f"mark {a}"] < NARROW_SHARE * n[f"mark {b}"]}
            if wider:
                beside_han = _beside_han(wider)
                found["full-width punctuation"] = lambda text: beside_han.sub(lambda mark: wider[mark[0]], text)
        absent = {mark for mark in MARKS if n[f"mark {mark}"] <= RARE_MARK * n["characters"]}
        if absent:
            none = absent >= {*CLOSING, ",", "，"}
            name = "without punctuation" if none else "without marks that the training text does not have"
            outside = _outside_numbers(absent)
            found[name] = lambda text: _without(outside, text)
        if n["lines"] >= FEWEST:
            ends = {mark: n[f"end {mark}"] for mark in CLOSING}
            usual = max(ends, key=lambda mark: ends[mark])
            if sum(ends.values()) >= USUAL * n["lines"]:
                found[f"closed by {usual}"] = lambda text: _closed(text, usual)
            elif sum(ends.values()) <= RARE * n["lines"] and "without punctuation" not in found:
                found["open at the end"] = _open
        return found


def _beside_han(marks: Iterable[str]) -> re.Pattern[str]:
    some = re.escape("".join(marks))
    return re.compile(f"(?<=[{HAN_RANGE}])[{some}]|[{some}](?=[{HAN_RANGE}])")


def _outside_numbers(marks: Iterable[str]) -> re.Pattern[str]:
    some = re.escape("".join(sorted(marks)))
    return re.compile(f"(?<![0-9])[{some}]|[{some}](?![0-9])")


def _without(marks: re.Pattern[str], text: str) -> str:
    """The text without some marks; a space is left where one parted two words."""

    def gap(mark: re.Match[str]) -> str:
        sides = text[: mark.start()][-1:] + text[mark.end() :][:1]
        return " " if len(sides) == 2 and sides.isascii() and sides.isalnum() else ""

    if marks.search(text) is None:
        return text
    return re.sub(" +", " ", marks.sub(gap, text)).strip()


def _is_closed(text: str) -> bool:
    return text.rstrip().rstrip(QUOTES).endswith(tuple(CLOSING))


def _open(text: str) -> str:
    return text.rstrip().rstrip(QUOTES).rstrip(CLOSING) if _is_closed(text) else text


def _closed(text: str, mark: str) -> str:
    return text if _is_closed(text) or not text.strip() else text.rstrip() + mark
