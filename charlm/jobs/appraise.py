"""What the poems of a run are worth, beside those of people and beside the lines of people in other company.

Form and quality are kept apart: that a poem is correct does not make it good. Everything but the milliseconds follows
from the run, the form and the seed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from charlm import sampling, scoring
from charlm.appraising.distinguishing import Distinction, told_apart
from charlm.appraising.keeping import Keeping, keeping
from charlm.appraising.quality import Quality, Recall, quality
from charlm.appraising.verses import Lines, halves, marked, shuffled
from charlm.composing.themes import recall as said_of
from charlm.composing.writing import unranked
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, TextError
from charlm.jobs.poem import poems_of
from charlm.jobs.sample import keeping as keeping_form
from charlm.jobs.sample import novelty_of, poems, telling
from charlm.poems.checking import fits
from charlm.poems.form import Form, find_form
from charlm.poems.parsing import poem_of
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run
from charlm.scoring import OnTokens
from charlm.text.decoding import Note, nobody
from charlm.text.sources import source_files

ASKED = ("form", "strictness", "rhyme", "theme", "theme_strength", "candidates")  # that the figures hang on
PLAIN = 100  # poems of one candidate, of which the cost of the form is told
FREE_AT_ONCE = 64
SLACK = 8  # tokens that a free sample may have beyond the longest variant of the form


@dataclass(frozen=True)
class Appraised:
    """One set of poems: what it keeps, what it is worth.

    perplexity  by the judge, per token; None without one
    told        how well it is told apart from human poems; None without some, or where there are too few
    """

    keeping: Keeping
    quality: Quality | None
    perplexity: float | None = None
    told: Distinction | None = None


@dataclass(frozen=True)
class Cost:
    """What the form costs.

    nats    per character, minus the log of what the form leaves of the model's probability, at temperature 1, unranked
    poems   of which that is told
    millis  milliseconds of a poem, all its candidates together
    """

    nats: float
    poems: int
    millis: float


@dataclass(frozen=True)
class Human:
    """Held-out poems of people.

    other  how many of the file have another shape than the form, and are left out
    """

    name: str
    poems: list[Lines]
    other: int


@dataclass(frozen=True)
class Appraisal:
    """All figures of a run: sets by name (ours, free, human, shuffled), and what the form costs.

    asked  what each poem had to keep
    alike  poems of each set among which distinct characters and pairs are counted
    """

    asked: PoemConfig
    count: int
    seed: int
    sets: dict[str, Appraised]
    cost: Cost
    alike: int
    human: Human | None = None
    judge: str | None = None

    def record(self) -> dict[str, Any]:
        """The figures as JSON: form and quality apart, a figure that nobody could tell is null."""
        parts = ("valid", "structure", "tone", "rhyme", "answers", "sticks")
        return {
            **{name: getattr(self.asked, name) for name in ASKED},
            "count": self.count,
            "seed": self.seed,
            "against": None if self.human is None else self.human.name,
            "other_shape": None if self.human is None else self.human.other,
            "judge": self.judge,
            "form_figures": {
                name: {"poems": one.keeping.poems, **{part: one.keeping.share(part) for part in parts},
                       "rules": dict(one.keeping.rules.most_common())}
                for name, one in self.sets.items()
            },
            "quality_figures": {
                name: {**(asdict(one.quality) if one.quality else {}), "perplexity": one.perplexity,
                       "told_apart": asdict(one.told) if one.told else None}
                for name, one in self.sets.items()
            },
            "distinct_of_poems": self.alike,
            "cost": asdict(self.cost),
        }  # fmt: skip


def appraise(
    run: Run,
    asked: PoemConfig,
    config: SamplingConfig,
    count: int,
    *,
    human: Human | None = None,
    judge: Run | None = None,
    recall: Recall | None = None,
    note: Note = nobody,
    report: OnTokens,
) -> Appraisal:
    """Draw poems under the form and without it, and tell all figures beside those of human ones.

    recall  how much of the theme that was asked for a poem has; by its characters, if nothing else is given
    Raises ConfigError for what cannot be had, and for a judge that is no n-gram.
    """
    assert asked.form is not None
    if judge is not None and judge.config.model != "ngram":
        raise ConfigError(f"the judge {judge.path} is a {judge.config.model} model, not counts",
                          hint="charlm train TEXT --model ngram makes one")  # fmt: skip
    form = find_form(asked.form)
    if recall is None and asked.theme is not None:
        recall = partial(_recalled, asked.theme)
    sets: dict[str, list[Lines]] = {}
    start = time.perf_counter()
    sets["ours"] = [poem.lines for poem in _told(poems(run, asked, config, count, note), report)]
    millis = 1000 * (time.perf_counter() - start) / count
    cost = _cost(run, asked, config, min(count, PLAIN), millis)
    sets["free"] = list(free(run, form, config, count, report))
    if human is not None:
        sets |= {"human": human.poems, "shuffled": shuffled(human.poems, config.seed)}
    alike = min(map(len, sets.values()))
    known = novelty_of(run.path)
    book = rhyme_book(asked.rhyme_book or form.rhyme_book)
    found = {
        name: Appraised(
            keeping(lines, form, book, asked.strictness),
            quality(lines, alike=alike, known=known, recall=recall),
            None if judge is None else _perplexity(judge, lines, form),
            None if human is None else _told_from_human(name, lines, human.poems, config.seed),
        )
        for name, lines in sets.items()
    }
    return Appraisal(asked, count, config.seed, found, cost, alike, human, None if judge is None else str(judge.path))


def _recalled(theme: str, lines: Lines) -> float:
    return said_of("".join(lines), theme)


def _told(poems: Iterable[Any], report: OnTokens) -> Iterator[Any]:
    for poem in poems:
        report(1)
        yield poem


def _cost(run: Run, asked: PoemConfig, config: SamplingConfig, count: int, millis: float) -> Cost:
    """The cost of the form by poems that nobody chose among, at temperature 1."""
    assert asked.form is not None
    automaton = keeping_form(run, find_form(asked.form), asked)
    plain = SamplingConfig(seed=config.seed)
    model, told = telling(run, asked)
    drawn = list(unranked(model, automaton, plain, count, told=told, controls=run.codec.vocab.controls))
    return Cost(sum(poem.forced for poem in drawn) / sum(poem.characters for poem in drawn), count, millis)


def free(run: Run, form: Form, config: SamplingConfig, count: int, report: OnTokens) -> Iterator[Lines]:
    """What the run writes when nobody asks it for a form: samples as they come, cut off where they grow too long."""
    longest = max(sum(variant.lengths) + len(variant.lines) for variant in form.variants) + SLACK
    drawn = sampling.samples(
        run.model,
        [],
        count,
        replace(config, max_tokens=longest),
        ends=run.codec.closing,
        controls=run.codec.vocab.controls,
        batch_size=FREE_AT_ONCE,
    )
    for one in drawn:
        report(1)
        yield tuple(clause.text for clause in poem_of(run.codec.decode(one.ids)).clauses)


def _perplexity(judge: Run, lines: Sequence[Lines], form: Form) -> float:
    """Per token under the judge, every set with the same marks."""
    documents = (judge.reader.document(marked(poem, form)) for poem in lines)
    return scoring.evaluate(judge.model, judge.codec, documents, carried=False).perplexity


def _told_from_human(name: str, lines: list[Lines], human: list[Lines], seed: int) -> Distinction | None:
    """A set beside human poems; what was made of those is told from the half that it does not have."""
    if name in ("ours", "free"):
        return told_apart(lines, human, seed)
    one, other = halves(human, seed)
    return told_apart(one if name == "human" else shuffled(one, seed), other, seed)


def human_poems(name: str, form: Form, text: TextConfig, *, note: Note) -> Human:
    """The poems of a file that have the shape of a form. Raises TextError where there is none."""
    found: list[Lines] = []
    other = 0
    for file in source_files([name], note=note):
        for poem in poems_of(file, text, form, note=note):
            lines = tuple(clause.text for clause in poem.clauses)
            if fits(poem.lengths, form):
                found.append(lines)
            else:
                other += 1
    if not found:
        raise TextError(f"{name} has no poem of the shape of {form.name}; {other:,} have another",
                        hint="give held-out poems of that form")  # fmt: skip
    if other:
        note(f"{name}: {other:,} poems have another shape than {form.name} and are left out; {len(found):,} are taken")
    return Human(name, found, other)
