"""Write poems of a form with a run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from charlm.composing.annotating import Annotation
from charlm.composing.automaton import Automaton
from charlm.composing.demands import acrostic, ensure, first_lines, joined
from charlm.composing.inventory import is_han
from charlm.composing.novelty import NOVELTY_FILE, Novelty, Together
from charlm.composing.telling import prefix
from charlm.composing.themes import OPENS
from charlm.composing.writing import Ranking, Verse, compose, usual_characters
from charlm.config.poems import PoemConfig
from charlm.config.sampling import SamplingConfig
from charlm.errors import ConfigError
from charlm.models.base import LanguageModel
from charlm.models.guided import Guided
from charlm.poems.form import Form, find_form
from charlm.poems.sounds import rhyme_book
from charlm.runs.run import Run
from charlm.runs.run import load as load_run
from charlm.text.decoding import Note, nobody


def poems(run: Run, asked: PoemConfig, config: SamplingConfig, count: int = 1, note: Note = nobody) -> Iterator[Verse]:
    """Write `count` poems as they are asked for; `note` hears what of it the run cannot be told.

    Raises ConfigError, before anything is drawn, where the form, the rhyme and the given characters cannot be had
    together, or where the run has no characters to write with, or does not know the theme.
    """
    assert asked.form is not None
    form = find_form(asked.form)
    automaton = keeping(run, form, asked)
    ensure(automaton)
    model, told = telling(run, asked, note)
    return compose(
        model,
        automaton,
        config,
        told=told,
        controls=run.codec.vocab.controls,
        count=count,
        candidates=asked.candidates,
        ranking=Ranking(asked.theme or "", asked.theme_strength, _backward(asked), usual_characters(run.codec.vocab)),
    )


def telling(run: Run, asked: PoemConfig, note: Note = nobody) -> tuple[LanguageModel, tuple[int, ...]]:
    """The model that is told what is asked for, and the ids that it reads before each text.

    Raises ConfigError for a theme that the run does not know, or for one without a form that it cannot be told.
    """
    vocab = run.codec.vocab
    form = find_form(asked.form) if asked.form is not None else None
    known = Annotation()
    if form is not None:
        tune = form.name if form.genre == "词" else ""
        known = Annotation(form.name, tune, _rhyme_told(run, form, asked, note))
    found = prefix(vocab, known, asked.theme or "")
    if OPENS in found.unmet:
        if form is None:
            raise ConfigError(
                f"{run.path} was not trained with --control theme, so it can be told no theme",
                hint="with a --form the theme ranks the candidates",
            )
        note(f"{run.path} was not trained with --control theme: the theme only ranks the candidates")
    if vocab.controls and (others := [name for name in found.unmet if name.startswith("<form:")]):
        note(f"{run.path} was not told of enough poems of {others[0]}: it is kept by the masks alone")
    if not asked.theme or asked.theme_strength == 1 or OPENS in found.unmet:
        return run.model, found.ids
    return Guided(run.model, found.ids, prefix(vocab, known).ids, asked.theme_strength), ()


def _rhyme_told(run: Run, form: Form, asked: PoemConfig, note: Note) -> str:
    """The group that the run is told: it was trained with those of the form's own book, and of no other."""
    if asked.rhyme is None:
        return ""
    if asked.rhyme_book not in (None, form.rhyme_book):
        if any(name.startswith("<rhyme:") for name in run.codec.vocab.control_names):
            note(f"{run.path} knows rhymes by {form.rhyme_book}: those of another book are kept by the masks alone")
        return ""
    book = rhyme_book(form.rhyme_book)
    return named_group(asked.rhyme, book.groups, book.title)


def _backward(asked: PoemConfig) -> Callable[[Sequence[str]], Sequence[float]] | None:
    """What ranks the candidates besides the run; None where nothing does."""
    if asked.backward is None:
        return None
    other = load_run(Path(asked.backward))
    if not any(map(is_han, "".join(other.codec.vocab.tokens))):
        raise ConfigError(f"{other.path} knows no Chinese characters, so it cannot rank poems",
                          hint="--backward takes a run that was trained on verse")  # fmt: skip
    return lambda texts: [found.charged for found in other.score(texts)]


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
    """Raise ConfigError for a run that does not write verse by characters, from the first on, a poem on each line."""
    if run.codec.level != "char":
        raise ConfigError(f"{run.path} was trained with --level {run.codec.level}, and verse is written in characters",
                          hint="train with --level char")  # fmt: skip
    if run.codec.reverse:
        raise ConfigError(f"{run.path} reads its lines backwards, and verse is written from its first character on",
                          hint="train without --reverse")  # fmt: skip
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
