"""Write poems of a form with a run."""

from collections.abc import Iterator
from pathlib import Path

from charlm.composing.automaton import Automaton
from charlm.composing.demands import acrostic, ensure, first_lines, joined
from charlm.composing.novelty import NOVELTY_FILE, Novelty, Together
from charlm.composing.writing import Verse, compose
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.poems.form import Form, find_form
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run


def poems(run: Run, asked: PoemConfig, config: SamplingConfig, count: int = 1) -> Iterator[Verse]:
    """Write `count` poems as they are asked for.

    Raises ConfigError, before anything is drawn, where the form, the rhyme and the given characters cannot be had
    together, or where the run has no characters to write with.
    """
    assert asked.form is not None
    form = find_form(asked.form)
    automaton = keeping(run, form, asked)
    ensure(automaton)
    return compose(
        run.model, automaton, config, controls=run.codec.vocab.controls, count=count, candidates=asked.candidates
    )


def keeping(run: Run, form: Form, asked: PoemConfig) -> Automaton:
    """The automaton of what is asked for; `demands.ensure` tells whether it has a poem."""
    ensure_verse(run)
    vocab = run.codec.vocab
    book = rhyme_book(asked.rhyme_book or form.rhyme_book)
    groups = () if asked.rhyme is None else (named_group(asked.rhyme, book.groups, book.title),)
    given = joined(
        first_lines(asked.first_line, form) if asked.first_line else {},
        acrostic(asked.acrostic, asked.column, form) if asked.acrostic else {},
    )
    quotes = None if asked.allow_quotes else novelty_of(run.path)
    return Automaton(form, book, vocab.tokens, asked.strictness, given, groups, quotes)


def ensure_verse(run: Run) -> None:
    """Raise ConfigError for a run that does not write verse by characters, a poem on each line."""
    if run.codec.level != "char":
        raise ConfigError(f"{run.path} was trained with --level {run.codec.level}, and verse is written in characters",
                          hint="train with --level char")  # fmt: skip
    if not run.codec.closing:
        raise ConfigError(f"{run.path} reads its text as one stream, so its poems have no end",
                          hint="train with --reading lines, a poem on each line")  # fmt: skip


def novelty_of(path: Path) -> Together | None:
    """What the training text of a run says, of a mixture that of its members; None where nothing was kept."""
    known = [Novelty.load(file) for file in (path / NOVELTY_FILE, *path.glob(f"*/*/{NOVELTY_FILE}")) if file.is_file()]
    return Together(known) if known else None


def named_group(name: str, groups: tuple[str, ...], title: str) -> str:
    """A rhyme group by its name, 东韵 as well as 东. Raises ConfigError where the book has none of that name."""
    short = name.removesuffix("韵") if name not in groups else name
    if short not in groups:
        raise ConfigError(f"{title} has no rhyme group {name!r}", hint=f"it has {' '.join(groups[:40])} …")
    return short
