"""`charlm fill`: what may stand where a word is missing?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli.completion import runs_and_texts_at
from charlm.cli.console import Talk, emit, emit_json, figure, table
from charlm.cli.options import AsJson, Device, Quiet, given, knob, page, takes
from charlm.config.filling import FillConfig
from charlm.config.knobs import build
from charlm.config.text import TextConfig
from charlm.errors import ConfigError, TextError
from charlm.text.files import lines_of
from charlm.text.vocab import escape

if TYPE_CHECKING:
    from charlm.jobs.fill import Filled, Filling

TEST = "Test"
SEVERAL = " … "  # between the fills of several blanks


@takes(page(FillConfig))
def fill(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN [TEXT]...",
            help="A run directory, and texts with blanks: _ for one token, □□ for two, __ for a word of any length;"
            " - is stdin, a text a line. With --test: runs.",
            autocompletion=runs_and_texts_at,
        ),
    ],
    file: Annotated[Path | None, typer.Option(help="Texts from a file, one a line.")] = None,
    best: Annotated[bool, typer.Option("--best", help="Print each text with its likeliest filling, no more.")] = False,
    test: Annotated[
        list[str] | None,
        typer.Option(
            help="Take tokens out of this text, and tell how often each RUN finds them; repeatable.",
            rich_help_panel=TEST,
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Tokens that are taken out.", rich_help_panel=TEST)] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Which ones.", rich_help_panel=TEST)] = 1,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Let language models score --candidates whole sentences as well.", rich_help_panel=TEST
        ),
    ] = False,
    encoding: Annotated[str | None, knob(TextConfig, "encoding")] = None,
    field: Annotated[str | None, knob(TextConfig, "field")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
    **asked: Any,
) -> None:
    """Print what may stand in the blanks of TEXT, with probabilities.

    A run of --model cloze judges by both sides of a blank; any other one scores whole sentences, and is slow.

    charlm fill checkpoints/cloze "我昨天上学迟到了，老师批评了__。" --among 我,你,他
    """
    config = build(FillConfig, asked, command="fill")
    texts_read = build(TextConfig, given(encoding=encoding, field=field))
    talk = Talk(quiet)
    if "" in names[:1]:
        raise ConfigError("an empty name was given where a run is wanted", hint="is a variable unset?")
    if test:
        idle = given(among=config.among, top=asked.get("top"), longest=config.longest, file=file, best=best or None)
        if idle:
            options = ", ".join("--" + name for name in idle)
            raise ConfigError(f"{options} with --test, which asks for single tokens", hint="leave one of them out")
        _test(names, test, texts_read, config, count, seed, whole, device, as_json, talk)
        return
    if whole:
        raise ConfigError("--whole is for --test; a language model fills blanks in no other way", hint="leave it out")
    run, *texts = names
    if not texts and file is None:
        raise ConfigError("no text was given", hint=f'charlm fill {run} "我昨天上学迟到了，老师批评了__。"; - is stdin')
    from charlm.jobs.fill import Filler

    filler = Filler.at(Path(run), config, device)
    told = False
    for place, text in _texts(texts, file, texts_read, talk):
        try:
            filled = filler.fill(text)
        except (ConfigError, TextError) as error:
            raise type(error)(f"{place}{error}", hint=error.hint) from error
        if filled.way == "whole sentences" and not told:
            told = True
            talk.note(
                f"{run} reads from one side alone, so whole sentences are scored, with the {filler.width:,} tokens that"
                " are likeliest after what it has read before a blank. That is slow; --model cloze is trained for it"
            )
        if filled.unknown:
            shown = " ".join(map(escape, dict.fromkeys(filled.unknown)))
            talk.note(f"{place}the model does not know {shown}: read as unknown, kept in the text")
        _show(filled, as_json, best)


def _texts(texts: list[str], file: Path | None, config: TextConfig, talk: Talk) -> Iterator[tuple[str, str]]:
    """Each text, and what stands before an error about it: the file and line that it comes from."""
    for text in texts:
        if text == "-":
            yield from _lines("-", config, talk)
        elif any("\ud800" <= character <= "\udfff" for character in text):  # how Python writes a byte that is not UTF-8
            raise TextError(f"{text!a} is not UTF-8 text", hint="is the terminal set to UTF-8?")
        else:
            yield "", text
    if file is not None:
        yield from _lines(str(file), config, talk)


def _lines(source: str, config: TextConfig, talk: Talk) -> Iterator[tuple[str, str]]:
    name, empty = "standard input" if source == "-" else source, True
    for number, line in enumerate(lines_of(source, config, note=talk.note), 1):
        if line.strip():
            empty = False
            yield f"{name}:{number}: ", line.removesuffix("\n")
    if empty:
        raise TextError(f"{name} holds no text", hint="a text with blanks on each line")


def _show(filled: "Filled", as_json: bool, best: bool) -> None:
    if as_json:
        emit_json(filled.to_json())
        return
    if best:
        emit(filled.candidates[0].text if filled.candidates else filled.text)
        return
    emit(filled.text)
    for candidate in filled.candidates:
        emit(f"  {_percent(candidate)}  {SEVERAL.join(map(escape, candidate.fills))}")
    if not filled.candidates:
        emit("  –")


def _percent(candidate: "Filling") -> str:
    share = 100 * candidate.probability
    return f"{share:6.2f} %" if share >= 0.01 else f"{share:6.0e} %"


def _test(
    names: list[str],
    sources: list[str],
    texts: TextConfig,
    config: FillConfig,
    count: int,
    seed: int,
    whole: bool,
    device: str,
    as_json: bool,
    talk: Talk,
) -> None:
    from charlm.jobs.fill import accuracies

    paths = [Path(name) for name in names]
    candidates = config.candidates if whole else None
    found = accuracies(paths, sources, texts, count=count, seed=seed, whole=candidates, device=device, note=talk.note)
    for tested in found:
        if as_json:
            emit_json(tested.to_json())
            continue
        accuracy = tested.accuracy
        shares = f"{figure(100 * accuracy.top1)} % at once, {figure(100 * accuracy.top5)} % among five"
        table([("run", f"{tested.run}, by {tested.way}"), ("found", f"{shares}, of {accuracy.blanks:,} tokens")])
