"""`charlm poem`: forms of verse, and whether a poem keeps one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.console import Talk, emit, emit_json
from charlm.cli.options import AsJson, PanelCommand, Quiet, page, takes
from charlm.config.knobs import build
from charlm.config.poems import CheckConfig
from charlm.config.text import TextConfig
from charlm.errors import VerseError

if TYPE_CHECKING:
    from charlm.jobs.poem import Tally
    from charlm.poems.form import Form

app = typer.Typer(
    name="poem",
    help="Verse: its forms; poems checked, mended, written, measured, drawn.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("forms", cls=PanelCommand)
def forms(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Forms to show whole; a form file of your own too.")
    ] = None,
    patterns: Annotated[bool, typer.Option("--patterns", help="Show every form whole.")] = False,
    as_json: AsJson = False,
) -> None:
    """The forms that charlm knows, or the patterns of some.

    charlm poem forms 七绝 如梦令
    """
    from charlm.cli.grid import columns, shape
    from charlm.poems import form as known

    found = [known.find_form(name) for name in names] if names else known.forms()
    if as_json:
        for one in found:
            emit_json(_record(one))
        return
    if names or patterns:
        for number, one in enumerate(found):
            if number:
                emit("")
            for line in _whole(one):
                emit(line)
        return
    rows = [("form", "genre", "characters", "variants", "lines, . where they rhyme")]
    for one in found:
        first, *more = shape(one)
        rows.append((one.name, one.genre, str(sum(one.variants[0].lengths)), str(len(one.variants)), first))
        rows += [("", "", "", "", stanza) for stanza in more]
    for line in columns(rows, last_free=True):
        emit(line)


def _whole(form: "Form") -> Iterator[str]:
    """A form with all its patterns."""
    from charlm.cli.grid import pattern, wrapped

    also = f", also {', '.join(form.aliases)}" if form.aliases else ""
    pairs = ", ".join(f"{one} and {other}" for one, other in form.parallel)
    couplets = f"; couplets mostly in lines {pairs}" if pairs else ""
    yield from wrapped(f"{form.name}: {form.genre}, rhymes by {form.rhyme_book}{couplets}{also}", "  ")
    for variant in form.variants:
        yield ""
        note = f": {variant.note}" if variant.note else ""
        yield from wrapped(f"{variant.name}, {sum(variant.lengths)} characters{note}", "  ")
        yield from pattern(variant)


def _record(form: "Form") -> dict[str, Any]:
    variants = [
        {
            "name": variant.name,
            "note": variant.note,
            "seldom": variant.seldom,
            "characters": sum(variant.lengths),
            "stanzas": [[str(line) for line in stanza] for stanza in variant.stanzas],
        }
        for variant in form.variants
    ]
    return {
        "name": form.name,
        "genre": form.genre,
        "aliases": list(form.aliases),
        "rhyme_book": form.rhyme_book,
        "parallel": [list(pair) for pair in form.parallel],
        "variants": variants,
    }


@app.command("check", cls=PanelCommand)
@takes(page(CheckConfig), page(TextConfig, only="encoding field"))
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Poems, one or many; - is stdin.")],
    summary: Annotated[bool, typer.Option("--summary", help="Only how many keep what, and which rules fail.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **knobs: Any,
) -> None:
    """Judge poems: structure, tones and rhymes, line by line.

    Exit code 0 if every poem keeps its form, 1 if one does not.

    charlm poem check my.txt --form 七绝
    """
    from charlm.cli.grid import judged
    from charlm.jobs.poem import Tally, check_files

    config = build(CheckConfig, knobs, command="poem check")
    text = build(TextConfig, knobs, command="poem check")
    total = Tally()
    talk = Talk(quiet)
    for judgement in check_files(files, config, text, note=talk.note):
        if total.poems and not (as_json or summary):
            emit("")
        total.add(judgement)
        if as_json and not summary:
            emit_json(judgement.record())
        elif not summary:
            for line in judged(judgement):
                emit(line)
    if summary:
        _show(total, as_json)
    if total.conforming < total.poems:
        bad = total.poems - total.conforming
        what = f"{bad:,} of {total.poems:,} poems do not keep their form"
        hint = "docs/verse.md explains each rule; --strictness free looks at length and rhyme alone"
        raise VerseError("the poem does not keep its form" if total.poems == 1 else what, hint=hint)


def _show(total: "Tally", as_json: bool) -> None:
    from charlm.cli.grid import columns
    from charlm.poems.judgement import PARTS

    if as_json:
        emit_json(total.record())
        return

    def share(count: int) -> str:
        return f"{count / total.poems:.2%}"

    rows = [("poems", f"{total.poems:,}", ""), ("conform", f"{total.conforming:,}", share(total.conforming))]
    counted = [(f"{part} kept", total.parts[part]) for part in PARTS if part in total.parts]
    counted += [(f"fault {rule}", count) for rule, count in total.rules.most_common()]
    counted += [(f"as {name}", count) for name, count in total.forms.most_common()]
    rows += [(what, f"{count:,}", share(count)) for what, count in counted]
    for line in columns(rows):
        emit(line)
