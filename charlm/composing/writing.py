"""Poems that a model writes under the automaton of a form: some candidates each, of which the best is kept."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from charlm.composing.automaton import Automaton
from charlm.composing.inventory import is_han
from charlm.composing.themes import recall
from charlm.config.sampling import SamplingConfig
from charlm.models.base import LanguageModel
from charlm.sampling import Sample, sample
from charlm.text.vocab import UNK, Vocab

THEME = 20.0  # nats that a poem which says all of its theme is worth more in the ranking, at strength 1
REPEATED = 1 / 7  # nats a character that saying one once more costs in the ranking: the longer a poem, the more in all
COMMON = 0.7  # share of how likely characters are in any text that is taken off: what is likely anywhere is trite
AT_ONCE = 64  # samples drawn side by side


@dataclass(frozen=True)
class Verse:
    """A poem that was written.

    lines     without their marks
    log_prob  nats, the model's own, of all tokens
    forced    nats that the form cost (`Sample.forced`)
    merit     what it was chosen by: nats per character, less what common and repeated characters cost, and more for its
              theme
    number    of the sample among all that were drawn
    """

    text: str
    lines: tuple[str, ...]
    log_prob: float
    forced: float
    merit: float
    number: int

    @property
    def characters(self) -> int:
        """How many there are, marks left out."""
        return sum(map(len, self.lines))


@dataclass(frozen=True)
class Ranking:
    """By what the best of some candidates is chosen, besides what their own model thinks of them.

    theme     characters that a poem should say
    strength  how much that counts
    backward  nats of each of some poems by a second model, such as one that reads from right to left; half of the merit
    usual     log of the share that each character has of the training text. By likelihood alone the best of many poems
              is the tritest; by log P(poem) - λ Σ log P(character) it is not (objective of Li et al. 2016, with each
              character by itself for what is said anyway)
    """

    theme: str = ""
    strength: float = 1.0
    backward: Callable[[Sequence[str]], Sequence[float]] | None = None
    usual: Mapping[str, float] = field(default_factory=dict)

    def ranked(self, poems: Sequence[Verse]) -> list[Verse]:
        """The poems with their merits."""
        others = self.backward([poem.text for poem in poems]) if self.backward is not None else None
        found = []
        for number, poem in enumerate(poems):
            nats = poem.log_prob if others is None else (poem.log_prob + others[number]) / 2
            more = self.of_theme(poem.text) - COMMON * self.usually(poem.lines)
            found.append(replace(poem, merit=merit(poem.lines, nats + more)))
        return found

    def usually(self, lines: Sequence[str]) -> float:
        """Nats of the characters, each as it comes in any text."""
        return sum(self.usual.get(character, 0.0) for line in lines for character in line)

    def of_theme(self, text: str) -> float:
        """Nats that a text is worth more by what it says of the theme."""
        return THEME * self.strength * recall(text, self.theme) if self.theme else 0.0


PLAIN = Ranking()


def usual_characters(vocab: Vocab) -> dict[str, float]:
    """log of the share of each token of a vocabulary in the text that it was counted from; empty where none was."""
    whole = sum(vocab.counts)
    return {t: math.log(max(n, 0.5) / whole) for t, n in zip(vocab.tokens, vocab.counts, strict=True)} if whole else {}


def compose(
    model: LanguageModel,
    automaton: Automaton,
    config: SamplingConfig,
    *,
    told: Sequence[int] = (),
    controls: int = 0,
    count: int = 1,
    candidates: int = 16,
    ranking: Ranking = PLAIN,
) -> Iterator[Verse]:
    """Write `count` poems, each the best of so many candidates that no earlier one equals.

    told      ids that are read before: control tokens, and a theme
    controls  how many of the vocabulary's tokens are control tokens
    """
    shown: set[str] = set()
    whole = replace(config, max_tokens=longest(automaton))
    for first in range(0, count * candidates, candidates):
        drawn: list[Verse] = []
        for start in range(first, first + candidates, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, first + candidates))
            found = sample(model, (), numbers, whole, told=told, controls=controls, constraint=automaton)
            drawn += ranking.ranked([spelled(automaton, *pair) for pair in zip(found, numbers, strict=True)])
        best = max((poem for poem in drawn if poem.text not in shown), key=lambda poem: poem.merit, default=drawn[0])
        shown.add(best.text)
        yield best


def longest(automaton: Automaton) -> int:
    """The most tokens that a poem of the form has: characters, a mark for each line, and the end."""
    return max(sum(variant.lengths) + len(variant.lines) for variant in automaton.form.variants) + 1


def spelled(automaton: Automaton, drawn: Sample, number: int) -> Verse:
    """A sample as a poem: `<UNK>` is the character that was given for its place."""
    lines, text = [""], ""
    for token in drawn.ids:
        character = automaton.tokens[token]
        if token == UNK:
            place = (len(lines) - 1, len(lines[-1]))
            character = automaton.fixed.get(place) or lines[-2][place[1]]
        text += character
        if is_han(character):
            lines[-1] += character
        else:
            lines.append("")
    kept = tuple(line for line in lines if line)
    return Verse(text, kept, drawn.log_prob, drawn.forced, merit(kept, drawn.log_prob), number)


def merit(lines: Sequence[str], log_prob: float) -> float:
    """Nats per character; one that comes back costs something, since samples repeat more than people do."""
    characters = "".join(lines)
    repeated = sum(times - 1 for times in Counter(characters).values())
    return log_prob / len(characters) - REPEATED * repeated if characters else -math.inf


def unranked(
    model: LanguageModel,
    automaton: Automaton,
    config: SamplingConfig,
    count: int,
    *,
    told: Sequence[int] = (),
    controls: int = 0,
) -> Iterator[Verse]:
    """Write `count` poems as they come, none chosen among others, many side by side; the rest as for `compose`."""
    whole = replace(config, max_tokens=longest(automaton))
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        found = sample(model, (), numbers, whole, told=told, controls=controls, constraint=automaton)
        yield from (spelled(automaton, one, number) for one, number in zip(found, numbers, strict=True))
