"""How many poems keep a form, by the checker, which shares with whatever wrote them the forms and rhyme books alone."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from charlm.appraising.verses import Lines, marked
from charlm.config.poems import Strictness
from charlm.poems.checking import check
from charlm.poems.form import Form
from charlm.poems.judgement import Judgement
from charlm.poems.parsing import Poem, poem_of
from charlm.poems.sounds import RhymeBook

BETWEEN_LINES = {"answers": "失对", "sticks": "失粘"}  # what regulated verse asks of neighbours, and its fault


@dataclass
class Keeping:
    """How many poems keep what, as sums that add.

    kept   poems that keep structure, tone, rhyme; of regulated verse that have no 失对 (answers), no 失粘 (sticks)
    rules  how many poems break each rule
    """

    poems: int = 0
    conforming: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, judgement: Judgement) -> None:
        """One poem more. Whose structure is broken keeps nothing that is asked of its lines."""
        self.poems += 1
        self.conforming += judgement.conforms
        broken = {fault.rule for fault in judgement.faults}
        self.rules.update(broken)
        sound = not judgement.of("structure")
        for part in judgement.parts:
            self.kept[part] += sound and not judgement.of(part)
        if judgement.form.genre == "近体" and "tone" in judgement.parts:
            for name, rule in BETWEEN_LINES.items():
                self.kept[name] += sound and rule not in broken

    def share(self, name: str) -> float | None:
        """The share of poems that keep something, `valid` all of it; None where it was not looked at."""
        count = self.conforming if name == "valid" else self.kept.get(name)
        return None if count is None or not self.poems else count / self.poems


def keeping(poems: Iterable[Lines], form: Form, book: RhymeBook, strictness: Strictness) -> Keeping:
    """What some poems keep of a form."""
    found = Keeping()
    for poem in poems:
        found.add(check(_parsed(poem, form), form, book, strictness))
    return found


def _parsed(poem: Lines, form: Form) -> Poem:
    return poem_of(marked(poem, form))
