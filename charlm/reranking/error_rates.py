"""How far a transcript is from what was said: character, word and mixed error rates.

    cer   every character is a unit; white space and punctuation are left out
    wer   every word between white space is a unit, with the punctuation it has
    mer   every character of a script without spaces (Han, kana, Thai, Lao, Burmese, Khmer) and every word of
          another script is a unit; punctuation is left out

For comparison only, both texts are read in NFKC and case-folded, without invisible format characters, and
with ’ as '. So Ｗｏｒｄ equals word, and full-width digits equal narrow ones; the texts themselves are
returned untouched everywhere. Punctuation is Unicode's categories P (which has % & @ in it) and Z; symbols
such as + and ° stay.

Errors are counts and add; divide only after adding, since a mean of rates is not the rate of the whole.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from charlm.choices import Choices
from charlm.tokenizers.mixed import HAN

Metric = Literal["cer", "wer", "mer"]

NOTICEABLE = 0.05  # share of units from which a script is no longer an exception; `metric_for` says how it is used

# Scripts written without spaces between words.
_UNSPACED = re.compile(
    f"[{HAN}"
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0eff\u1000-\u109f\u1780-\u17d3]"  # Thai, Lao, Burmese, Khmer
)
_INNER_APOSTROPHE = re.compile(r"(?<=[^\W_])'(?=[^\W_])")


@functools.lru_cache(maxsize=1 << 16)  # a list is looked at several times: for its length, its copies, its errors
def comparable(text: str) -> str:
    """The text as it is compared: NFKC, case-folded, without invisible format characters, ’ as '.

    >>> comparable("Ｄon’t１")
    "don't1"
    """
    if text.isascii():
        return text.lower()
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    # Folding may leave a text that is not normalized any more, hence twice (Unicode, section 3.13).
    folded = unicodedata.normalize("NFKC", visible).casefold()
    return unicodedata.normalize("NFKC", folded).replace("’", "'")


def _is_gap(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "PZ" or category == "Cc"


def _characters(text: str) -> list[str]:
    return [char for char in comparable(text) if not _is_gap(char)]


def _words(text: str) -> list[str]:
    return comparable(text).split()


def _mixed(text: str) -> list[str]:
    spaced = _UNSPACED.sub(r" \g<0> ", comparable(text))
    kept = {match.start() for match in _INNER_APOSTROPHE.finditer(spaced)}
    return "".join(" " if _is_gap(c) and i not in kept else c for i, c in enumerate(spaced)).split()


METRICS: Choices[Callable[[str], list[str]]] = Choices("metric", {"cer": _characters, "wer": _words, "mer": _mixed})


def units(text: str, metric: Metric) -> list[str]:
    """The units of a text that a metric counts, as they are compared. Raises ConfigError for an unknown metric.

    >>> units("我 在 Ｂeijing，OK？", "mer")
    ['我', '在', 'beijing', 'ok']
    >>> units("做作业。", "cer")
    ['做', '作', '业']
    """
    return METRICS[metric](text)


def metric_for(references: Iterable[str], candidates: Iterable[str] = ()) -> tuple[Metric, str]:
    """The usual metric for texts like these, and what decided it: references or candidates.

    What was said decides; candidates are asked only where no reference has a letter, since a recogniser may
    answer in another script, or not at all. Characters of scripts without spaces and words of others (those
    with a letter in them) are counted as in `mer`. Where fewer than one in twenty is such a character: `wer`.
    Where fewer than one in twenty is a word of another script: `cer`. Where both are noticeable: `mer`. Where
    there is neither: `wer`.

    >>> metric_for(["做作业"]), metric_for([], ["do your homework"]), metric_for(["我用 Python 写作业"], ["a"])
    (('cer', 'references'), ('wer', 'candidates'), ('mer', 'references'))
    """
    for source, texts in (("references", references), ("candidates", candidates)):
        characters = words = 0
        for text in texts:
            for unit in _mixed(text):
                if _UNSPACED.match(unit):
                    characters += 1
                elif any(char.isalpha() for char in unit):
                    words += 1
        every = characters + words
        if every and characters < NOTICEABLE * every:
            return "wer", source
        if every:
            return ("cer" if words < NOTICEABLE * every else "mer"), source
    return "wer", "candidates"


@dataclass(frozen=True)
class Errors:
    """Edits that turn references into hypotheses. Errors add, so shards may be judged anywhere.

    substitutions, deletions, insertions   units, of a cheapest alignment
    reference_units                        units in the references: the denominator
    sentences, wrong_sentences             texts compared, and those with an error in them
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_units: int = 0
    sentences: int = 0
    wrong_sentences: int = 0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_units + other.reference_units,
            self.sentences + other.sentences,
            self.wrong_sentences + other.wrong_sentences,
        )

    @property
    def total(self) -> int:
        """Edits of all three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Edits per reference unit: 0.05 is 5 %, and more than 1 is possible. None without reference units."""
        return self.total / self.reference_units if self.reference_units else None

    @property
    def sentence_rate(self) -> float | None:
        """Share of the texts that have an error in them. None without texts."""
        return self.wrong_sentences / self.sentences if self.sentences else None


def errors(reference: str, hypothesis: str, metric: Metric) -> Errors:
    """Compare one hypothesis with what was said; either may be empty. Raises ConfigError for an unknown metric.

    The number of edits is the Levenshtein distance of the units. How it divides into substitutions,
    deletions and insertions is that of one cheapest alignment; there may be others.

    >>> errors("做作业", "做做业", "cer").rate
    0.3333333333333333
    """
    from rapidfuzz.distance import Levenshtein  # here, not above: it loads numpy, and --help must not wait

    said, heard = units(reference, metric), units(hypothesis, metric)
    edits = Counter(edit.tag for edit in Levenshtein.editops(said, heard))
    return Errors(
        substitutions=edits["replace"],
        deletions=edits["delete"],
        insertions=edits["insert"],
        reference_units=len(said),
        sentences=1,
        wrong_sentences=int(bool(edits)),
    )
