"""What a poem is, for a model to be told: the form that it keeps, the tune of its title, the group that it rhymes in.

A form is told where a poem keeps it as whatever writes verse would have to (`metre.py`, in `common`): so that a model
that is told 七绝 has read nothing else under that name, and what its masks forbid is what it never saw. The checker
would ask forty times as long for the names of faults that nobody reads here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from charlm.composing.inventory import Kind, tone_of
from charlm.composing.metre import answers, tones_of
from charlm.composing.novelty import clauses
from charlm.poems.form import Form, Line, Variant, forms, known_as
from charlm.poems.sounds import RhymeBook, rhyme_book

PAUSES = str.maketrans("", "", "、·・“”‘’「」『』《》〈〉")  # of a line, which part nothing
MOST_READINGS = 10  # characters of two tones in a line, beyond which it is not read
REGULAR = {5, 7}  # characters of each line of a poem that is no tune, unless it says so


@dataclass(frozen=True)
class Annotation:
    """What is known of a poem; empty where nothing is.

    form   the name of the form that it keeps
    tune   the name of its tune, by its title
    rhyme  the group of its first rhyme
    """

    form: str = ""
    tune: str = ""
    rhyme: str = ""


class Annotator:
    """Tells what poems are; it remembers characters, so one serves for a whole text."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, ...], list[tuple[Form, list[Variant]]]] = {}
        for form in forms():
            by_lengths: dict[tuple[int, ...], list[Variant]] = {}
            for variant in form.variants:
                by_lengths.setdefault(variant.lengths, []).append(variant)
            for lengths, variants in by_lengths.items():
                self._shapes.setdefault(lengths, []).append((form, variants))
        self._tones: dict[tuple[str, str], str] = {}
        self._order = {name: {group: n for n, group in enumerate(rhyme_book(name).groups)}
                       for name in ("pingshui", "cilin")}  # fmt: skip

    def annotate(self, text: str, tune: str = "") -> Annotation:
        """What a poem is.

        tune  the one that its title names; empty where none
        """
        lines = clauses(text.translate(PAUSES))
        lengths = tuple(map(len, lines))
        named = known_as(tune) if tune else None
        shaped = self._shapes.get(lengths, [])
        of_tune = [(form, variants) for form, variants in shaped if named is not None and form.name == named.name]
        said = named.name if of_tune and named is not None else tune if named is None else ""
        for form, variants in of_tune or (shaped if not said else []):
            if form.genre == "词" and not of_tune and len(set(lengths)) == 1 and lengths[0] in REGULAR:
                continue
            for variant in variants:
                if group := self._kept(form, variant, lines):
                    return Annotation(form.name, said, group)
        return Annotation("", said, "" if said else self._couplets(lines))

    def _kept(self, form: Form, variant: Variant, lines: Sequence[str]) -> str:
        """The group in which a poem rhymes as this variant; empty where it does not keep it."""
        book = rhyme_book(form.rhyme_book)
        if form.genre != "古体" and not self._sounds(form, variant, lines, book):
            return ""
        first = ""
        for letter in dict.fromkeys(line.rhyme for line in variant.lines if line.rhyme):
            ends = [(line, text[-1]) for line, text in zip(variant.lines, lines, strict=True) if line.rhyme == letter]
            repeated = len({end for _, end in ends}) < len(ends)
            group = self._rhyme(ends, book)
            if not group or (repeated and form.genre == "近体"):
                return ""
            first = first or group
        return first

    def _sounds(self, form: Form, variant: Variant, lines: Sequence[str], book: RhymeBook) -> bool:
        """Whether the tones of each line are among those of its slots, with what one line owes to the next."""
        owing = {False}
        for number, (line, text) in enumerate(zip(variant.lines, lines, strict=True)):
            after = set()
            for owed in owing:
                language = tones_of(line, form.genre, "common", owed)
                after |= {language[said] for said in self._spoken(text, book) if said in language}
            may_owe = number + 1 < len(lines) and answers(form, number + 1)
            owing = after if may_owe else after - {True}
            if not owing:
                return False
        return True

    def _spoken(self, text: str, book: RhymeBook) -> Iterator[str]:
        """Every string of tones that a line may be read with; a character that nobody knows has either."""
        tones = []
        for character in text:
            known = self._tones.get((book.name, character))
            if known is None:
                levels = {tone_of(reading) for reading in book.readings(character)}
                known = self._tones[book.name, character] = "".join(sorted(levels)) or "平仄"
            tones.append(known)
        if sum(len(one) > 1 for one in tones) <= MOST_READINGS:
            yield from map("".join, product(*tones))

    def _rhyme(self, ends: Sequence[tuple[Line, str]], book: RhymeBook) -> str:
        """The group that the ends of lines share, in the tones of their slots; empty where they share none."""
        mixed = len({line.slots[-1] for line, _ in ends}) > 1
        shared: set[Kind] | None = None
        for line, end in ends:
            slot = line.slots[-1]
            kinds: set[Kind] = {(None if mixed else reading.level, reading.group)
                                for reading in book.readings(end) if slot in ("中", tone_of(reading))}  # fmt: skip
            shared = kinds if shared is None else shared & kinds
            if not shared:
                return ""
        return min((group for _, group in shared or ()), key=self._order[book.name].__getitem__, default="")

    def _couplets(self, lines: Sequence[str]) -> str:
        """The group of a poem of no form that we have, such as a long one: of the ends of its couplets."""
        if len(lines) < 4 or len(lines) % 2 or len({len(line) for line in lines}) > 1:
            return ""
        free = Line("中")
        return self._rhyme([(free, line[-1]) for line in lines[1::2]], rhyme_book("pingshui"))
